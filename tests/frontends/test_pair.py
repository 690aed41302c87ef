"""What keeps two scores apart: the distance correlation of a batch, and its weights."""

from __future__ import annotations

import numpy as np
import pytest

from trigger_ml.physics import correlation

pytestmark = pytest.mark.needs_train


def batch(tie: float, seed: int = 1, count: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a, b = rng.exponential(size=(2, count))
    return a.astype(np.float32), ((1 - tie) * b + tie * a).astype(np.float32)


def test_the_distance_correlation_is_that_of_the_physics_code() -> None:
    from trigger_ml.frontends.teacher import distance_correlation

    for tie in (0.0, 0.3, 1.0):
        a, b = batch(tie)
        found = float(distance_correlation(a, b, np.ones_like(a)))
        assert found == pytest.approx(correlation.distance_correlation(a, b).squared, abs=1e-4)


def test_events_without_weight_do_not_count() -> None:
    from trigger_ml.frontends.teacher import distance_correlation

    a, b = batch(0.3)
    weight = (np.arange(len(a)) < 400).astype(np.float32)
    found = float(distance_correlation(a, b, weight))
    assert found == pytest.approx(float(distance_correlation(a[:400], b[:400], weight[:400])), abs=1e-5)
    assert float(distance_correlation(a, b, 0 * weight)) == 0.0


def test_a_tie_in_the_tail_alone_is_seen_by_the_tilted_weights() -> None:
    from trigger_ml.frontends.teacher import dependence, distance_correlation

    a, b = batch(0.0, count=1000)
    ones = np.ones_like(a)
    independent = float(dependence(a, b, ones))
    hard = a > np.quantile(a, 0.98)
    b[hard] += 4
    plain, tilted = float(distance_correlation(a, b, ones)), float(dependence(a, b, ones))
    assert tilted > 3 * independent
    assert tilted > 3 * plain
