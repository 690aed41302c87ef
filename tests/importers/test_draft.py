"""Laws of what every importer draws through: exact constants, folded layers, narrowed quantizers, wiring."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger_ml.errors import ImportRefused
from trigger_ml.fixed import Fixed, Formats, Overflow, Rounding, requantize
from trigger_ml.fuzz import random_events, random_graph
from trigger_ml.importers.draft import MAX_DIAGONAL, Draft, Quantizer, Value, narrowed
from trigger_ml.importers.dyadic import WEIGHT_BITS, exact, exponents
from trigger_ml.importers.fusing import fused
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.build import Builder
from trigger_ml.ir.interpret import interpret

SEEDS = st.integers(0, 2**32)


@given(st.lists(st.tuples(st.integers(-(2**21), 2**21), st.integers(-15, 15)), min_size=1, max_size=6))
def test_exact_gives_the_numbers_back_on_the_coarsest_grid(pairs: list[tuple[int, int]]) -> None:
    values = np.array([n * 2.0**e for n, e in pairs])
    try:
        integers, frac = exact(values, "weights")
    except ImportRefused as refusal:
        integers, frac = None, str(refusal)
        assert "too many for one layer" in frac
        return
    assert np.array_equal(np.ldexp(integers.astype(float), -frac), values)
    assert not values.any() or np.any(integers % 2)


@pytest.mark.parametrize("value", [0.1, float("nan"), float("inf"), 1 + 2.0**-18])
def test_what_no_quantizer_made_is_refused(value: float) -> None:
    with pytest.raises(ImportRefused, match="weights"):
        exact([value], "weights", WEIGHT_BITS)


@given(st.integers(-100, 100))
def test_exponents(e: int) -> None:
    assert exponents(2.0**e, "scale") == e
    for wrong in (3 * 2.0**e, -(2.0**e), 0.0):
        with pytest.raises(ImportRefused, match="only powers of two"):
            exponents(wrong, "scale")


@given(SEEDS)
def test_fusing_changes_no_integer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    b = Builder()
    x = b.input((3,), Fixed(True, 5, 1))
    for _ in range(4):
        n, frac = bounds_last(b, x), int(rng.integers(-1, 3))
        if rng.random() < 0.6:
            x = b.affine(x, np.diag(rng.integers(-4, 5, n)), rng.integers(-9, 9, n), frac)
        else:
            m = int(rng.integers(1, 4))
            x = b.affine(x, rng.integers(-4, 5, (n, m)), rng.integers(-9, 9, m), frac)
        if rng.random() < 0.3:
            x = b.requant(x, Fixed(True, 7, 1), "RND", "SAT")
    graph = b.graph(x)
    feed = {"input": rng.integers(-16, 16, (200, 3))}
    small = fused(graph)
    assert len(small.nodes) <= len(graph.nodes)
    assert np.array_equal(interpret(small, feed)[x], interpret(graph, feed)[x])
    assert bounds(small)[x].frac == bounds(graph)[x].frac


def bounds_last(b: Builder, x: str) -> int:
    return int(b.known(x).shape[-1])


@given(SEEDS)
def test_fusing_leaves_any_graph_its_meaning(seed: int) -> None:
    graph = random_graph(seed % 10_000, 8)
    feed = random_events(graph, 50, seed)
    want, got = interpret(graph, feed), interpret(fused(graph), feed)
    assert all(np.array_equal(want[o], got[o]) for o in graph.outputs)


@given(SEEDS, st.sampled_from(Rounding), st.sampled_from([Overflow.SAT, Overflow.SAT_SYM, Overflow.WRAP]))
def test_a_narrowed_quantizer_gives_the_same_numbers(seed: int, rounding: Rounding, mode: Overflow) -> None:
    rng = np.random.default_rng(seed)
    b = Builder()
    x = b.input((4,), Formats.of(rng.integers(0, 2, 4), rng.integers(0, 6, 4), 2))
    known = b.known(x)
    to = Formats.of(rng.integers(0, 2, 4), rng.integers(0, 8, 4), rng.integers(-9, 7, 4))
    lo, hi = known.lo.astype(np.int64), known.hi.astype(np.int64)
    n = np.concatenate([[lo, hi], rng.integers(lo, hi, (60, 4), endpoint=True)])
    small = narrowed(to, known, rounding, mode)
    want, got = (requantize(n, 2, f, rounding, mode) for f in (to, small))
    assert np.array_equal(np.ldexp(want.astype(float), -to.step), np.ldexp(got.astype(float), -small.step))


@given(st.permutations(range(3)), st.permutations(range(3)))
def test_wiring_follows_numpy(first: list[int], second: list[int]) -> None:
    draft = Draft()
    x = draft.input((2, 3, 4), Formats.uniform(Fixed(True, 6, 0)), "x")
    y = draft.transposed(draft.arranged(draft.transposed(x, first), (2, 0, 1)), second)
    n = np.arange(24).reshape(1, 2, 3, 4) - 7
    want = n[0].transpose(first).transpose(second)
    assert draft.shape(y) == want.shape
    graph = draft.graph([("out", y)], {})
    assert np.array_equal(interpret(graph, n)[graph.outputs[0]][0], want)


def test_a_quantizer_that_changes_nothing_is_no_node() -> None:
    draft = Draft()
    x = draft.input((3,), Formats.uniform(Fixed(True, 5, 2)), "x")
    assert draft.requant(x, Quantizer(1, 7, 3, Rounding.RND, Overflow.SAT)) == x
    assert draft.requant(x, Quantizer(1, 5, 2, Rounding.RND, Overflow.SAT_SYM)) != x
    assert draft.scaled(x, 1.0, 0.0) == x


def test_limits_are_sentences() -> None:
    draft = Draft()
    wide = draft.input((MAX_DIAGONAL + 1,), Formats.uniform(Fixed(True, 20, 0)), "x")
    with pytest.raises(ImportRefused, match="scales 1025 elements"):
        draft.scaled(wide, 3.0, 0.0)
    with pytest.raises(ImportRefused, match="20 bits: a table takes up to 16"):
        draft.domain(wide)
    with pytest.raises(ImportRefused, match="can't be reshaped"):
        draft.reshaped(wide, (7,))
    with pytest.raises(ImportRefused, match="different ranks"):
        draft.concat([wide, draft.input((1, 1), Formats.uniform(Fixed(True, 2, 0)), "y")], 0)


def test_names_are_legal_and_unique() -> None:
    draft = Draft()
    x = draft.input((2,), Formats.uniform(Fixed(True, 4, 0)), "/Input:0")
    names = [draft.add(ops.Relu(), x.node, name=n) for n in ("3D/Conv-1", "3d_conv_1", "", "Ünï")]
    assert x == Value("input_0", (0,))
    assert names == ["n_3d_conv_1", "n_3d_conv_1_1", "relu", "n"]
