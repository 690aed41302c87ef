"""Laws of the numbers of unfolding: 1, 0 or flat where all is right, and not where something is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trigger_ml.offline.metrics_unfolding import (
    CELLS,
    coverage,
    edges_of,
    migration,
    migration_chi2,
    rank_probability,
    wasserstein_of,
)

SEEDS = st.integers(0, 2**20)


def pairs(seed: int, count: int = 8000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(count, 3))
    return truth, truth + 0.5 * rng.normal(size=(count, 3))


@given(SEEDS, st.floats(0.05, 3))
def test_a_shift_is_its_own_distance_with_any_even_weights(seed, shift):
    x = np.random.default_rng(seed).normal(size=2000)
    assert wasserstein_of(x + shift, None, x) == pytest.approx(shift / x.std())
    assert wasserstein_of(x + shift, np.full(2000, 7.0), x) == pytest.approx(shift / x.std())
    assert wasserstein_of(x, None, x) == 0


@given(SEEDS)
def test_weights_count_like_repeated_events(seed):
    rng = np.random.default_rng(seed)
    x, y, times = rng.normal(size=50), rng.normal(size=70), rng.integers(0, 4, 50) + (np.arange(50) == 0)
    assert wasserstein_of(x, times.astype(float), y) == pytest.approx(wasserstein_of(np.repeat(x, times), None, y))


@settings(max_examples=25)
@given(SEEDS)
def test_the_chi2_of_two_samples_of_one_distribution_is_one(seed):
    (truth, reco), (other, seen) = pairs(seed), pairs(seed + 1, 6000)
    edges = edges_of(truth)
    one, two = migration(truth, reco, edges), migration(other, seen, edges)
    found = migration_chi2(one, two)
    assert abs(found.value - 1) < 6 * found.error
    assert migration_chi2(one, one).value == 0
    shuffled = migration(other[np.random.default_rng(seed).permutation(6000)], seen, edges)
    assert migration_chi2(one, shuffled).value > 5  # the right spectra, the wrong pairs
    point = migration(0.8 * seen, seen, edges)
    assert migration_chi2(one, point).value > 5  # the mean of the posterior instead of a draw


@given(SEEDS, st.integers(50, 500))
def test_a_matrix_holds_every_pair_and_transposes_with_them(seed, count):
    truth, reco = pairs(seed, count)
    edges = edges_of(truth)
    found, turned = migration(truth, reco, edges), migration(reco, truth, edges)
    assert found.counts.sum() == 3 * count
    assert np.array_equal(found.counts, turned.counts.transpose(0, 2, 1))
    assert found.purity == turned.stability
    assert migration(truth, truth, edges).purity == 1
    assert np.ptp(migration(truth, truth, edges).counts.sum(2)) <= 1


def test_purity_of_what_is_not_measured_at_all_is_one_cell_in_all():
    truth, _ = pairs(1, 100_000)
    other, _ = pairs(2, 100_000)
    found = migration(truth, other, edges_of(truth))
    assert found.purity == pytest.approx(1 / CELLS, abs=0.005)
    assert found.stability == pytest.approx(1 / CELLS, abs=0.005)


def test_only_a_calibrated_posterior_is_flat_and_covers():
    rng = np.random.default_rng(3)
    draws = rng.normal(size=(31, 4000, 2))
    flat = [rank_probability(rng.normal(size=(31, 500, 2)), rng.normal(size=(500, 2)), i).value for i in range(60)]
    assert 0.005 < np.quantile(flat, 0.1) < 0.4  # Bonferroni's is a probability, or above one
    truth = rng.normal(size=(4000, 2))
    good = coverage(draws, truth)
    assert abs(good.value - 1) < 4 * good.error
    for wrong in (0.8 * draws, draws + 0.15):
        assert rank_probability(wrong, truth, 1).value < 0.01
    assert coverage(0.8 * draws, truth).value < 1 - 5 * good.error
    assert coverage(1.2 * draws, truth).value > 1 + 5 * good.error


def test_ranks_of_few_values_are_spread():
    """Truth and samples that are whole numbers of one distribution are as flat as others."""
    rng = np.random.default_rng(4)
    found = rank_probability(rng.integers(0, 3, (31, 4000, 1)), rng.integers(0, 3, (4000, 1)), 1)
    assert found.value > 0.001
