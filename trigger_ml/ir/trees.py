"""An ensemble of decision trees as a pattern of nodes: written into a graph and read back from it, exactly.

``compare -> above -> path -> place -> slot -> leaf -> score``. Each comparison ``x > threshold`` that occurs is made
once, a bit. The bits of a tree of depth 3, or of each subtree of depth 3 of a deeper one, are one number, ``path``; one
table for all of them says which leaf it leads to, a second one, with the part's own slots, what the leaf is worth.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import GraphError
from trigger_ml.fixed import Fixed, Formats
from trigger_ml.ir import ops
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph, Node
from trigger_ml.ir.ops import IntArray

SUBTREE = 3
"""Depth of what one look-up decides: its 7 comparisons and 3 bits of answer suit six-input look-up tables."""

DEEPEST = 6
"""Depth of the deepest tree: it has 8 subtrees, and 10 bits lead to each of their leaves."""

NODES = ("compare", "above", "path", "place", "slot", "leaf", "score")


@dataclass(frozen=True, eq=False)
class Trees:
    """Complete binary trees of one depth on integers, in heap order: node ``i`` has the children ``2i+1`` and ``2i+2``.

    Attributes:
        feature: what each inner node compares ``(trees, 2**depth - 1)``; -1: nothing, always left.
        threshold: right where the feature is above it, the same shape; 0 where nothing is compared.
        leaf: what each leaf adds ``(trees, 2**depth)``, with fraction length ``frac``.
        base: what the sum starts from, with the same.
        frac: value = integer * 2**-frac.
    """

    feature: IntArray
    threshold: IntArray
    leaf: IntArray
    base: int
    frac: int

    def __post_init__(self) -> None:
        count, inner = self.feature.shape
        if self.threshold.shape != (count, inner) or self.leaf.shape != (count, inner + 1) or inner & (inner + 1):
            raise GraphError(
                f"trees of {self.feature.shape} features, {self.threshold.shape} thresholds and {self.leaf.shape} "
                "leaves: a tree of depth d has 2**d - 1 of the former and 2**d leaves"
            )
        if not 1 <= self.depth <= DEEPEST:
            raise GraphError(f"the trees have depth {self.depth}: it may be 1 to {DEEPEST}")

    @property
    def depth(self) -> int:
        """Comparisons on the way to a leaf."""
        return int(self.feature.shape[1]).bit_length()

    def score(self, x: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """The sum of the leaves ``(events,)`` that ``x (events, features)`` reaches, tree by tree: the definition."""
        tree, event = np.arange(len(self.feature))[None, :], np.arange(len(x))[:, None]
        at = np.zeros((len(x), len(self.feature)), np.int64)
        for _ in range(self.depth):
            feature = self.feature[tree, at]
            right = (feature >= 0) & (x[event, feature].astype(np.int64) > self.threshold[tree, at])
            at = 2 * at + 1 + right
        reached: NDArray[np.int64] = self.leaf[tree, at - self.feature.shape[1]].sum(axis=1) + self.base
        return reached


def add_trees(b: Builder, x: str, trees: Trees) -> str:
    """Append the trees behind the node ``x (features,)``; return the node ``score``.

    Raises:
        GraphError: if no tree compares anything.
    """
    known = b.known(x)
    pairs = _comparisons(trees)
    if not pairs:
        raise GraphError("no tree compares anything: there is no score to build")
    w = np.zeros((known.shape[0], len(pairs)), np.int64)
    w[[f for f, _ in pairs], np.arange(len(pairs))] = 1
    compare = b.affine(x, w, [-t for _, t in pairs], 0, name="compare")
    above = b.requant(compare, Fixed(False, 1, known.frac), "TRN", "SAT", name="above")
    weights, bias = _paths(trees, pairs)
    path = b.affine(above, weights, bias, -known.frac, name="path")
    values, parts, slots = _places(trees.depth), len(bias), _slots(trees)
    place = b.table(path, values, 0, 0, name="place")
    slot = b.affine(place, np.eye(parts, dtype=np.int64), slots.shape[1] * np.arange(parts), 0, name="slot")
    leaf = b.table(slot, slots.ravel(), 0, trees.frac, name="leaf")
    return b.affine(leaf, np.ones((parts, 1), np.int64), [trees.base], 0, name="score")


def read_trees(graph: Graph) -> Trees:
    """The trees that a graph was made of: written again, they give the same nodes.

    Raises:
        GraphError: if the graph's score is no ensemble of trees.
    """
    try:
        made = _read(graph)
        again = _written(graph, made)
    except (KeyError, AttributeError, IndexError, ValueError) as error:
        raise GraphError(f"the graph holds no trees ({type(error).__name__}: {error})") from None
    for name in NODES:
        if not _same(graph.by_name[name], again.by_name[name]):
            raise GraphError(f"the graph holds no trees: node {name!r} is not what trees give")
    return made


# -- where each comparison and leaf stands ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Bit:
    """One bit of a path: the inner node whose comparison it is, and whether it is set to the left."""

    node: int
    left: bool


def _bits(depth: int, branch: int) -> tuple[_Bit, ...]:
    """The bits of one part of a tree, lowest first: the subtree's comparisons, then the way to the subtree.

    Args:
        depth: of the tree.
        branch: number of the subtree, from the left.
    """
    sub, levels = min(depth, SUBTREE), max(depth - SUBTREE, 0)
    inner = []
    for level in range(sub):
        first = (1 << (levels + level)) - 1 + (branch << level)
        inner += [_Bit(first + i, False) for i in range(1 << level)]
    way = []
    for level in range(levels):
        turn = branch >> (levels - 1 - level)
        way.append(_Bit((1 << level) - 1 + (turn >> 1), not turn & 1))
    return (*inner, *way)


def _parts(depth: int) -> int:
    """Subtrees of a tree."""
    return 1 << max(depth - SUBTREE, 0)


def _places(depth: int) -> IntArray:
    """For every path the leaf in its subtree; where a tree has several, one more than that, or 0 off the way."""
    sub, levels = min(depth, SUBTREE), max(depth - SUBTREE, 0)
    inner = (1 << sub) - 1
    path = np.arange(1 << (inner + levels))
    at = np.zeros_like(path)
    for _ in range(sub):
        at = 2 * at + 1 + (path >> at & 1)
    place = at - inner
    return ops.integers(np.where(path >> inner == (1 << levels) - 1, place + 1, 0) if levels else place)


def _slots(trees: Trees) -> IntArray:
    """What every place of every part is worth ``(parts, places)``; places that no path leads to are worth 0."""
    sub = min(trees.depth, SUBTREE)
    leaves = trees.leaf.reshape(-1, 1 << sub)
    if trees.depth <= SUBTREE:
        return leaves
    slots = np.zeros((len(leaves), 2 << sub), np.int64)
    slots[:, 1 : 1 + (1 << sub)] = leaves
    return slots


def _comparisons(trees: Trees) -> list[tuple[int, int]]:
    """Every (feature, threshold) that occurs, once, in order."""
    used = trees.feature >= 0
    return sorted(set(zip(trees.feature[used].tolist(), trees.threshold[used].tolist(), strict=True)))


def _paths(trees: Trees, pairs: list[tuple[int, int]]) -> tuple[IntArray, IntArray]:
    """Weights ``(comparisons, parts)`` and biases of ``path``."""
    column = {pair: i for i, pair in enumerate(pairs)}
    per_tree = _parts(trees.depth)
    w = np.zeros((len(pairs), len(trees.feature) * per_tree), np.int64)
    bias = np.zeros(w.shape[1], np.int64)
    for part in range(w.shape[1]):
        tree, branch = divmod(part, per_tree)
        for k, bit in enumerate(_bits(trees.depth, branch)):
            bias[part] += bit.left << k
            feature = int(trees.feature[tree, bit.node])
            if feature >= 0:
                at = column[feature, int(trees.threshold[tree, bit.node])]
                w[at, part] += -(1 << k) if bit.left else 1 << k
    return ops.integers(w), ops.integers(bias)


# -- back from the nodes ----------------------------------------------------------------------------------------------


def _read(graph: Graph) -> Trees:
    compare, path, place, leaf, score = (_op(graph, name) for name in ("compare", "path", "place", "leaf", "score"))
    depth = next(d for d in range(1, DEEPEST + 1) if len(_places(d)) == len(place.values))
    per_tree = _parts(depth)
    count = path.w.shape[1] // per_tree
    feature = np.full((count, (1 << depth) - 1), -1, np.int64)
    threshold = np.zeros_like(feature)
    for part in range(count * per_tree):
        tree, branch = divmod(part, per_tree)
        bits = _bits(depth, branch)
        turned = sum(bit.left << k for k, bit in enumerate(bits))
        for at in np.flatnonzero(path.w[:, part]):
            digits = (int(path.w[at, part]) + turned) ^ turned
            for k, bit in enumerate(bits):
                if digits >> k & 1:
                    feature[tree, bit.node] = compare.w[:, at].argmax()
                    threshold[tree, bit.node] = -compare.b[at]
    slots = leaf.values.reshape(count * per_tree, -1)
    leaves = slots[:, 1 : 1 + (1 << SUBTREE)] if depth > SUBTREE else slots
    leaves = ops.integers(leaves.reshape(count, -1))
    return Trees(ops.integers(feature), ops.integers(threshold), leaves, int(score.b[0]), leaf.frac)


def _op(graph: Graph, name: str) -> Any:
    return graph.by_name[name].op


def _written(graph: Graph, trees: Trees) -> Graph:
    port: Any = graph.by_name[graph.by_name["compare"].inputs[0]]
    b = Builder()
    x = b.input(port.op.shape, port.op.formats, name=port.name)
    return b.graph(add_trees(b, x, trees))


def _same(one: Node, other: Node) -> bool:
    if type(one.op) is not type(other.op) or one.inputs != other.inputs:
        return False
    fields = ((getattr(one.op, f.name), getattr(other.op, f.name)) for f in dataclasses.fields(one.op))
    return all(_equal(a, b) for a, b in fields)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Formats):
        return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("signed", "width", "frac"))
    return bool(np.array_equal(a, b)) if isinstance(a, np.ndarray) else bool(a == b)
