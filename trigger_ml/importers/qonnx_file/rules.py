"""The list of what is supported, node by node; everything else is refused by name."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trigger_ml.errors import GraphError, ImportRefused
from trigger_ml.fixed import Fixed, Formats
from trigger_ml.importers.draft import Value
from trigger_ml.importers.fusing import fused
from trigger_ml.importers.qonnx_file import linear, oracle, quantizers
from trigger_ml.importers.qonnx_file.lowering import Curve, Lowering, Tensor, integer
from trigger_ml.importers.qonnx_file.reading import QUANTIZERS, Layer, Model, Port
from trigger_ml.ir import ops
from trigger_ml.ir.graph import Graph

CURVES = ("Sigmoid", "Tanh", "Exp", "Softplus", "Softsign", "Erf")
"""Functions of one number that become tables between two quantizers."""


@dataclass(frozen=True)
class Rule:
    """How a node becomes part of the graph.

    Attributes:
        lower: makes its only output.
        inputs: fewest and most inputs.
        attributes: those it may have.
    """

    lower: Callable[[Lowering, Layer], Tensor]
    inputs: tuple[int, int]
    attributes: tuple[str, ...] = ()


def to_graph(model: Model, meta: dict[str, str | int | float]) -> tuple[Graph, int]:
    """The integer graph of a file, and the number of tables in it that hold ONNX Runtime's float32.

    Raises:
        ImportRefused: at the first thing that has no exact counterpart.
    """
    state = Lowering(model)
    with np.errstate(all="ignore"):  # what is not finite is refused where it is used
        for port in model.ports:
            state.tensors[port.name] = _port(state, port)
        for layer in model.layers:
            try:
                state.tensors[layer.outputs[0]] = _lower(state, layer)
            except (ImportRefused, GraphError) as error:
                raise ImportRefused(f"{layer.label}: {error}") from None
    outputs = [(name, _output(state, name)) for name in model.outputs]
    return fused(state.draft.graph(outputs, meta)), state.made


def _lower(state: Lowering, layer: Layer) -> Tensor:
    rule = RULES.get((layer.domain, layer.op))
    if rule is None:
        known = sorted(op for domain, op in RULES if domain == layer.domain)
        raise ImportRefused(f"this operator is not supported; supported are {', '.join(known)}")
    if not rule.inputs[0] <= len(layer.inputs) <= rule.inputs[1] or not all(layer.inputs[: rule.inputs[0]]):
        raise ImportRefused(f"it has {len(layer.inputs)} inputs, {rule.inputs[0]} to {rule.inputs[1]} are needed")
    for name in layer.attributes:
        if name not in rule.attributes:
            raise ImportRefused(f"its attribute {name!r} is not supported")
    if len([name for name in layer.outputs if name]) != 1 or not layer.outputs[0]:
        raise ImportRefused(f"it has {len(layer.outputs)} outputs: only its first one is supported")
    return rule.lower(state, layer)


def _port(state: Lowering, port: Port) -> Value:
    if port.datatype is not None:
        return state.draft.input(port.shape, _annotated(port), port.name)
    readers = [layer for layer in state.model.layers if port.name in layer.inputs]
    quants = [layer for layer in readers if layer.domain == QUANTIZERS and layer.op in ("Quant", "IntQuant")]
    if len(readers) != 1 or len(quants) != 1 or quants[0].inputs[0] != port.name:
        raise ImportRefused(
            f"input {port.name!r} is not quantized: put one Quant node on it, or annotate its datatype, e.g. INT8"
        )
    early = Lowering(state.model)
    for layer in state.model.layers:
        if layer.op == "Constant" and layer.domain == "":
            early.tensors[layer.outputs[0]] = constant(early, layer)
    try:
        formats = quantizers.port_formats(quantizers.grid(early, quants[0]), port.shape)
    except (ImportRefused, GraphError) as error:
        raise ImportRefused(f"{quants[0].label}: {error}") from None
    return state.draft.input(port.shape, formats, port.name)


def _annotated(port: Port) -> Formats:
    """The formats of qonnx's ``INT8``, ``UINT4``, ``BINARY`` or ``FIXED<8,3>`` (8 bits, 3 of them integer)."""
    found = re.fullmatch(r"(U?)INT([0-9]{1,2})|(BINARY)|FIXED<([0-9]{1,2}),(-?[0-9]{1,2})>", port.datatype or "")
    if not found:
        raise ImportRefused(
            f"input {port.name!r} is annotated {port.datatype!r}: known are INTn, UINTn, BINARY and FIXED<w,i>"
        )
    unsigned, width, binary, fixed, whole = found.groups()
    if binary:
        return Formats.uniform(Fixed(False, 1, 0))
    if fixed:
        return Formats.uniform(Fixed(True, int(fixed), int(fixed) - int(whole)))
    return Formats.uniform(Fixed(not unsigned, int(width), 0))


