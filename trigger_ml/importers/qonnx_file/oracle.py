"""qonnx's own execution of the file, ONNX Runtime node by node: what an imported graph has to agree with."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import ImportRefused, ToolMissing
from trigger_ml.importers.comparing import Floats, Oracle
from trigger_ml.importers.qonnx_file.reading import Model

SINGLE = 4
"""Events that the untouched file is run on, one by one; the others run as one batch through a copy."""


def oracle(model: Model) -> Oracle:
    """Runs the file on real inputs, float32.

    The first events go through the file as it is; all of them go through a copy whose event axis has been widened,
    because qonnx opens a session for each node and each call.
    """

    def run(feed: Floats) -> Floats:
        named = {port.name: x for port, x in zip(model.ports, feed, strict=True)}
        events = len(feed[0])
        batch = _execute(_widened(model, events), named)
        for i in range(min(SINGLE, events)):
            alone = _execute(_widened(model, 1), {name: x[i : i + 1] for name, x in named.items()})
            for output, value in alone.items():
                if not np.array_equal(value[0], batch[output][i]):
                    raise ImportRefused(f"qonnx itself gives other numbers for {output!r} alone than in a batch")
        return [batch[name] for name in model.outputs]

    return run


def _execute(proto: Any, feed: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    try:
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.infer_shapes import InferShapes
    except ImportError:
        raise ToolMissing("importing QONNX files needs the package qonnx: pip install 'trigger_ml[import]'") from None
    try:
        wrapper = ModelWrapper(proto).transform(InferShapes())
        made: dict[str, NDArray[Any]] = execute_onnx(wrapper, feed)
    except Exception as error:  # qonnx and ONNX Runtime raise whatever they like
        raise ImportRefused(f"qonnx can't execute the file: {str(error).strip().splitlines()[0][:200]}") from None
    return made


def _widened(model: Model, events: int) -> Any:
    """A copy of the message with ``events`` in the first axis of every input and of constant shapes."""
    proto = copy.deepcopy(model.proto)
    graph = proto.graph
    inputs = {port.name for port in model.ports}
    for entry in graph.input:
        if entry.name in inputs:
            entry.type.tensor_type.shape.dim[0].dim_value = events
    del graph.value_info[:]
    for entry in graph.output:
        if entry.type.tensor_type.HasField("shape"):
            entry.type.tensor_type.ClearField("shape")
    if events > 1:
        _widen_reshapes(graph)
    return proto


def _widen_reshapes(graph: Any) -> None:
    """A Reshape to ``(1, ...)`` becomes one to ``(0, ...)``: the first axis as it is."""
    from onnx import numpy_helper

    shapes = {node.input[1] for node in graph.node if node.op_type == "Reshape" and len(node.input) > 1}
    holders = [tensor for tensor in graph.initializer if tensor.name in shapes]
    holders += [
        node.attribute[0].t
        for node in graph.node
        if node.op_type == "Constant" and node.output[0] in shapes and node.attribute[0].name == "value"
    ]
    for tensor in holders:
        shape = np.array(numpy_helper.to_array(tensor))
        if shape.ndim == 1 and shape.size and shape[0] == 1:
            shape[0] = 0
            tensor.CopyFrom(numpy_helper.from_array(shape, tensor.name))


def function(op: str) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """An elementwise operator in float32, as ONNX Runtime computes it."""

    def run(x: NDArray[np.float32]) -> NDArray[np.float32]:
        made = _session(op).run(None, {"x": np.asarray(x, np.float32).reshape(1, -1)})[0]
        return np.asarray(made, np.float32).reshape(np.shape(x))

    return run


@lru_cache(maxsize=16)
def _session(op: str) -> Any:
    try:
        import onnxruntime
        from onnx import TensorProto, helper
    except ImportError:
        raise ToolMissing("importing QONNX files needs the package qonnx: pip install 'trigger_ml[import]'") from None
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, None]) for n in ("x", "y")]
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"])], op, ends[:1], ends[1:])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnxruntime.InferenceSession(proto.SerializeToString())
