"""Binning files and HDF5 files of showers: what is written is read again, and what is wrong is said in one sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger_ml import cli
from trigger_ml.errors import SampleError, SpecError
from trigger_ml.offline import events
from trigger_ml.offline.metrics import Number
from trigger_ml.offline.showers import binning as binnings
from trigger_ml.offline.showers import detector, files, metrics
from trigger_ml.offline.showers.binning import Binning, Layer
from trigger_ml.offline.showers.detector import Showers
from trigger_ml.offline.sources import shower_voxels

# Counts and layout as the CaloChallenge's binning of photons, dataset 1: 368 voxels (arXiv:2410.21611).
PUBLIC = """<Bins>
   <Bin pid="22" etaMin="0" etaMax="130" name="photon">
      <Layer id="0" r_edges="0,5,10,30,50,100,200,400,600" n_bin_alpha="1" />
      <Layer id="1" r_edges="0,2,4,6,8,10,12,15,20,30,40,50,70,90,120,150,200" n_bin_alpha="10"/>
      <Layer id="2" r_edges="0,2,5,10,15,20,25,30,40,50,60,80,100,130,160,200,250,300,350,400" n_bin_alpha="10"/>
      <Layer id="3" r_edges="0,50,100,200,400,600" n_bin_alpha="1" />
      <Layer id="4" r_edges="0" n_bin_alpha="1" />
      <Layer id="12" r_edges="0,100,200,400,1000,2000" n_bin_alpha="1" />
   </Bin>
