"""Trigger rates: a fraction of zero-bias events times the rate of bunch crossings."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

from trigger_ml.errors import SampleError
from trigger_ml.physics.events import Events
from trigger_ml.physics.roc import Background, Point, at_threshold
from trigger_ml.spec import ORBIT_HZ, Physics


def crossings_khz(bunches: int) -> float:
    """Rate of crossings of colliding bunches, in kHz: ``bunches`` times the revolution frequency of the LHC.

    >>> round(crossings_khz(2760))
    31038
    """
    return bunches * ORBIT_HZ / 1e3


def require_rates(sample: Events) -> None:
    """Refuse a sample whose background is not what a trigger sees.

    Raises:
        SampleError: rates in kHz mean nothing for it.
    """
    if not sample.gives_rates:
        raise SampleError(
            f"sample {sample.name}/{sample.variant} is not zero bias, so it gives no rate in kHz: "
            "quote false positive rates, or use a zero-bias variant"
        )


def accepted_share(physics: Physics, gives_rates: bool) -> float:
    """The share of the background that the working point accepts: its rate over the crossings', or the largest FPR."""
    return physics.rate_khz / crossings_khz(physics.bunches) if gives_rates else max(physics.fpr)


def with_rate(point: Point, bunches: int) -> Point:
    """The same point with its total rate before prescale; interval and event count are those of its ``fpr``."""
    return replace(point, rate_khz=point.fpr.scaled(crossings_khz(bunches)))


def at_rate(name: str, background: Background, target_khz: float, bunches: int) -> Point:
    """The working point of the largest total rate not above ``target_khz``, counted exactly on zero-bias events.

    Args:
        name: of the point.
        background: scores of zero-bias events; check with :func:`require_rates` that they are.
        target_khz: rate asked for, before prescale.
        bunches: colliding bunches in an orbit.
    """
    share = Fraction(repr(float(target_khz))) * 1000 / (bunches * Fraction(repr(ORBIT_HZ)))
    threshold = background.threshold(math.floor(share * background.events))
    return with_rate(at_threshold(name, background, threshold, float(share)), bunches)
