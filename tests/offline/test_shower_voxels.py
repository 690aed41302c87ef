"""The source of showers in voxels: events of the seed, of order one, their numbers beside those of truth and GFlash."""

from __future__ import annotations

import numpy as np
import pytest

from trigger_ml.offline.metrics import Number
from trigger_ml.offline.showers import metrics
from trigger_ml.offline.sources import shower_voxels


@pytest.fixture(scope="module")
def source():
    pytest.importorskip("numba", reason="needs the extra offline")
    return shower_voxels.source()


def test_events_are_those_of_the_seed_and_of_order_one(source):
    one, again = source.parts(800, 5), shower_voxels.source().parts(800, 5)
    assert np.array_equal(one.test.truth, again.test.truth)
    assert not np.array_equal(one.test.truth, one.simulation.truth)
    assert one.test.truth.shape == (800, 78)
    assert 0 < source.leading == 6
    assert np.all(np.abs(one.test.truth.mean(0)) < 0.3)
    assert np.all(np.abs(one.test.truth.std(0)[6:] - 1) < 0.5)
    assert set(np.unique(one.test.reco[:, 1])) == {0, 1}


def test_its_numbers_are_small_for_truth_and_large_for_nonsense(source, monkeypatch):
    monkeypatch.setattr(metrics, "told_apart", lambda *_: Number(0.5, 0.01))
    p = source.parts(800, 5)
    second = source.parts(800, 6).simulation
    wrong = second.truth[::-1]
    found = source.measures(wrong, p.test, p.simulation, 1)
    for name in ("FPD", "separation voxel energies", "wasserstein of layers", "KPD"):
        assert found[name].error > 0
        assert np.isfinite(found[f"{name} of truth"].value)
    assert found["auc low level of GFlash"] == Number(0.5, 0.01)
    assert found["FPD"].value > 5 * abs(found["FPD of truth"].value)
    assert (
        found["correlation, depth and log energy"].value
        < 0.2
        < found["correlation, depth and log energy in truth"].value
    )
    perfect = source.measures(p.test.truth, p.test, p.simulation, 1)
    assert perfect["separation sparsity"].value == perfect["wasserstein of layers"].value == 0
    assert perfect["largest relative error of a layer's width"].value == 0
    assert abs(perfect["FPD"].value) < 5 * perfect["FPD"].error


def test_what_plots_show_is_in_its_unit(source):
    p = source.parts(800, 5)
    shown = source.view(p.test.truth, p.test.reco)
    assert 0.9 < np.median(shown["E_tot / E_inc"]) < 1
    assert shown["log10 E / MeV in layer 2"].max() < np.log10(50e3)
    assert all(len(values) == 800 and np.isfinite(values).all() for values in shown.values())


def test_the_simulator_is_timed(source):
    assert 1 < source.micros() < 1e5
