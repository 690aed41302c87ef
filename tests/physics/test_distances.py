from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger_ml.errors import SampleError
from trigger_ml.physics import distances
from trigger_ml.physics.distances import frechet, kernel, triangular, wasserstein
from trigger_ml.physics.two_sample import two_sample

pytest.importorskip("scipy", reason="Wasserstein distances need scipy")

STEP = np.arange(1, 301)
WAVES = (
    np.stack([np.sin(STEP), np.cos(STEP * 1.7) * 2, np.sin(STEP * 0.3) + 0.2 * np.cos(STEP * 2.1)], 1),
    np.stack([np.sin(STEP * 1.1) * 1.1 + 0.1, np.cos(STEP * 1.9) * 2, np.sin(STEP * 0.37)], 1),
)
"""Two samples that every machine makes alike."""

JETNET = {
    False: (0.016103458952363425, -0.06862792757760694),
    True: (0.015967389886881733, 0.006128259032381678),
}
"""Normalised or not: Frechet distance and discrepancy of WAVES by the functions of jetnet 0.2.5."""


def normal(n, seed, shift=0.0, width=1.0, features=3):
    return np.random.default_rng(seed).normal(shift, width, (n, features))


@pytest.mark.parametrize("normalise", [False, True])
def test_one_batch_is_that_of_jetnet(normalise):
    a, b = distances._features(*WAVES, normalise, 2)
    found = distances._gaussians(a, b), distances._discrepancy(a, b)
    assert found == pytest.approx(JETNET[normalise], rel=1e-9)


@given(st.integers(0, 2**32 - 1), st.floats(-2, 2), st.floats(0.2, 3))
def test_frechet_of_one_feature_in_closed_form(seed, shift, width):
    a, b = normal(200, seed, features=1), normal(300, seed + 1, shift, width, 1)
    expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert distances._gaussians(a, b) == pytest.approx(expected, abs=1e-9)


def test_frechet_extrapolates_to_the_true_distance():
    """Normal features of shift 0.5 and widths 1 and 1.5: 3 (0.5^2 + 0.5^2), which finite batches overestimate."""
    a, b = normal(20_000, 1), normal(20_000, 2, 0.5, 1.5)
    found = frechet(a, b, smallest=500, largest=20_000, points=5, batches=10, normalise=False)
    assert abs(found.value.value - 1.5) < 3 * (found.value.high - found.value.value)
    assert found.means[0] > found.value.value
    assert found.sizes[0] == 500
    assert found.sizes[-1] == 20_000
    same = frechet(a, normal(20_000, 3), smallest=500, largest=20_000, points=5, batches=10)
    assert abs(same.value.value) < 4 * (same.value.high - same.value.value)
    assert same.value.value < 0.01 * found.value.value


def test_kernel_distance_by_hand_and_of_equal_samples():
    """Two events each of one feature, without the diagonal: 16 + 81 - (2 sums) over the pairs, kernel (xy + 1)^4."""
    a, b = np.array([[1.0], [1.0]]), np.array([[2.0], [1.0]])
    expected = (1 + 1) ** 4 + (2 + 1) ** 4 - 2 * ((3**4 + 2**4) * 2) / 4
    assert distances._discrepancy(a, b) == pytest.approx(expected)
    same = kernel(normal(4_000, 1), normal(4_000, 2), size=1_000)
    apart = kernel(normal(4_000, 1), normal(4_000, 2, 0.3), size=1_000)
    assert min(same.batches) < 0 < max(same.batches)
    assert apart.value.low > same.value.high
    assert (same.size, len(same.batches)) == (1_000, 10)


def test_wasserstein_of_a_shift_is_the_shift():
    a = normal(5_000, 1, features=2)
    found = wasserstein(a, a + [0.25, 0.0], resamplings=20)
    assert found.features[0].value == pytest.approx(0.25)
    assert found.features[1].value == 0
    assert found.features[0].high - found.features[0].value == pytest.approx(np.sqrt(2 / 5_000), rel=0.5)
    assert wasserstein(a + [0.25, 0.0], a, resamplings=2).features[0].value == pytest.approx(0.25)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_laws_of_the_triangular_discriminator(a, b):
    edges = np.arange(7)
    found = triangular(np.array(a), np.array(b), edges, resamplings=2)
    assert 0 <= found.value.value <= 1
    assert found.value.value == pytest.approx(triangular(np.array(b), np.array(a), edges, resamplings=2).value.value)
    assert triangular(np.array(a), np.array(a * 3), edges, resamplings=2).value.value == pytest.approx(0)
    assert (found.value.value == pytest.approx(1)) == (not set(a) & set(b))


def test_the_floor_is_what_equal_distributions_give():
    edges = np.linspace(0, 1, 26)
    rng = np.random.default_rng(1)
    tried = [triangular(rng.random(1_000), rng.random(500), edges, resamplings=2) for _ in range(200)]
    values = [t.value.value for t in tried]
    assert np.mean(values) == pytest.approx(tried[0].floor, rel=0.1)


def test_trees_tell_apart_what_differs():
    pytest.importorskip("sklearn", reason="the two-sample test needs scikit-learn")
    same = two_sample(normal(2_000, 1), normal(2_000, 2))
    apart = two_sample(normal(2_000, 1), normal(2_000, 2, 1.0))
    assert abs(same.auc.value - 0.5) < 4 * (same.auc.high - same.auc.value)
    assert apart.auc.low > 0.8
    assert (apart.trained, apart.tested) == (2_000, 2_000)
    assert two_sample(normal(2_000, 1), normal(2_000, 2, 1.0)) == apart


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: wasserstein(np.zeros((5, 2)), np.zeros((5, 3))), "of the same features"),
        (lambda: wasserstein(np.zeros((0, 2)), np.zeros((5, 2))), "0 and 5 events are too small"),
        (lambda: wasserstein(np.full((5, 2), np.nan), np.zeros((5, 2))), "needs finite features"),
        (lambda: frechet(np.zeros((90, 2)), np.zeros((90, 2)), smallest=100), "give 100 or more"),
        (lambda: frechet(np.zeros((90, 2)), np.zeros((90, 2)), smallest=90), "below the sample's"),
        (lambda: triangular(np.zeros(5), np.zeros(5), np.array([1.0])), "two edges or more"),
        (lambda: two_sample(np.zeros((9, 2)), np.zeros((90, 2))), "features, 40 or more"),
    ],
)
def test_bad_samples_are_refused(call, sentence):
    with pytest.raises(SampleError, match=sentence):
        call()
