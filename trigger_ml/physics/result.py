"""What the physics evaluation found: frozen values that turn into JSON and back into figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trigger_ml.physics.classes import Classes
from trigger_ml.physics.efficiency import TurnOn
from trigger_ml.physics.intervals import Estimate
from trigger_ml.physics.roc import Point
from trigger_ml.physics.tagging import Tagging

FEWEST = 10
"""A working point with fewer background events behind it is marked: its threshold is hardly known."""


@dataclass(frozen=True)
class SignalMeasures:
    """One score on one signal.

    Attributes:
        auc: area under the ROC curve, DeLong error.
        tpr: working point's name -> efficiency.
        tagging: accuracy and rejections; None for samples that give rates, where efficiencies at a rate say more.
    """

    auc: Estimate
    tpr: Mapping[str, Estimate]
    tagging: Tagging | None = None


@dataclass(frozen=True)
class Curve:
    """Efficiencies along the false positive rate, one entry a threshold.

    Attributes:
        fpr: false positive rate, rising.
        fpr_low: lower end of its interval.
        fpr_high: upper end.
        tpr: signal -> efficiency.
        tpr_low: signal -> lower end of its binomial interval.
        tpr_high: signal -> upper end.
    """

    fpr: tuple[float, ...]
    fpr_low: tuple[float, ...]
    fpr_high: tuple[float, ...]
    tpr: Mapping[str, tuple[float, ...]]
    tpr_low: Mapping[str, tuple[float, ...]]
    tpr_high: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class ScoreResult:
    """One score: the network's, its float twin's or a baseline.

    Attributes:
        name: ``quantized``, ``float`` or a key of ``baselines.LABELS``.
        label: for people.
        points: its working points.
        signals: what it does to each signal.
        curve: the ROC curves.
    """

    name: str
    label: str
    points: tuple[Point, ...]
    signals: Mapping[str, SignalMeasures]
    curve: Curve

    def point(self, name: str) -> Point:
        """The working point of that name; KeyError if there is none."""
        return {p.name: p for p in self.points}[name]


@dataclass(frozen=True)
class Histogram:
    """A distribution of the integer score in the test part.

    Attributes:
        edges: bin edges in integer units; the last bin holds everything above its lower edge.
        counts: process -> events in each bin.
        low: process -> lower end of the Poisson interval.
        high: process -> upper end.
    """

    edges: tuple[int, ...]
    counts: Mapping[str, tuple[int, ...]]
    low: Mapping[str, tuple[float, ...]]
    high: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Quality:
    """Whether the score's format serves a trigger.

    Attributes:
        values_above: distinct score values at or above the working point, over all test events.
        background_values_above: the same over background alone.
        saturated: process -> share of events at the format's largest integer; empty where that isn't known.
    """

    values_above: int
    background_values_above: int
    saturated: Mapping[str, float]


@dataclass(frozen=True)
class PhysicsResult:
    """Rates, efficiencies and their errors on the test part of a sample.

    Attributes:
        sample: e.g. ``l1_objects/zero_bias``.
        sample_digest: of the sample.
        sample_notes: one or two sentences to stand beside every figure.
        pileup: mean number of overlaid collisions.
        gives_rates: whether rates in kHz are quoted.
        bunches: colliding bunches in an orbit.
        crossings_khz: the crossing rate behind every rate.
        confidence: coverage of every interval.
        background_events: background test events.
        independent_sources: distinct collisions that dominate them.
        signal_events: signal -> test events.
        working_point: name of the point at which the turn-ons are drawn.
        quantized: the integer score.
        floating: its float twin; None for an imported model, which has none, and then there is no shift and no rank.
        baselines: counters and sums.
        auc_shift: signal -> AUC(quantized) - AUC(float), paired DeLong error.
        tpr_shift: signal -> point -> TPR(quantized) - TPR(float), paired bootstrap error.
        rate_shift_khz: rate with the float model's threshold kept on the quantized score, minus the float rate; None
            without rates or where the two scores have no common unit.
        rank_correlation: process, or ``all``, -> Spearman's coefficient of float and quantized score.
        quality: of the score's format.
        histogram: of the integer score.
        turn_ons: of the quantized decision.
        classes: of a tagger of several classes; None for a single score.
    """

    sample: str
    sample_digest: str
    sample_notes: str
    pileup: float
    gives_rates: bool
    bunches: int
    crossings_khz: float
    confidence: float
    background_events: int
    independent_sources: int
    signal_events: Mapping[str, int]
    working_point: str
    quantized: ScoreResult
    floating: ScoreResult | None
    baselines: tuple[ScoreResult, ...]
    auc_shift: Mapping[str, Estimate]
    tpr_shift: Mapping[str, Mapping[str, Estimate]]
    rate_shift_khz: Estimate | None
    rank_correlation: Mapping[str, float]
    quality: Quality
    histogram: Histogram
    turn_ons: tuple[TurnOn, ...]
    classes: Classes | None = None
