"""What ranges start from, and what the loss is made of."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontends.events import features, sample
from trigger_ml import spec
from trigger_ml.frontends.losses import TAIL, WEIGHT, loss
from trigger_ml.frontends.plan import Plan, input_reach


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


@pytest.mark.needs_train
def test_an_error_in_the_tail_counts_more():
    count = 16_000
    y = np.linspace(0, 1, count, dtype=np.float32)[:, None]
    x = np.zeros((count, 57), np.int16)
    plan = Plan((), {}, {}, (), x, np.zeros(57), y, x, count, 0.0, "")
    text = 'name = "t"\n[model]\nfamily = "mlp"\nfrontend = "hgq"\nscore = "distilled"\nhidden = [4]\nlatent = 2\n'
    distance = loss(spec.parse(text), plan, sample())
    few = int(count * TAIL) // 2

    def error(rows: slice) -> float:
        predicted = y.copy()
        predicted[rows] += 0.5
        return float(distance(x.astype(np.float32), y, predicted))

    assert error(slice(count - few, count)) == pytest.approx(WEIGHT * error(slice(0, few)), rel=1e-4)
