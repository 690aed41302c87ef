from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trigger_ml.errors import SampleError
from trigger_ml.physics.menu_rates import Fired, added, left_over, menu_rates, unique_threshold
from trigger_ml.physics.rates import at_rate, crossings_khz
from trigger_ml.physics.roc import Background

pytest.importorskip("scipy", reason="intervals need scipy")

BUNCHES = 2760
CROSSINGS = crossings_khz(BUNCHES)
MENUS = arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 5)))
PRESCALES = st.lists(st.sampled_from([1, 2, 7, 1000]), min_size=5, max_size=5)


def rates(decisions, prescales=None, sources=None):
    seeds = decisions.shape[1]
    prescales = [1] * seeds if prescales is None else prescales[:seeds]
    return menu_rates(Fired.of(decisions, sources), [f"s{i}" for i in range(seeds)], prescales, BUNCHES)


@given(MENUS)
def test_without_prescales_rates_are_counts(decisions):
    found, scale = rates(decisions), CROSSINGS / len(decisions)
    assert found.menu.events == decisions.any(axis=1).sum()
    assert found.menu.khz.value == pytest.approx(found.menu.events * scale)
    for i, seed in enumerate(found.seeds):
        alone = decisions[:, i] & ~np.delete(decisions, i, axis=1).any(axis=1)
        new = decisions[:, i] & ~decisions[:, :i].any(axis=1)
        for rate, fired in ((seed.total, decisions[:, i]), (seed.pure, alone), (seed.unique, new)):
            assert rate.events == fired.sum() == pytest.approx(rate.effective)
            assert rate.khz.value == pytest.approx(fired.sum() * scale)


@given(MENUS)
def test_the_union_is_inclusion_and_exclusion(decisions):
    seeds, total = decisions.shape[1], 0
    for k in range(1, seeds + 1):
        for chosen in combinations(range(seeds), k):
            total += (-1) ** (k + 1) * int(decisions[:, list(chosen)].all(axis=1).sum())
    assert rates(decisions).menu.events == total


@given(MENUS, PRESCALES)
def test_laws_of_pure_unique_and_total(decisions, prescales):
    found, near = rates(decisions, prescales), 1e-9 * CROSSINGS
    for seed in found.seeds:
        assert seed.pure.khz.value <= seed.unique.khz.value + near
        assert seed.unique.khz.value <= seed.total.khz.value + near
        assert seed.total.khz.value <= found.menu.khz.value + near
        assert seed.total.khz.value == pytest.approx(seed.unprescaled.khz.value / seed.prescale)
        for rate in (seed.total, seed.pure, seed.unique, found.menu):
            assert rate.khz.low <= rate.khz.value <= rate.khz.high
            assert rate.effective <= rate.events + 1e-9
    pure, unique, total = (sum(getattr(s, k).khz.value for s in found.seeds) for k in ("pure", "unique", "total"))
    assert pure <= found.menu.khz.value + near
    assert unique == pytest.approx(found.menu.khz.value, abs=near)
    assert found.menu.khz.value <= total + near


@given(MENUS, PRESCALES)
def test_adding_a_seed_never_lowers_the_menu(decisions, prescales):
    values = [rates(decisions[:, : i + 1], prescales).menu.khz.value for i in range(decisions.shape[1])]
    assert all(b >= a - 1e-9 * CROSSINGS for a, b in zip(values, values[1:], strict=False))


@given(MENUS, PRESCALES)
def test_the_union_is_the_mean_over_prescale_counters(decisions, prescales):
    """Against a sum over all outcomes of the seeds' counters, in fractions."""
    prescales = prescales[: decisions.shape[1]]
    expected = Fraction(0)
    for row in decisions:
        lost = Fraction(1)
        for fired, prescale in zip(row.tolist(), prescales, strict=True):
            lost *= 1 - Fraction(int(fired), prescale)
        expected += 1 - lost
    found = rates(decisions, prescales).menu.khz.value
    assert found == pytest.approx(float(expected) / len(decisions) * CROSSINGS, rel=1e-12)


@given(MENUS, PRESCALES, st.randoms(use_true_random=False))
def test_the_order_of_seeds_changes_neither_total_nor_pure(decisions, prescales, random):
    seeds = list(range(decisions.shape[1]))
    random.shuffle(seeds)
    before, after = rates(decisions, prescales), rates(decisions[:, seeds], [prescales[i] for i in seeds])
    assert after.menu.khz.value == pytest.approx(before.menu.khz.value)
    for place, i in enumerate(seeds):
        assert after.seeds[place].pure.khz.value == pytest.approx(before.seeds[i].pure.khz.value)
        assert after.seeds[place].total.khz.value == before.seeds[i].total.khz.value


