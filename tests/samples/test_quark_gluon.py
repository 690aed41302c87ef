"""The reality check of quark and gluon jets: the file as it is, definitions by hand, and the agreement itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trigger_ml.errors import SampleError
from trigger_ml.samples import quark_gluon
from trigger_ml.samples.detector import Particles
from trigger_ml.samples.jet_processes import Window


def test_width_by_hand() -> None:
    width = quark_gluon._width(
        np.array([30.0, 10.0, 5.0]), np.array([0.1, 0.2, 0.3]), np.array([0, 0, 2]), 3
    )  # fmt: skip
    np.testing.assert_allclose(width, [(3 + 2) / 40, np.nan, 0.3])


@pytest.mark.needs_pythia
def test_tracks_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quark_gluon, "TRACK_EFFICIENCY", 1.0)
    # A charged pion, a photon, a soft kaon and a neutrino of one jet; a second collision without a jet.
    pt, eta = np.array([400.0, 200.0, 0.7, 90.0, 3.0]), np.array([0.0, 0.1, 0.3, 0.0, 1.0])
    particles = Particles(
        np.array([4, 1]), np.array([211, 22, -321, 12, 211]), pt, np.zeros(5), pt * np.sinh(eta)
    )  # fmt: skip
    found = quark_gluon._tracked(particles, Window((0, 0), (500.0, 750.0), 2.1, False), 10, np.random.default_rng(1))
    assert found.event.tolist() == [10]
    assert {t: count.tolist() for t, count in found.multiplicity.items()} == {0.5: [2], 1.0: [1], 2.0: [1]}
    axis = np.arcsinh((pt[:3] * np.sinh(eta[:3])).sum() / pt[:3].sum())
    expected = (400 * axis + 0.7 * (0.3 - axis)) / 400.7
    assert found.width[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.needs_testdata
def test_the_file_holds_what_the_page_says() -> None:
    quarks, gluons = quark_gluon.read(quark_gluon.packaged())
    assert (len(quarks.pt), len(gluons.pt)) == (7916, 8461)
    multiplicity, width = quark_gluon._separations("file", quarks, gluons)
    assert multiplicity.auc == pytest.approx(0.818, abs=0.001)
    assert multiplicity.error == pytest.approx(0.0033, abs=0.0003)
    assert width.auc == pytest.approx(0.663, abs=0.001)


@pytest.mark.needs_testdata
def test_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="can't be read as uproot-issue96.root"):
        quark_gluon.read(quark_gluon.packaged().with_name("uproot-HZZ.root"))
    bad = tmp_path / "bad.root"
    bad.write_bytes(b"root" + bytes(100))
    with pytest.raises(SampleError, match="give that file"):
        quark_gluon.read(bad)
    with pytest.raises(SampleError, match="give that file"):
        quark_gluon.read(tmp_path / "missing.root")


@pytest.mark.slow
@pytest.mark.needs_testdata
@pytest.mark.needs_pythia
def test_our_pythia_separates_as_the_file_does() -> None:
    rows = quark_gluon.quark_gluon_check(600)
    for quantity, threshold in (("multiplicity", 0.5), ("width", 0.0)):
        difference, error = quark_gluon.shift(rows, quantity, threshold)
        assert 0 < error < 0.03
        assert abs(difference) < 3 * error + 0.01, quantity


def test_the_shift_by_hand() -> None:
    row = quark_gluon.Separation("file", "width", 0.0, (9, 9), (1.0, 2.0), 0.60, 0.03)
    ours = quark_gluon.Separation("pythia", "width", 0.0, (9, 9), (1.0, 2.0), 0.65, 0.04)
    assert quark_gluon.shift((row, ours), "width") == pytest.approx((0.05, 0.05))
    with pytest.raises(SampleError, match="no separation of multiplicity at 1 GeV"):
        quark_gluon.shift((row, ours), "multiplicity", 1.0)
