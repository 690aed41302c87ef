"""What taggers of several classes are compared by: one class against the rest, accuracy, who is taken for whom.

All classes weigh the same here, however many test events each has; where they have equally many, these are the plain
figures over all events.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SampleError
from trigger_ml.physics import roc
from trigger_ml.physics.intervals import Estimate, Floats, efficiency

ByClass = Mapping[str, NDArray[Any]]
"""Class, the background first -> logits ``(events, classes)`` of its test events: integers, or float64."""


@dataclass(frozen=True)
class ClassMeasures:
    """One network, the quantized one or its float twin.

    Attributes:
        auc: class -> area under the ROC curve of its softmax probability against all other classes.
        against_background: signal -> area of its logit less the background's, against background alone.
        accuracy: probability that an event of a class drawn at random is told right.
        confusion: true class -> class taken for -> share; each row adds up to 1.
        tied: share of events for which several logits are largest, classes weighing the same.
    """

    auc: Mapping[str, Estimate]
    against_background: Mapping[str, Estimate]
    accuracy: Estimate
    confusion: Mapping[str, Mapping[str, Estimate]]
    tied: float


@dataclass(frozen=True)
class Classes:
    """A tagger of several classes on the test part.

    Attributes:
        events: class, the background first, in the order of the logits -> test events.
        quantized: measures of the graph's integer logits.
        floating: of the float twin's; None where there is no twin.
        auc_shift: class -> quantized minus float, paired.
        background_shift: signal -> quantized minus float, paired.
        accuracy_shift: quantized minus float, paired; None without a twin.
    """

    events: Mapping[str, int]
    quantized: ClassMeasures
    floating: ClassMeasures | None
    auc_shift: Mapping[str, Estimate]
    background_shift: Mapping[str, Estimate]
    accuracy_shift: Estimate | None


@dataclass(frozen=True, eq=False)
class Mean:
    """A sum of means over the classes, and what its error and that of differences are made of.

    Attributes:
        value: the sum.
        terms: class -> what each of its events adds to its class's mean, up to a constant.
        sources: source id of each background event.
    """

    value: float
    terms: Mapping[str, Floats]
    sources: NDArray[Any]

    def estimate(self) -> Estimate:
        """The value with plus and minus one standard deviation."""
        return Estimate.symmetric(self.value, _error(self.terms, self.sources))

    def minus(self, other: Mean) -> Estimate:
        """The difference to another network on the same events, correlation taken into account."""
        terms = {name: term - other.terms[name] for name, term in self.terms.items()}
        return Estimate.symmetric(self.value - other.value, _error(terms, self.sources))


def _error(terms: Mapping[str, Floats], sources: NDArray[Any]) -> float:
    """Background events that share a source count between them, signal events as independent."""
    each = [
        roc.variance_of_mean(term, sources if place == 0 else np.arange(len(term)))
        for place, term in enumerate(terms.values())
    ]
    return math.sqrt(sum(each))


def log_odds(logits: Floats, place: int) -> Floats:
    """``log(p / (1 - p))`` of the softmax probability ``p`` of one class, ``(events,)``.

    It orders events as ``p`` does, and goes on where ``p`` rounds to 1. The differences of logits are summed by size,
    so that events whose differences are the same are equal to the bit; others have another ``p`` (the exponentials of
    different rational numbers are linearly independent: Lindemann's theorem).

    Args:
        logits: ``(events, classes)``, two classes or more.
        place: of the class.
    """
    others = np.sort(np.delete(logits, place, axis=1) - logits[:, place, None], axis=1)
    top = others[:, -1]
    odds: Floats = -(top + np.log(np.exp(others - top[:, None]).sum(axis=1)))
    return odds


def one_against_rest(logits: ByClass, name: str, sources: NDArray[Any]) -> Mean:
    """Area under the ROC curve of a class's softmax probability, the other classes weighing the same.

    It is the mean over the other classes of :func:`trigger_ml.physics.roc.auc`, ties counting one half; the error is
    DeLong's, of every class that takes part.

    Args:
        logits: of every class.
        name: the class.
        sources: source id of each background event.

    Raises:
        SampleError: fewer than two events of a class.
    """
    place, rest = list(logits).index(name), [other for other in logits if other != name]
    odds = {process: log_odds(np.asarray(values, np.float64), place) for process, values in logits.items()}
    pairs = {other: roc.auc(odds[other], odds[name]) for other in rest}
    terms = {other: pair.background / len(rest) for other, pair in pairs.items()}
    terms[name] = np.mean([pair.signal for pair in pairs.values()], axis=0)
    value = sum(pair.value for pair in pairs.values()) / len(rest)
    return Mean(value, {process: terms[process] for process in logits}, sources)


def winners(logits: NDArray[Any]) -> Floats:
    """Share of each event that goes to each class ``(events, classes)``: 1, or equal parts where logits are tied."""
    largest = logits == logits.max(axis=1, keepdims=True)
    return largest / largest.sum(axis=1, keepdims=True)


def accuracy(logits: ByClass, sources: NDArray[Any]) -> Mean:
    """Mean over the classes of the share that is told right; an event of ``n`` tied logits counts ``1 / n``."""
    right = {name: winners(values)[:, i] / len(logits) for i, (name, values) in enumerate(logits.items())}
    return Mean(float(sum(share.mean() for share in right.values())), right, sources)


def confusion(logits: ByClass) -> dict[str, dict[str, Estimate]]:
    """True class -> class taken for -> share of its events, ties in equal parts.

    Intervals are Clopper and Pearson's: all events count as independent, also where two jets share a collision.
    """
    found = {}
    for name, values in logits.items():
        shares = winners(values).sum(axis=0)
        found[name] = {other: efficiency(float(n), len(values)) for other, n in zip(logits, shares, strict=True)}
    return found


def evaluate(quantized: ByClass, floating: ByClass | None, frac: int, sources: NDArray[Any]) -> Classes:
    """All measures of a network, of its float twin, and the paired differences.

    Args:
        quantized: integer logits of the test events.
        floating: the float twin's of the same events; None where there is none.
        frac: fraction length of the integer logits.
        sources: source id of each background event.

    Raises:
        SampleError: logits of other classes or events, or not finite.
        ToolMissing: scipy is not installed.
    """
    values = {name: np.asarray(y, np.float64) * 2.0**-frac for name, y in quantized.items()}
    _check(values, values, "quantized")
    ours, ours_of = _measures(values, sources)
    if floating is None:
        return Classes({name: len(y) for name, y in values.items()}, ours, None, {}, {}, None)
    twin = {name: np.asarray(floating[name], np.float64) for name in values}
    _check(twin, values, "float")
    theirs, theirs_of = _measures(twin, sources)
    return Classes(
        {name: len(y) for name, y in values.items()},
        ours,
        theirs,
        {name: mean.minus(theirs_of.areas[name]) for name, mean in ours_of.areas.items()},
        {name: auc.minus(theirs_of.pairs[name]) for name, auc in ours_of.pairs.items()},
        ours_of.accuracy.minus(theirs_of.accuracy),
    )


@dataclass(frozen=True, eq=False)
class _Parts:
    """What differences are made of."""

    areas: Mapping[str, Mean]
    pairs: Mapping[str, roc.Auc]
    accuracy: Mean


def _measures(logits: ByClass, sources: NDArray[Any]) -> tuple[ClassMeasures, _Parts]:
    names = list(logits)
    parts = _Parts(
        {name: one_against_rest(logits, name, sources) for name in names},
        {name: _pair(logits, names, name, sources) for name in names[1:]},
        accuracy(logits, sources),
    )
    made = ClassMeasures(
        {name: mean.estimate() for name, mean in parts.areas.items()},
        {name: auc.estimate() for name, auc in parts.pairs.items()},
        parts.accuracy.estimate(),
        confusion(logits),
        float(np.mean([(winners(values).max(axis=1) < 1).mean() for values in logits.values()])),
    )
    return made, parts


def _pair(logits: ByClass, names: Sequence[str], name: str, sources: NDArray[Any]) -> roc.Auc:
    place = names.index(name)
    background, signal = (logits[n][:, place] - logits[n][:, 0] for n in (names[0], name))
    return roc.auc(background, signal, sources)


def _check(logits: ByClass, like: ByClass, kind: str) -> None:
    for name, values in logits.items():
        if values.shape != (len(like[name]), len(like)) or len(like) < 2:
            raise SampleError(
                f"the {kind} logits of {name} have the shape {values.shape}, for {len(like[name])} events and "
                f"{len(like)} classes: give one logit for each class, two classes or more"
            )
        if not np.isfinite(values).all():
            raise SampleError(f"some {kind} logits of {name} are not finite: the model overflows, train it again")