def _output(state: Lowering, name: str) -> Value:
    found = state.tensors.get(name)
    if isinstance(found, Curve):
        raise ImportRefused(f"output {name!r} is {found.label}, whose result is not quantized: put a Quant behind it")
    if not isinstance(found, Value):
        raise ImportRefused(f"output {name!r} is a constant, or made by no node")
    return found


# -- constants and wiring ---------------------------------------------------------------------------------------------


def constant(state: Lowering, layer: Layer) -> Tensor:
    """Constant: one of its attributes is the number or the array."""
    if len(layer.attributes) != 1:
        raise ImportRefused(f"it has the attributes {sorted(layer.attributes)}: exactly one value is needed")
    (value,) = layer.attributes.values()
    if isinstance(value, str):
        raise ImportRefused("it is a text: only numbers are supported")
    return np.asarray(value)


def identity(state: Lowering, layer: Layer) -> Tensor:
    """Identity."""
    return state.tensor(layer, 0)


def curve(state: Lowering, layer: Layer) -> Tensor:
    """A function that a Quant behind it turns into a table."""
    return Curve(state.value(layer), oracle.function(layer.op), layer.label)


def relu(state: Lowering, layer: Layer) -> Tensor:
    """Relu."""
    return state.draft.relu(state.value(layer), layer.name)


