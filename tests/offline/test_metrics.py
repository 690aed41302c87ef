"""Each number where it is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger_ml.offline.metrics import bootstrapped, rank_chi2, triangular, wasserstein

RNG = np.random.default_rng(1)
SAMPLE = RNG.normal(size=(20_000, 2))


@given(st.floats(0.01, 5))
def test_a_shift_is_its_own_distance(shift):
    assert wasserstein(SAMPLE + shift, SAMPLE) == pytest.approx(shift / SAMPLE.std(0).mean(), rel=0.02)
    assert wasserstein(SAMPLE, SAMPLE) == 0


def test_weights_that_undo_a_shift():
    shifted, shift = SAMPLE + 0.4, 0.4
    weights = np.exp(np.sum(-shifted * shift + shift**2 / 2, axis=1))
    ones = np.ones(len(SAMPLE))
    other = RNG.normal(size=SAMPLE.shape)
    assert triangular(shifted, weights, other) < 0.1 * triangular(shifted, ones, other)
    assert triangular(other, ones, other) == 0
    apart = triangular(SAMPLE + 100, ones, SAMPLE)
    assert 900 < apart <= 1000


def test_ranks_are_flat_for_a_calibrated_posterior_alone():
    truth, draws = RNG.normal(size=(5000, 2)), RNG.normal(size=(31, 5000, 2))
    good = rank_chi2(draws, truth)
    assert abs(good.value - 1) < 4 * good.error
    assert rank_chi2(0.9 * draws, truth).value > 1 + 5 * good.error
    assert rank_chi2(draws + 0.1, truth).value > 1 + 5 * good.error


def test_the_error_of_a_mean():
    found = bootstrapped(lambda x: float(x.mean()), (RNG.normal(size=4000),), 1)
    assert found.error == pytest.approx(1 / np.sqrt(4000), rel=0.4)
