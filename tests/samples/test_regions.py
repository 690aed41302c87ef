"""Calorimeter regions: what they are of the towers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trigger_ml.samples.contents import REGIONS
from trigger_ml.samples.detector import ETA, ETA_EDGES, PHI
from trigger_ml.samples.regions import FEATURES, REGION_ETA, REGION_MAX, REGION_PHI, regions

INNER = slice(ETA // 2 - 35, ETA // 2 + 35)
"""Rings of towers that belong to a region: to abs(eta) 3.045."""


@st.composite
def towers(draw: st.DrawFn) -> np.ndarray:
    """Some towers of a few events, multiples of 0.5 GeV, none of which fills a region."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    filled = rng.random((2, ETA, PHI)) < draw(st.floats(0, 1))
    return (rng.integers(0, 25, (2, ETA, PHI)) * filled / 2).astype(np.float32)


@settings(max_examples=30)
@given(towers())
def test_energy_is_conserved(total: np.ndarray) -> None:
    assert np.array_equal(regions(total).sum((1, 2)), 2 * total[:, INNER].sum((1, 2)))


@settings(max_examples=30)
@given(towers(), st.integers(0, REGION_PHI - 1))
def test_turning_by_regions_and_mirroring_commute_with_summing(total: np.ndarray, turn: int) -> None:
    made = regions(total)
    assert np.array_equal(regions(np.roll(total, 4 * turn, axis=2)), np.roll(made, turn, axis=1))
    assert np.array_equal(regions(total[:, ::-1]), made[:, :, ::-1])


@pytest.mark.parametrize(
    ("eta", "column", "region"),
    [
        (0.01, 0, (0, 7)),
        (-0.01, 71, (17, 6)),
        (0.36, 4, (1, 8)),
        (1.70, 40, (10, 11)),
        (-3.0, 3, (0, 0)),
        (2.2, 8, (2, 13)),
    ],
)
def test_one_tower_worked_by_hand(eta: float, column: int, region: tuple[int, int]) -> None:
    total = np.zeros((1, ETA, PHI), np.float32)
    total[0, int(np.searchsorted(ETA_EDGES, eta)) - 1, column] = 7.5
    made = regions(total)
    assert made[0][region] == 15
    assert made.sum() == 15


def test_beyond_the_last_region_nothing_is_seen_and_a_full_region_saturates() -> None:
    total = np.zeros((1, ETA, PHI), np.float32)
    total[:, : INNER.start], total[:, INNER.stop :] = 9, 9
    assert not regions(total).any()
    total[0, ETA // 2, 0] = 511.5
    assert regions(total).max() == REGION_MAX
    total[0, ETA // 2, 1] = 100
    assert regions(total).max() == REGION_MAX


def test_features_stand_in_the_order_of_the_shape_and_fit_the_format() -> None:
    names = np.array([feature.name for feature in FEATURES]).reshape(REGION_PHI, REGION_ETA)
    assert names[3, 11] == "region_p3_e11"
    assert REGIONS.shape == (REGION_PHI, REGION_ETA)
    held = REGIONS.input_format.holding(0, REGION_MAX, 0)
    assert held == REGIONS.input_format
