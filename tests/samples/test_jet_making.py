"""Tracks, cells, clustering and parts: by hand, and what each must conserve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger_ml.samples import jet_making, jet_particles
from trigger_ml.samples.detector import Particles
from trigger_ml.samples.jet_making import turned
from trigger_ml.samples.jet_particles import CALORIMETER_ETA, CELL_ETA, TRACK_ETA, TRACK_PT, Candidates, measure
from trigger_ml.samples.jet_processes import Window


def particles(pid: list[int], pt: list[float], eta: list[float], phi: list[float], counts: list[int]) -> Particles:
    p, e, f = np.array(pt), np.array(eta), np.array(phi)
    return Particles(np.array(counts), np.array(pid), p * np.cos(f), p * np.sin(f), p * np.sinh(e))


def random_particles(seed: int, number: int = 200) -> Particles:
    rng = np.random.default_rng(seed)
    pid = rng.choice([211, -211, 22, 130, 2112, 11, 13, 12, 310], number)
    return particles(
        pid.tolist(),
        (rng.exponential(5, number) + 0.2).tolist(),
        rng.uniform(-4, 4, number).tolist(),
        rng.uniform(-np.pi, np.pi, number).tolist(),
        [number // 2, number - number // 2],
    )


def perfect(monkeypatch: pytest.MonkeyPatch) -> None:
    """No smearing, no inefficiency."""
    monkeypatch.setattr(jet_particles, "TRACK_EFFICIENCY", 1.0)
    monkeypatch.setattr(jet_particles, "RESOLUTION", {"em": (0.0, 0.0), "had": (0.0, 0.0)})


@given(st.integers(0, 2**32))
def test_what_is_measured_is_ordered_positive_and_in_reach(seed: int) -> None:
    found = measure(random_particles(seed), np.random.default_rng(seed))
    assert np.all(np.diff(found.event) >= 0)
    assert np.all(found.pt > 0)
    assert np.all(np.abs(found.eta) < CALORIMETER_ETA + CELL_ETA["had"])


def test_the_same_seed_measures_the_same() -> None:
    first, second = (measure(random_particles(3), np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first.pt, second.pt)
    assert np.array_equal(first.phi, second.phi)


def test_every_kind_of_particle_goes_where_it_belongs(monkeypatch: pytest.MonkeyPatch) -> None:
    perfect(monkeypatch)
    pid = [211, 22, 22, 130, 211, 12, 13, 13, 211, 22]
    pt = [10.0, 20.0, 5.0, 30.0, 1.5, 50.0, 40.0, 1.0, 8.0, 9.0]
    eta = [0.5, 1.0005, 1.0010, -0.3, 0.2, 0.0, -1.0, 0.0, 2.7, 3.3]
    phi = [0.3, 2.0, 2.0001, -1.0, 1.0, 0.0, -2.0, 0.0, 0.5, 0.0]
    found = measure(particles(pid, pt, eta, phi, [10]), np.random.default_rng(1))
    by_pt = np.argsort(found.pt)
    # Track, merged photons, kaon, soft pion's cell, muon's track, forward pion's cell; nothing of the others.
    got = found.pt[by_pt]
    assert len(got) == 6
    np.testing.assert_allclose(got[[0, 1, 3, 4]], [1.5, 8.0, 25.0, 30.0], rtol=1e-6)
    np.testing.assert_allclose(got[[2, 5]], [10.0, 40.0], rtol=0.1)
    assert found.eta[by_pt][2] == pytest.approx(0.5)
    assert found.phi[by_pt][5] == pytest.approx(-2.0)
    for i, (e, f, width) in ((3, (1.0005, 2.0, 0.0175)), (4, (-0.3, -1.0, 0.0873))):
        assert abs(found.eta[by_pt][i] - e) <= width / 2
        assert abs(turned(found.phi[by_pt][i] - f)) <= width / 2


def test_efficiency_and_resolution_are_what_they_say() -> None:
    n = 20_000
    rng = np.random.default_rng(5)
    eta, phi = rng.uniform(-TRACK_ETA, TRACK_ETA, n), rng.uniform(-np.pi, np.pi, n)
    tracks = measure(particles([211] * n, [100.0] * n, eta.tolist(), phi.tolist(), [1] * n), rng)
    close = np.abs(tracks.eta - eta[tracks.event]) < 1e-9  # a track keeps its direction
    assert close.mean() == pytest.approx(0.93, abs=0.01)
    assert tracks.pt[close].std() / 100 == pytest.approx(0.025, abs=0.001)
    photons = measure(particles([22] * n, [100.0] * n, [0.001] * n, phi.tolist(), [1] * n), rng)
    assert photons.pt.std() / 100 == pytest.approx(np.hypot(0.007, 0.007), rel=0.05)
    soft = measure(particles([211] * n, [TRACK_PT * 0.99] * n, eta.tolist(), phi.tolist(), [1] * n), rng)
    assert not (np.abs(soft.eta - eta[soft.event]) < 1e-9).any()


@given(st.lists(st.integers(1, 3), min_size=30, max_size=40), st.integers(0, 100))
def test_parts_are_full_and_share_no_event(jets_of_event: list[int], number: int) -> None:
    event = np.repeat(number + np.arange(len(jets_of_event)), jets_of_event)
    sizes = (10, 2, 6)
    which = jet_making._apart(event, sizes)
    assert len(which) == 18
    assert np.all(np.diff(which) > 0)
    first, second, third = (set(part.tolist()) for part in np.split(event[which], np.cumsum(sizes)[:-1]))
    assert not first & second
    assert not second & third
    assert not first & third


@pytest.mark.needs_pythia
def test_clustering_by_hand() -> None:
    # Two jets over the edge of phi and eta 1, one too soft; a second event without a jet, a third with one.
    event = np.array([0, 0, 0, 0, 2, 2])
    pt = np.array([300.0, 300.0, 590.0, 90.0, 400.0, 200.0])
    eta = np.array([0.1, -0.1, 1.0, -1.5, 0.0, 0.2])
    phi = np.array([3.1, -3.1, 0.0, 1.5, 1.0, 1.0])
    found = jet_making.cluster(
        Candidates(event, pt, eta, phi), 3, Window((0, 0), (500.0, 650.0), 2.0, matched=False)
    )  # fmt: skip
    order = np.lexsort((found["jet"][:, 1], found["event"]))
    assert found["event"][order].tolist() == [0, 0, 2]
    assert found["count"][order].tolist() == [2, 1, 2]
    first, second, third = found["constituents"][order, :3]
    np.testing.assert_allclose(np.abs(first[:2, 1:]), [[0.1, np.pi - 3.1]] * 2, atol=2e-3)
    np.testing.assert_allclose(second, [[590, 0, 0], [0, 0, 0], [0, 0, 0]], atol=1e-4)
    assert third[:, 0].tolist() == [400, 200, 0]
    mass = found["jet"][order, 3]
    assert mass[2] == pytest.approx(np.sqrt(2 * 400 * 200 * (np.cosh(0.2) - 1)), rel=1e-4)
