"""Random integer graphs and events: the judge of the engines.

``random_graph(seed)`` draws small legal graphs over all operations: per-element formats with dead elements, every
rounding and overflow mode, branches, several inputs and outputs, tensors of rank 1 to 3, and in some graphs numbers
that just fit float32, float64 or a format. Nothing is kept away because an engine finds it hard; an engine refuses what
it can't realise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import GraphError
from trigger_ml.fixed import MAX_WIDTH, Formats, Overflow, Rounding
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import Tensor, bounds
from trigger_ml.ir.graph import Graph, Node
from trigger_ml.ir.verify import verify

Shape = tuple[int, ...]
Feed = dict[str, NDArray[np.int64]]
"""Integers ``(events, *shape)`` by name of an input or output."""

MAX_ELEMENTS = 24
"""Elements of a tensor: enough for rank 3 with windows, few enough to compile in seconds."""

WIDE = 0.12
"""Part of the graphs that get numbers next to the end of float32, of float64 or of the widest format as well."""

ROUNDINGS = {m: 4 if m in (Rounding.TRN, Rounding.RND) else 1 for m in Rounding}
OVERFLOWS = {m: 4 if m in (Overflow.WRAP, Overflow.SAT) else 1 for m in Overflow}
"""Mode -> how often it is drawn, relative to the others."""


def random_graph(seed: int, size: int = 10) -> Graph:
    """A legal graph of about ``size`` random operations, each of which an output depends on.

    Args:
        seed: the same seed gives the same graph.
        size: operations drawn; Requants that keep the widths in hand come on top.
    """
    for attempt in range(100):
        try:
            graph = _Draw(np.random.default_rng([seed, attempt])).graph(size)
            rng = np.random.default_rng([seed, attempt, 1])
            return with_wide(graph, rng) if rng.random() < WIDE else graph
        except GraphError:  # beyond 62 bits: rare
            continue
    raise GraphError(f"no legal random graph of size {size} from seed {seed}: draw another seed")


def random_events(graph: Graph, count: int, seed: int) -> Feed:
    """Hardware integers ``(count, *shape)`` for each input: uniform ones, and corners in every fourth event.

    The corners are all elements lowest, highest, zero or one step from zero, mixes of them, and one element off zero.
    """
    rng, known = np.random.default_rng([seed, 1]), bounds(graph)
    feed = {}
    for port in graph.inputs:
        t = known[port.name]
        lo, hi = t.lo.astype(np.int64), t.hi.astype(np.int64)
        x = rng.integers(lo, hi, (count, *t.shape), endpoint=True)
        near = [np.clip(v, lo, hi) for v in (0, 1, -1)]
        ends = np.stack([lo, hi, *near])
        for event in range(0, count, 4):
            kind = rng.integers(8)
            if kind < len(ends):
                x[event] = ends[kind]
            elif kind < 7:
                x[event] = np.take_along_axis(ends, rng.integers(len(ends), size=(1, *t.shape)), axis=0)[0]
            else:
                x[event] = np.where(rng.permutation(lo.size).reshape(lo.shape) == 0, ends[rng.integers(2)], near[0])
        feed[port.name] = x
    return feed


class _Draw:
    """A random stream, the nodes drawn so far and what is known of their tensors."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.nodes: list[Node] = []
        self.made: dict[str, Tensor] = {}
        self.widest = 24 if rng.random() < 0.1 else 14

    def graph(self, size: int) -> Graph:
        for _ in range(1 + int(self.rng.random() < 0.3)):
            self._input()
        for _ in range(size):
            self._step()
        drawn = Graph(tuple(self.nodes), ())
        computed = [n.name for n in self.nodes if n.inputs]
        ends = [name for name in computed if not drawn.consumers(name)]
        inner = [name for name in computed if name not in ends]
        outputs = self._few(ends, 3) + self._few(inner, self._pick([0, 0, 1]))
        graph = _only_needed(replace(drawn, outputs=tuple(outputs)))
        verify(graph)
        return graph

    # -- drawing ------------------------------------------------------------------------------------------------------

    def _pick(self, choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def _weighted(self, choices: dict[Any, int]) -> Any:
        weights = np.array(list(choices.values()), float)
        return list(choices)[int(self.rng.choice(len(weights), p=weights / weights.sum()))]

    def _few(self, choices: list[str], count: int) -> list[str]:
        return [str(n) for n in self.rng.permutation(choices)[:count]] if choices else []

    def _int(self, low: int, high: int, size: Shape | None = None) -> Any:
        drawn = self.rng.integers(low, high, size, endpoint=True)
        return drawn if size is not None else int(drawn)

    def _add(self, op: ops.Op, *inputs: str) -> str:
        name = f"{type(op).__name__.lower()}_{len(self.nodes)}"
        self.nodes.append(Node(name, op, inputs))
        self.made[name] = bounds(Graph(tuple(self.nodes), ()))[name]
        return name

    def _input(self) -> None:
        shape = self._shape()
        width = self._int(self._pick([0, 1, 4, 4]), 10, shape if self.rng.random() < 0.5 else None)
        signed = self._int(0, 1, shape) if self.rng.random() < 0.3 else self._int(0, 1)
        self._add(ops.Input(shape, Formats.of(signed, width, self._int(-3, 9))))

    def _shape(self) -> Shape:
        shape: Shape = self._pick([(6,), (5,), (1,), (4, 3), (3, 4), (6, 2), (4, 3, 2), (3, 4, 1), (2, 2, 3)])
        return shape

    def _operand(self, fits: Callable[[Tensor], bool] = lambda t: True) -> str | None:
        """A tensor made earlier, recent ones more often; requantized if it is wide."""
        names = [n for n, t in self.made.items() if fits(t)]
        if not names:
            return None
        name = names[-1 - min(int(self.rng.exponential(2.0)), len(names) - 1)]
        t = self.made[name]
        return self._requant(name) if t.fixed.width > self.widest or abs(t.frac) > 16 else name

    # -- one operation ------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        steps: dict[Callable[[], str | None], int] = {
            self._any_requant: 3, self._affine: 3, self._table: 2, self._pair: 4, self._conv: 2, self._matmul: 2,
            self._relu: 1, self._reduce: 1, self._pool: 1, self._concat: 1, self._reshape: 1, self._permute: 1,
            self._take: 1,
        }  # fmt: skip
        for _ in range(20):
            if self._weighted(steps)() is not None:
                return

    def _requant(self, name: str, widest: int = 10) -> str:
        t = self.made[name]
        shape = t.shape if self.rng.random() < 0.4 else None
        width = self._int(self._pick([0, 2]) if shape else self._pick([1, 4, 4]), self._pick([5, widest]), shape)
        top = t.fixed.integer + self._int(-2, 1, shape)  # integer bits about the tensor's own
        frac = np.clip(width - top if self.rng.random() < 0.7 else t.frac + self._int(-4, 2, shape), -4, 12)
        signed = int(t.fixed.signed)
        if self.rng.random() < 0.3:
            signed = self._int(0, 1, shape if self.rng.random() < 0.5 else None)
        formats = Formats.of(signed, width, frac)
        return self._add(ops.Requant(formats, self._weighted(ROUNDINGS), self._weighted(OVERFLOWS)), name)

    def _any_requant(self) -> str | None:
        name = self._operand()
        return name and self._requant(name)

    def _weights(self, shape: Shape) -> NDArray[np.int64]:
        top = self._pick([1, 3, 15, 127])
        return ops.integers(self._int(-top, top, shape) * (self._int(0, 2, shape) > 0))

    def _bias(self, count: int) -> NDArray[np.int64]:
        top = self._pick([0, 1, 200])
        return ops.integers(self._int(-top, top, (count,)))

    def _affine(self) -> str | None:
        name = self._operand()
        if name is None:
            return None
        t, count = self.made[name], self._int(1, 5)
        if math.prod(t.shape[:-1]) * count > MAX_ELEMENTS:
            return None
        return self._add(ops.Affine(self._weights((t.shape[-1], count)), self._bias(count), self._int(-1, 6)), name)

    def _conv(self) -> str | None:
        name = self._operand(lambda t: len(t.shape) in (2, 3))
        if name is None:
            return None
        *space, channels = self.made[name].shape
        kernel = tuple(self._int(1, min(3, n)) for n in space)
        strides = tuple(self._int(1, 2) for _ in space)
        padding = tuple((self._int(0, 1), self._int(0, 1)) for _ in space)
        count = self._int(1, 3)
        sizes = [(n + sum(p) - k) // s + 1 for n, p, k, s in zip(space, padding, kernel, strides, strict=True)]
        if math.prod(sizes) * count > MAX_ELEMENTS:
            return None
        w = self._weights((*kernel, channels, count))
        return self._add(ops.Conv(w, self._bias(count), self._int(-1, 6), strides, padding), name)

    def _table(self) -> str | None:
        name = self._operand(lambda t: int(t.hi.max()) - int(t.lo.min()) < 2000)
        if name is None:
            return None
        t = self.made[name]
        lo, hi = int(t.lo.min()), int(t.hi.max())
        if hi - lo >= 2000:
            return None
        before, after = self._pick([(0, 0), (3, 2)])
        top = self._pick([1, 100, 1000])
        values = self._int(self._pick([-top, 0]), top, (hi - lo + 1 + before + after,))
        values = self._pick([np.sort(values), values])
        return self._add(ops.Table(ops.integers(values), lo - before, self._int(-2, 8)), name)

    def _twin(self, shape: Shape) -> str | None:
        return self._operand(lambda t: t.shape == shape)

    def _pair(self) -> str | None:
        a = self._operand()
        b = a and self._twin(self.made[a].shape)
        if a is None or b is None:
            return None
        return self._add(self._pick([ops.Add(), ops.Add(subtract=True), ops.Mul(), ops.Mul(), ops.Max()]), a, b)

    def _matmul(self) -> str | None:
        a = self._operand(lambda t: len(t.shape) == 2)
        b = a and self._operand(lambda t: len(t.shape) == 2 and t.shape[0] == self.made[str(a)].shape[1])
        return self._add(ops.MatMul(), a, b) if a and b else None

    def _relu(self) -> str | None:
        name = self._operand()
        return name and self._add(ops.Relu(), name)

    def _reduce(self) -> str | None:
        name = self._operand()
        if name is None:
            return None
        axis = self._int(0, len(self.made[name].shape) - 1)
        return self._add(ops.Reduce(self._pick(["sum", "max"]), axis), name)

    def _pool(self) -> str | None:
        name = self._operand(lambda t: len(t.shape) in (2, 3))
        if name is None:
            return None
        space = self.made[name].shape[:-1]
        size = tuple(self._int(1, min(3, n)) for n in space)
        strides = tuple(self._int(1, 3) for _ in space)
        return self._add(ops.Pool(self._pick(["sum", "max"]), size, strides), name)

    def _concat(self) -> str | None:
        a = self._operand()
        if a is None:
            return None
        shape = self.made[a].shape
        axis = self._int(0, len(shape) - 1)
        parts = [a]
        for _ in range(self._pick([1, 1, 2])):
            other = self._operand(lambda t: _beside(t.shape, shape, axis))
            parts.append(other or a)
        if sum(math.prod(self.made[p].shape) for p in parts) > MAX_ELEMENTS:
            return None
        return self._add(ops.Concat(axis), *parts)

    def _reshape(self) -> str | None:
        name = self._operand()
        if name is None:
            return None
        count = math.prod(self.made[name].shape)
        ways = [(count,), (count, 1)]
        ways += [(d, count // d) for d in range(2, count) if count % d == 0]
        ways += [(d, 2, count // (2 * d)) for d in range(1, count) if count % (2 * d) == 0]
        return self._add(ops.Reshape(self._pick(ways)), name)

    def _permute(self) -> str | None:
        name = self._operand(lambda t: len(t.shape) > 1)
        if name is None:
            return None
        perm = tuple(int(i) for i in self.rng.permutation(len(self.made[name].shape)))
        return self._add(ops.Permute(perm), name)

    def _take(self) -> str | None:
        name = self._operand()
        if name is None:
            return None
        last = self.made[name].shape[-1]
        return self._add(ops.Take(ops.integers(self._int(0, last - 1, (self._int(1, 4),)))), name)


def with_wide(graph: Graph, rng: np.random.Generator) -> Graph:
    """The graph, and beside it a wide port whose elements are rounded to grids of their own."""
    bits, count, frac = int(rng.choice([22, 24, 24, 53, MAX_WIDTH])), int(rng.integers(2, 5)), int(rng.integers(-3, 10))
    nodes = [Node("wide", ops.Input((count,), Formats.of(1, bits, frac)))]
    if rng.random() < 0.7:  # up to 1.5 times as far: beyond the last power of two below which a half can be added
        bias = ops.integers(rng.choice([-1, 1], count) << (bits - 2))
        nodes.append(Node("wide_affine", ops.Affine(ops.integers(np.eye(count)), bias, 0), ("wide",)))
    drop = rng.choice([0, 0, 1, 2, 5], count)
    width = np.minimum(bits + rng.choice([-4, 0, 1, 1]), MAX_WIDTH) - drop
    formats = Formats.of(rng.choice([0, 1, 1, 1], count), width, frac - drop)
    modes = list(Rounding)[int(rng.integers(len(Rounding)))], list(Overflow)[int(rng.integers(len(Overflow)))]
    nodes.append(Node("wide_requant", ops.Requant(formats, *modes), (nodes[-1].name,)))
    whole = replace(graph, nodes=(*graph.nodes, *nodes), outputs=(*graph.outputs, "wide_requant"))
    verify(whole)
    return whole


def _beside(a: Shape, b: Shape, axis: int) -> bool:
    return len(a) == len(b) and a[:axis] + a[axis + 1 :] == b[:axis] + b[axis + 1 :]


def _only_needed(graph: Graph) -> Graph:
    """The graph without the nodes that no output depends on."""
    needed = set(graph.outputs)
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(node.inputs)
    return replace(graph, nodes=tuple(n for n in graph.nodes if n.name in needed))
