"""The leading particles of an event: the first layers of every network that doesn't take them all."""

from __future__ import annotations

import math

from trigger_ml.errors import SpecError
from trigger_ml.families.layers import Columns, Layer, Reshape, Shape
from trigger_ml.spec import Model


def count(model: Model, shape: Shape) -> int:
    """How many positions of the event's first axis the network reads.

    Raises:
        SpecError: if there are fewer.
    """
    if model.particles is None:
        return shape[0]
    if len(shape) < 2 or model.particles > shape[0]:
        raise SpecError(
            f"[model] particles is {model.particles}, but an event of this sample has the shape {shape}: give at most "
            f"{shape[0] if len(shape) > 1 else 'none'}, or leave it out"
        )
    return model.particles


def crop(model: Model, shape: Shape) -> tuple[Layer, ...]:
    """Nothing, or a layer that leaves the leading particles' features, flat."""
    if model.particles is None:
        return ()
    return (Columns("leading", tuple(range(count(model, shape) * math.prod(shape[1:])))),)


def as_set(model: Model, shape: Shape) -> tuple[Layer, ...]:
    """Layers that make a flat event ``(particles, features)``.

    Raises:
        SpecError: if the events of the sample have no particles.
    """
    if len(shape) != 2:
        raise SpecError(
            f"[model] the family {model.family} reads particles, but an event of this sample has the shape {shape}: "
            "take a sample of constituents or objects"
        )
    return (*crop(model, shape), Reshape("particles", (count(model, shape), shape[1])))
