from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trigger_ml.errors import SampleError
from trigger_ml.physics.correlation import distance_correlation


def matrices(x, y):
    """The definition: doubly centred matrices of distances; and the one without bias, of U-centred ones."""
    n = len(x)
    a, b = (np.abs(v[:, None] - v) for v in (x.astype(float), y.astype(float)))
    centred = [m - m.mean(0) - m.mean(1)[:, None] + m.mean() for m in (a, b)]
    unbiased = []
    for m in (a, b):
        rows = m.sum(0)
        u = m - rows / (n - 2) - rows[:, None] / (n - 2) + rows.sum() / ((n - 1) * (n - 2))
        np.fill_diagonal(u, 0)
        unbiased.append(u)
    sizes = [np.sqrt((p * p).sum() * (q * q).sum()) for p, q in (centred, unbiased)]
    assume(min(sizes) > 1e-9)  # of 8 numbers with one that differs the second is nothing but rounding
    return [(p * q).sum() / size for (p, q), size in zip((centred, unbiased), sizes, strict=True)]


def pair(n, kind, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = {"noise": rng.normal(size=n), "square": x**2, "ties": np.floor(x * 2), "cubic": x**3 + rng.normal(size=n)}[kind]
    return x, y


@given(st.integers(8, 70), st.sampled_from(["noise", "square", "ties", "cubic"]), st.integers(0, 2**32 - 1))
def test_it_is_what_the_matrices_say(n, kind, seed):
    x, y = pair(n, kind, seed)
    if kind == "ties":
        x = np.floor(x)
    assume(np.ptp(x) > 0 and np.ptp(y) > 0)
    found, (biased, unbiased) = distance_correlation(x, y, groups=2), matrices(x, y)
    assert found.squared == pytest.approx(biased, abs=1e-10)
    assert found.unbiased.value == pytest.approx(unbiased, abs=1e-9)


@given(st.integers(8, 50), st.floats(0.01, 100), st.floats(-50, 50), st.integers(0, 2**32 - 1))
def test_laws(n, scale, shift, seed):
    x, y = pair(n, "square", seed)
    plain = distance_correlation(x, y, groups=2)
    assert distance_correlation(y, x, groups=2).squared == pytest.approx(plain.squared, abs=1e-10)
    moved = distance_correlation(shift - scale * x, y, groups=2)
    assert moved.squared == pytest.approx(plain.squared, abs=1e-9)
    assert distance_correlation(x, shift - scale * x, groups=2).squared == pytest.approx(1)
    assert 0 <= plain.squared <= 1


def test_independent_quantities_scatter_around_zero():
    found = [distance_correlation(*pair(500, "noise", seed)).unbiased for seed in range(60)]
    values, errors = np.array([e.value for e in found]), np.array([e.high - e.value for e in found])
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(60)
    assert 0.3 < np.median(errors) / values.std() < 3


def test_dependence_without_correlation_is_seen():
    """y = x^2 has no linear correlation; the jackknife says how sure it is."""
    x, y = pair(20_000, "square", 1)
    found = distance_correlation(x, y)
    assert abs(np.corrcoef(x, y)[0, 1]) < 0.05
    assert found.unbiased.low > 0.2
    few = distance_correlation(x[:1000], y[:1000])
    assert few.unbiased.high - few.unbiased.value > found.unbiased.high - found.unbiased.value


def test_shared_sources_widen_the_error():
    x, y = (np.repeat(v, 10) for v in pair(300, "cubic", 2))
    shared, alone = (distance_correlation(x, y, s) for s in (np.arange(3000) // 10, None))
    assert shared.unbiased.high - shared.unbiased.value > 2 * (alone.unbiased.high - alone.unbiased.value)


def test_a_constant_is_independent_of_all():
    assert distance_correlation(np.ones(50), np.arange(50)).squared == 0


@pytest.mark.parametrize(
    ("x", "y", "sentence"),
    [
        (np.arange(3), np.arange(3), "3 events of 3 sources are too few"),
        (np.arange(9), np.arange(8), "give one number for each event"),
        (np.array([1.0, np.nan] * 9), np.arange(18), "needs finite numbers"),
    ],
)
def test_bad_quantities_are_refused(x, y, sentence):
    with pytest.raises(SampleError, match=sentence):
        distance_correlation(x, y)
