"""What ranges start from, and what the loss is made of."""

from __future__ import annotations

import numpy as np

from tests.frontends.events import features
from trigger_ml.frontends.plan import input_reach


def test_slots_of_a_kind_share_their_range():
    rng = np.random.default_rng(0)
    x = np.zeros((5000, 57), int)
    x[:, 27] = rng.integers(1, 200, 5000)  # leading jet's pT
    x[:10, 30] = 1000  # a second jet is rare
    reach = input_reach(x, features()) * 64
    jets = [i for i, f in enumerate(features()) if (f.kind, f.quantity) == ("jet", "pt")]
    assert np.unique(reach[jets]).size == 1
    assert 199 <= reach[27] <= 1000


def test_a_kind_that_is_never_seen_gets_the_hardware_range():
    reach = input_reach(np.zeros((10, 57), int), features()) * 64
    assert reach.tolist() == [f.hi for f in features()]
