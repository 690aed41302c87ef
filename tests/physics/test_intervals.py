from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger_ml.physics.intervals import binomial, effective_count, efficiency, poisson

pytest.importorskip("scipy", reason="intervals need scipy")


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [(0, 0.0, 1.841), (1, 0.173, 3.300), (2, 0.708, 4.638), (3, 1.367, 5.918), (10, 6.891, 14.267)],
)
def test_poisson_interval_has_the_published_ends(count, low, high):
    """The one-standard-deviation limits of N. Gehrels, Astrophys. J. 303 (1986) 336, tables 1 and 2 (S = 1)."""
    found = poisson(count, 0.8413 - 0.1587)
    assert float(found[0]) == pytest.approx(low, abs=2e-3)
    assert float(found[1]) == pytest.approx(high, abs=2e-3)


@given(st.integers(1, 10_000))
def test_binomial_ends_at_the_borders_in_closed_form(n):
    tail = (1 - 0.9) / 2
    low, high = binomial([0, n], n, 0.9)
    assert low[0] == 0
    assert high[1] == 1
    assert high[0] == pytest.approx(1 - tail ** (1 / n), rel=1e-9)
    assert low[1] == pytest.approx(tail ** (1 / n), rel=1e-9)


@given(st.integers(0, 40), st.integers(1, 40), st.floats(0.01, 0.99))
def test_binomial_covers_at_least_what_it_promises(k, n, p):
    from math import comb

    low, high = binomial(np.arange(n + 1), n)
    covered = sum(comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(n + 1) if low[j] <= p <= high[j])
    assert covered >= 0.6826
    k = min(k, n)
    mirrored = binomial(n - k, n)
    assert low[k] == pytest.approx(1 - float(mirrored[1]), abs=1e-9)


def test_binomial_of_rare_events_is_poisson():
    low, high = binomial(7, 10**8)
    assert [float(low) * 1e8, float(high) * 1e8] == pytest.approx([float(v) for v in poisson(7)], rel=1e-5)


def test_no_trials_say_nothing():
    found = efficiency(0, 0)
    assert (found.low, found.high) == (0, 1)


@given(st.lists(st.integers(0, 5), max_size=40))
def test_effective_count_lies_between_sources_and_events(ids):
    found = effective_count(np.array(ids, int))
    assert (len(set(ids)) and 1) <= found <= len(ids)
    assert effective_count(np.arange(len(ids))) == len(ids)
    assert effective_count(np.repeat(ids, 3)) == pytest.approx(found)


def test_shared_sources_widen_the_interval():
    alone, shared = efficiency(30, 10_000), efficiency(30, 10_000, 10.0, 5_000)
    assert alone.value == shared.value
    assert shared.low < alone.low < alone.high < shared.high


def test_no_event_of_few_sources_says_less_than_no_event_of_many():
    """Of 100 sources of ten events each none passed: the limit is that of 100 events."""
    found = efficiency(0, 1000, 0.0, 100)
    assert (found.value, found.low) == (0, 0)
    assert found.high == efficiency(0, 100).high > 9 * efficiency(0, 1000).high


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=40), st.sampled_from([None, 0, 1]))
def test_intervals_of_shared_sources_are_never_narrower(events, all_or_none):
    sources = np.array([source for source, _ in events])
    keeps = np.array([passed if all_or_none is None else bool(all_or_none) for _, passed in events])
    k, n = int(keeps.sum()), len(keeps)
    alone = efficiency(k, n)
    shared = efficiency(k, n, effective_count(sources[keeps]), len(np.unique(sources)))
    assert shared.low <= alone.low + 1e-9
    assert shared.high >= alone.high - 1e-9
    assert shared.low <= shared.value == k / n <= shared.high
    apart = efficiency(k, n, float(k), n)
    assert (apart.low, apart.high) == pytest.approx((alone.low, alone.high))


@given(st.integers(1, 1_000), st.integers(1, 30))
def test_none_passing_mirrors_all_passing_where_sources_are_equal(sources, each):
    n = sources * each
    none, every = efficiency(0, n, 0.0, sources), efficiency(n, n, effective_count(np.arange(n) // each), sources)
    assert none.high == pytest.approx(1 - every.low, abs=1e-9)