def reshape(state: Lowering, layer: Layer) -> Tensor:
    """Reshape to a constant shape, the events' axis first."""
    given = state.constant(layer, 1, "shape").ravel()
    if not np.isfinite(given).all():
        raise ImportRefused("its shape holds a number that is not finite")
    wanted = [int(n) for n in given]
    if integer(layer, "allowzero", 0) and 0 in wanted:
        raise ImportRefused("it makes an empty tensor")
    found = state.tensor(layer, 0)
    if not isinstance(found, Value | Curve):
        return _numpy(lambda: found.reshape([found.shape[i] if n == 0 else n for i, n in enumerate(wanted)]))
    value = state.value(layer)
    shape = (1, *state.draft.shape(value))
    wanted = [shape[i] if n == 0 and i < len(shape) else n for i, n in enumerate(wanted)]
    known, total = math.prod(n for n in wanted if n != -1), math.prod(shape)
    if wanted.count(-1) > 1 or min(wanted, default=0) < -1 or known == 0 or total % known:
        raise ImportRefused(f"its shape {wanted} does not fit {shape}")
    wanted = [total // known if n == -1 else n for n in wanted]
    if wanted[0] != 1 or len(wanted) < 2:
        raise ImportRefused(f"its shape {wanted} mixes events: its first axis must stay the events'")
    return state.draft.reshaped(value, wanted[1:], layer.name)


def squeezed(state: Lowering, layer: Layer) -> Tensor:
    """Squeeze and Unsqueeze: axes of size 1 go or come, the events' axis apart."""
    given = state.optional(layer, 1, "axes")
    listed = layer.attributes.get("axes") if given is None else tuple(int(a) for a in given.ravel())
    if not isinstance(listed, tuple) or not listed:
        raise ImportRefused("it names no axes: give them")
    found, grows = state.tensor(layer, 0), layer.op == "Unsqueeze"
    if not isinstance(found, Value | Curve):
        axes = tuple(int(a) for a in listed)
        return _numpy(lambda: np.expand_dims(found, axes) if grows else np.squeeze(found, axes))
    value = state.value(layer)
    shape = [1, *state.draft.shape(value)]
    rank = len(shape) + grows * len(listed)
    axes = tuple(sorted(int(a) + rank * (a < 0) for a in listed))
    if axes[0] < 1 or axes[-1] >= rank or len(set(axes)) < len(axes):
        raise ImportRefused(f"its axes {list(listed)} are not axes behind the events'")
    if not grows and any(shape[a] != 1 for a in axes):
        raise ImportRefused(f"its axes {list(listed)} of {tuple(shape)} are not all of size 1")
    made = np.expand_dims(np.empty(shape), axes).shape if grows else [n for a, n in enumerate(shape) if a not in axes]
    if len(made) < 2:
        raise ImportRefused("it leaves no axis behind the events'")
    return state.draft.reshaped(value, tuple(made)[1:], layer.name)


def flatten(state: Lowering, layer: Layer) -> Tensor:
    """Flatten everything but the events' axis."""
    value, axis = state.value(layer), integer(layer, "axis", 1)
    if axis not in (1, -len(value.order)):
        raise ImportRefused(f"its axis is {axis}: only 1, everything but the events, is supported")
    return state.draft.reshaped(value, (math.prod(state.draft.shape(value)),), layer.name)


def transpose(state: Lowering, layer: Layer) -> Tensor:
    """Transpose that leaves the events' axis where it is."""
    found = state.tensor(layer, 0)
    perm = layer.attributes.get("perm")
    if perm is not None and not (isinstance(perm, tuple) and sorted(perm) == list(range(len(perm)))):
        raise ImportRefused(f"its perm is {perm!r}: it must name each axis once")
    if not isinstance(found, Value | Curve):
        return _numpy(lambda: np.transpose(found, perm))  # type: ignore[arg-type]
    value = state.value(layer)
    if perm is None or len(perm) != len(value.order) + 1 or perm[0] != 0:
        raise ImportRefused(f"its perm is {perm!r}: it must start with 0, the events' axis, and name each axis once")
    return state.draft.transposed(value, [int(a) - 1 for a in perm[1:]])


def concat(state: Lowering, layer: Layer) -> Tensor:
    """Concat of exact tensors."""
    values = [state.value(layer, i) for i in range(len(layer.inputs))]
    axis, rank = integer(layer, "axis", 0), len(values[0].order) + 1
    axis = axis + rank if axis < 0 else axis
    if not 1 <= axis < rank:
        raise ImportRefused(f"its axis is {axis}: it must be one behind the events' axis")
    return state.draft.concat(values, axis - 1, layer.name)


def add(state: Lowering, layer: Layer) -> Tensor:
    """Add of two tensors, or of a tensor and a constant."""
    return _two(state, layer, ops.Add(), lambda c: (1.0, c), lambda c: (1.0, c))


def sub(state: Lowering, layer: Layer) -> Tensor:
    """Sub, the constant on either side."""
    return _two(state, layer, ops.Add(subtract=True), lambda c: (1.0, -c), lambda c: (-1.0, c))


def mul(state: Lowering, layer: Layer) -> Tensor:
    """Mul of two tensors, or of a tensor and a constant."""
    return _two(state, layer, ops.Mul(), lambda c: (c, 0.0), lambda c: (c, 0.0))


Constants = Callable[[np.ndarray], tuple[float | np.ndarray, float | np.ndarray]]


def _two(state: Lowering, layer: Layer, op: ops.Op, right: Constants, left: Constants) -> Tensor:
    """``right`` and ``left`` give scale and shift where the constant stands there."""
    if state.is_constant(layer, 0):
        scale, shift = left(state.constant(layer, 0, "constant"))
        return state.draft.scaled(state.value(layer, 1), scale, shift, layer.name)
    if state.is_constant(layer, 1):
        scale, shift = right(state.constant(layer, 1, "constant"))
        return state.draft.scaled(state.value(layer), scale, shift, layer.name)
    return state.draft.pair(op, state.value(layer), state.value(layer, 1), layer.name)


def _numpy(made: Callable[[], np.ndarray]) -> np.ndarray:
    try:
        return made()
    except (ValueError, IndexError) as error:
        raise ImportRefused(f"its constant does not fit: {error}") from None


_POOL = ("kernel_shape", "strides", "pads", "auto_pad", "ceil_mode", "dilations")
_QUANT = Rule(quantizers.quant, (4, 4), ("signed", "narrow", "rounding_mode"))

RULES: dict[tuple[str, str], Rule] = {
    (QUANTIZERS, "Quant"): _QUANT,
    (QUANTIZERS, "IntQuant"): _QUANT,
    (QUANTIZERS, "BipolarQuant"): Rule(quantizers.bipolar, (2, 2)),
    (QUANTIZERS, "Trunc"): Rule(quantizers.trunc, (5, 6), ("rounding_mode", "signed", "narrow")),
    ("", "Constant"): Rule(
        constant, (0, 0), ("value", "value_float", "value_floats", "value_int", "value_ints")
    ),
    ("", "Identity"): Rule(identity, (1, 1)),
    ("", "MatMul"): Rule(linear.matmul, (2, 2)),
    ("", "Gemm"): Rule(linear.gemm, (2, 3), ("alpha", "beta", "transA", "transB")),
    ("", "Conv"): Rule(
        linear.conv, (2, 3), ("kernel_shape", "strides", "pads", "auto_pad", "dilations", "group")
    ),
    ("", "BatchNormalization"): Rule(
        linear.batch_normalization, (5, 5), ("epsilon", "momentum", "training_mode")
    ),
    ("", "MaxPool"): Rule(linear.max_pool, (1, 1), (*_POOL, "storage_order")),
    ("", "AveragePool"): Rule(linear.average_pool, (1, 1), (*_POOL, "count_include_pad")),
    ("", "GlobalAveragePool"): Rule(linear.global_average_pool, (1, 1)),
    ("", "Relu"): Rule(relu, (1, 1)),
    ("", "Add"): Rule(add, (2, 2)),
    ("", "Sub"): Rule(sub, (2, 2)),
    ("", "Mul"): Rule(mul, (2, 2)),
    ("", "Concat"): Rule(concat, (1, 1 << 16), ("axis",)),
    ("", "Reshape"): Rule(reshape, (2, 2), ("allowzero",)),
    ("", "Squeeze"): Rule(squeezed, (1, 2), ("axes",)),
    ("", "Unsqueeze"): Rule(squeezed, (1, 2), ("axes",)),
    ("", "Flatten"): Rule(flatten, (1, 1), ("axis",)),
    ("", "Transpose"): Rule(transpose, (1, 1), ("perm",)),
    **{("", name): Rule(curve, (1, 1)) for name in CURVES},
}  # fmt: skip
"""Domain and operator -> how it is read."""
