from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.physics.sample import sample, scores
from trigger_ml.errors import SampleError
from trigger_ml.fixed import Fixed
from trigger_ml.physics import baselines
from trigger_ml.physics.evaluate import evaluate
from trigger_ml.physics.intervals import Estimate
from trigger_ml.spec import Physics

pytest.importorskip("scipy", reason="intervals need scipy")

PHYSICS = Physics(rate_khz=100.0, fpr=(1e-3, 1e-2), bootstrap=20)
FORMAT = Fixed(False, 12, 6)


@pytest.fixture(scope="module")
def events():
    return sample()


@pytest.fixture(scope="module")
def result(events):
    quantized, floating = scores(events)
    return evaluate(events, quantized, floating, PHYSICS, seed=1, score_format=FORMAT, threshold=700)


def test_points_and_measures_are_complete(result):
    names = ["rate_100_khz", "fpr_0.001", "fpr_0.01"]
    assert [p.name for p in result.quantized.points] == [*names, "firmware"]
    assert [p.name for p in result.floating.points] == names
    assert [b.name for b in result.baselines] == [
        "objects", "leptons", "ht", "met", "leading_pt", "objects_ht", "leptons_pt"
    ]  # fmt: skip
    for score in (result.quantized, result.floating, *result.baselines):
        assert set(score.signals) == set(result.signal_events)
        for point in score.points:
            assert point.rate_khz.low <= point.rate_khz.value <= point.rate_khz.high
            assert point.target is None or point.fpr.value <= point.target
        for measures in score.signals.values():
            assert all(0 <= e.low <= e.value <= e.high <= 1 for e in measures.tpr.values())


def test_thresholds_count_as_the_scores_do(events, result):
    quantized, _ = scores(events)
    for point in result.quantized.points:
        assert np.count_nonzero(quantized["background"]["test"] >= point.threshold) == point.events
        for name, measures in result.quantized.signals.items():
            kept = np.count_nonzero(quantized[name]["test"] >= point.threshold)
            assert measures.tpr[point.name].value == kept / result.signal_events[name]


def test_curves_rise(result):
    for score in (result.quantized, result.floating, *result.baselines):
        assert list(score.curve.fpr) == sorted(set(score.curve.fpr))
        for values in score.curve.tpr.values():
            assert list(values) == sorted(values)


def test_histogram_and_turn_ons_hold_every_event(result):
    assert sum(result.histogram.counts["background"]) == result.background_events
    for curve in result.turn_ons:
        assert sum(curve.total) == result.signal_events[curve.process]
        kept = result.quantized.signals[curve.process].tpr[result.working_point].value
        assert sum(curve.passed) == round(kept * sum(curve.total))


def test_a_score_against_itself_shifts_nothing(events):
    quantized, _ = scores(events)
    same = {p: {"test": s["test"] * 2.0**-FORMAT.frac} for p, s in quantized.items()}
    found = evaluate(events, quantized, same, PHYSICS, seed=1, score_format=FORMAT)
    assert all(e.value == 0 == e.high for e in found.auc_shift.values())
    assert all(e.value == 0 == e.high for by_point in found.tpr_shift.values() for e in by_point.values())
    assert found.rate_shift_khz.value == 0
    assert set(found.rank_correlation.values()) == {1.0}


def test_the_order_of_events_means_nothing(events, result):
    order = np.random.default_rng(0).permutation(result.background_events)
    background = dataclasses.replace(events.background, test=events.background.test[order])
    shuffled = dataclasses.replace(events, background=background, source=events.source[order])
    quantized, floating = scores(events)
    for s in (quantized, floating):
        s["background"] = {"test": s["background"]["test"][order]}
    found = evaluate(shuffled, quantized, floating, PHYSICS, seed=1, score_format=FORMAT, threshold=700)
    assert [(p.threshold, p.events) for p in found.quantized.points] == [
        (p.threshold, p.events) for p in result.quantized.points
    ]
    assert found.turn_ons == result.turn_ons
    assert {n: m.auc.value for n, m in found.quantized.signals.items()} == {
        n: m.auc.value for n, m in result.quantized.signals.items()
    }


def test_samples_without_rates_quote_none():
    events = sample(2_000, 500, gives_rates=False)
    found = evaluate(events, *scores(events), PHYSICS, seed=1, score_format=FORMAT)
    assert found.working_point == "fpr_0.01"
    assert found.rate_shift_khz is None
    assert all(p.rate_khz is None for s in (found.quantized, *found.baselines) for p in s.points)


def test_a_constant_score_selects_nothing_and_ranks_nothing(events):
    quantized, floating = scores(events)
    constant = {process: {"test": np.full((len(s["test"]), 1), 7)} for process, s in quantized.items()}
    found = evaluate(events, constant, floating, PHYSICS, seed=1, score_format=Fixed(False, 3, 0))
    assert {m.auc for m in found.quantized.signals.values()} == {Estimate(0.5, 0.5, 0.5)}
    assert {(p.threshold, p.events) for p in found.quantized.points} == {(8, 0)}
    assert found.rank_correlation["all"] == 0
    assert found.quality.values_above == 0
    assert found.quality.saturated["background"] == 1


def test_saturation_is_counted(events):
    quantized, floating = scores(events)
    found = evaluate(events, quantized, floating, PHYSICS, seed=1, score_format=Fixed(False, 9, 6))
    share = np.mean(quantized["A_to_4l"]["test"] >= 511)
    assert found.quality.saturated["A_to_4l"] == share > 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda q, f: q.pop("A_to_4l"), "no quantized scores of the test part of A_to_4l: compute"),
        (
            lambda q, f: q.update(A_to_4l={"test": np.arange(3)}),
            "3 quantized scores for 2000 test events of A_to_4l: give",
        ),
        (
            lambda q, f: f["background"]["test"].__setitem__(5, np.nan),
            "1 float scores of background are not finite: the float",
        ),
    ],
)
def test_bad_scores_are_refused(events, change, sentence):
    quantized, floating = scores(events)
    change(quantized, floating)
    with pytest.raises(SampleError, match=sentence):
        evaluate(events, quantized, floating, PHYSICS, seed=1)


def test_baselines_by_hand(events):
    x = np.zeros((1, 57), np.int16)
    x[0, [0, 3, 6, 15, 27, 30]] = [50, 30, 20, 44, 90, 60]
    found = {name: int(values[0]) for name, values in baselines.scores(events, x).items()}
    assert found == {
        "objects": 5,
        "leptons": 3,
        "ht": 150,
        "met": 50,
        "leading_pt": 90,
        "objects_ht": (5 << 24) + 150,
        "leptons_pt": (3 << 24) + 44,
    }


def test_momenta_of_different_units_are_brought_to_the_finest(events):
    coarse = tuple(
        dataclasses.replace(f, lsb=1.0) if f.kind == "mu" and f.quantity == "pt" else f for f in events.features
    )
    x = np.zeros((1, 57), np.int16)
    x[0, 15] = 7
    assert baselines.variables(dataclasses.replace(events, features=coarse), x)["lepton_pt"].tolist() == [14]
