from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.physics.sample import sample, scores
from tests.report.example import rates
from trigger_ml.errors import ArtifactError
from trigger_ml.fixed import Fixed
from trigger_ml.physics import rate_table
from trigger_ml.physics.evaluate import evaluate
from trigger_ml.physics.menu_rates import Fired
from trigger_ml.physics.rate_points import Base, in_pileup_bins, rate_curve, shifts, working_points
from trigger_ml.physics.rates import crossings_khz
from trigger_ml.spec import Physics
from trigger_ml.workspace import as_json

pytest.importorskip("scipy", reason="intervals need scipy")

BUNCHES = 2760
INTS = arrays(np.int64, st.integers(1, 80), elements=st.integers(-20, 20))


def by_process(events):
    return [{p: s["test"] for p, s in kind.items()} for kind in scores(events)]


def test_points_and_shifts_are_those_of_the_report():
    """The same events through both ways give the same numbers."""
    events = sample(8_000, 800)
    quantized, floating = by_process(events)
    physics = Physics(rate_khz=100.0, bootstrap=20)
    theirs = evaluate(events, *scores(events), physics, seed=1, score_format=Fixed(False, 12, 6))
    ours = {p: s for p, s in quantized.items() if p != "background"}
    (point,) = working_points(quantized["background"], events.source, ours, [100.0], BUNCHES)
    assert point.point == theirs.quantized.point("rate_100_khz")
    assert point.tpr == {n: m.tpr["rate_100_khz"] for n, m in theirs.quantized.signals.items()}
    found = shifts(quantized, floating, events.source, [100.0], BUNCHES, 6, resamplings=50, seed=1)[0]
    assert found.rate_khz == theirs.rate_shift_khz
    for name, shift in found.tpr.items():
        assert shift.value == pytest.approx(theirs.tpr_shift[name]["rate_100_khz"].value)
        assert shift.high > shift.value


@given(INTS, st.integers(1, 9))
def test_the_curve_rises_as_the_threshold_falls(background, sources):
    curve = rate_curve(background, np.arange(len(background)) % sources, BUNCHES)
    assert list(curve.threshold) == sorted(set(curve.threshold), reverse=True)
    assert list(curve.events) == sorted(set(curve.events))
    assert curve.events[-1] == len(background)
    for t, k, low, khz, high in zip(curve.threshold, curve.events, curve.low, curve.khz, curve.high, strict=True):
        assert k == (background >= t).sum()
        assert khz == pytest.approx(k / len(background) * crossings_khz(BUNCHES))
        assert low <= khz <= high


def test_gain_counts_what_the_menu_loses():
    events = sample(4_000, 500)
    quantized, _ = by_process(events)
    ours = {p: s for p, s in quantized.items() if p != "background"}
    fired = Fired.of(events.background.test[:, :1] > 100, events.source)
    for kept in (0, 1):
        base = Base(fired, [1], {p: np.full(len(s), bool(kept)) for p, s in ours.items()})
        for point in working_points(quantized["background"], events.source, ours, [200.0], BUNCHES, base=base):
            for name, gain in point.gain.items():
                assert gain.value == (0 if kept else point.tpr[name].value)


def test_bins_of_pileup_by_hand():
    pileup = np.repeat([10.0, 30.0, 50.0], 100)
    keeps = np.concatenate([np.arange(100) < n for n in (1, 4, 16)])
    sources = np.arange(300)
    signal = (np.array([10.0, 30.0, 30.0]), np.array([True, True, False]))
    found = in_pileup_bins([0, 20, 40, 60], (pileup, keeps, sources), {"s": signal}, BUNCHES)
    assert [b.rate_khz.value / crossings_khz(BUNCHES) for b in found] == pytest.approx([0.01, 0.04, 0.16])
    assert [b.tpr["s"].value for b in found] == [1, 0.5, 0]
    assert [b.events for b in found] == [100, 100, 100]
    assert (found[2].tpr["s"].low, found[2].tpr["s"].high) == (0, 1)
    together = in_pileup_bins([0, 60], (pileup, keeps, sources // 300), {}, BUNCHES)[0]
    assert together.rate_khz.value == pytest.approx(sum(b.rate_khz.value for b in found) / 3)
    assert together.rate_khz.high > in_pileup_bins([0, 60], (pileup, keeps, sources), {}, BUNCHES)[0].rate_khz.high
    none = np.zeros(300, bool)
    shared, alone = (in_pileup_bins([0, 60], (pileup, none, s), {}, BUNCHES)[0] for s in (sources // 10, sources))
    assert shared.rate_khz.high > 9 * alone.rate_khz.high


def test_a_table_goes_through_json_and_back():
    table = rates(2_000, 300)
    for made in (table, dataclasses.replace(table, menu=None, shifts=(), elsewhere=(), pair=None)):
        assert rate_table.read(as_json(made)) == made
    spoiled = as_json(table)
    spoiled["points"][0]["colour"] = "red"
    with pytest.raises(ArtifactError, match=r"rates.json is damaged \(unknown key colour\): run"):
        rate_table.read(spoiled)
