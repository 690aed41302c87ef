"""A QONNX file as plain frozen values; whatever is wrong with it is one sentence.

The format is ONNX (https://onnx.ai/onnx/intro/concepts.html) with the nodes of the domain ``qonnx.custom_op.general``
(https://github.com/fastmachinelearning/qonnx/tree/main/docs/qonnx-custom-ops). Protobuf has no magic number and no
checksum, so any bytes can be a message: all that is used is looked at first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import ImportRefused, ToolMissing

MAX_BYTES = 256 << 20
"""A trigger network is far smaller; a file beyond this is not read into memory."""

QUANTIZERS = "qonnx.custom_op.general"
DOMAINS = {"": "", "ai.onnx": "", QUANTIZERS: QUANTIZERS, "onnx.brevitas": QUANTIZERS}
"""Domain of a node -> the one it stands for."""

Attribute = int | float | str | tuple[int, ...] | tuple[float, ...] | NDArray[Any]


@dataclass(frozen=True, eq=False)
class Layer:
    """One node of the file.

    Attributes:
        label: how messages name it.
        name: its own, or its operator's.
        op: operator.
        domain: ``""`` or :data:`QUANTIZERS`.
        inputs: tensor names; empty where an optional one is left out.
        outputs: tensor names.
        attributes: by name.
    """

    label: str
    name: str
    op: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True)
class Port:
    """An input of the model: its shape without the event axis, and its integer datatype where one is annotated."""

    name: str
    shape: tuple[int, ...]
    datatype: str | None


@dataclass(frozen=True, eq=False)
class Model:
    """The file.

    Attributes:
        proto: the message itself, for qonnx to execute.
        layers: in the file's order, which is topological.
        constants: initializers by name.
        ports: inputs.
        outputs: names of the tensors that leave the model.
        opsets: version by domain.
    """

    proto: Any
    layers: tuple[Layer, ...]
    constants: Mapping[str, NDArray[Any]]
    ports: tuple[Port, ...]
    outputs: tuple[str, ...]
    opsets: Mapping[str, int]


def read(path: Path) -> Model:
    """Read and check a file.

    Raises:
        ImportRefused: it is no ONNX model, is damaged, or has something in it that no trigger network needs.
        ToolMissing: the extra ``import`` is not installed.
    """
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= MAX_BYTES else b""
    except OSError as error:
        raise ImportRefused(f"{path} can't be read ({error.strerror}): give a .onnx file") from None
    if size > MAX_BYTES:
        raise ImportRefused(f"{path} has {size >> 20} MB: a QONNX model of a trigger has less than {MAX_BYTES >> 20}")
    return parse(content)


def parse(content: bytes) -> Model:
    """The same from bytes."""
    proto = _message(content)
    graph = proto.graph
    if graph.sparse_initializer or proto.functions or proto.training_info:
        raise ImportRefused("it holds sparse constants, functions or training steps: export a plain inference graph")
    opsets = _opsets(proto)
    constants = {tensor.name: array(tensor, f"constant {tensor.name!r}") for tensor in graph.initializer}
    layers = tuple(_layer(node, i) for i, node in enumerate(graph.node))
    ports = tuple(_port(graph, entry) for entry in graph.input if entry.name not in constants)
    if not ports:
        raise ImportRefused("it has no input that isn't a constant")
    return Model(proto, layers, constants, ports, tuple(entry.name for entry in graph.output), opsets)


def _message(content: bytes) -> Any:
    """The protobuf message, which onnx's own checker has passed."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise ToolMissing("QONNX files need the package qonnx: pip install 'trigger_ml[import]'") from None
    try:
        proto = onnx.load_model_from_string(content)
    except (DecodeError, ValueError, TypeError) as error:
        raise ImportRefused(f"it is no ONNX file, or a truncated one ({_first_line(error)})") from None
    if not proto.graph.node:
        raise ImportRefused("it holds no node: it is no ONNX model, or an empty one")
    if not all(isinstance(text, str) for text in _texts(proto)):
        raise ImportRefused("it is damaged: a name in it is not UTF-8 text")
    for tensor in proto.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise ImportRefused(f"constant {tensor.name!r} is kept in another file: save the model as one file")
    for node in proto.graph.node:
        _known_domain(node)
    try:
        onnx.checker.check_model(proto)
    except (onnx.checker.ValidationError, ValueError, TypeError, RuntimeError) as error:
        raise ImportRefused(f"it is no valid ONNX model: {_first_line(error)}") from None
    return proto


