"""The gate: every engine against the golden interpreter, integers with ``==``, and what to say when they differ.

Vectors are detector events, corners of the ports' ranges and uniform random integers, drawn from a seed. On a
difference the first event is shrunk to the smallest one that still differs, and the first node that differs is named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import GraphError
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import check_inputs, evaluate, interpret
from trigger_ml.spec import Target

Feed = Mapping[str, NDArray[Any]]
Simulate = Callable[[Feed], Mapping[str, NDArray[np.int64]]]

PACKED = 1000
"""Events that go with the sources: into test benches, the vendor's own simulations, and a bundle."""

SHRINK_ROUNDS = 60


@dataclass(frozen=True)
class Engine:
    """Something that computes the graph.

    Attributes:
        name: in the report: ``hls4ml``, ``verilator`` ...
        simulate: hardware integers by input name -> integers by output name.
        nodes: the same, giving every node as this engine computes it, where it can.
    """

    name: str
    simulate: Simulate
    nodes: Callable[[Feed], Mapping[str, NDArray[Any]]] | None = None


class Backend(Protocol):
    """What a module in ``trigger_ml/backends`` offers."""

    def check(self, graph: Graph, target: Target) -> None:
        """Raise ``Unsupported`` before any file is written."""

    def build(self, graph: Graph, folder: Path, target: Target) -> None:
        """Write a self-contained project."""

    def simulate(self, folder: Path, graph: Graph, inputs: Feed) -> dict[str, NDArray[np.int64]]:
        """Run it on hardware integers."""


@dataclass(frozen=True)
class Difference:
    """The smallest event found on which an engine differs.

    Attributes:
        event: index among the vectors of the first differing event.
        output: the output that differs.
        element: index of its first differing element.
        expected: golden's integer.
        got: the engine's integer.
        inputs: the shrunk event: input name -> {element index: integer} of the elements that are not zero.
        node: the first node that differs, or None where the engine doesn't show its nodes.
        remark: what that means, one sentence.
    """

    event: int
    output: str
    element: tuple[int, ...]
    expected: int
    got: int
    inputs: Mapping[str, Mapping[str, int]]
    node: str | None
    remark: str


@dataclass(frozen=True)
class Agreement:
    """One engine's row in the report: events compared, events that differ in any output, and the first of them."""

    engine: str
    events: int
    mismatches: int
    difference: Difference | None = None

    @property
    def exact(self) -> bool:
        """No event differs, and there were some."""
        return self.events > 0 and self.mismatches == 0


