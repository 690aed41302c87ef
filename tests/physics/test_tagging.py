"""Accuracy and rejection: counted by hand, and laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger_ml.physics.tagging import tagging

scores = st.lists(st.integers(-20, 20), min_size=10, max_size=60).map(np.array)


def test_by_hand():
    background, signal = np.arange(100), np.arange(70, 80)
    found = tagging(background, signal)
    # three of ten signal events have 77 or more, and so have 23 of the background's hundred
    assert found.rejection["0.3"].value == pytest.approx(100 / 23)
    assert found.rejection["0.5"].value == pytest.approx(100 / 25)
    assert found.accuracy.value == pytest.approx(0.5 * (1 + 1 - 0.3))


def test_ties_count_against_the_tagger():
    assert tagging(np.array([1, 1, 0, 0]), np.array([1, 1, 1, 1])).rejection["0.3"].value == 2.0


def test_no_background_left_is_an_infinite_rejection_with_a_finite_lower_end():
    found = tagging(np.zeros(1000, int), np.ones(1000, int)).rejection["0.3"]
    assert math.isinf(found.value)
    assert 500 < found.low < 1000


@given(scores, scores)
def test_laws(background, signal):
    found = tagging(background, signal)
    for rejection in found.rejection.values():
        assert rejection.value >= 1
        assert rejection.low <= rejection.value <= rejection.high
    assert found.rejection["0.3"].value >= found.rejection["0.5"].value
    assert 0.5 <= found.accuracy.value <= 1
    again = tagging(3 * background + 5, 3 * signal + 5)
    assert again.accuracy == found.accuracy
    assert again.rejection == found.rejection
