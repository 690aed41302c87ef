"""Direct diffusion starts at the measurement: exactly, or spread where the network is told it."""

from __future__ import annotations

import numpy as np
import pytest

from trigger_ml.offline import objectives
from trigger_ml.offline.generators import generator
from trigger_ml.offline.networks import PRECISIONS
from trigger_ml.offline.spec import parse
from trigger_ml.offline.steps import Wanted

pytestmark = pytest.mark.needs_train

SPEC = """
name = "a"
title = "a"
[sample]
name = "zjets"
[objective]
name = "direct_diffusion"
conditional = {}
"""


@pytest.mark.parametrize("conditional", [False, True])
def test_the_loss_of_a_network_that_stands_still(conditional):
    """It is the mean square from start to truth: that from measurement to truth, and the spread's own square."""
    import tensorflow as tf

    seen: list[set[str]] = []

    def still(feed):
        seen.append(set(feed))
        return tf.zeros_like(feed["x"])

    rng = np.random.default_rng(1)
    target, measured = (rng.normal(size=(40_000, 3)).astype(np.float32) for _ in range(2))
    found = float(objectives.direct_diffusion(still, conditional)(tf.constant([1, 2]), target, measured))
    plain = float(((target - measured) ** 2).mean())
    assert found == pytest.approx(
        plain + (objectives.START**2 if conditional else 0), rel=0.01 if conditional else 1e-5
    )
    assert seen == [{"x", "time"} | ({"condition"} if conditional else set())]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_its_generator(precision):
    told = generator(parse(SPEC.format("true")), Wanted(6), 6, precision)
    plain = generator(parse(SPEC.format("false")), Wanted(6), 6, precision)
    assert (told.spread, told.told, told.from_reco) == (objectives.START, True, True)
    assert (plain.spread, plain.told, plain.from_reco) == (0.0, False, True)
    assert [p.name for p in plain.network.ports] == ["x", "time"]