</Bins>
"""

edges = st.lists(st.integers(1, 9999), max_size=6, unique=True).map(lambda x: (0.0, *(i / 8 for i in sorted(x))))
layers = st.builds(Layer, st.integers(0, 99).map(str), edges, st.integers(1, 8))


@given(
    found=st.lists(layers, min_size=1, max_size=5, unique_by=lambda x: x.name).filter(
        lambda x: sum(layer.voxels for layer in x)
    )
)
def test_a_binning_is_read_as_it_was_written(found, tmp_path_factory):
    binning, path = Binning("electron", tuple(found)), tmp_path_factory.mktemp("xml") / "x.xml"
    binnings.write(path, binning)
    again = binnings.read(path)
    assert again == binning
    assert [cut.stop - cut.start for cut in again.slices] == [layer.voxels for layer in again.filled]


def test_a_binning_of_the_challenge(tmp_path):
    path = tmp_path / "binning.xml"
    path.write_text(PUBLIC)
    binning = binnings.read(path)
    assert (binning.particle, binning.voxels, len(binning.layers), len(binning.filled)) == ("photon", 368, 6, 5)
    eta, phi = binning.centres
    assert np.allclose(np.hypot(eta, phi)[8:24], [1, 3, 5, 7, 9, 11, 13.5, 17.5, 25, 35, 45, 60, 80, 105, 135, 175])
    assert np.allclose(np.arctan2(phi[8:24], eta[8:24]), -0.9 * np.pi)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("0,5,10", "0,10,5", "layer 0 has r_edges .* must rise"),
        ("0,5,10", "0,nan,10", "must rise"),
        ('id="3" r_edges="0,50,100,200,400,600"', 'id="3"', "KeyError"),
        ('n_bin_alpha="10"', 'n_bin_alpha="0"', "0 bins in alpha"),
        ('n_bin_alpha="10"', 'n_bin_alpha="1e3"', "ValueError"),
        ('n_bin_alpha="10"', 'n_bin_alpha="10000000"', "voxels: give 1 to"),
        ("</Bins>", "", "ParseError"),
        ("<Bins>", '<!DOCTYPE b [<!ENTITY a "b">]><Bins>', "document type"),
        ("Bin ", "Bun ", "ParseError"),
        ('id="12"', 'id="3"', "same id"),
        ("<Bins>", "<Bins>" + " " * binnings.LARGEST, "larger than"),
    ],
)
def test_a_bad_binning(tmp_path, old, new, sentence):
    path = tmp_path / "binning.xml"
    path.write_text(PUBLIC.replace(old, new))
    with pytest.raises(SampleError, match=rf"binning\.xml.*{sentence}"):
        binnings.read(path)


def test_the_particle_of_a_binning_with_several(tmp_path):
    path = tmp_path / "binning.xml"
    two = PUBLIC.replace("</Bins>", '<Bin name="pion"><Layer id="0" r_edges="0,1" n_bin_alpha="1"/></Bin></Bins>')
    path.write_text(two)
    assert binnings.read(path, "pion").voxels == 1
    with pytest.raises(SampleError, match="photon, pion: ask for one of them, not None"):
        binnings.read(path)
    with pytest.raises(SampleError, match="not electron"):
        binnings.read(path, "electron")


def _showers(count: int = 50) -> Showers:
    rng = np.random.default_rng(1)
    voxels = rng.gamma(0.3, 100, (count, 72)).astype(np.float32)
    return Showers(rng.uniform(5e3, 5e4, count).astype(np.float32), voxels)


def test_showers_are_read_as_they_were_written(tmp_path):
    binning, path, showers = detector.binning("photon"), tmp_path / "new" / "x.hdf5", _showers()
    files.write(path, showers, binning)
    first = path.read_bytes()
    assert files.binning_of(path, detector.binning("electron")) == binning
    again = files.read(path, binning)
    assert np.array_equal(again.voxels, showers.voxels)
    assert np.array_equal(again.incident, showers.incident)
    files.write(path, showers, binning)
    assert path.read_bytes() == first
    assert {p.name for p in path.parent.iterdir()} == {"x.hdf5", "x.xml"}
    import h5py

    with h5py.File(path) as file:
        assert {k: v.shape for k, v in file.items()} == {"incident_energies": (50, 1), "showers": (50, 72)}


def _broken(path, change):
    import h5py

    with h5py.File(path, "r+") as file:
        change(file)


def _replace(name, array):
    def change(file):
        del file[name]
        if array is not None:
            file[name] = array

    return change


def _holes(shape, chunks=None):
    def change(file):
        del file["showers"]
        data = file.create_dataset("showers", shape, np.float32, chunks=chunks)
        if chunks and shape[0] == 50:
            data[:40] = 1

    return change


def _put(name, index, value):
    def change(file):
        file[name][index] = value

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_replace("showers", None), "no dataset showers"),
        (_replace("incident_energies", None), "no dataset incident_energies"),
        (_replace("showers", np.ones((50, 71))), "71 voxels, the binning 72: .*x.xml"),
        (_replace("showers", np.ones((50, 72), np.int32)), "must be two-dimensional floats"),
        (_replace("showers", np.ones(50)), "must be two-dimensional floats"),
        (_replace("incident_energies", np.ones((49, 1))), r"must be \(50, 1\)"),
        (_replace("incident_energies", np.ones((50, 2))), r"must be \(50, 1\)"),
        (_holes((50, 72), chunks=(10, 72)), "never written"),
        (_holes((50, 72)), "never written"),
        (_holes((2**30, 72), chunks=(10, 72)), "split the file"),
        (_put("showers", (7, 3), np.nan), "voxels hold 1 values .* event 7"),
        (_put("showers", (7, 3), -1), "voxels hold 1 values .* event 7"),
        (_put("incident_energies", (4, 0), np.inf), "incident energies hold 1 .* event 4"),
        (_put("incident_energies", (4, 0), 0), "incident energies hold 1 .* event 4"),
    ],
)
def test_a_bad_file(tmp_path, change, sentence):
    path, binning = tmp_path / "x.hdf5", detector.binning("electron")
    files.write(path, _showers(), binning)
    _broken(path, change)
    with pytest.raises(SampleError, match=rf"x\.hdf5.*{sentence}"):
        files.read(path, binning)


@given(share=st.floats(0, 0.97))
def test_a_truncated_file(share, tmp_path_factory):
    path, binning = tmp_path_factory.mktemp("cut") / "x.hdf5", detector.binning("electron")
    files.write(path, _showers(), binning)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(SampleError, match=r"x\.hdf5 is not a whole HDF5 file"):
        files.read(path, binning)


def test_a_missing_file(tmp_path):
    with pytest.raises(SampleError, match="missing"):
        files.read(tmp_path / "x.hdf5", detector.binning("electron"))


def test_a_written_sample_is_a_source(tmp_path, capsys):
    """From the command line to a file to events; the seed alone decides."""
    pytest.importorskip("numba", reason="needs the extra offline")
    path, other = tmp_path / "x.hdf5", tmp_path / "y.hdf5"
    line = ["offline", "sample", "shower_voxels", "--events", "800", "--seed", "3", "--kind", "photon", "--out"]
    assert cli.main([*line, str(path)]) == 0
    assert cli.main([*line, str(other)]) == 0
    assert path.read_bytes() == other.read_bytes()
    parts = shower_voxels.read(path).parts(400, 1)
    assert parts.test.truth.shape == (400, 78)
    assert np.all(parts.test.reco[:, 1] == 1)
    with pytest.raises(SpecError, match="training and test need 802"):
        shower_voxels.read(path).parts(401, 1)
    with pytest.raises(SpecError, match="give 400 or more"):
        shower_voxels.read(path).parts(399, 1)
    assert cli.main([*line[:-1], "--out", str(path), "--kind", "pion"]) == 3
    assert "no kind 'pion'" in capsys.readouterr().err


def test_only_sources_that_can_write_do(tmp_path):
    with pytest.raises(SpecError, match="writes no files: those that do are shower_voxels, zjets"):
        events.write("gaussians", tmp_path / "x.hdf5", events.Wanted(10, 1))
    with pytest.raises(SpecError, match="one process: leave --workers out"):
        events.write("shower_voxels", tmp_path / "x.hdf5", events.Wanted(10, 1, workers=2))
    assert not list(tmp_path.iterdir())
    with pytest.raises(SpecError, match="no source 'showr'"):
        events.module("showr")


def test_files_that_are_compared_must_be_of_one_binning(tmp_path):
    one, other = tmp_path / "x.hdf5", tmp_path / "y.hdf5"
    files.write(one, _showers(), detector.binning("photon"))
    files.write(other, _showers(), detector.binning("electron"))
    with pytest.raises(SampleError, match="binning files that differ"):
        files.both(one, other)
    one.with_suffix(".xml").unlink()
    assert files.both(one, other)[2] == detector.binning("electron")


def test_the_numbers_of_two_files_from_the_command_line(tmp_path, capsys, monkeypatch):
    """Two samples of GFlash are alike, electrons among photons are not; no network is trained here."""
    pytest.importorskip("scipy", reason="needs the extra report")
    monkeypatch.setattr(metrics, "told_apart", lambda *_: Number(0.5, 0.01))
    for name, kind, seed in (("a", "gflash_photon", 1), ("b", "gflash_photon", 2), ("c", "gflash_electron", 3)):
        events.write("shower_voxels", tmp_path / f"{name}.hdf5", events.Wanted(2000, seed, kind))
    (tmp_path / "c.xml").write_bytes((tmp_path / "a.xml").read_bytes())
    found = []
    for name in ("b", "c"):
        line = ["offline", "showers", str(tmp_path / f"{name}.hdf5"), str(tmp_path / "a.hdf5"), "--json"]
        assert cli.main(line) == 0
        found.append({each["number"]: each["value"] for each in json.loads(capsys.readouterr().out)})
    assert set(found[0]) >= {"FPD", "KPD", "auc low level", "separation E_tot / E_inc", "separation voxel energies"}
    assert found[1]["FPD"] > 0.01 > abs(found[0]["FPD"])
    assert found[1]["separation layer energies"] > 2 * found[0]["separation layer energies"]
    assert cli.main(["offline", "showers", str(tmp_path / "a.hdf5"), str(tmp_path / "d.hdf5")]) == 3
    assert "missing" in capsys.readouterr().err


def test_a_file_of_another_binning_is_a_source_with_all_numbers(tmp_path, monkeypatch):
    """368 voxels of the challenge's photons, some layers without angles, energies far below ours."""
    pytest.importorskip("scipy", reason="needs the extra report")
    monkeypatch.setattr(metrics, "told_apart", lambda *_: Number(0.5, 0.01))
    path, rng = tmp_path / "x.hdf5", np.random.default_rng(4)
    path.with_suffix(".xml").write_text(PUBLIC)
    voxels = rng.gamma(0.2, 1.0, (900, 368)) * rng.uniform(0.1, 3, (900, 1))
    voxels[voxels < 0.02] = 0
    files.write(path, Showers(1.2 * voxels.sum(1) + 1, voxels), binnings.read(path.with_suffix(".xml")))
    source = shower_voxels.read(path)
    p = source.parts(450, 1)
    assert p.test.truth.shape == (450, 5 + 368)
    assert source.leading == 5
    shown = source.view(p.test.truth, p.test.reco)
    assert all(np.isfinite(values).all() for values in shown.values())
    assert np.median(shown["sparsity"]) == pytest.approx((voxels == 0).mean(), abs=0.03)
    found = source.measures(p.simulation.truth, p.test, p.simulation, 1)
    assert abs(found["FPD of truth"].value) < 5 * found["FPD of truth"].error
    assert not [name for name in found if "GFlash" in name]
