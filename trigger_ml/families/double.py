"""Two networks on one event whose scores are made independent on background: the decorrelated double autoencoder.

Mikuni, Nachman, Shih, arXiv:2111.06417: two autoencoders are trained together, their reconstruction errors forced apart
by their distance correlation, so that four regions of the two scores give a background estimate (ABCD). Here two small
networks without decoders learn the logarithms of the two errors and are kept apart in the same way while their bits are
trained; that pair is the firmware. Each score goes through a table of the background's own tail probability, and the
event's score is the lesser of the two: one threshold on it cuts both at equal background efficiency.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trigger_ml.families import inputs, scores
from trigger_ml.families.layers import INPUT, Dense, Floats, Join, Layer, Shape, Weights, chain, forward
from trigger_ml.samples.dataset import Feature
from trigger_ml.spec import Model, Spec

PARTS = ("first", "second")

TAIL_FRAC = 4
"""Tail probabilities are counted in steps of ``2**-TAIL_FRAC`` powers of two."""

TAIL_TOP = 31.0
"""The least tail probability that is told from smaller ones, as a power of one half."""

ENOUGH = 30
"""Where fewer background events are left, their tail is taken to fall on as it did over the octaves before."""


def network(model: Model, features: Sequence[Feature], shape: Shape) -> tuple[Layer, ...]:
    """The layers in firmware; the last one gives both scores.

    Raises:
        SpecError: for a score that isn't this family's.
    """
    scores.check(model, "double")
    first, second = (chain(part, model.hidden, Dense(f"{part}_output", 1, False), source=INPUT) for part in PARTS)
    return (*first, *second, Join("both", "first_output"))


def float_score(weights: Weights, x_int: inputs.Integers, spec: Spec) -> Floats:
    """The float twin's score, float64 ``(events,)``, of hardware integers ``x_int (events, features)``."""
    return parts(weights, x_int, spec).min(axis=1)


def parts(weights: Weights, x_int: inputs.Integers, spec: Spec) -> Floats:
    """Both of the float twin's scores ``(events, 2)``, as powers of one half of the background's tail."""
    both = forward(network(spec.model, (), scores.shape_of(weights)), weights, inputs.scaled(x_int))
    columns = [np.interp(both[:, i], weights[f"{part}.at"], weights[f"{part}.tail"]) for i, part in enumerate(PARTS)]
    return np.stack(columns, axis=1)


def tail(background: NDArray[np.integer] | Floats, at: NDArray[np.integer] | Floats) -> Floats:
    """Minus the binary logarithm of the share of ``background`` scores at or above each number of ``at``, rising.

    Beyond the point where :data:`ENOUGH` events are left the line goes on with the slope of the three octaves before.
    """
    ordered = np.sort(background)
    n = len(ordered)
    left = n - np.searchsorted(ordered, at, "left")
    found = -np.log2(np.maximum(left, 1) / n)
    few = left < ENOUGH
    if few.any():
        edge, start = ordered[n - ENOUGH], ordered[max(n - 8 * ENOUGH, 0)]
        slope = 3.0 / max(float(edge - start), 1e-9)
        found[few] = -np.log2(ENOUGH / n) + slope * (np.asarray(at, np.float64)[few] - float(edge))
    rising: Floats = np.clip(np.maximum.accumulate(found), 0.0, TAIL_TOP)
    return rising
