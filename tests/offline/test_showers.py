"""Showers: the cascade against the Review of Particle Physics, numbers and back, observables and metrics by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trigger_ml import artifact
from trigger_ml.errors import SampleError
from trigger_ml.offline.showers import cascade, detector, gflash, metrics, shares
from trigger_ml.offline.showers.binning import Binning, Layer
from trigger_ml.offline.showers.detector import Showers
from trigger_ml.offline.showers.observables import observables
from trigger_ml.offline.sources import showers as six

BINNING = detector.binning("electron")


@pytest.fixture
def _numba():
    pytest.importorskip("numba", reason="needs the extra offline")


def _shot(energy, count, photon=False, seed=1):
    return detector.simulated(np.full(count, 1000.0 * energy), np.full(count, photon), np.random.default_rng(seed))


def _depth(showers):
    layers = BINNING.sums(showers.voxels)
    middle = detector.THICKNESS * (np.arange(detector.LAYERS) + 0.5)
    return (layers.mean(0) * middle).sum() / layers.mean(0).sum()


@pytest.mark.usefixtures("_numba")
def test_photon_showers_are_deeper_by_their_conversion():
    """By 9/7 for the pair, less 1/2 since the mean of -z ln z - (1 - z) ln(1 - z) over even sharing is that.

    Each factor e of energy adds one length to the mean depth (Review of Particle Physics).
    """
    mean = {}
    for energy, photon in ((2.0, False), (2.0 * np.e, False), (2.0, True)):
        found = cascade.deposits(
            np.full(3000, energy), np.full(3000, photon), np.random.default_rng(8), layers=80, thickness=0.5
        )
        mean[energy, photon] = (found.sum(0) * (np.arange(80) + 0.5) * 0.5).sum() / found.sum()
    growth = mean[2.0 * np.e, False] - mean[2.0, False]
    assert growth == pytest.approx(1, abs=0.1)
    assert mean[2.0, True] - mean[2.0, False] == pytest.approx(9 / 7 - growth / 2, abs=0.1)


@pytest.mark.usefixtures("_numba")
def test_a_cascade_spreads_with_depth_and_about_a_moliere_radius():
    """90 % of the energy is within about a Moliere radius, at any energy; showers are as wide in eta as in phi."""
    edges = tuple(np.linspace(0, 6, 121))
    radii = []
    for energy in (5.0, 40.0):
        found = cascade.deposits(
            np.full(400, energy), np.zeros(400, bool), np.random.default_rng(2), layers=6, thickness=3.0, edges=edges
        ).reshape(400, 6, -1)
        summed = np.cumsum(found.sum((0, 1))) / (400 * energy)
        radii.append(np.interp(0.9, summed, edges[1:]))
        middles = (np.asarray(edges[1:]) + edges[:-1]) / 2
        width = (found.mean(0) * middles).sum(1) / found.mean(0).sum(1)
        assert np.all(np.diff(width) > 0)
    moliere = detector.MOLIERE_MM / detector.RADIATION_MM
    assert all(0.4 < radius / moliere < 1.2 for radius in radii)
    assert radii[0] == pytest.approx(radii[1], rel=0.25)
    seen = observables(_shot(20, 1000), BINNING)
    assert np.allclose(seen.width_eta.mean(0), seen.width_phi.mean(0), rtol=0.04)
    assert np.all(np.abs(seen.eta.mean(0)) < 5 * seen.eta.std(0) / np.sqrt(1000))


@pytest.mark.usefixtures("_numba")
def test_spreading_to_the_side_leaves_the_layers_alone():
    """With rings that hold everything the layers are distributed as those of the cascade without any."""
    energies, kinds = np.full(1500, 10.0), np.zeros(1500, bool)
    flat = cascade.deposits(energies, kinds, np.random.default_rng(3), layers=6, thickness=3.0)
    wide = cascade.deposits(
        energies, kinds, np.random.default_rng(4), layers=6, thickness=3.0, edges=(0.0, 1.0, np.inf), angles=3
    )
    layers = wide.reshape(1500, 6, 6).sum(2)
    error = np.hypot(flat.std(0), layers.std(0)) / np.sqrt(1500)
    assert np.all(np.abs(flat.mean(0) - layers.mean(0)) < 4.5 * error)
    assert flat.sum(1).max() < 10 + 1e-9


@pytest.mark.usefixtures("_numba")
def test_the_six_numbers_are_those_from_before_there_were_voxels():
    """Bits of the source ``showers``, frozen: rows that were run on it stay what they are."""
    found = six.layers(np.linspace(5, 50, 100), np.random.default_rng(1))
    assert artifact.digest_arrays({"x": np.round(found, 6)}) == FROZEN


FROZEN = "a339090119a82bb63926655e9d93772835a86ac78cd6e962dd95646e2a6dc7f5"


def test_what_is_read_has_the_resolution_that_is_stated():
    rng, deposited = np.random.default_rng(5), np.array([5.0, 100.0, 4000.0])
    read = detector.read_out(np.tile(deposited, (100_000, 1)), rng)
    error = np.sqrt(detector.QUANTUM * deposited)
    assert np.all(np.abs(read.mean(0) - deposited) < 5 * error / np.sqrt(100_000) + [0.1, 0, 0])
    assert np.allclose(read.std(0), error, rtol=0.02)
    assert not ((read > 0) & (read < detector.SMALLEST)).any()
    assert np.all(detector.read_out(np.zeros((3, 4)), rng) == 0)


def _some(count, seed):
    """Showers of no physics: any voxels, empty layers among them."""
    rng = np.random.default_rng(seed)
    voxels = rng.gamma(0.5, 100, (count, 72))
    voxels[voxels < detector.SMALLEST] = 0
    voxels[: count // 4, :12] = 0
    return Showers(voxels.sum(1) * rng.uniform(1, 1.2, count) + 1, voxels)


@given(seed=st.integers(0, 999))
def test_numbers_of_showers_and_back(seed):
    """Voxels that read something come back, those that read nothing stay so; the faint noise costs little."""
    showers = _some(40, seed)
    layers = BINNING.sums(showers.voxels)
    full = np.all(layers > 0.02 * layers.sum(1, keepdims=True), axis=1)
    raw = shares.totals(layers, showers.incident)
    seen = shares.seen(raw, showers.incident)
    assert np.allclose(seen[full], layers[full], rtol=1e-6)
    shape = shares.shape(showers.voxels, BINNING, detector.SMALLEST, np.random.default_rng(seed))
    again = shares.voxels(shape, layers, BINNING, detector.SMALLEST)
    read = showers.voxels > 1.2 * detector.SMALLEST
    assert np.allclose(again[read], showers.voxels[read], rtol=0.15)
    assert np.array_equal(again[showers.voxels == 0], np.zeros((showers.voxels == 0).sum()))
    sums = BINNING.sums(again)
    assert np.allclose(sums[sums > 0], layers[sums > 0])


@given(raw=st.lists(st.floats(-50, 50, width=32), min_size=78, max_size=78))
def test_any_numbers_are_a_shower(raw):
    """Whatever a model says: energies that are finite, not negative, in each layer what it said of the layer."""
    found, incident = np.array([raw], np.float32), np.array([2e4])
    layers = shares.seen(found[:, :6], incident)
    voxels = shares.voxels(found[:, 6:], layers, BINNING, detector.SMALLEST)
    showers = Showers(incident, voxels)
    sums = BINNING.sums(showers.voxels)
    assert np.allclose(sums[sums > 0], layers[sums > 0])
    assert np.all((voxels == 0) | (voxels >= 0.99 * detector.SMALLEST))


def test_observables_by_hand():
    """Two voxels opposite each other: the centre between them by energy, the width as of two points."""
    binning = Binning("electron", (Layer("0", (0.0, 2.0, 4.0), 2), Layer("1", (0.0, 1.0), 1)))
    # angles -pi/2 and pi/2: eta 0, phi -1, -3, 1, 3
    voxels = np.array([[0, 30.0, 0, 10.0, 5.0], [0, 0, 0, 0, 0], [0, 0, 7.0, 0, 0]])
    found = observables(Showers(np.array([90.0, 10.0, 7.0]), voxels), binning)
    assert np.allclose(found.response[:, 0], [0.5, 0, 1])
    assert np.allclose(found.layers, [[40, 5], [0, 0], [7, 0]])
    assert np.allclose(found.phi[:, 0], [-1.5, 0, 1])
    assert np.allclose(found.eta[:, 0], 0)
    assert np.allclose(found.width_phi[:, 0], [np.sqrt(9 - 2.25), 0, 0])
    assert np.allclose(found.sparsity, [[0.5, 0], [1, 1], [0.75, 1]])


def test_separation_of_histograms_by_hand():
    """Equal: 0. Disjoint: 1. One that has half of its events where the other has all: 1/2 (0.25 / 1.5 + 0.5) = 1/3."""
    two = np.repeat([0.0, 1.0], 500)[:, None]
    assert metrics.separation(two, two, 1).value == 0
    assert metrics.separation(np.full((400, 1), 0.5), two, 1).value == 1
    assert metrics.separation(np.zeros((400, 1)), two, 1).value == pytest.approx(1 / 3)


@settings(max_examples=20)
@given(shift=st.floats(0, 2), seed=st.integers(0, 99))
def test_separation_of_normal_numbers(shift, seed):
    """Against the integral for two normal densities; finite samples add (bins - 1) / 4 (1 / n + 1 / m)."""
    rng, n = np.random.default_rng(seed), 20_000
    found = metrics.separation(rng.normal(shift, 1, (n, 1)), rng.normal(0, 1, (n, 1)), seed)
    x = np.linspace(-8, 10, 4001)
    p, q = (np.exp(-((x - m) ** 2) / 2) / np.sqrt(2 * np.pi) for m in (shift, 0))
    exact = 0.5 * ((p - q) ** 2 / (p + q)).sum() * (x[1] - x[0])
    floor = (metrics.BINS - 1) / 4 * 2 / n
    assert found.value == pytest.approx(exact + floor, abs=5 * found.error + 0.012 * exact + 1e-3)


def test_equal_and_different_showers_by_all_numbers_without_a_network():
    one, other = _some(3000, 1), _some(3000, 2)
    floor = (metrics.BINS - 1) / 4 * 2 / 3000
    same = metrics.separations(one, other, BINNING, 1)
    assert all(n.value < 2 * floor + 5 * n.error for n in same.values())
    hot = Showers(other.incident, other.voxels * np.where(np.arange(72) < 12, 3, 1))
    apart = metrics.separations(one, hot, BINNING, 1)
    assert apart["separation layer energies"].value > 5 * same["separation layer energies"].value
    assert apart["separation sparsity"].value < 2 * floor
    far = [metrics.distances(one, x, BINNING, 1) for x in (other, hot)]
    assert abs(far[0]["FPD"].value) < 5 * far[0]["FPD"].error
    assert far[1]["FPD"].value > 5 * far[1]["FPD"].error
    assert far[1]["KPD"].value > far[0]["KPD"].value


def test_too_few_showers_are_refused():
    with pytest.raises(SampleError, match="give 400 or more of 72 voxels"):
        metrics.compared(_some(300, 1), _some(500, 1), BINNING, 1)


@pytest.mark.needs_train
@pytest.mark.needs_onnx
def test_the_classifier_finds_what_is_there():
    """AUC of two normal numbers a shift s apart is Phi(s / sqrt 2); equal ones give 1/2."""
    from math import erf

    from trigger_ml.offline.showers.classifier import told_apart

    rng = np.random.default_rng(1)
    for shift in (0.0, 1.0):
        found = told_apart(rng.normal(shift, 1, (4000, 1)), rng.normal(0, 1, (4000, 1)), 1)
        assert found.value == pytest.approx((1 + erf(shift / 2)) / 2, abs=4 * found.error)
        assert found.error < 0.012


def test_gflash_profiles_are_the_published_ones():
    """T = ln y - 0.812 and alpha = 0.81 + (0.458 + 2.26 / Z) ln y on average; shares of rings add up to 1."""
    profile = gflash.profiles(np.full(100_000, 20_000.0), np.random.default_rng(6))
    y = np.log(2000)
    assert np.log(profile.deepest).mean() == pytest.approx(np.log(y - 0.812), abs=0.003)
    assert np.log(profile.alpha).mean() == pytest.approx(np.log(0.81 + (0.458 + 2.26 / 68) * y), abs=0.003)
    rho = np.corrcoef(np.log(profile.deepest), np.log(profile.alpha))[0, 1]
    assert rho == pytest.approx(0.705 - 0.023 * y, abs=0.01)
    rings = gflash.rings(np.linspace(0.1, 3, 20), np.full(20, 2e4), np.array([0, 0.1, 0.4, 1.5]))
    assert np.allclose(rings.sum(1), 1)
    assert np.all(rings > 0)
    assert np.all(np.diff(rings[:, 0]) < 0)


def test_gflash_showers_keep_their_energy_and_start_as_they_should():
    """What is not in the block is behind it or beside it; photons are deeper by their conversion."""
    pytest.importorskip("scipy", reason="needs the extra report")
    energy, rng = np.full(3000, 2e4), np.random.default_rng(7)
    electron, photon = (gflash.parametrised(energy, np.full(3000, kind), rng) for kind in (False, True))
    response = observables(electron, BINNING).response
    assert 0.85 < response.mean() < 1
    assert _depth(photon) - _depth(electron) == pytest.approx(9 / 7, abs=0.3)
    seen = observables(electron, BINNING)
    assert np.allclose(seen.width_eta.mean(0), seen.width_phi.mean(0), rtol=0.05)
