"""Where every tensor lives: in rows of its own, as pairs of int16, inside the one expression that reads it, or nowhere.

A row is one element for a whole block of events. Elements that are only moved (Reshape, Take, ...) get no rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from trigger_ml.backends.emulator.expressions import Element, lanes_for, requant_lanes, wired
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import Tensor, bounds, pad, windows
from trigger_ml.ir.graph import Graph, Node

INT16 = 1 << 15


@dataclass(frozen=True, eq=False)
class Linear:
    """An Affine or Conv as one kernel at many positions.

    Attributes:
        weights: ``(k, n_out)``.
        bias: ``(n_out,)``.
        offset: element offsets ``(k,)`` inside the (padded) source, ascending, from a position's base.
        base: the base of each position.
        padded: shape and padding where the source gets zeros around it, else None.
    """

    weights: Any
    bias: Any
    offset: Any
    base: Any
    padded: Any = None


def linear(node: Node, a: Tensor) -> Linear:
    """The kernel of an Affine or Conv that reads tensor ``a``."""
    op: Any = node.op
    if isinstance(op, ops.Affine):
        n, k = int(np.prod(a.shape[:-1])), a.shape[-1]
        return Linear(op.w, op.b, np.arange(k), np.arange(n) * k)
    size = op.w.shape[:-2]
    shape = pad(np.zeros(a.shape, np.int8), op.padding).shape
    index = windows(np.arange(int(np.prod(shape))).reshape(shape), size, op.strides)
    index = index.reshape(-1, int(np.prod(size)) * a.shape[-1])
    padded = op.padding if any(p != (0, 0) for p in op.padding) else None
    return Linear(op.w.reshape(-1, op.w.shape[-1]), op.b, index[0] - index[0, 0], index[:, 0], padded)


class Layout:
    """What the generator wants to know of a graph before it writes."""

    def __init__(self, graph: Graph) -> None:
        """Derive it all from the graph and its bounds."""
        self.graph, self.known = graph, bounds(graph)
        self.readers: dict[str, list[Node]] = {n.name: [] for n in graph.nodes}
        for node in graph.nodes:
            for name in node.inputs:
                self.readers[name].append(node)
        self.ident = {n.name: f"n{i}" for i, n in enumerate(graph.nodes)}
        self.moved: dict[str, list[Element]] = {}
        for node in graph.nodes:
            found = wired(node, [self.known[i] for i in node.inputs], self.known[node.name])
            if found is not None:
                self.moved[node.name] = [self.origin(*e) for e in found]

    def origin(self, name: str, j: int) -> Element:
        """The element that is really computed."""
        return self.moved[name][j] if name in self.moved else (name, j)

    def stored(self, name: str) -> str:
        """The lanes of a tensor's rows."""
        t = self.known[name]
        least = int(t.lo.min()) if t.lo.size else 0
        most = int(t.hi.max()) if t.hi.size else 0
        return "V" if least > -(1 << 31) and most < 1 << 31 else "W"

    def lanes(self, node: Node) -> str:
        """The lanes in which a node computes."""
        t = self.known[node.name]
        if isinstance(node.op, ops.Requant):
            return requant_lanes(node, self.known[node.inputs[0]], t)
        if isinstance(node.op, ops.Table):
            return lanes_for(int(np.abs(node.op.values).max()) if node.op.values.size else 0)
        return lanes_for(t.peak)

    @cached_property
    def lazy(self) -> frozenset[str]:
        """Nodes computed inside their only reader, which reads each element once."""
        return frozenset(n.name for n in self.graph.nodes if self._lazy(n))

    def _lazy(self, node: Node) -> bool:
        if not isinstance(node.op, (ops.Requant, ops.Relu, ops.Table, ops.Mul, ops.Add, ops.Max)):
            return False
        readers = self.readers[node.name]
        if node.name in self.graph.outputs or len(readers) != 1:
            return False
        (reader,) = readers
        if reader.inputs.count(node.name) != 1:
            return False
        if isinstance(reader.op, ops.Affine):
            return len(self.known[node.name].shape) == 1
        return isinstance(reader.op, (ops.Requant, ops.Relu, ops.Table, ops.Mul, ops.Add, ops.Max, ops.Reduce))

    def live(self, node: Node) -> list[int]:
        """Inputs of a kernel that matter: some weight is not zero, and the element is not always zero."""
        kernel, a = linear(node, self.known[node.inputs[0]]), self.known[node.inputs[0]]
        useful = (kernel.weights != 0).any(axis=1)
        if len(kernel.base) == 1 and kernel.padded is None:
            zero = np.array([lo == hi == 0 for lo, hi in zip(a.lo.flat, a.hi.flat, strict=True)])
            useful &= ~zero[kernel.offset + int(kernel.base[0])]
        return [int(i) for i in np.flatnonzero(useful)]

    def pairs(self, node: Node) -> bool:
        """Whether a kernel multiplies pairs of int16 into int32."""
        a, t = self.known[node.inputs[0]], self.known[node.name]
        kernel = linear(node, a)
        top = int(np.abs(kernel.weights).max(initial=0))
        small = int(a.lo.min()) >= -INT16 and int(a.hi.max()) < INT16 and top < INT16
        return small and t.peak < 1 << 31

    def chain(self, node: Node) -> list[Node]:
        """The Relus and Requants that can follow a kernel before its result is stored."""
        found: list[Node] = []
        here = node
        channels = self.known[node.name].shape[-1]
        while here.name not in self.graph.outputs and len(self.readers[here.name]) == 1:
            (after,) = self.readers[here.name]
            if not isinstance(after.op, (ops.Requant, ops.Relu)) or self.lanes(after) != self.lanes(node):
                break
            if isinstance(after.op, ops.Requant) and not _same_everywhere(
                after.op, self.known[node.name].shape, channels
            ):
                break
            found.append(after)
            here = after
        return found


def _same_everywhere(op: ops.Requant, shape: tuple[int, ...], channels: int) -> bool:
    """Whether a format depends on the last axis only."""
    for z in (op.formats.signed, op.formats.width, op.formats.frac):
        rows = np.broadcast_to(z, shape).reshape(-1, channels)
        if not np.array_equal(rows, np.broadcast_to(rows[:1], rows.shape)):
            return False
    return True
