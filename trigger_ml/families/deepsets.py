"""Networks on sets of particles: the same layers for every particle, a sum over them, layers on the sum.

Particle Flow Network, and with ``weighted`` Energy Flow Network (Komiske, Metodiev, Thaler, arXiv:1810.05165): there
the particles' network sees the angles alone and the sum is weighted with pT, which makes it blind to collinear
splittings and to empty slots. The sum is one of integers, so that the order of particles changes no bit.
"""

from __future__ import annotations

from collections.abc import Sequence

from trigger_ml.errors import SpecError
from trigger_ml.families import classes, inputs, leading, scores
from trigger_ml.families.layers import (
    Columns,
    Dense,
    Floats,
    Layer,
    Shape,
    Sum,
    WeightedSum,
    Weights,
    chain,
    forward,
)
from trigger_ml.samples.dataset import Feature
from trigger_ml.spec import Model, Spec

PT = 0
"""The column of a particle's pT."""


def network(model: Model, features: Sequence[Feature], shape: Shape) -> tuple[Layer, ...]:
    """The layers in firmware; the last one is the score (of classes: see :mod:`trigger_ml.families.classes`).

    Raises:
        SpecError: for a score that isn't this family's, or events without particles.
    """
    scores.check(model, "deepsets")
    if not model.head:
        raise SpecError("[model] head is missing: nodes of the layers behind the sum over particles")
    layers: list[Layer] = [*leading.as_set(model, shape)]
    if model.weighted:
        layers.append(Columns("angles", tuple(c for c in range(shape[1]) if c != PT)))
    layers += [Dense(f"particle{i}", units, True) for i, units in enumerate(model.hidden)]
    layers.append(WeightedSum("pooled", "particles", PT) if model.weighted else Sum("pooled"))
    return (*layers, *chain("set", model.head, Dense("output", 1, False)))


def float_score(weights: Weights, x_int: inputs.Integers, spec: Spec) -> Floats:
    """The float twin's score, float64 ``(events,)``, of hardware integers ``x_int (events, features)``."""
    shape = scores.shape_of(weights)
    return classes.score(spec.model, forward(network(spec.model, (), shape), weights, inputs.scaled(x_int)))
