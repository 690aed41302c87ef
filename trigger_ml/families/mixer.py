"""MLP-mixer on ordered particles: dense layers over each one's features and over all particles, in turn.

Sun et al., arXiv:2503.03103, in form: what mixes particles has the cost of a dense layer, not of all pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

from trigger_ml.errors import SpecError
from trigger_ml.families import classes, inputs, leading, scores
from trigger_ml.families.layers import Add, Dense, Floats, Layer, Permute, Shape, Sum, Weights, chain, forward
from trigger_ml.samples.dataset import Feature
from trigger_ml.spec import Model, Spec


def network(model: Model, features: Sequence[Feature], shape: Shape) -> tuple[Layer, ...]:
    """The layers in firmware; the last one is the score (of classes: see :mod:`trigger_ml.families.classes`).

    ``hidden`` are the widths of the blocks, ``head`` the layers behind the sum over particles.

    Raises:
        SpecError: for a score that isn't this family's, or events without particles.
    """
    scores.check(model, "mixer")
    if not model.head:
        raise SpecError("[model] head is missing: nodes of the layers behind the sum over particles")
    layers: list[Layer] = [*leading.as_set(model, shape)]
    particles = leading.count(model, shape)
    for i, width in enumerate(model.hidden):
        layers += [
            Dense(f"feature{i}", width, True),
            Permute(f"turn{i}", (1, 0)),
            Dense(f"mix{i}", particles, True),
            Permute(f"back{i}", (1, 0)),
            Add(f"block{i}", f"feature{i}"),
        ]
    return (*layers, Sum("pooled"), *chain("set", model.head, Dense("output", 1, False)))


def float_score(weights: Weights, x_int: inputs.Integers, spec: Spec) -> Floats:
    """The float twin's score, float64 ``(events,)``, of hardware integers ``x_int (events, features)``."""
    shape = scores.shape_of(weights)
    return classes.score(spec.model, forward(network(spec.model, (), shape), weights, inputs.scaled(x_int)))