def _opsets(proto: Any) -> dict[str, int]:
    import onnx

    opsets = {DOMAINS.get(entry.domain, entry.domain): int(entry.version) for entry in proto.opset_import}
    for domain, newest in (("", onnx.defs.onnx_opset_version()), (QUANTIZERS, 2)):
        version = opsets.get(domain, 1)
        if not 1 <= version <= newest:
            raise ImportRefused(f"it imports version {version} of {domain or 'ONNX'}, known are 1 to {newest}")
    return opsets


def _texts(proto: Any) -> Iterator[str | bytes]:
    """Every name that is used; protobuf gives bytes for one that is no UTF-8."""
    graph = proto.graph
    yield from (entry.domain for entry in proto.opset_import)
    yield from (entry.name for part in (graph.initializer, graph.input, graph.output) for entry in part)
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    for annotation in graph.quantization_annotation:
        yield annotation.tensor_name
        yield from (text for pair in annotation.quant_parameter_tensor_names for text in (pair.key, pair.value))


def _known_domain(node: Any) -> None:
    if node.domain not in DOMAINS:
        raise ImportRefused(
            f"node {node.name or node.op_type!r} ({node.op_type}) is of the domain {node.domain!r}: "
            f"known are ONNX itself and {QUANTIZERS}"
        )


def _layer(node: Any, place: int) -> Layer:
    name = node.name or f"{node.op_type}_{place}"
    label = f"node {name!r} ({' '.join(node.op_type.split())})"
    attributes = {a.name: _attribute(a, label) for a in node.attribute}
    return Layer(label, name, node.op_type, DOMAINS[node.domain], tuple(node.input), tuple(node.output), attributes)


def _attribute(attribute: Any, label: str) -> Attribute:
    import onnx

    kinds = onnx.AttributeProto
    match attribute.type:
        case kinds.INT:
            return int(attribute.i)
        case kinds.FLOAT:
            return float(attribute.f)
        case kinds.STRING:
            try:
                return str(attribute.s.decode("utf-8"))
            except UnicodeDecodeError:
                raise ImportRefused(f"{label}: attribute {attribute.name!r} is not UTF-8 text") from None
        case kinds.INTS:
            return tuple(int(i) for i in attribute.ints)
        case kinds.FLOATS:
            return tuple(float(f) for f in attribute.floats)
        case kinds.TENSOR:
            if attribute.t.data_location == onnx.TensorProto.EXTERNAL or attribute.t.external_data:
                raise ImportRefused(f"{label}: its constant is kept in another file: save the model as one file")
            return array(attribute.t, f"attribute {attribute.name!r} of {label}")
    raise ImportRefused(f"{label}: attribute {attribute.name!r} is of a kind that is not supported")


def array(tensor: Any, what: str) -> NDArray[Any]:
    """A constant as a numpy array of real or integer numbers.

    Raises:
        ImportRefused: damaged, or of another type.
    """
    from onnx import numpy_helper

    try:
        made = np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError, RuntimeError, OverflowError, MemoryError) as error:
        raise ImportRefused(f"{what} is damaged ({_first_line(error)})") from None
    if made.dtype.kind not in "fiu":
        raise ImportRefused(f"{what} has the type {made.dtype}: only real and integer numbers are supported")
    return made


def _port(graph: Any, entry: Any) -> Port:
    import onnx

    kind = entry.type.tensor_type
    if not entry.type.HasField("tensor_type") or kind.elem_type != onnx.TensorProto.FLOAT:
        raise ImportRefused(f"input {entry.name!r} is not float32: QONNX carries its integers in float32")
    shape = []
    for axis, dim in enumerate(kind.shape.dim):
        fixed = dim.HasField("dim_value")
        if axis == 0:
            if fixed and dim.dim_value != 1:
                raise ImportRefused(
                    f"input {entry.name!r} has {dim.dim_value} events in its first axis: export it for one event"
                )
        elif not fixed or dim.dim_value < 1:
            raise ImportRefused(
                f"input {entry.name!r} has no fixed size along axis {axis}: export it with fixed shapes"
            )
        else:
            shape.append(int(dim.dim_value))
    if not shape:
        raise ImportRefused(f"input {entry.name!r} has no axis behind the events': give it a shape like (1, n)")
    if int(np.prod([float(d) for d in shape])) > 1 << 20:
        raise ImportRefused(f"input {entry.name!r} has the shape {tuple(shape)}: no trigger reads so much")
    return Port(entry.name, tuple(shape), _datatype(graph, entry.name))


def _datatype(graph: Any, tensor: str) -> str | None:
    """What qonnx calls the datatype of a tensor: an annotation ``finn_datatype``."""
    for annotation in graph.quantization_annotation:
        if annotation.tensor_name == tensor:
            for pair in annotation.quant_parameter_tensor_names:
                if pair.key == "finn_datatype" and pair.value != "FLOAT32":
                    return str(pair.value)
    return None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
