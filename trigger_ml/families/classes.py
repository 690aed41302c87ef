"""Taggers of several classes: one logit each, the background's first, then the signals' in the sample's order.

The class that an event is most like has the largest logit; softmax turns logits into probabilities. A trigger needs one
number to cut on: the largest of the signals' logits less the background's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from trigger_ml import plugins
from trigger_ml.errors import SpecError
from trigger_ml.families import inputs, scores
from trigger_ml.families.layers import Dense, Floats, Layer, Weights, forward
from trigger_ml.samples.dataset import Sample
from trigger_ml.spec import Model, Spec

SCORE = "classes"
"""The score of such taggers."""

BACKGROUND = "background"
"""Name of the first class."""


def names(sample: Sample) -> tuple[str, ...]:
    """The classes of a sample, in the order of the logits.

    Raises:
        SpecError: there is no signal.
    """
    if not sample.signals:
        raise SpecError(
            f'[model] score "{SCORE}" tells signals apart, but {sample.name}/{sample.variant} has none: take a variant '
            "with signals"
        )
    return (BACKGROUND, *sample.signals)


def widened(layers: Sequence[Layer], model: Model, sample: Sample) -> tuple[Layer, ...]:
    """A family's layers as they stand in firmware: for a score of classes the last one has a logit for each.

    Raises:
        SpecError: there is no signal.
    """
    if model.score != SCORE:
        return tuple(layers)
    last = cast(Dense, layers[-1])  # of every family that has this score
    return (*layers[:-1], replace(last, units=len(names(sample))))


def score(model: Model, outputs: Floats) -> Floats:
    """The score ``(events,)`` of a tagger's or a student's outputs ``(events, outputs)``."""
    return margin(outputs) if model.score == SCORE else outputs[:, 0]


def margin(logits: Floats) -> Floats:
    """Largest logit of the signals less the background's, ``(events,)``, of ``logits (events, classes)``."""
    best: Floats = logits[:, 1:].max(axis=1) - logits[:, 0]
    return best


def float_logits(weights: Weights, x_int: inputs.Integers, spec: Spec) -> Floats:
    """The float twin's logits ``(events, classes)`` of hardware integers ``x_int (events, features)``."""
    family = plugins.find("families", spec.model.family)
    layers = family.network(spec.model, (), scores.shape_of(weights))
    return forward(layers, weights, inputs.scaled(x_int))
