from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trigger_ml.errors import SampleError
from trigger_ml.physics import roc
from trigger_ml.physics.roc import Background, allowed, at_fpr, at_threshold, auc, tpr

INTS = arrays(np.int64, st.integers(2, 60), elements=st.integers(-20, 20))
SHORT_INTS = arrays(np.int16, st.integers(1, 60), elements=st.integers(-(2**15), 2**15 - 1))


@given(INTS, INTS)
def test_auc_is_the_count_of_ordered_pairs(background, signal):
    pairs = (signal[:, None] > background).sum() * 2 + (signal[:, None] == background).sum()
    found = auc(background, signal)
    assert found.value == int(pairs) / (2 * len(background) * len(signal))
    assert found.signal.mean() == pytest.approx(found.value)
    assert found.background.mean() == pytest.approx(found.value)


@given(INTS, INTS)
def test_auc_of_reversed_scores_is_the_complement(background, signal):
    found, mirrored = auc(background, signal), auc(-background, -signal)
    assert found.value + mirrored.value == pytest.approx(1)
    assert found.error == pytest.approx(mirrored.error, abs=1e-12)


@given(INTS, INTS)
def test_auc_knows_only_the_order(background, signal):
    assert auc(background, signal).value == auc(background**3, signal**3).value


def test_auc_by_hand():
    """Of six pairs the signal 2 wins one and ties two, the signal 3 wins three."""
    assert auc(np.array([1, 2, 2]), np.array([2, 3])).value == 5 / 6


def test_delong_error_by_hand():
    """The same events: components (2/3, 1) and (1, 3/4, 3/4), whose variances are 1/18 and 1/48."""
    found = auc(np.array([1, 2, 2]), np.array([2, 3]))
    assert found.signal.tolist() == pytest.approx([2 / 3, 1])
    assert found.background.tolist() == pytest.approx([1, 3 / 4, 3 / 4])
    assert found.error**2 == pytest.approx((1 / 18) / 2 + (1 / 48) / 3)


def test_delong_agrees_with_the_bootstrap_also_for_shared_sources():
    rng = np.random.default_rng(3)
    common = rng.normal(size=150)
    background = np.round(4 * (np.repeat(common, 4) + 0.3 * rng.normal(size=600))).astype(int)
    signal = np.round(4 * rng.normal(0.7, 1, 300)).astype(int)
    sources = np.repeat(np.arange(150), 4)
    values = []
    for _ in range(400):
        kept = (4 * rng.integers(0, 150, 150)[:, None] + np.arange(4)).ravel()
        values.append(auc(background[kept], signal[rng.integers(0, 300, 300)]).value)
    assert auc(background, signal, sources).error == pytest.approx(np.std(values), rel=0.15)
    assert auc(background, signal).error < 0.8 * np.std(values)


def test_difference_of_equal_scores_has_no_error():
    rng = np.random.default_rng(0)
    found = auc(rng.integers(0, 9, 100), rng.integers(3, 12, 50))
    assert found.minus(found) == roc.Estimate(0, 0, 0)


@given(SHORT_INTS, st.integers(0, 70))
def test_threshold_is_the_largest_rate_not_above_the_target(scores, count):
    threshold = Background.of(scores).threshold(count)
    passing = np.count_nonzero(scores.astype(int) >= threshold)
    assert passing <= count
    if passing < len(scores):
        assert np.count_nonzero(scores.astype(int) >= threshold - 1) > count


@given(SHORT_INTS, st.lists(st.integers(0, 70), min_size=2))
def test_threshold_falls_as_the_allowance_grows(scores, counts):
    background = Background.of(scores)
    thresholds = [background.threshold(c) for c in sorted(counts)]
    assert thresholds == sorted(thresholds, reverse=True)


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(-5, 5)), st.integers(0, 50))
def test_threshold_of_floats(scores, count):
    assert np.count_nonzero(scores >= Background.of(scores).threshold(count)) <= count


@given(st.floats(1e-9, 1), st.integers(1, 10**7))
def test_allowed_counts_never_exceed_the_target(target, events):
    from fractions import Fraction

    assert Fraction(allowed(target, events), events) <= Fraction(repr(target))
    assert Fraction(allowed(target, events) + 1, events) > Fraction(repr(target))


def test_ties_are_never_split():
    scores = np.array([5] * 8 + [9] * 5 + [10] * 2)
    point = at_fpr("p", Background.of(scores), 0.3)
    assert (point.threshold, point.events) == (10, 2)
    assert at_fpr("p", Background.of(scores), 0.5).threshold == 6
    assert at_fpr("p", Background.of(scores), 0.05).events == 0


def test_a_point_counts_events_and_sources():
    scores, sources = np.array([9, 9, 8, 1]), np.array([4, 4, 5, 6])
    point = at_threshold("p", Background.of(scores, sources), 8)
    assert point.events == 3
    assert point.effective == pytest.approx(9 / 5)
    assert point.fpr.low < 0.75 < point.fpr.high


def test_no_event_at_all_is_of_as_many_as_there_are_sources():
    scores, signal = np.arange(1000), np.arange(1000)
    alone, shared = Background.of(scores), Background.of(scores, scores // 10)
    none = [at_fpr("p", b, 1e-4) for b in (alone, shared)]
    assert [(p.events, p.effective) for p in none] == [(0, 0.0)] * 2
    assert none[1].fpr.high == pytest.approx(1 - 0.158655 ** (1 / 100), rel=1e-4)
    assert none[1].fpr.high > 9 * none[0].fpr.high
    errors = [tpr(signal, b, p) for b, p in zip((alone, shared), none, strict=True)]
    assert errors[1].high > 5 * errors[0].high  # the threshold may move by eighteen events, not by one


def test_tpr_error_knows_how_badly_the_threshold_is_known():
    rng = np.random.default_rng(0)
    signal = rng.integers(0, 3000, 100_000)
    wide, narrow = (
        tpr(signal, b, at_fpr("p", b, 1e-3)) for b in (Background.of(rng.geometric(0.003, n)) for n in (4_000, 400_000))
    )
    assert wide.low < narrow.value < wide.high
    assert wide.high - wide.low > 4 * (narrow.high - narrow.low)


def test_errors_say_what_to_do():
    with pytest.raises(SampleError, match="needs two events of each class, there are 1 of background"):
        auc(np.array([1]), np.array([1, 2]))
    with pytest.raises(SampleError, match="3 background scores, 2 source ids"):
        Background.of(np.arange(3), np.arange(2))
