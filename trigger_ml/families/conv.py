"""Small convolutional networks: on calorimeter regions, jet images, trigger objects, and ordered particles.

An event whose last axis has at most :data:`CHANNELS` entries, ``(19, 3)`` or ``(32, 3)``, is a row of objects, these
its channels; any other, ``(18, 14)`` or ``(16, 16)``, is an image of one channel. On the 19 x 3 grid a window of 3
objects and 3 channels is the 3 x 3 window, without padding, of Govorkova et al. (arXiv:2108.03986). Sums replace
averages: the next layer's weights take up the constant. As P-CNN: one dimension, ordered constituents. The teacher and
student on regions are CICADA's (CMS DP-2023/086) in form.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from trigger_ml.errors import SpecError
from trigger_ml.families import classes, inputs, leading, scores
from trigger_ml.families.layers import Conv, Dense, Floats, Layer, Pool, Reshape, Shape, Weights, chain, forward, shapes
from trigger_ml.samples.dataset import Feature
from trigger_ml.spec import Model, Spec

CHANNELS = 4
"""More features than this at a position are positions themselves."""

SINGLE = ("distilled", "tagger", "classes")
"""Scores of networks whose last layer is no latent space."""


def network(model: Model, features: Sequence[Feature], shape: Shape) -> tuple[Layer, ...]:
    """The layers in firmware: convolutions, dense layers, heads.

    Raises:
        SpecError: for a score that isn't this family's, or windows that don't fit.
    """
    scores.check(model, "conv")
    outputs = 1 if model.score in SINGLE else model.latent * (1 if model.score == "mu2" else 2)
    return body(model, shape, Dense("output" if outputs == 1 else "heads", outputs, False))


def teacher(model: Model, shape: Shape) -> tuple[Layer, ...]:
    """The float network's encoder, with both heads if it is variational."""
    return body(model, shape, Dense("heads", (2 if model.beta > 0 else 1) * model.latent, False))


def teacher_model(model: Model, filters: tuple[int, ...], hidden: tuple[int, ...]) -> Model:
    """A student's teacher: windows of 3, each followed by sums over windows of 2, as CICADA's."""
    return replace(
        model,
        filters=filters,
        kernel=(3,) * len(filters),
        stride=(),
        pool=(2,) * len(filters),
        hidden=hidden,
        same=True,
    )


def body(model: Model, shape: Shape, last: Dense) -> tuple[Layer, ...]:
    """Everything up to the last layer, and it."""
    if not model.filters or len(model.kernel) != len(model.filters):
        raise SpecError("[model] filters and kernel say how many windows of what size each convolution has: give both")
    flat = (leading.count(model, shape), *shape[1:]) if shape else shape
    image = flat if len(flat) == 2 and flat[1] <= CHANNELS else (*flat, 1)
    layers: list[Layer] = [*leading.crop(model, shape), Reshape("image", image)]
    rank = len(image) - 1
    for i, (filters, size) in enumerate(zip(model.filters, model.kernel, strict=True)):
        stride = (model.stride[i] if model.stride else 1,) * rank
        layers.append(Conv(f"conv{i}", filters, (size,) * rank, stride, model.same, True))
        if model.pool and model.pool[i] > 1:
            layers.append(Pool(f"pool{i}", model.pooling, (model.pool[i],) * rank))
    size = math.prod(shapes(layers, math.prod(shape))[layers[-1].name])
    return (*layers, Reshape("flat", (size,)), *chain("dense", model.hidden, last))


def float_score(weights: Weights, x_int: inputs.Integers, spec: Spec) -> Floats:
    """The float twin's score, float64 ``(events,)``, of hardware integers ``x_int (events, features)``."""
    model, shape = spec.model, scores.shape_of(weights)
    if model.score in SINGLE:
        return classes.score(model, forward(network(model, (), shape), weights, inputs.scaled(x_int)))
    return scores.of_heads(model, forward(teacher(model, shape), weights, inputs.scaled(x_int)))