@given(MENUS, PRESCALES)
def test_overlaps_are_symmetric_with_totals_on_the_diagonal(decisions, prescales):
    found = rates(decisions, prescales)
    matrix = np.array(found.overlap)
    assert np.array_equal(matrix, matrix.T)
    totals = [s.total.khz.value for s in found.seeds]
    assert np.diag(matrix) == pytest.approx(totals)
    assert (matrix <= np.minimum.outer(totals, totals) + 1e-9 * CROSSINGS).all()


def test_a_prescale_costs_no_precision():
    """A hundred events behind a seed are a hundred events, whatever its prescale keeps of them."""
    decisions = np.arange(100_000)[:, None] < 100
    plain, scaled = (rates(decisions, [n]).seeds[0].total.khz for n in (1, 50))
    assert scaled.high / scaled.value == pytest.approx(plain.high / plain.value)


def test_shared_sources_widen_every_interval():
    decisions = np.arange(1000)[:, None] < 40
    alone, shared = rates(decisions), rates(decisions, sources=np.arange(1000) // 8)
    for a, b in ((alone.menu, shared.menu), (alone.seeds[0].pure, shared.seeds[0].pure)):
        assert (a.events, b.events, b.effective) == (40, 40, pytest.approx(5))
        assert b.khz.low < a.khz.low < a.khz.high < b.khz.high


def test_a_seed_that_never_fired_is_no_better_known_than_its_sources_are_many():
    decisions, sources = np.zeros((1000, 1), bool), np.arange(1000) // 10
    alone, shared, fewer = (rates(*of) for of in ((decisions,), (decisions, None, sources), (decisions[:100],)))
    for pick in (lambda r: r.menu, lambda r: r.seeds[0].total, lambda r: r.seeds[0].unique):
        assert pick(shared).khz == pick(fewer).khz
        assert pick(shared).khz.high > 9 * pick(alone).khz.high
    nothing = added(np.zeros(1000, bool), np.ones(1000), sources, BUNCHES)
    assert nothing.khz == fewer.menu.khz


@given(arrays(np.int64, st.integers(1, 60), elements=st.integers(-9, 9)), st.floats(1, 40_000))
def test_on_top_of_nothing_unique_is_total(scores, target):
    nothing = np.ones(len(scores))
    found = unique_threshold(scores, nothing, target, BUNCHES)
    assert found == at_rate("r", Background.of(scores), target, BUNCHES).threshold


def test_a_rate_that_can_be_hit_is_hit():
    """2000 bunches cross at 22,491 kHz: a third of nine events, of which the menu has one for sure."""
    left = np.array([1, 1, 1, 1, 1, 1, 1, 0, 1.0])
    assert unique_threshold(np.arange(9), np.ones(9), 7_497.0, 2000) == 6
    assert unique_threshold(np.arange(9), left, 7_497.0, 2000) == 5
    assert unique_threshold(np.arange(9), left, 7_496.9, 2000) == 6


@given(MENUS, PRESCALES, st.floats(1, 40_000), st.integers(0, 2**32 - 1))
def test_the_unique_threshold_is_the_smallest_that_holds(decisions, prescales, target, number):
    prescales = prescales[: decisions.shape[1]]
    scores = np.random.default_rng(number).integers(0, 8, len(decisions))
    sources = np.arange(len(scores))
    left = left_over(Fired.of(decisions), prescales)
    threshold = unique_threshold(scores, left, target, BUNCHES)
    khz = added(scores >= threshold, left, sources, BUNCHES).khz.value
    assert khz <= target * (1 + 1e-12)
    looser = added(scores >= threshold - 1, left, sources, BUNCHES).khz.value
    assert looser > target * (1 - 1e-12) or threshold == scores.min()


@given(MENUS, PRESCALES, st.integers(0, 2**32 - 1))
def test_what_a_score_adds_is_the_unique_rate_of_a_last_seed(decisions, prescales, number):
    keeps = np.random.default_rng(number).random(len(decisions)) < 0.4
    prescales = prescales[: decisions.shape[1]]
    left = left_over(Fired.of(decisions), prescales)
    last = rates(np.column_stack([decisions, keeps]), [*prescales, 1]).seeds[-1]
    found = added(keeps, left, np.arange(len(keeps)), BUNCHES)
    assert found.khz.value == pytest.approx(last.unique.khz.value)
    assert found.khz.value == pytest.approx(last.pure.khz.value)
    assert found.events == last.unique.events


def test_bad_arguments_are_refused():
    with pytest.raises(SampleError, match="2 decisions, 3 source ids: give"):
        Fired.of(np.ones((2, 1), bool), np.arange(3))
    with pytest.raises(SampleError, match="1 names and 1 prescales for 2 seeds: give"):
        menu_rates(Fired.of(np.ones((2, 2), bool)), ["a"], [1], BUNCHES)
    with pytest.raises(SampleError, match="no zero-bias event"):
        unique_threshold(np.zeros(0, int), np.zeros(0), 1.0, BUNCHES)
