"""The graph while it is made: nodes, what is known of them, and the casts of C++."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trigger_ml.errors import GraphError, ImportRefused
from trigger_ml.fixed import Formats, round_shift
from trigger_ml.importers.hls4ml_project.ap_types import ApType
from trigger_ml.importers.hls4ml_project.tokens import Token, refused
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import INT64_EXACT, RULES, Tensor
from trigger_ml.ir.graph import Graph, Node
from trigger_ml.ir.verify import verify


class Net:
    """Nodes in order, with the interval of each.

    Every method that adds a node returns its name. A cast that can't change any value adds none.
    """

    def __init__(self) -> None:
        """An empty net."""
        self.nodes: list[Node] = []
        self.known: dict[str, Tensor] = {}
        self.at: Token | None = None
        self.label = "node"
        self.called: dict[str, str] = {}

    def layer(self, label: str, at: Token) -> None:
        """The nodes to come belong to this array of the project."""
        self.label, self.at = _name(label), at

    def add(self, op: ops.Op, *inputs: str) -> str:
        """Append an operation.

        Raises:
            ImportRefused: if the graph can't hold it; the sentence names the layer.
        """
        stem = f"{self.label}_{type(op).__name__.lower()}"
        name, k = stem, 1
        while name in self.known:
            name, k = f"{stem}_{k}", k + 1
        node = Node(name, op, inputs)
        try:
            tensor = RULES[type(op)](node, [self.known[i] for i in inputs])
        except (GraphError, ValueError, IndexError) as error:
            raise refused(self.at, f"{self.label}: {error}") from None
        if tensor.peak >= INT64_EXACT:
            raise refused(
                self.at, f"{self.label}: {type(op).__name__} may reach {tensor.peak.bit_length()} bits, beyond 62"
            )
        self.nodes.append(node)
        self.known[name] = tensor
        return name

    def input(self, label: str, size: int, kind: ApType, at: Token) -> str:
        """A port."""
        self.layer(label, at)
        return self.add(ops.Input((size,), Formats.uniform(kind.fixed(at))))

    def size(self, a: str) -> int:
        """Elements of a tensor."""
        return int(np.prod(self.known[a].shape))

    # -- exact operations ---------------------------------------------------------------------------------------------

    def reshape(self, a: str, *shape: int) -> str:
        """The same elements in another shape."""
        return a if self.known[a].shape == shape else self.add(ops.Reshape(shape), a)

    def flat(self, a: str) -> str:
        """The same elements in one row."""
        return self.reshape(a, self.size(a))

    def affine(self, a: str, w: ArrayLike, b: ArrayLike, frac: int) -> str:
        """``a @ w + b`` with integers that may be Python's."""
        return self.add(ops.Affine(self.integers(w), self.integers(b), frac), a)

    def constant(self, like: str, values: NDArray[Any], frac: int) -> str:
        """A tensor of constants, which hangs on another tensor because a graph has no constants."""
        t = self.known[like]
        zeros = np.zeros((self.size(like), len(values)), np.int64)
        return self.affine(self.flat(like), zeros, values, frac - t.frac)

    def take(self, a: str, index: NDArray[Any]) -> str:
        """Elements of a flat tensor; nothing if they are all of them in order."""
        a = self.flat(a)
        if np.array_equal(index, np.arange(self.size(a))):
            return a
        return self.add(ops.Take(ops.integers(index.ravel())), a)

    def relu(self, a: str) -> str:
        """``max(a, 0)``."""
        return a if min(self.known[a].lo.flat) >= 0 else self.add(ops.Relu(), a)

    def integers(self, values: ArrayLike) -> ops.IntArray:
        """As int64, refused beyond it."""
        array = np.asarray(values, dtype=object)
        if array.size and max(abs(int(v)) for v in array.flat) >= INT64_EXACT:
            raise refused(self.at, f"{self.label}: a constant is beyond 62 bits")
        return ops.integers(array.astype(np.int64))

    # -- casts --------------------------------------------------------------------------------------------------------

    def changes(self, a: str, to: ApType) -> bool:
        """Whether a cast can change any value."""
        t = self.known[a]
        if t.frac > to.frac:
            return True
        lift = 2 ** (to.frac - t.frac)
        return bool(np.any(t.lo * lift < to.lo) or np.any(t.hi * lift > to.hi))

    def cast(self, a: str, to: ApType, keep_grid: bool = False) -> str:
        """``to(a)``: rounded, then wrapped or saturated; nothing where that can't change a value.

        Args:
            a: the tensor.
            to: the type.
            keep_grid: the result has to have the type's own fraction length, as a port has.
        """
        if not self.changes(a, to) and not (keep_grid and self.known[a].frac != to.frac):
            return a
        return self.add(ops.Requant(Formats.uniform(to.fixed(self.at)), to.rounding, to.overflow), a)

    def cast_each(self, a: str, to: list[ApType | None]) -> str:
        """Each element of a flat tensor into its own type, None for none; one pair of modes for all that act."""
        t = self.known[a]
        modes = {(k.rounding, k.overflow) for k in to if k is not None}
        if not modes:
            return a
        if len(modes) > 1:
            raise refused(self.at, f"{self.label}: its elements are rounded in different ways")
        own = list(t.element_formats())
        formats = [f if k is None else k.fixed(self.at) for f, k in zip(own, to, strict=True)]
        rounding, overflow = modes.pop()
        made = Formats.of([f.signed for f in formats], [f.width for f in formats], [f.frac for f in formats])
        return self.add(ops.Requant(made, rounding, overflow), a)

    # -- the end ------------------------------------------------------------------------------------------------------

    def graph(self, outputs: dict[str, tuple[str, ApType, Token]], names: dict[str, str]) -> Graph:
        """The finished graph.

        Args:
            outputs: node and type of each port by its name.
            names: node by the name of the project's array: what the last node of a layer is called.
        """
        ends: dict[str, str] = {}
        for name, (node, kind, at) in outputs.items():
            self.layer(name, at)
            node = self.cast(node, kind, keep_grid=True)
            if isinstance(self._node(node).op, ops.Input) or node in ends.values():
                node = self.add(ops.Reshape(self.known[node].shape), node)
            ends[name] = node
        called = {node: _name(name) for name, node in [*names.items(), *ends.items()]}
        taken = list(called.values())
        called = {k: v for k, v in called.items() if taken.count(v) == 1 and v not in self.known}
        self.called = called
        nodes = [
            replace(n, name=called.get(n.name, n.name), inputs=tuple(called.get(i, i) for i in n.inputs))
            for n in self._needed(set(ends.values()))
        ]
        graph = Graph(tuple(nodes), tuple(called.get(n, n) for n in ends.values()))
        try:
            verify(graph)
        except GraphError as error:
            raise ImportRefused(f"the project's graph is not legal: {error}") from None
        return graph

    def final(self, nodes: dict[str, str]) -> dict[str, str]:
        """The names in the finished graph, by the names of the project's arrays."""
        return {name: self.called.get(node, node) for name, node in nodes.items()}

    def _node(self, name: str) -> Node:
        return next(n for n in self.nodes if n.name == name)

    def _needed(self, needed: set[str]) -> list[Node]:
        kept = []
        for node in reversed(self.nodes):
            if node.name in needed or isinstance(node.op, ops.Input):
                needed.update(node.inputs)
                kept.append(node)
        return kept[::-1]


def rounded(values: NDArray[Any], frac: int, to: ApType) -> tuple[NDArray[Any], int]:
    """Constants on the coarsest grid that still holds them exactly: integers and their fraction length."""
    nonzero = [int(v) for v in values.flat if v]
    zeros = min(((v & -v).bit_length() - 1 for v in nonzero), default=None)
    if zeros is None:
        return values * 0, 0
    return round_shift(np.asarray(values, dtype=object), zeros, to.rounding), frac - zeros


def _name(label: str) -> str:
    name = re.sub(r"[^a-z0-9_]", "_", label.lower())[:40]
    return name if re.match(r"[a-z]", name) else f"n{name}"
