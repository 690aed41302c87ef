"""Axes in exact integers: a jet worked by hand, FastJet's own, and jets of few constituents."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger_ml.samples import jet_axes, jet_features
from trigger_ml.samples.jet_processes import RADIUS
from trigger_ml.samples.jet_scales import ANGLE_LSB

UNIT = ANGLE_LSB / RADIUS


def test_three_axes_by_hand() -> None:
    """kt distances: 3 and 4 (2^2 * 25 = 100) join first, then 1 with 2 (10^2 * 16 = 1600); the harder keep the axes."""
    jet = np.array([[[40, 0, 0], [10, 4, 0], [8, 0, 40], [2, 3, 44], [0, 0, 0]]])
    three, two = jet_axes.subjettiness(jet, (3, 2), 1.0)[0]
    assert three == pytest.approx([2 * math.sqrt(5) / 60, 2 * 5 / 60, 2 * 25 / 60])
    assert two == pytest.approx([(2 * math.sqrt(5) + 10 * 2) / 60, (2 * 5 + 10 * 4) / 60, (2 * 25 + 10 * 16) / 60])


def jets(seed: int, number: int = 6) -> np.ndarray:
    """Constituents by falling pT, as they are stored."""
    rng = np.random.default_rng(seed)
    pt = -np.sort(-rng.integers(1, 1500, (number, 32)), axis=1)
    made = np.concatenate([pt[..., None], rng.integers(-90, 91, (number, 32, 2))], -1)
    return (made * (np.arange(32) < rng.integers(1, 33, (number, 1)))[..., None]).astype(np.int16)


@given(st.integers(0, 2**32), st.integers(2, 12))
def test_it_is_0_for_as_many_axes_as_constituents_and_falls_with_their_number(seed: int, axes: int) -> None:
    values = jets(seed)
    more, fewer = np.moveaxis(jet_axes.subjettiness(values, (axes, axes - 1), UNIT), 1, 0)
    assert np.all((more > 0).any(1) <= ((values[..., 0] > 0).sum(1) > axes))
    assert np.all(more <= fewer + 1e-12)


@given(st.integers(0, 2**32))
def test_jets_together_are_each_by_itself(seed: int) -> None:
    values = jets(seed, 3)
    each = [jet_axes.subjettiness(values[i : i + 1], (6, 7), UNIT)[0] for i in range(3)]
    assert np.array_equal(jet_axes.subjettiness(np.concatenate([values] * 40), (6, 7), UNIT), np.array(each * 40))


@pytest.mark.needs_pythia
def test_it_is_fastjets() -> None:
    """Where no two distances are equal, which FastJet would settle in its own way: nearly everywhere."""
    values = jets(5, 400)
    theirs = jet_features.subjettiness(values * (1, ANGLE_LSB, ANGLE_LSB)).reshape(-1, 5, 3)
    ours = jet_axes.subjettiness(values, (1, 2, 3, 4, 5), UNIT)
    same = np.isclose(ours, theirs, rtol=1e-5, atol=1e-7).all((1, 2))
    assert same.mean() > 0.97
