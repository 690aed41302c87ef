"""A plain network: a tagger of one or several classes, or the student of autoencoders' reconstruction errors.

The student is after CICADA's teacher and student (CMS DP-2023/086): it has neither decoder nor score arithmetic. As a
tagger on high-level features it is the network of Duarte et al., arXiv:1804.06913; on the leading constituents,
TopoDNN (Pearkes et al., arXiv:1704.02124).
"""

from __future__ import annotations

from collections.abc import Sequence

from trigger_ml.families import classes, inputs, leading, scores
from trigger_ml.families.layers import Dense, Floats, Layer, Shape, Weights, chain, forward
from trigger_ml.samples.dataset import Feature
from trigger_ml.spec import Model, Spec


def network(model: Model, features: Sequence[Feature], shape: Shape) -> tuple[Layer, ...]:
    """The layers in firmware; the last one is the score (of classes: see :mod:`trigger_ml.families.classes`).

    Raises:
        SpecError: for a score that isn't this family's, or more particles than there are.
    """
    scores.check(model, "mlp")
    return (*leading.crop(model, shape), *chain("hidden", model.hidden, Dense("output", 1, False)))


def float_score(weights: Weights, x_int: inputs.Integers, spec: Spec) -> Floats:
    """The float twin's score, float64 ``(events,)``, of hardware integers ``x_int (events, features)``."""
    shape = scores.shape_of(weights)
    return classes.score(spec.model, forward(network(spec.model, (), shape), weights, inputs.scaled(x_int)))
