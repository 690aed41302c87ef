from __future__ import annotations

import numpy as np
import pytest

from tests.physics.sample import sample
from trigger_ml.physics.efficiency import turn_ons

pytest.importorskip("scipy", reason="intervals need scipy")


def test_turn_on_by_hand():
    """100 events of leading jet pT 0 ... 99 units, fired from 60 on: bins of 10 units, 5 GeV."""
    x = np.zeros((100, 57), np.int16)
    x[:, 27] = np.arange(100)
    curves = {c.variable: c for c in turn_ons(sample(10, 10), {"A_to_4l": x}, {"A_to_4l": x[:, 27] >= 60})}
    jets = curves["jet_pt"]
    assert jets.edges == tuple(5.0 * i for i in range(15))
    assert jets.total == (10,) * 10 + (0,) * 4
    assert jets.passed == (0,) * 6 + (10,) * 4 + (0,) * 4
    assert (jets.low[9], jets.high[9]) == (pytest.approx(0.1587 ** (1 / 10), abs=1e-4), 1)
    assert (jets.low[13], jets.high[13]) == (0, 1)
    objects = curves["objects"]
    assert objects.edges == (0, 1, 2)
    assert (objects.total, objects.passed) == ((1, 99), (0, 40))


def test_last_bin_is_open():
    x = np.zeros((1000, 57), np.int16)
    x[:, 0] = np.append(np.arange(990) % 140, np.full(10, 2047))
    met = next(c for c in turn_ons(sample(10, 10), {"s": x}, {"s": x[:, 0] > 1000}) if c.variable == "met")
    assert met.passed == (0,) * 13 + (10,)
    assert sum(met.total) == 1000
