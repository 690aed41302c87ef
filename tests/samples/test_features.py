"""Hardware integers: the way there and back."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trigger_ml.samples import features
from trigger_ml.samples.dataset import Sample, Split
from trigger_ml.samples.features import FEATURES, KINDS, OBJECTS, encode, physical

LO = np.array([feature.lo for feature in FEATURES])
HI = np.array([feature.hi for feature in FEATURES])


def sample() -> Sample:
    empty = np.zeros((0, 57), np.int16)
    split = Split(empty, empty, empty)
    return Sample("", "", "", FEATURES, features.INPUT_FORMAT, split, {}, False, 0.0, np.zeros(0, np.int64), "")


hardware = hnp.arrays(np.int64, (3, 57), elements=st.integers(0, 2**31)).map(lambda x: LO + x % (HI - LO + 1))
"""Any integers in range."""

objects = hnp.arrays(np.float64, (3, OBJECTS, 3), elements=st.floats(-1e4, 1e4))


@given(hardware)
def test_encoding_undoes_physical(hw: np.ndarray) -> None:
    filled = hw * np.repeat(hw[:, ::3] > 0, 3, 1)
    assert np.array_equal(encode(physical(sample(), filled).reshape(-1, OBJECTS, 3)), filled)


@given(objects)
def test_everything_encoded_is_in_range_and_empty_slots_are_zero(values: np.ndarray) -> None:
    hw = encode(values)
    assert np.all((hw >= LO) & (hw <= HI))
    slots = hw.reshape(-1, OBJECTS, 3)
    assert not slots[slots[..., 0] == 0].any()


@given(objects)
def test_physical_is_within_half_a_unit_where_nothing_saturates(values: np.ndarray) -> None:
    back = physical(sample(), encode(values)).reshape(-1, OBJECTS, 3)
    lsb = np.array([feature.lsb for feature in FEATURES]).reshape(OBJECTS, 3)
    hi = HI.reshape(OBJECTS, 3) * lsb
    live = back[..., 0] > 0
    pt_free, eta_free = live & (values[..., 0] < hi[:, 0]), live & (np.abs(values[..., 1]) < hi[:, 1])
    assert np.all(np.abs(back - values)[..., 0][pt_free] <= 0.25 + 1e-9)
    assert np.all((np.abs(back - values)[..., 1] <= lsb[:, 1] / 2 + 1e-9)[eta_free])
    turn = np.mod(back[..., 2] - values[..., 2] + math.pi, 2 * math.pi) - math.pi
    assert np.all((np.abs(turn) <= lsb[:, 2] / 2 + 1e-9)[live])


def test_worked_by_hand() -> None:
    event = np.zeros((1, OBJECTS, 3))
    event[0, 0] = [31.2, 0.0, -0.05]  # phi: -1.15 units of 2 pi / 144, unsigned 143
    event[0, 1] = [9e9, -1.0, math.pi]
    event[0, 5] = [12.0, 0.5, 6.28]  # 575.7 of 576 units: wraps to 0
    event[0, 9] = [0.2, 1.0, 1.0]  # rounds to no pT: empty
    hw = encode(event)[0]
    assert hw[:6].tolist() == [62, 0, 143, 511, -23, 72]
    assert hw[15:18].tolist() == [24, 46, 0]
    assert hw[27:30].tolist() == [0, 0, 0]


def test_names_follow_the_order_of_the_condition() -> None:
    names = [feature.name for feature in FEATURES]
    assert names[:6] == ["met_pt", "met_eta", "met_phi", "eg0_pt", "eg0_eta", "eg0_phi"]
    assert names[-1] == "jet9_phi"
    assert [kind.name for kind in KINDS] == ["met", "eg", "mu", "jet"]
