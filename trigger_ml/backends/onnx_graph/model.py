"""A whole ONNX model of an integer graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trigger_ml.backends.onnx_graph.rules import RULES
from trigger_ml.backends.onnx_graph.writer import Held, Writer, onnx_type
from trigger_ml.errors import ToolMissing
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.io import digest

OPSET = 18
IR_VERSION = 8


@dataclass(frozen=True, eq=False)
class Model:
    """What was written.

    Attributes:
        content: the serialised model.
        held: how it holds each node's tensor, the value ``<node>.v`` inside, by the node's name.
    """

    content: bytes
    held: Mapping[str, Held]


def model(graph: Graph, integer_input: bool) -> Model:
    """Write it; onnx's own checker has seen it.

    Args:
        graph: what is written.
        integer_input: whether the ports take int32 or int64 instead of float.

    Raises:
        ToolMissing: without the ``onnx`` package.
    """
    try:
        from onnx import checker, helper, numpy_helper
    except ImportError as e:
        raise ToolMissing("onnx is not installed: pip install 'trigger_ml[onnx]'") from e
    w, known = Writer(graph, integer_input), bounds(graph)
    ports, results = [], []
    for node in graph.nodes:
        t = known[node.name]
        if isinstance(node.op, ops.Input):
            kind = onnx_type(w.port(node.name))
            ports.append(helper.make_tensor_value_info(node.name, kind, ["events", *t.shape]))
        else:
            RULES[type(node.op)](w, node, [known[i] for i in node.inputs], t)
    for o in graph.outputs:
        _leave(w, o, known[o].shape)
        results.append(helper.make_tensor_value_info(o, onnx_type(w.carrier(o)), ["events", *known[o].shape]))
    tensors = [numpy_helper.from_array(v, k) for k, v in sorted(w.constants.items())]
    made = helper.make_graph(w.nodes, "trigger_ml", ports, results, tensors)
    whole = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    whole.producer_name = "trigger_ml"
    named = [*graph.outputs, *(p.name for p in graph.inputs)]
    entries = {"graph_digest": digest(graph)} | {f"frac.{n}": str(known[n].frac) for n in named}
    helper.set_model_props(whole, entries)
    checker.check_model(whole, full_check=True)
    return Model(whole.SerializeToString(deterministic=True), w.held)


def _leave(w: Writer, name: str, shape: tuple[int, ...]) -> None:
    """An output with its events first."""
    x = w.read(name, w.carrier(name))
    if all(n == 1 for n in shape):
        w.put("Reshape", [x, w.const([-1, *shape], np.int64)], name, {})
    else:
        w.put("Transpose", [x], name, {"perm": [len(shape), *range(len(shape))]})
