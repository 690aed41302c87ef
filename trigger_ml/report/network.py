"""From the integer graph to the boxes of its drawing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trigger_ml.ir import ops
from trigger_ml.ir.bounds import Tensor, bounds
from trigger_ml.ir.graph import Graph, Node
from trigger_ml.report.data import GraphSummary, Layer


def summarize(graph: Graph, digest: str, ebops: Mapping[str, int] | None = None) -> GraphSummary:
    """The graph's layers with shapes and bit widths, all derived from its bounds.

    A ``Relu`` or ``Requant`` that alone reads a node is drawn in that node's box; but an input, whose formats are those
    of the port, has a box of its own.

    Args:
        graph: verified.
        digest: of the graph.
        ebops: effective bit operations by node name, where they were counted.
    """
    known = bounds(graph)
    members: dict[str, list[Node]] = {}
    box_of: dict[str, str] = {}
    for node in graph.nodes:
        follows = isinstance(node.op, ops.Relu | ops.Requant) and len(graph.consumers(node.inputs[0])) == 1
        follows = follows and not isinstance(graph.by_name[node.inputs[0]].op, ops.Input)
        box = box_of[node.inputs[0]] if follows and node.inputs[0] not in graph.outputs else node.name
        box_of[node.name] = box
        members.setdefault(box, []).append(node)
    layers = tuple(_layer(nodes, known, box_of, ebops or {}) for nodes in members.values())
    return GraphSummary(digest, layers, {name: repr(known[name].fixed) for name in graph.outputs})


def _layer(
    nodes: list[Node], known: Mapping[str, Tensor], box_of: Mapping[str, str], ebops: Mapping[str, int]
) -> Layer:
    head, result = nodes[0], known[nodes[-1].name]
    widths = np.array([f.width for f in result.element_formats()])
    live = widths[widths > 0]
    weights = head.op.w if isinstance(head.op, ops.Affine | ops.Conv) else np.zeros(0, np.int64)
    used = [_bits(int(w)) for w in np.unique(weights[weights != 0])]
    counted = [ebops[n.name] for n in nodes if n.name in ebops]
    return Layer(
        name=head.name,
        op=type(head.op).__name__,
        inputs=tuple(dict.fromkeys(box_of[i] for i in head.inputs)),
        shape=result.shape,
        bits=(int(live.min()), int(live.max())) if live.size else (0, 0),
        dead=int(np.count_nonzero(widths == 0)),
        weights=int(np.count_nonzero(weights)),
        weights_all=int(weights.size),
        weight_bits=(min(used), max(used)) if used else (0, 0),
        ebops=sum(counted) if counted else None,
    )


def _bits(weight: int) -> int:
    """Bits from the highest to the lowest set one, plus one for a sign: 12 = 0b1100 takes 2, -12 takes 3."""
    magnitude = abs(weight)
    return (magnitude // (magnitude & -magnitude)).bit_length() + (weight < 0)
