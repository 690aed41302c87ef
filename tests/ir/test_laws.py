"""Laws of the integer graph, over random graphs of all operations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.ir import bigint
from trigger_ml.fuzz import random_events, random_graph
from trigger_ml.ir import io, ops
from trigger_ml.ir.bounds import FLOAT32_EXACT, bounds
from trigger_ml.ir.interpret import evaluate, interpret

SEEDS = range(60)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_interpreter_is_the_big_integer_definition(seed: int) -> None:
    g = random_graph(seed)
    feed = random_events(g, 6, seed)
    got = evaluate(g, feed)
    for event in range(6):
        expected = bigint.run(g, {k: v[event] for k, v in feed.items()})
        for name, (value, frac) in expected.items():
            assert bounds(g)[name].frac == frac, name
            assert got[name][event].tolist() == value.tolist(), name


@pytest.mark.parametrize("seed", SEEDS)
def test_every_tensor_stays_inside_its_interval(seed: int) -> None:
    g = random_graph(seed)
    for name, v in evaluate(g, random_events(g, 400, seed)).items():
        t = bounds(g)[name]
        assert v.shape[1:] == t.shape
        assert (v.min(axis=0) >= t.lo).all(), name
        assert (v.max(axis=0) <= t.hi).all(), name
        fixed = np.array([(f.lo, f.hi) for f in t.element_formats()], dtype=object).reshape(*t.shape, 2)
        assert (t.lo >= fixed[..., 0]).all()
        assert (t.hi <= fixed[..., 1]).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_float32_sums_below_the_peak_are_exact_in_any_order(seed: int) -> None:
    g = random_graph(seed)
    values = evaluate(g, random_events(g, 50, seed))
    rng = np.random.default_rng(seed)
    for node in g.nodes:
        if not isinstance(node.op, ops.Affine) or bounds(g)[node.name].peak >= FLOAT32_EXACT:
            continue
        order = rng.permutation(node.op.w.shape[0])
        x = values[node.inputs[0]].astype(np.float32)
        total = np.zeros((*x.shape[:-1], node.op.w.shape[1]), np.float32)
        for i in order:
            total += x[..., i, None] * node.op.w[i].astype(np.float32)
        assert np.array_equal(total + node.op.b.astype(np.float32), values[node.name])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_saved_graph_comes_back_whole(seed: int, tmp_path: Path) -> None:
    g = random_graph(seed).with_meta(name="random", seed=seed)
    digest = io.save(g, tmp_path)
    back = io.load(tmp_path)
    assert io.digest(back) == digest
    assert dict(back.meta) == dict(g.meta)
    feed = random_events(g, 20, seed)
    for k, v in interpret(g, feed).items():
        assert np.array_equal(interpret(back, feed)[k], v)


def test_blocks_do_not_change_the_answer() -> None:
    g = random_graph(3)
    feed = random_events(g, 500, 3)
    whole, parts = interpret(g, feed), interpret(g, feed, block=7)
    for k in whole:
        assert np.array_equal(whole[k], parts[k])


def test_any_change_of_a_number_changes_the_digest() -> None:
    digests = {io.digest(random_graph(s)) for s in SEEDS}
    assert len(digests) == len(SEEDS)
