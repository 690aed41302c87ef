"""OmniFold's layout: read as it was written, refused in one sentence that says where."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.offline import jet_pair_files
from trigger_ml.artifact import write_npz
from trigger_ml.errors import SpecError
from trigger_ml.offline import omnifold_files
from trigger_ml.offline.sources import zjets, zjets_acceptance


def test_files_are_joined_in_their_order(tmp_path):
    simulation, data = omnifold_files.read(jet_pair_files.folder(tmp_path))
    parts = [jet_pair_files.arrays(200, seed, 1.2) for seed in (2, 3)]
    assert len(simulation) == len(data) == 400
    for level, name in ((data.gen, "gen"), (data.sim, "sim")):
        for key in ("jets", *omnifold_files.LIMITS):
            assert np.array_equal(getattr(level, key), np.concatenate([p[f"{name}_{key}"] for p in parts]))


def _spoiled(change):
    arrays = jet_pair_files.arrays(50, 1)
    change(arrays)
    return arrays


def _set(key, where, value):
    def change(arrays):
        arrays[key] = arrays[key].astype(float)
        arrays[key][where] = value

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda a: a.pop("sim_zgs"), "has no array sim_zgs"),
        (lambda a: a.update(gen_mults=a["gen_mults"][:49]), "gen_jets has 50 pairs, gen_mults has 49"),
        (_set("gen_widths", 7, np.nan), "gen_widths of pair 7 is nan"),
        (_set("sim_jets", (9, 3), np.inf), "sim_jets of pair 9 is inf"),
        (_set("sim_jets", (3, 0), 0), "sim_jets of pair 3 is 0"),
        (_set("gen_zgs", 4, 0.6), r"gen_zgs of pair 4 is 0\.6"),
        (_set("sim_mults", 2, 0), "sim_mults of pair 2 is 0"),
        (lambda a: a.update(gen_jets=a["gen_jets"][:, :3]), r"gen_jets is float64 of shape \(50, 3\)"),
        (lambda a: a.update(gen_zgs=np.array(["a"] * 50)), "gen_zgs is <U1 of shape"),
    ],
)
def test_refused(change, sentence, tmp_path):
    jet_pair_files.folder(tmp_path)
    write_npz(tmp_path / "simulation.npz", _spoiled(change))
    with pytest.raises(SpecError, match=sentence) as caught:
        zjets.read(tmp_path)
    assert "simulation.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_truncated_files_are_refused(share, tmp_path):
    jet_pair_files.folder(tmp_path)
    content = (tmp_path / "data_0.npz").read_bytes()
    (tmp_path / "data_0.npz").write_bytes(content[: int(share * len(content))])
    with pytest.raises(SpecError, match=r"data_0\.npz can't be read"):
        zjets.read(tmp_path)


def test_python_objects_and_missing_files_are_refused(tmp_path):
    with pytest.raises(SpecError, match="has no simulation"):
        zjets.read(tmp_path)
    np.savez(tmp_path / "simulation.npz", gen_jets=np.array([{}, None], object))
    with pytest.raises(SpecError, match="can't be read"):
        zjets.read(tmp_path)


@pytest.mark.parametrize("source", [zjets, zjets_acceptance])
def test_events_are_of_order_one_and_enough_or_refused(source, tmp_path):
    made = source.read(jet_pair_files.folder(tmp_path))
    p = made.parts(200, 1)
    both = np.concatenate([p.simulation.truth, p.test.truth])
    assert both.shape == (400, 6)
    assert np.all(np.abs(both.mean(0)) < 0.1)
    assert np.all(np.abs(both.std(0) - 1) < 0.1)
    assert p.data.truth[:, 0].mean() > 0.2  # more radiation
    with pytest.raises(SpecError, match="set events, of .sample. or with --full of .full., to at most 200"):
        made.parts(201, 1)


def test_the_view_gives_what_the_file_holds(tmp_path):
    made = zjets.read(jet_pair_files.folder(tmp_path))
    simulation, _ = omnifold_files.read(tmp_path)
    events = zjets.events(simulation, zjets.scale_of(simulation), 0)
    shown = made.view(events.truth, events.reco)
    gen = simulation.gen
    assert np.array_equal(np.rint(shown["multiplicity"]), gen.mults)
    assert np.allclose(shown["mass [GeV]"], gen.jets[:, 3], rtol=1e-4)
    assert np.allclose(shown["width"], gen.widths, rtol=1e-4)
    assert np.allclose(shown["z_g"], gen.zgs, atol=1e-5)
    assert np.allclose(shown["tau_21"], gen.tau2s / gen.widths, atol=1e-5)
    dropped = gen.sdms == 0
    failed = gen.zgs == 0
    assert failed.any()
    assert np.array_equal(shown["z_g"] == 0, failed)
    assert np.allclose(shown["ln rho"][dropped], zjets.SMALLEST, atol=1e-4)
    assert np.allclose(shown["ln rho"][~dropped], 2 * np.log((gen.sdms / gen.jets[:, 0])[~dropped]), atol=1e-4)


@given(st.integers(0, 2**20))
def test_flags_follow_from_the_jets(seed):
    arrays = jet_pair_files.arrays(60, seed)
    levels = [
        omnifold_files.Level(**{key: arrays[f"{name}_{key}"] for key in ("jets", *omnifold_files.LIMITS)})
        for name in ("gen", "sim")
    ]
    pairs = omnifold_files.JetPairs(*levels)
    found = zjets_acceptance.flagged(pairs, zjets.events(pairs, zjets.scale_of(pairs), 0))
    for i, (measured, counts) in enumerate(zip(*found.masks, strict=True)):
        pt, y = arrays["sim_jets"][i, :2]
        assert measured == (pt > 190 and abs(y) < 1.4)
        assert counts == (arrays["gen_jets"][i, 0] > 200)
