"""Small graphs for the RTL tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from trigger_ml.errors import Mismatch
from trigger_ml.fixed import Fixed, Formats
from trigger_ml.ir import ops
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret


def chain() -> Graph:
    """Dense, rounding, table, dense: one of each thing that can be corrupted; named like reserved words on purpose."""
    r = np.random.default_rng(1)
    b = Builder()
    x = b.input((5,), Formats.of(1, [5, 4, 5, 0, 3], 1), name="input")
    weights = r.integers(1, 8, (5, 4))
    h = b.requant(b.affine(x, weights, r.integers(-7, 8, 4), 2), Fixed(True, 5, 1), "RND", "SAT", name="hidden")
    t = b.table(h, (np.arange(-16, 16) * 5) % 23, -16, 2, name="square")
    out = b.affine(t, r.integers(1, 8, (4, 2)), [1, -5], 1, name="signal")
    return b.graph(out, meta={"name": "module"})


def score() -> Graph:
    """A small R_z: two heads, a table, two products, a sum and a decision."""
    r = np.random.default_rng(2)
    b = Builder()
    x = b.input((6,), Fixed(False, 6, 2), name="x")
    h = b.requant(b.affine(x, r.integers(-7, 8, (6, 4)), r.integers(-9, 9, 4), 2), Fixed(False, 5, 2), "RND", "SAT")
    mean = b.requant(b.affine(h, r.integers(-7, 8, (4, 2)), [1, 2], 3), Fixed(True, 6, 3), "RND", "SAT")
    width = b.requant(b.affine(h, r.integers(-7, 8, (4, 2)), [0, 3], 3), Fixed(True, 5, 2), "RND", "SAT")
    inverse = b.table(width, np.rint(8 * np.exp(-np.arange(-16, 16) / 4)).astype(int), -16, 3)
    rz = b.reduce(b.add(ops.Mul(), b.add(ops.Mul(), mean, mean), inverse), "sum", 0)
    total = b.requant(rz, Fixed(False, 10, 3), "RND", "SAT", name="score")
    over = b.add(ops.Relu(), b.affine(total, [[1]], [1 - 200], 0))
    decision = b.requant(over, Fixed(False, 1, 3), "TRN", "SAT", name="decision")
    return b.graph(total, decision, meta={"name": "small_rz"})


def mutate(path: Path, old: str, new: str) -> None:
    """Replace the first occurrence in a file."""
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def found(simulate, folder: Path, graph: Graph, events: Mapping[str, np.ndarray]) -> bool:
    """Whether the simulation differs from the golden model, in its answers or in when they come."""
    try:
        answers = simulate(folder, graph, events).outputs
    except Mismatch:
        return True
    golden = interpret(graph, events)
    return any(not np.array_equal(golden[o], answers[o]) for o in golden)
