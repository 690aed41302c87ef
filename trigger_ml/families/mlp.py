"""A plain network with one output: the student that learns the logarithm of autoencoders' reconstruction errors.

After CICADA's teacher and student (CMS DP-2023/086): the student has neither decoder nor score arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence

from trigger_ml.errors import SpecError
from trigger_ml.families import inputs
from trigger_ml.families.dense import Dense, Floats, Weights, chain, forward
from trigger_ml.samples.dataset import Feature
from trigger_ml.spec import Model, Spec

SCORES = ("distilled",)


def network(model: Model, features: Sequence[Feature]) -> tuple[Dense, ...]:
    """The layers in firmware; the last one is the score.

    Raises:
        SpecError: for a score that isn't this family's.
    """
    if model.score not in SCORES:
        raise SpecError(
            f'[model] score "{model.score}" is not one of an mlp: use {", ".join(SCORES)}, or the family autoencoder'
        )
    return chain("hidden", model.hidden, Dense("output", 1, False))


def float_score(weights: Weights, x_int: inputs.Integers, spec: Spec) -> Floats:
    """The float twin's score, float64 ``(events,)``, of hardware integers ``x_int (events, features)``."""
    return forward(network(spec.model, ()), weights, inputs.scaled(x_int))[:, 0]
