"""What sources say they know, against their own events."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger_ml.errors import SpecError
from trigger_ml.offline.sources import gaussians, lossy, mixture, showers
from trigger_ml.offline.sources.source import Events, shared


def test_the_ratio_of_gaussians_averages_to_one():
    """The mean of p_data / p_simulation over simulation is 1, and over data its inverse's is 1."""
    source, rng = gaussians.source(), np.random.default_rng(1)
    for events, sign in ((gaussians.simulation(rng, 200_000), 1), (gaussians.data(rng, 200_000), -1)):
        ratio = np.exp(sign * source.ratio(events.reco))
        assert ratio.mean() == pytest.approx(1, abs=4 * ratio.std() / np.sqrt(len(ratio)))
    log = source.ratio(gaussians.data(rng, 1000).reco)
    assert np.std(log) > 0.3


def test_the_posterior_of_gaussians_pulls_like_a_normal_number():
    source, rng = gaussians.source(), np.random.default_rng(2)
    events = gaussians.simulation(rng, 100_000)
    mean, width = source.posterior(events.reco)
    pull = (events.truth - mean) / width
    assert np.allclose(pull.mean(0), 0, atol=0.015)
    assert np.allclose(pull.std(0), 1, atol=0.01)
    assert abs(np.corrcoef(pull[:, 0], events.reco[:, 1])[0, 1]) < 0.015
    wrong = gaussians.data(rng, 100_000)
    assert np.abs(((wrong.truth - source.posterior(wrong.reco)[0]) / width).mean(0)).max() > 0.1


def test_the_mixture_has_its_modes():
    events = mixture.draw(np.random.default_rng(3), 60_000)
    radius, angle = np.hypot(*events.truth.T), np.arctan2(*events.truth.T[::-1])
    assert radius.mean() == pytest.approx(mixture.RADIUS, abs=0.02)
    modes = np.rint(angle / (2 * np.pi / mixture.MODES)).astype(int) % mixture.MODES
    assert np.all(np.abs(np.bincount(modes) - 10_000) < 500)
    assert events.reco.shape == (60_000, 0)


def test_showers_keep_their_energy_and_reach_their_depth():
    """The mean depth grows by one radiation length for each factor e of the energy (Review of Particle Physics)."""
    pytest.importorskip("numba", reason="needs the extra offline")
    rng, energies = np.random.default_rng(4), np.array([5.0, 20.0, 50.0])
    seen = [showers.layers(np.full(800, e), rng) for e in energies]
    total = np.array([s.sum(1).mean() for s in seen]) / energies
    assert np.all((total > 0.95) & (total < 1.01))
    middle = showers.THICKNESS * (np.arange(showers.LAYERS) + 0.5)
    depth = np.array([(s.mean(0) * middle).sum() / s.mean(0).sum() for s in seen])
    slope = (depth[2] - depth[0]) / np.log(energies[2] / energies[0])
    assert slope == pytest.approx(1.0, abs=0.25)
    assert [s.sum(1).std() / s.sum(1).mean() for s in seen] == sorted(
        (s.sum(1).std() / s.sum(1).mean() for s in seen), reverse=True
    )


def test_showers_are_those_of_the_seed_and_of_order_one():
    pytest.importorskip("numba", reason="needs the extra offline")
    source = showers.source()
    one, again = (source.parts(4000, 5).simulation for _ in range(2))
    assert np.array_equal(one.truth, again.truth)
    assert one.truth.shape == (4000, 6)
    assert np.all(np.abs(one.truth.std(0) - 1) < 0.2)


def test_lost_events_and_fakes():
    """The share that is measured, by numbers of its own; fakes are measured, and not as their truth says."""
    events = lossy.simulation(np.random.default_rng(6), 100_000)
    measured, counts = events.masks
    assert counts.mean() == pytest.approx(1 - lossy.FAKES, abs=0.005)
    x = np.random.default_rng(7).normal(size=200_000)
    assert measured[counts].mean() == pytest.approx((1 / (1 + np.exp(-1.6 - x))).mean(), abs=0.006)
    assert measured[~counts].all()
    assert abs(np.corrcoef(events.truth[~counts, 0], events.reco[~counts, 0])[0, 1]) < 0.05
    assert np.corrcoef(events.truth[counts, 0], events.reco[counts, 0])[0, 1] > 0.8


@given(counts=st.tuples(st.integers(2, 40), st.integers(2, 40)), seed=st.integers(0, 99))
def test_parts_of_fixed_events_share_none(counts, seed):
    """Whatever the seed, each part holds other events, and they are events of the file."""
    known = [Events(np.arange(n, dtype=np.float32)[:, None], np.empty((n, 0), np.float32)) for n in counts]
    parts = shared(*known, "here")(min(counts) // 2, seed)
    for train, test, every in ((parts.simulation, parts.test, known[0]), (parts.data, parts.test_data, known[1])):
        both = np.concatenate([train.truth, test.truth])[:, 0]
        assert len(np.unique(both)) == 2 * (min(counts) // 2)
        assert np.isin(both, every.truth[:, 0]).all()
    with pytest.raises(SpecError, match="here has .* set events, of .sample. or with --full of .full., to at most"):
        shared(*known, "here")(min(counts), seed)
