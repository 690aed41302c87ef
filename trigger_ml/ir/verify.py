"""Whether a graph is well formed, and whether each ``Requant`` is in normal form."""

from __future__ import annotations

import re

import numpy as np

from trigger_ml.errors import GraphError
from trigger_ml.fixed import MAX_FRAC, Overflow
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.graph import Graph, Node

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def verify(graph: Graph) -> None:
    """Check names, order, arity, shapes, axes, fraction lengths, table coverage and the 62-bit bound.

    Raises:
        GraphError: at the first thing wrong, naming the node.
    """
    seen: set[str] = set()
    for node in graph.nodes:
        _verify_node(node, seen)
        seen.add(node.name)
    if not graph.inputs:
        raise GraphError("the graph has no Input")
    if not graph.outputs:
        raise GraphError("the graph has no output: name at least one node")
    if len(set(graph.outputs)) != len(graph.outputs):
        raise GraphError("an output is named twice")
    for o in graph.outputs:
        if o not in seen:
            raise GraphError(f"output {o!r} is no node of the graph")
        if isinstance(graph.by_name[o].op, ops.Input):
            raise GraphError(f"output {o!r} is a port: an output has to be computed")
    bounds(graph)


def _verify_node(node: Node, seen: set[str]) -> None:
    kind = type(node.op).__name__
    if not NAME.fullmatch(node.name):
        raise GraphError(f"node name {node.name!r} must be lower case letters, digits and underscores, a letter first")
    if node.name in seen:
        raise GraphError(f"two nodes are named {node.name!r}: give each its own name")
    for i in node.inputs:
        if i not in seen:
            raise GraphError(f"node {node.name!r} reads {i!r}, which no earlier node makes")
    least, most = ops.ARITY.get(type(node.op), (1, 1))
    if len(node.inputs) < least or (most is not None and len(node.inputs) > most):
        raise GraphError(f"node {node.name!r} ({kind}) has {len(node.inputs)} inputs, needs {least}")
    if isinstance(node.op, ops.Input) and np.unique(node.op.formats.frac).size > 1:
        raise GraphError(f"input {node.name!r} mixes fraction lengths: a port has one; requantize behind it")
    if isinstance(node.op, (ops.Pool, ops.Conv)) and min(node.op.strides, default=1) < 1:
        raise GraphError(f"node {node.name!r} ({kind}) has a stride below 1")
    if isinstance(node.op, (ops.Pool, ops.Reduce)) and node.op.how not in ("sum", "max"):
        raise GraphError(f"node {node.name!r} reduces by {node.op.how!r}: use 'sum' or 'max'")
    _verify_fields(node)


def _verify_fields(node: Node) -> None:
    """Axes and lengths as they are written, and fraction lengths of constants."""
    op, what = node.op, f"node {node.name!r} ({type(node.op).__name__})"
    if isinstance(op, (ops.Affine, ops.Conv, ops.Table)) and abs(op.frac) > MAX_FRAC:
        raise GraphError(
            f"{what} has constants of fraction length {op.frac}, outside -{MAX_FRAC}...{MAX_FRAC}: rescale them"
        )
    if isinstance(op, ops.Concat) and op.axis < 0:
        raise GraphError(f"{what} has axis {op.axis}: count axes from 0, events apart")
    if isinstance(op, ops.Permute) and min(op.perm, default=0) < 0:
        raise GraphError(f"{what} has axes {op.perm}: count axes from 0, events apart")
    if isinstance(op, ops.Reshape) and min(op.shape, default=1) < 1:
        raise GraphError(f"{what} has shape {op.shape}: write every length out, at least 1")


def normal_form(graph: Graph) -> list[str]:
    """What stands outside the normal form of ``Requant``, one sentence each; empty when all is well.

    Engines were seen to change bits silently outside it: no saturation that can act onto a grid finer than the input's,
    no grid coarser than the input's whole range, no wrap of possibly negative values into a wider unsigned format, no
    ``Requant`` that reads a ``Requant``.
    """
    known, found = bounds(graph), []
    for node in graph.nodes:
        op = node.op
        if not isinstance(op, ops.Requant):
            continue
        a = known[node.inputs[0]]
        f = op.formats
        live = np.broadcast_to(f.width > 0, a.shape)
        low, high = (z * 2 ** np.maximum(f.frac - a.frac, 0).astype(object) for z in (a.lo, a.hi))
        acts = (low < f.lo) | (high > f.hi)
        if op.overflow is not Overflow.WRAP and np.any(live & (f.frac > a.frac) & acts):
            found.append(f"{node.name}: saturates onto a grid finer than its input's")
        size = np.maximum(np.abs(a.lo), np.abs(a.hi))
        if np.any(live & _coarse(size, a.frac - f.frac)):
            found.append(f"{node.name}: its grid is coarser than its input's whole range")
        wider = (f.signed == 0) & (f.width - f.frac > a.fixed.integer)
        if op.overflow is Overflow.WRAP and np.any(live & wider & (a.lo < 0)):
            found.append(f"{node.name}: wraps possibly negative values into a wider unsigned format")
        if isinstance(graph.by_name[node.inputs[0]].op, ops.Requant):
            found.append(f"{node.name}: reads a Requant")
    return found


def _coarse(size: np.ndarray, drop: np.ndarray) -> np.ndarray:
    bits = np.array([int(s).bit_length() for s in size.flat]).reshape(size.shape)
    return (bits > 0) & (np.broadcast_to(drop, size.shape) > bits)
