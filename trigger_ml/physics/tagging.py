"""What taggers are compared by: accuracy, and background rejection at fixed signal efficiency."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trigger_ml.physics.intervals import Estimate, efficiency
from trigger_ml.physics.roc import Scores

EFFICIENCIES = (0.3, 0.5)
"""Signal efficiencies at which rejections are quoted (Kasieczka et al., arXiv:1902.09914)."""


@dataclass(frozen=True)
class Tagging:
    """One tagger on one signal.

    Attributes:
        accuracy: largest share of events told right, background and signal weighing the same, over all thresholds.
        background: signal efficiency as text, e.g. ``0.3`` -> the background's efficiency there.
    """

    accuracy: Estimate
    background: Mapping[str, Estimate]

    @property
    def rejection(self) -> dict[str, Estimate]:
        """Signal efficiency -> one over the background's; infinite where no background event passes."""
        return {name: rejection(e) for name, e in self.background.items()}


def rejection(background: Estimate) -> Estimate:
    """One over an efficiency; ends at infinity where that is zero."""
    value, low, high = (1 / e if e > 0 else math.inf for e in (background.value, background.high, background.low))
    return Estimate(value, low, high)


def tagging(background: Scores, signal: Scores) -> Tagging:
    """Accuracy and rejections of scores; all events are taken as independent, also where two jets share a collision.

    The threshold is the largest whose signal efficiency is at least the one asked for: with ties the background is then
    counted in full, never too little. Its error is that of the background count, by Clopper and Pearson,
    joined in quadrature with what the threshold's own uncertainty, one binomial deviation of the signal count, does.
    """
    down = np.sort(signal)[::-1]
    ordered = np.sort(background)
    return Tagging(_accuracy(ordered, down[::-1]), {f"{e:g}": _passing(ordered, down, e) for e in EFFICIENCIES})


def _accuracy(background: Scores, signal: Scores) -> Estimate:
    cuts = np.unique(np.concatenate([background, signal]))
    fpr = 1 - np.searchsorted(background, cuts, "left") / len(background)
    tpr = 1 - np.searchsorted(signal, cuts, "left") / len(signal)
    best = int(np.argmax(tpr - fpr))
    variance = sum(p * (1 - p) / n for p, n in ((fpr[best], len(background)), (tpr[best], len(signal))))
    return Estimate.symmetric(0.5 * (1 + float(tpr[best] - fpr[best])), 0.5 * math.sqrt(variance))


def _passing(background: Scores, down: Scores, wanted: float) -> Estimate:
    n = len(down)

    def passing(kept: int) -> int:
        cut = down[min(max(kept, 1), n) - 1]
        return len(background) - int(np.searchsorted(background, cut, "left"))

    kept, spread = math.ceil(wanted * n), math.sqrt(wanted * (1 - wanted) * n)
    share = efficiency(passing(kept), len(background))
    tight, loose = (passing(int(kept + s * spread)) / len(background) for s in (-1, 1))
    low = share.value - math.hypot(share.value - share.low, share.value - tight)
    high = share.value + math.hypot(share.high - share.value, loose - share.value)
    return Estimate(share.value, max(low, 0.0), min(high, 1.0))
