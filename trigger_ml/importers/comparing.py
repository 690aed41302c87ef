"""An imported graph against the program that ran the model before: the same numbers, with ``==``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import Mismatch
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import FLOAT32_EXACT, Tensor, bounds
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret

Feed = dict[str, NDArray[np.int64]]
Floats = Sequence[NDArray[Any]]
Oracle = Callable[[Floats], Floats]
"""Real inputs of the ports in order, float32 ``(events, *shape)`` -> real outputs in the graph's order."""


def vectors(graph: Graph, events: int, seed: int) -> Feed:
    """Corners of the ports' ranges, small numbers of every size, and uniform ones; integers on the inputs' grids."""
    rng, known = np.random.default_rng([seed, events]), bounds(graph)
    return {port.name: _one(known[port.name], events, rng) for port in graph.inputs}


def _one(t: Tensor, events: int, rng: np.random.Generator) -> NDArray[np.int64]:
    lo, hi = t.lo.astype(np.int64), t.hi.astype(np.int64)
    made, ones, corners = rng.integers(lo, hi, (events, *t.shape), endpoint=True), (1,) * lo.ndim, events // 8
    small = made[events // 2 :: 2]
    small >>= rng.integers(0, 1 + int(max(hi.max(), -lo.min())).bit_length(), (len(small), *ones))
    low = rng.random((corners, *t.shape)) < rng.random((corners, *ones))
    made[:corners] = np.where(low, lo, hi)
    for row, whole in enumerate((lo, hi, np.clip(0, lo, hi))[:events]):
        made[row] = whole
    return np.clip(made, lo, hi)


def compare(graph: Graph, oracle: Oracle, name: str, events: int, seed: int) -> None:
    """Hold the golden interpreter against the model's own program.

    Raises:
        Mismatch: a number differs; the sentence shows the first one.
    """
    known, feed = bounds(graph), vectors(graph, events, seed)
    ours = interpret(graph, feed)
    theirs = oracle([np.ldexp(v.astype(np.float64), -known[k].frac).astype(np.float32) for k, v in feed.items()])
    for output, answer in zip(graph.outputs, theirs, strict=True):
        expected = np.ldexp(ours[output].astype(np.float64), -known[output].frac)
        got = np.asarray(answer, np.float64)
        if got.size != expected.size:
            raise Mismatch(f"{name} gives {output!r} in shape {got.shape}, the graph {expected.shape}")
        wrong = np.argwhere(got.reshape(expected.shape) != expected)
        if len(wrong):
            at = tuple(int(i) for i in wrong[0])
            count = len(np.unique(wrong[:, 0]))
            raise Mismatch(
                f"{name} and the graph differ in {count} of {events} events: {output}{list(at[1:])} is "
                f"{got.reshape(expected.shape)[at]:g}, the graph gives {expected[at]:g} (event {at[0]})" + _doubt(graph)
            )


def beyond_float32(graph: Graph) -> tuple[str, ...]:
    """The nodes whose arithmetic is not proved exact in float32."""
    known = bounds(graph)
    return tuple(n.name for n in graph.nodes if known[n.name].peak >= FLOAT32_EXACT and not isinstance(n.op, ops.Input))


def remarks(graph: Graph, name: str) -> tuple[str, ...]:
    """What the comparison could not prove, a sentence each."""
    wide = beyond_float32(graph)
    if not wide:
        return ()
    return (
        f"{name} computes in float32, which is not proved exact at {len(wide)} nodes ({wide[0]} the first): there the "
        "integers are the meaning, and they were equal on the events compared.",
    )


def _doubt(graph: Graph) -> str:
    wide = beyond_float32(graph)
    if not wide:
        return "; float32 is exact there: a fault of the importer, please report it"
    return f"; float32 is not exact at {wide[0]!r} (2**24 and more): give it fewer bits"
