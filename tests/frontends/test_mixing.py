"""Mixed events are events: made of the same objects, ordered, in range."""

from __future__ import annotations

import numpy as np

from tests.frontends.events import events, features
from trigger_ml.frontends.mixing import mixed

PT = np.arange(0, 57, 3)
KINDS = (slice(1, 5), slice(5, 9), slice(9, 19))


def made(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    x = events(np.random.default_rng(0), 500, 1.0)
    return x, mixed(x, features(), np.random.default_rng(seed))


def test_objects_stay_ordered_and_whole():
    x, out = made()
    assert out.shape == x.shape
    assert out.dtype == x.dtype
    objects = {tuple(row) for row in x.reshape(-1, 3)}
    assert {tuple(row) for row in out.reshape(-1, 3)} <= objects
    for kind in KINDS:
        assert np.all(np.diff(out[:, PT].astype(int)[:, kind], axis=1) <= 0)


def test_the_second_half_is_busier():
    x, out = made()
    filled = [(z[:, PT] > 0).sum(1).mean() for z in (x, out[:250], out[250:])]
    assert filled[2] > 1.3 * filled[0]
    assert abs(filled[1] - filled[0]) < 1.0


def test_the_seed_decides():
    assert np.array_equal(made(1)[1], made(1)[1])
    assert not np.array_equal(made(1)[1], made(2)[1])
