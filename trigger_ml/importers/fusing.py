"""Elementwise scales and shifts behind a linear layer, folded into it: the same integers, fewer nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from trigger_ml.ir import ops
from trigger_ml.ir.graph import Graph, Node


def fused(graph: Graph) -> Graph:
    """The graph with each diagonal ``Affine`` folded into the ``Affine`` or ``Conv`` that it alone reads.

    ``(x @ w + b) * d + e`` is ``x @ (w * d) + (b * d + e)``: fraction lengths add up, so no bit changes.
    """
    nodes: list[Node] = []
    place: dict[str, int] = {}
    for node in graph.nodes:
        at = place.get(node.inputs[0]) if node.inputs else None
        before = None if at is None else nodes[at]
        if before is not None and at is not None and _folds(graph, before, node):
            nodes[at] = Node(node.name, _product(before.op, node.op), before.inputs)
            place[node.name] = at
            continue
        place[node.name] = len(nodes)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _folds(graph: Graph, before: Node, node: Node) -> bool:
    if not isinstance(node.op, ops.Affine) or not isinstance(before.op, (ops.Affine, ops.Conv)):
        return False
    w = node.op.w
    alone = len(graph.consumers(node.inputs[0])) == 1 and node.inputs[0] not in graph.outputs
    return alone and w.shape[0] == w.shape[1] and not np.any(w - np.diag(np.diag(w)))


def _product(before: Any, node: Any) -> ops.Op:
    d = np.diag(node.w)
    made: ops.Op = replace(
        before,
        w=ops.integers(before.w * d),
        b=ops.integers(before.b * d + node.b),
        frac=before.frac + node.frac,
    )
    return made