def vectors(graph: Graph, data: NDArray[Any] | None, count: int, seed: int) -> dict[str, NDArray[np.int64]]:
    """``count`` events for a graph: corners first, then the data, then uniform random integers of the ports' ranges.

    A fifth of the events are corners and random ones whatever the amount of data; where it ends, random ones go on.

    Args:
        graph: the graph.
        data: integers ``(events, *shape)`` of its only input, or None.
        count: events wanted.
        seed: of the random part.
    """
    known, rng = bounds(graph), np.random.default_rng([seed, count])
    if data is not None and len(graph.inputs) != 1:
        raise GraphError(f"data for a graph of {len(graph.inputs)} inputs: give random vectors only")
    feed = {}
    for port in graph.inputs:
        t = known[port.name]
        lo, hi = t.lo.astype(np.int64), t.hi.astype(np.int64)
        taken = min(len(data), count - count // 5) if data is not None else 0
        fill = rng.integers(lo, hi, (count - taken, *t.shape), endpoint=True)
        corner = min(len(fill) // 2, 2000)
        fill[:corner] = np.where(rng.random((corner, *t.shape)) < 0.5, lo, hi)
        near = slice(corner // 2, corner)
        fill[near] = np.clip(rng.integers(-1, 1, fill[near].shape, endpoint=True), lo, hi)
        for i, special in enumerate((lo, hi, np.clip(0, lo, hi))[: len(fill)]):
            fill[i] = special
        feed[port.name] = np.concatenate([fill[:corner], data[:taken], fill[corner:]]) if data is not None else fill
    return check_inputs(graph, feed)


def engine(name: str, backend: Backend, folder: Path, graph: Graph, target: Target) -> Engine:
    """The engine that ``backend`` has built from ``graph`` in ``folder``."""

    def nodes(feed: Feed) -> Mapping[str, NDArray[Any]]:
        probe = getattr(backend, "probe", None)
        if probe is not None:
            return dict(probe(folder, graph, feed))
        with TemporaryDirectory() as scratch:
            every = replace(graph, outputs=_inner(graph))
            backend.build(every, Path(scratch) / "probe", target)
            return backend.simulate(Path(scratch) / "probe", every, feed)

    return Engine(name, lambda feed: backend.simulate(folder, graph, feed), nodes)


def compare(
    graph: Graph, engine: Engine, feed: Feed, golden: Mapping[str, NDArray[np.int64]] | None = None
) -> Agreement:
    """Compare one engine with the golden interpreter on all of ``feed``.

    Args:
        graph: the graph that the engine was built from.
        engine: runs on hardware integers.
        feed: input name -> integers ``(events, *shape)``.
        golden: the expected integers, if already computed.
    """
    expected = golden if golden is not None else interpret(graph, feed)
    wrong = _differs(graph, expected, engine.simulate(feed))
    mismatches = int(wrong.sum())
    found = _explain(graph, engine, feed, int(np.argmax(wrong))) if mismatches else None
    return Agreement(engine.name, len(wrong), mismatches, found)


def _differs(graph: Graph, expected: Mapping[str, NDArray[Any]], got: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    count = len(next(iter(expected.values())))
    wrong = np.zeros(count, bool)
    for o in graph.outputs:
        if o not in got or got[o].shape != expected[o].shape:
            raise GraphError(
                f"the engine gives {got[o].shape if o in got else 'nothing'} for {o!r}, expected {expected[o].shape}"
            )
        wrong |= (got[o] != expected[o]).reshape(count, -1).any(axis=1)
    return wrong


def _explain(graph: Graph, engine: Engine, feed: Feed, event: int) -> Difference:
    shown: Feed = {k: v[event : event + 1] for k, v in feed.items()}
    if _differs(graph, interpret(graph, shown), engine.simulate(shown))[0]:
        shown = shrink(graph, engine.simulate, shown)
        node, remark = _first_node(graph, engine, shown)
    else:
        shown = {k: v[max(event - 2, 0) : event + 3] for k, v in feed.items()}
        node = None
        remark = (
            "the event alone is right, wrong only among its neighbours: "
            "a pipeline register is missing, doubled or shared between events"
        )
    expected, got = interpret(graph, shown), engine.simulate(shown)
    wrong = _differs(graph, expected, got)
    if not wrong.any():
        shown, expected, got = feed, interpret(graph, feed), engine.simulate(feed)
        wrong = _differs(graph, expected, got)
    at = int(np.argmax(wrong))
    out = next((o for o in graph.outputs if not np.array_equal(got[o][at], expected[o][at])), graph.outputs[0])
    off = np.argwhere(got[out][at] != expected[out][at])
    where = tuple(int(i) for i in off[0]) if len(off) else (0,) * expected[out][at].ndim
    inputs = {
        k: {",".join(map(str, i)): int(v[at][i]) for i in np.ndindex(v.shape[1:]) if v[at][i] != 0}
        for k, v in shown.items()
    }
    return Difference(event, out, where, int(expected[out][at][where]), int(got[out][at][where]), inputs, node, remark)


def shrink(graph: Graph, simulate: Simulate, one: Feed) -> dict[str, NDArray[np.int64]]:
    """The smallest event found, from ``one`` (a single differing event), that still differs.

    Greedy: in each round all neighbours of the event (groups of elements set to zero, single elements halved or
    moved by one toward zero) are run at once, and the smallest that differs is taken.
    """
    best = {k: np.array(v, np.int64) for k, v in one.items()}
    for _ in range(SHRINK_ROUNDS):
        tries = _neighbours(graph, best)
        if not len(next(iter(tries.values()))):
            break
        wrong = _differs(graph, interpret(graph, tries), simulate(tries))
        if not wrong.any():
            break
        size = np.zeros(len(wrong))
        for v in tries.values():
            flat = np.abs(v.reshape(len(v), -1))
            size += (flat > 0).sum(axis=1) * 1e6 + np.log2(flat + 1.0).sum(axis=1)
        pick = int(np.argmin(np.where(wrong, size, np.inf)))
        best = {k: v[pick : pick + 1] for k, v in tries.items()}
    return best


def _neighbours(graph: Graph, one: Feed) -> dict[str, NDArray[np.int64]]:
    names = list(one)
    sizes = [one[k].size for k in names]
    flat = np.concatenate([one[k].ravel() for k in names])
    known = bounds(graph)
    lo, hi = (np.concatenate([np.asarray(getattr(known[k], e), np.int64).ravel() for k in names]) for e in ("lo", "hi"))
    zero = np.clip(0, lo, hi)
    live = np.flatnonzero(flat != zero)
    made = []
    group = len(live)
    while group >= 1:
        for start in range(0, len(live), group):
            y = flat.copy()
            y[live[start : start + group]] = zero[live[start : start + group]]
            made.append(y)
        group //= 2
    for i in live:
        for value in (flat[i] // 2 if flat[i] > 0 else -(-flat[i] // 2), flat[i] - np.sign(flat[i])):
            y = flat.copy()
            y[i] = np.clip(value, lo[i], hi[i])
            if y[i] != flat[i]:
                made.append(y)
    rows = np.array(made, np.int64).reshape(len(made), len(flat))
    parts = np.split(rows, np.cumsum(sizes)[:-1], axis=1)
    return {k: p.reshape(len(rows), *one[k].shape[1:]) for k, p in zip(names, parts, strict=True)}


def _inner(graph: Graph) -> tuple[str, ...]:
    return tuple(n.name for n in graph.nodes if not isinstance(n.op, ops.Input))


def _first_node(graph: Graph, engine: Engine, one: Feed) -> tuple[str | None, str]:
    if engine.nodes is None:
        return None, "this engine does not show its nodes"
    expected, got = evaluate(graph, check_inputs(graph, one)), engine.nodes(one)
    for name in _inner(graph):
        if name in got and not np.array_equal(got[name], expected[name]):
            return name, f"the first node that differs is {name!r} ({type(graph.by_name[name].op).__name__})"
    return None, "built afresh, every node is right: the built files were changed after they were written; build again"
