from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trigger_ml.errors import SampleError
from trigger_ml.physics.abcd import abcd, closure_shifts, diagonal, scan
from trigger_ml.physics.roc import Background, allowed

pytest.importorskip("scipy", reason="intervals need scipy")

PAIRS = st.integers(1, 60).flatmap(
    lambda n: st.tuples(*(arrays(np.int64, n, elements=st.integers(-6, 6) | st.integers(-500, 500)) for _ in range(2)))
)


def independent(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.exponential(size=n), rng.exponential(size=n)


def test_regions_by_hand():
    """2 events in A, 3 in B, 4 in C, 12 in D: 1 predicted, closure 2 with 1/2 + 1/3 + 1/4 + 1/12 in the logarithm."""
    first = np.repeat([1, 1, 0, 0], [2, 3, 4, 12])
    second = np.repeat([1, 0, 1, 0], [2, 3, 4, 12])
    found = abcd(first, second, (1, 1))
    assert found.counts == (2, 3, 4, 12)
    assert found.predicted.value == 1
    assert found.closure.value == 2
    assert found.closure.high == pytest.approx(2 * np.exp(np.sqrt(1 / 2 + 1 / 3 + 1 / 4 + 1 / 12)))
    assert found.predicted.high == pytest.approx(np.exp(np.sqrt(1 / 3 + 1 / 4 + 1 / 12)))
    assert found.efficiency.value == 2 / 21


@given(PAIRS, st.integers(-7, 7), st.integers(-7, 7))
def test_every_event_is_in_one_region_and_swapping_scores_swaps_b_and_c(pair, a, b):
    found, swapped = abcd(*pair, (a, b)), abcd(*pair[::-1], (b, a))
    assert sum(found.counts) == len(pair[0])
    assert swapped.counts == tuple(found.counts[i] for i in (0, 2, 1, 3))
    assert (found.closure is None) == (min(found.counts) == 0)
    if found.closure is not None:
        assert swapped.closure.value == found.closure.value
        assert swapped.closure.high == pytest.approx(found.closure.high)
        assert found.closure.value == pytest.approx(found.counts[0] / found.predicted.value)


@given(PAIRS, st.floats(0.001, 1))
def test_the_diagonal_is_the_loosest_pair_that_holds(pair, target):
    """Against all pairs of equal counts."""
    orders = [Background.of(scores) for scores in pair]
    counts = []
    for k in range(len(pair[0]) + 1):
        a, b = (order.threshold(k) for order in orders)
        counts.append(int(((pair[0] >= a) & (pair[1] >= b)).sum()))
    assert counts == sorted(counts)
    a, b = diagonal(*pair, target)
    found = int(((pair[0] >= a) & (pair[1] >= b)).sum())
    assert found == max(c for c in counts if c <= allowed(target, len(pair[0])))


def test_independent_scores_close():
    """Pulls of the logarithm of the closure over 200 samples have width one."""
    pulls = []
    for seed in range(200):
        closure = abcd(*independent(4_000, seed), (1.0, 1.5)).closure
        pulls.append(np.log(closure.value) / np.log(closure.high / closure.value))
    assert abs(np.mean(pulls)) < 4 / np.sqrt(200)
    assert np.std(pulls) == pytest.approx(1, abs=0.2)


def test_independent_scores_close_on_the_diagonal():
    """Choosing the thresholds by the events in A neither pulls the closure nor changes its width."""
    pulls = [
        np.log(e.closure.value) / np.log(e.closure.high / e.closure.value)
        for seed in range(200)
        for e in scan(*independent(4_000, seed), targets=(1e-2,))
    ]
    assert abs(np.mean(pulls)) < 4 / np.sqrt(200)
    assert np.std(pulls) == pytest.approx(1, abs=0.2)


def test_dependent_scores_do_not_close():
    x, y = independent(50_000)
    for found in scan(x, x + y, targets=(1e-1, 1e-2)):
        assert found.closure.low > 1.5
        assert found.counts[0] <= found.target * 50_000


def test_shared_sources_widen_the_closure_as_a_bootstrap_says():
    """Every collision occurs five times, apart from small changes."""
    rng = np.random.default_rng(3)
    x, y = (np.repeat(v, 5) + rng.normal(0, 0.02, 10_000) for v in independent(2_000))
    sources = np.repeat(np.arange(2_000), 5)
    found = abcd(x, y, (1.0, 1.0), sources)
    alone = abcd(x, y, (1.0, 1.0))
    width = np.log(found.closure.high / found.closure.value)
    assert width > 1.8 * np.log(alone.closure.high / alone.closure.value)
    tried = []
    for _ in range(300):
        chosen = (rng.integers(0, 2_000, 2_000)[:, None] * 5 + np.arange(5)).ravel()
        tried.append(np.log(abcd(x[chosen], y[chosen], (1.0, 1.0)).closure.value))
    assert width == pytest.approx(np.std(tried), rel=0.2)


def test_quantization_of_nothing_shifts_nothing():
    x, y = (np.floor(v * 1e6).astype(np.int64) for v in independent(20_000))
    for shift in closure_shifts((x, y), (x, y), targets=(1e-1, 1e-2)):
        assert (shift.ratio.low, shift.ratio.value, shift.ratio.high) == (1, 1, 1)


def test_coarse_scores_shift_little_and_the_pairing_knows():
    x, y = independent(100_000)
    coarse = tuple(np.floor(v * 16).astype(np.int64) for v in (x, y))
    (shift,) = closure_shifts((x, y), coarse, targets=(1e-2,))
    assert shift.ratio.low < 1 < shift.ratio.high or abs(shift.ratio.value - 1) < 0.1
    apart = np.hypot(*(np.log(e.closure.high / e.closure.value) for e in (shift.floating, shift.quantized)))
    assert np.log(shift.ratio.high / shift.ratio.value) < 0.7 * apart


def test_empty_regions_say_nothing():
    found = abcd(np.arange(4), np.arange(4), (9, 9))
    assert (found.counts, found.predicted, found.closure) == ((0, 0, 0, 4), None, None)
    with pytest.raises(SampleError, match="2 and 3 scores, 2 source ids: give both"):
        abcd(np.arange(2), np.arange(3), (0, 0))
