from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trigger_ml.errors import SampleError
from trigger_ml.physics.roc import Background, at_fpr, tpr
from trigger_ml.physics.shift import _Staircase, midranks, rate_shift, spearman, tpr_shifts

INTS = arrays(np.int64, st.integers(2, 50), elements=st.integers(-9, 9))


@given(INTS)
def test_midranks_agree_with_scipy(scores):
    stats = pytest.importorskip("scipy.stats", reason="the outside oracle is scipy")
    assert midranks(scores).tolist() == stats.rankdata(scores).tolist()


@given(INTS)
def test_spearman_knows_only_the_order(scores):
    constant = len(np.unique(scores)) == 1
    assert spearman(scores, scores**3 + 7) == pytest.approx(0 if constant else 1)
    assert spearman(scores, -scores) == pytest.approx(0 if constant else -1)


def test_spearman_by_hand():
    """Without ties 1 - 6 sum d**2 / (n (n**2 - 1)): d = 1, 1, 0, 0."""
    assert spearman(np.array([1, 2, 3, 4]), np.array([2, 1, 3, 4])) == pytest.approx(1 - 6 * 2 / (4 * 15))


def test_spearman_refuses_other_events():
    with pytest.raises(SampleError, match="3 with 2 scores"):
        spearman(np.arange(3), np.arange(2))


def _two_scores(noise):
    rng = np.random.default_rng(5)
    b, s = rng.normal(0, 1, 4_000), rng.normal(1.5, 1, 2_000)
    q = (
        np.round(16 * (b + noise * rng.normal(size=4_000))).astype(int),
        np.round(16 * (s + noise * rng.normal(size=2_000))).astype(int),
    )
    return (q[0], {"s": q[1]}), (b, {"s": s})


def test_equal_scores_shift_nothing():
    _, same = _two_scores(0)
    assert tpr_shifts(same, same, np.arange(4_000), [1e-2], 30, 1)["s"].tolist() == [0]


def test_bootstrap_is_seeded_and_pairs_the_events():
    quantized, floating = _two_scores(0.05)
    first, again = (tpr_shifts(quantized, floating, np.arange(4_000), [1e-2, 1e-1], 100, 1)["s"] for _ in range(2))
    assert first.tolist() == again.tolist()
    unpaired = np.sqrt(2 * 0.3 * 0.7 / 2_000)
    assert 0 < first[1] < unpaired


def test_rate_shift_counts_only_events_that_changed():
    quantized, floating = np.zeros(1000, bool), np.zeros(1000, bool)
    floating[:40], quantized[4:41] = True, True
    found = rate_shift(quantized, floating, np.arange(1000), 1000.0)
    assert found.value == pytest.approx(-3)
    assert found.high - found.value == pytest.approx(np.sqrt(5))
    clustered = rate_shift(quantized, floating, np.maximum(np.arange(1000), 3), 1000.0)
    assert clustered.high - clustered.value == pytest.approx(np.sqrt(17))


@given(INTS, INTS, st.sampled_from([0.03, 0.1, 0.25, 0.5]))
def test_bootstrap_counts_as_the_working_points_do(background, signal, target):
    """With every event once, weighted counting gives the efficiency of the working point."""
    once = {"s": np.ones(len(signal), np.int64)}
    found = _Staircase.of(background, {"s": signal}).efficiencies(np.ones(len(background), np.int64), once, target)
    sorted_ = Background.of(background)
    assert found["s"] == tpr(signal, sorted_, at_fpr("p", sorted_, target)).value


def test_bootstrap_keeps_events_of_one_source_together():
    rng = np.random.default_rng(7)
    sources = np.repeat(np.arange(40), 50)
    background = rng.normal(size=40)[sources] + 0.1 * rng.normal(size=2_000)
    signal = {"s": rng.normal(1, 1, 2_000)}
    other = (rng.normal(size=2_000), signal)
    together, alone = (
        tpr_shifts((background, signal), other, ids, [0.1], 60, 1)["s"][0] for ids in (sources, np.arange(2_000))
    )
    assert together > 2 * alone
