"""Z+jet pairs: their shapes against plain sums, whole files against interruptions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger_ml import artifact, cli
from trigger_ml.errors import SampleError
from trigger_ml.offline import omnifold_files
from trigger_ml.offline.metrics import triangular
from trigger_ml.offline.sources import zjets, zjets_acceptance
from trigger_ml.samples import jet_pairs, jet_pairs_maker
from trigger_ml.samples.jet_pairs_maker import KEPT_BITS, Settings, make, shortened


@given(st.floats(2.0**-90, 2.0**90, width=32), st.integers(4, 23))
def test_shortened_values_are_near_and_stay(value, bits):
    array = np.array([value, -value, 0], np.float32)
    found = shortened(array, bits)
    assert np.all(np.abs(found - array) <= np.abs(array) * 2.0 ** -(bits + 1))
    assert np.array_equal(shortened(found, bits), found)
    assert bits < 23 or np.array_equal(found, array)
    assert np.all(found.view(np.int32) % 2 ** (23 - bits) == 0)


def leading(prongs: list[tuple[float, float, float]]) -> jet_pairs.Leading:
    constituents = np.zeros((1, 160, 3), np.float32)
    constituents[0, : len(prongs)] = prongs
    pt = sum(p for p, _, _ in prongs)
    return jet_pairs.Leading(
        np.zeros(1, np.int64), np.array([[pt, 0.1, 0.2, 9.0]]), constituents, np.array([len(prongs)])
    )


@pytest.mark.needs_pythia
def test_shapes_of_jets_that_can_be_reckoned_by_hand():
    """Two prongs, the softer with a share z: width 2 z (1 - z) theta, mass 2 pT sqrt(z (1 - z)) sinh(theta / 2)."""
    theta, soft = 0.2, 0.3
    found = jet_pairs.shapes(leading([(70.0, -soft * theta, 0.0), (30.0, (1 - soft) * theta, 0.0)]))
    assert found["widths"][0] == pytest.approx(2 * soft * (1 - soft) * theta / 0.4, rel=1e-5)
    assert found["sdms"][0] == pytest.approx(2 * 100 * np.sqrt(0.21) * np.sinh(theta / 2), rel=1e-4)
    assert found["zgs"][0] == pytest.approx(soft, rel=1e-5)
    assert found["tau2s"][0] == 0
    assert found["mults"][0] == 2
    lone = jet_pairs.shapes(leading([(95.0, -0.01, 0.0), (5.0, 0.19, 0.0)]))  # below the cut
    assert lone["sdms"][0] == lone["zgs"][0] == 0
    three = jet_pairs.shapes(leading([(60.0, -0.1, 0.0), (30.0, 0.1, 0.0), (10.0, 0.1, 0.05)]))
    assert three["tau2s"][0] == pytest.approx(0.1 * 0.05 / 0.4, rel=1e-4)


@pytest.mark.needs_pythia
def test_files_are_those_of_the_seed_whatever_happened(tmp_path, monkeypatch):
    monkeypatch.setattr(jet_pairs_maker, "CHUNK", 20)
    make(Settings(40, 5), tmp_path / "whole")
    real, calls = jet_pairs.make_pairs, []

    def stopped(prior, collisions, seed):
        calls.append(prior)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(prior, collisions, seed)

    monkeypatch.setattr(jet_pairs, "make_pairs", stopped)
    with pytest.raises(KeyboardInterrupt):
        make(Settings(40, 5), tmp_path / "stopped")
    assert not (tmp_path / "stopped" / "data.npz").exists()
    make(Settings(40, 5), tmp_path / "stopped")
    assert len(calls) == 5
    for prior in jet_pairs.PRIORS:
        whole, again = (tmp_path / kind / f"{prior}.npz" for kind in ("whole", "stopped"))
        assert whole.read_bytes() == again.read_bytes()
    make(Settings(20, 5), tmp_path / "stopped")
    assert len(calls) == 5
    small, large = (artifact.read_npz(tmp_path / kind / "data.npz") for kind in ("stopped", "whole"))
    assert all(np.array_equal(small[key], large[key][: len(small[key])]) for key in large)
    simulation, data = omnifold_files.read(tmp_path / "whole")
    assert 10 < len(data) <= 40
    assert not np.array_equal(simulation.gen.jets[:5], data.gen.jets[:5])
    response = data.sim.jets[:, 0] / data.gen.jets[:, 0]
    assert np.median(response) == pytest.approx(1, abs=0.05)
    assert set(KEPT_BITS) == {key[4:] for key in large}


@pytest.mark.needs_pythia
def test_the_verb(tmp_path, capsys):
    asked = ["offline", "sample", "zjets", "--out", str(tmp_path), "--seed", "3", "--json"]
    assert cli.main([*asked, "--events", "20", "--workers", "2"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {prior: Path(path).parent for prior, path in found.items()} == dict.fromkeys(jet_pairs.PRIORS, tmp_path)
    simulation, data = omnifold_files.read(tmp_path)
    assert 0 < len(simulation) <= 20
    assert 0 < len(data) <= 20


def test_a_number_of_collisions_that_is_no_chunks_is_refused(tmp_path, capsys):
    assert cli.main(["offline", "sample", "zjets", "--out", str(tmp_path / "made"), "--events", "2001"]) == 3
    assert "2001 collisions with seed 1 can't be made: give fewer than 2000 or a multiple" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("settings", [Settings(0, 1), Settings(2001, 1), Settings(2000, -1)])
def test_impossible_settings(settings, tmp_path):
    with pytest.raises(SampleError, match="can't be made"):
        make(settings, tmp_path)


@pytest.mark.slow
@pytest.mark.needs_pythia
def test_the_shipped_files_are_those_of_the_maker(tmp_path):
    for prior, path in make(Settings(2000, 1), tmp_path).items():
        made, shipped = artifact.read_npz(path), artifact.read_npz(zjets.SHIPPED / f"{prior}.npz")
        assert all(np.array_equal(array, shipped[key][: len(array)]) for key, array in made.items())


def test_the_shipped_pairs_are_two_priors_through_one_detector():
    """Apart by far more than two samples of one prior, and the two halves of one are not."""
    assert sum(file.stat().st_size for file in zjets.SHIPPED.iterdir()) < 5e6
    simulation, data = omnifold_files.read(zjets.SHIPPED)
    assert (len(simulation), len(data)) == (16_943, 16_837)
    p = zjets.source().parts(8000, 1)
    ones = np.ones(8000)
    floor = triangular(p.data.truth, ones, p.test_data.truth)
    assert triangular(p.test.truth, ones, p.test_data.truth) > 5 * floor
    assert triangular(p.test_data.reco, ones, p.test_data.truth) > 5 * floor
    spreads = []
    for pairs in (simulation, data):
        response = pairs.sim.jets[:, 0] / pairs.gen.jets[:, 0]
        spreads.append(np.subtract(*np.quantile(response, [0.84, 0.16])) / 2)
        assert np.median(response) == pytest.approx(0.995, abs=0.003)
        assert spreads[-1] == pytest.approx(0.026, abs=0.003)
    assert spreads[0] == pytest.approx(spreads[1], rel=0.06)


def test_losses_and_fakes_of_the_shipped_pairs():
    measured, counts = zjets_acceptance.source().parts(8000, 1).test.masks
    assert (counts & ~measured).sum() / counts.sum() == pytest.approx(0.27, abs=0.03)
    assert (measured & ~counts).sum() / measured.sum() == pytest.approx(0.08, abs=0.02)
