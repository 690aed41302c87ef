"""The study of pileup: its comparisons on objects worked by hand, and a small one from end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trigger_ml.physics.intervals import binomial
from trigger_ml.samples import closure
from trigger_ml.samples.closure import Point
from trigger_ml.samples.crossing import Crossings
from trigger_ml.samples.detector import Leptons
from trigger_ml.samples.processes import BACKGROUND

pytest.importorskip("scipy")


def leptons(*rows: tuple[int, float, float, float]) -> Leptons:
    event, pt, eta, phi = (np.array(column) for column in zip(*rows, strict=True))
    return Leptons(event.astype(np.int64), *(v.astype(np.float32) for v in (pt, eta, phi)))


def test_true_objects_worked_by_hand() -> None:
    true = leptons((0, 12, 0.5, 3.1), (0, 18, -1.0, 0.0), (1, 25, 0.0, 1.0), (1, 15, 2.0, 1.0), (1, 39, 0.0, 2.0))
    found = np.zeros((2, 3, 3))
    found[0, 0] = (9, 0.6, -3.1)  # across phi = pi: 0.13 away
    found[0, 1] = (36, -1.0, 0.4)  # too far
    found[1, 0] = (50, 0.1, 1.0)
    found[1, 1] = (20, 0.0, 1.05)  # nearer than the harder one
    low, high = closure.compare(true, found, (10, 20, 40), 0.2)
    assert (low.low, low.high, high.high) == (10, 20, 40)
    assert (low.found.value, high.found.value) == (1 / 3, 1 / 2)
    assert (low.found.low, low.found.high) == tuple(float(end) for end in binomial(1, 3))
    assert np.isnan(high.response.value), "fewer than ten"


def test_response_of_many() -> None:
    """Ratios that are spread evenly from 0.5 to 1.5: median 1, central 68 % from 0.66 to 1.34."""
    count = 20_000
    true = Leptons(np.arange(count), *(np.full(count, v, np.float32) for v in (20, 0.1, 0.2)))
    found = np.zeros((count, 2, 3))
    found[:, 1] = (0, 0.1, 0.2)
    found[:, 1, 0] = 20 * np.linspace(0.5, 1.5, count)
    (only,) = closure.compare(true, found, (10, 30), 0.1)
    assert only.found.value == 1
    assert only.response.value == pytest.approx(1, abs=1e-3)
    assert only.width.value == pytest.approx(0.34, abs=1e-3)
    # Errors of quantiles of a uniform distribution: sqrt(p (1 - p) / n).
    assert only.response.high - only.response.value == pytest.approx(0.5 / np.sqrt(count), rel=0.3)
    assert only.width.high - only.width.value == pytest.approx(np.sqrt(2 * 0.16 * 0.68 / count) / 2, rel=0.3)


def test_an_empty_slot_is_no_match() -> None:
    true = leptons((0, 15, 0.0, 0.0))
    (only,) = closure.compare(true, np.zeros((1, 4, 3)), (10, 20), 0.5)
    assert only.found.value == 0


def test_isolated_electrons() -> None:
    true = leptons((0, 9, 0.0, 0.0), (0, 8, 0.3, 0.0), (0, 7, 0.0, 1.0), (1, 9, 0.0, 0.1), (2, 9, 2.5, 0.0))
    kept = closure.isolated_electrons(true)
    assert kept.pt.tolist() == [7, 9]
    assert kept.event.tolist() == [0, 1]


def test_jets_that_are_mostly_an_electron() -> None:
    jets = leptons((0, 30, 0.0, 0.0), (0, 40, 1.0, 0.0), (1, 30, 0.0, 0.0), (1, 50, 1.0, 1.0))
    electrons = leptons((0, 16, 0.1, 0.1), (0, 19, 1.0, 0.1), (1, 29, 0.0, 0.5))
    assert closure._mostly(jets, electrons).tolist() == [True, False, False, False]


def test_means() -> None:
    objects = np.zeros((4, 19, 3))
    objects[:, 0, 0] = (10, 20, 30, 40)
    objects[:2, 9:11, 0] = (25, 15)
    regions = np.zeros((4, 18, 14), np.uint16)
    regions[0] = 4
    made = closure.summary([Crossings(objects[i], regions[i], np.zeros(2, bool), np.zeros(2, int))
                            for i in (slice(2), slice(2, 4))])  # fmt: skip
    assert made["met"].value == 25
    assert made["met"].high - made["met"].value == pytest.approx(np.std((10, 20, 30, 40), ddof=1) / 2)
    assert (made["ht"].value, made["jet"].value, made["eg"].value) == (20, 1, 0)
    assert (made["region"].value, made["occupancy"].value) == (0.5, 0.25)


@pytest.mark.needs_pythia
def test_a_small_study(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from bench import pileup

    points = (Point(0), Point(8), Point(8, False))
    told: list[str] = []
    monkeypatch.setattr(closure, "PROCESSES", (BACKGROUND, closure.JETS, closure.ELECTRONS))
    made = closure.study(12, 3, points, 60, told.append)
    assert told == [BACKGROUND, closure.JETS, closure.ELECTRONS]
    assert all(v.value == 0 for v in made.means[BACKGROUND, points[0]].values()), "no collision, nothing seen"
    for process in closure.PROCESSES:
        none, subtracted, plain = (made.means[process, point] for point in points)
        for name in ("met", "mu", "region", "occupancy"):
            assert subtracted[name] == plain[name], "the same crossings"
        assert none["occupancy"].value < plain["occupancy"].value
        assert subtracted["ht"].value <= plain["ht"].value
        assert plain["eg"].value <= subtracted["eg"].value
    monkeypatch.setattr(pileup, "POINTS", points)
    monkeypatch.setattr(pileup, "PROCESSES", closure.PROCESSES)
    monkeypatch.setattr(pileup, "COLOURS", dict.fromkeys((0, 8), "black"))
    assert len(pileup.means(made).splitlines()) == 2 + 3 * 3 - 1
    assert len(pileup.bins(dict(made.jets), True).splitlines()) == 2 + len(closure.JET_EDGES) - 1
    pileup.draw(made, tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 10_000
