"""Autoencoders, plain (beta = 0) and variational.

The encoder sees every input, the decoder restores transverse momenta only (:func:`trigger_ml.families.inputs.target`).
A decoder-free score (``rz``, ``mu2``, ``dkl``) needs the encoder's heads alone in firmware; the float network always
has both halves, since the decoder is what gives the latent space its meaning.
"""

from __future__ import annotations

from collections.abc import Sequence

from trigger_ml.families import inputs, scores
from trigger_ml.families.layers import Dense, Floats, Layer, Shape, Weights, chain, forward
from trigger_ml.samples.dataset import Feature
from trigger_ml.spec import Model, Spec


def network(model: Model, features: Sequence[Feature], shape: Shape) -> tuple[Layer, ...]:
    """The layers in firmware: for a decoder-free score the encoder, heads last (means first, then log-variances).

    Raises:
        SpecError: for a score that isn't this family's.
    """
    scores.check(model, "autoencoder")
    if model.score == "reconstruction":
        return (*encoder(model, 1), *decoder(model, len(inputs.pt_index(features))))
    return encoder(model, 1 if model.score == "mu2" else 2)


def encoder(model: Model, heads: int) -> tuple[Dense, ...]:
    """Inputs to ``heads`` times the latent dimensions."""
    return chain("encoder", model.hidden, Dense("heads", heads * model.latent, False))


def decoder(model: Model, outputs: int) -> tuple[Dense, ...]:
    """Latent space to ``outputs``: the encoder's dense layers mirrored."""
    return chain("decoder", model.hidden[::-1], Dense("decoded", outputs, False))


def teacher(model: Model, shape: Shape) -> tuple[Layer, ...]:
    """The float network's encoder, with both heads if it is variational."""
    return encoder(model, 2 if model.beta > 0 else 1)


def float_score(weights: Weights, x_int: inputs.Integers, spec: Spec) -> Floats:
    """The float twin's score, float64 ``(events,)``, of hardware integers ``x_int (events, features)``."""
    model, x = spec.model, inputs.scaled(x_int)
    heads = forward(encoder(model, 2 if model.beta > 0 else 1), weights, x)
    if model.score == "reconstruction":
        columns = weights["target.columns"].astype(int)
        restored = forward(decoder(model, len(columns)), weights, heads[:, : model.latent])
        return scores.squared_error(inputs.target(x_int[:, columns]), restored)
    return scores.of_heads(model, heads)
