"""The float half of training: autoencoders, and the student of their reconstruction error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from trigger_ml.errors import SpecError
from trigger_ml.families import autoencoder, inputs, mlp, scores
from trigger_ml.families.dense import forward
from trigger_ml.frontends import loop
from trigger_ml.frontends.floatnet import Arrays, Ensemble, folded
from trigger_ml.samples.dataset import Feature, Sample
from trigger_ml.spec import Spec

Floats = NDArray[np.float64]

LOG_VAR = 8.0
"""Log-variances are held inside +- this while a VAE trains."""

MIN_KL = 1.0
"""A VAE whose KL divergence is below this many nats has stopped using its latent space."""

BATCH = 512
RATE = 3e-3


PT_SCALE = 2.0
"""Momenta enter the float networks in units of ``64 / PT_SCALE`` hardware units (16 GeV)."""


def scaling(features: Sequence[Feature]) -> Floats:
    """Factors that bring raw inputs near [-1, 1], one a feature; folded into the first layer after training.

    They don't depend on the events, so that a slot which is empty in training is no louder than its neighbours.
    """
    reach = np.array([max(f.hi, -f.lo, 1) for f in features]) * 2.0**-inputs.INPUT_FRAC
    return np.where([f.quantity == "pt" for f in features], PT_SCALE, 1.0 / reach)


def angles(features: Sequence[Feature]) -> NDArray[np.bool_]:
    """Inputs whose weights start at zero: they say little of momenta, and random weights on them are noise."""
    return np.array([f.quantity != "pt" for f in features])


def autoencoders(
    spec: Spec, sample: Sample, x: NDArray[np.integer[Any]], key: str, folder: Path, console: Console | None
) -> list[Arrays]:
    """Train ``spec.train.teachers`` autoencoders at once on ``x (events, features)``; weights on raw inputs.

    The loss is ``SSE / 2 + beta * KL`` (Kingma and Welling, arXiv:1312.6114, with a beta), the SSE over the logarithms
    of all momenta.

    Raises:
        SpecError: if beta has made the latent space collapse.
    """
    import tensorflow as tf

    model, columns = spec.model, inputs.pt_index(sample.features)
    norm = scaling(sample.features)
    members, latent = spec.train.teachers, model.latent
    encoder = Ensemble(
        autoencoder.encoder(model, 2 if model.beta > 0 else 1), x.shape[1], members, spec.seed, angles(sample.features)
    )
    decoder = Ensemble(autoencoder.decoder(model, len(columns)), latent, members, spec.seed + 1)
    data = (_normal(x, norm), inputs.target(x[:, columns]).astype(np.float32))

    def loss(noise: Any, xb: Any, tb: Any) -> Any:
        heads = encoder(xb)
        mu = heads[..., :latent]
        kl = tf.constant(0.0)
        if model.beta > 0:
            log_var = tf.clip_by_value(heads[..., latent:], -LOG_VAR, LOG_VAR)
            kl = 0.5 * tf.reduce_sum(mu**2 + tf.exp(log_var) - log_var - 1.0, -1)
            mu = mu + tf.exp(0.5 * log_var) * tf.random.stateless_normal(tf.shape(mu), noise)
        error = 0.5 * tf.reduce_sum((decoder(mu) - tb) ** 2, -1)
        return tf.reduce_sum(tf.reduce_mean(error + model.beta * kl, -1))

    variables = [*encoder.variables, *decoder.variables]
    epochs = spec.train.float_epochs
    phase = loop.Phase("float", "float autoencoder", epochs, BATCH, loop.cosine(RATE, epochs), spec.seed, key)
    loop.fit(phase, loop.Job(data, loss, variables, variables), folder, console)
    first = encoder.layers[0].name
    trained = [
        {**folded(encoder.weights(m), first, norm), **decoder.weights(m), "target.columns": columns.astype(np.float64)}
        for m in range(members)
    ]
    if model.beta > 0:
        _check_collapse(spec, trained, x)
    return trained


def divergence(weights: Arrays, spec: Spec, x: NDArray[np.integer[Any]]) -> float:
    """Mean KL divergence of the encoder's posterior from the prior, in nats."""
    heads = forward(autoencoder.encoder(spec.model, 2), weights, inputs.scaled(x))
    latent = spec.model.latent
    return float(scores.dkl(heads[:, :latent], np.clip(heads[:, latent:], -LOG_VAR, LOG_VAR)).mean())


def _check_collapse(spec: Spec, trained: list[Arrays], x: NDArray[np.integer[Any]]) -> None:
    worst = min(divergence(weights, spec, x[:20_000]) for weights in trained)
    if worst < MIN_KL:
        raise SpecError(
            f"[model] beta {spec.model.beta:g} made the latent space collapse (KL {worst:.2f} nats, at least "
            f"{MIN_KL:g} expected): lower beta, for instance to {spec.model.beta / 10:g}"
        )


def errors(trained: list[Arrays], spec: Spec, x: NDArray[np.integer[Any]]) -> Floats:
    """Mean over the teachers of ``log2`` of their reconstruction errors, ``(events,)``."""
    z, model = inputs.scaled(x), spec.model
    total = np.zeros(len(x))
    for weights in trained:
        columns = weights["target.columns"].astype(int)
        mu = forward(autoencoder.encoder(model, 2 if model.beta > 0 else 1), weights, z)[:, : model.latent]
        restored = forward(autoencoder.decoder(model, len(columns)), weights, mu)
        total += np.log2(scores.squared_error(inputs.target(x[:, columns]), restored) + 2.0**-6)
    return total / len(trained)


def student(
    spec: Spec,
    sample: Sample,
    x: NDArray[np.integer[Any]],
    y: Floats,
    key: str,
    folder: Path,
    console: Console | None,
) -> Arrays:
    """A float network of the firmware's shape that learns ``y (events,)``; weights on raw inputs."""
    import tensorflow as tf

    norm = scaling(sample.features)
    net = Ensemble(mlp.network(spec.model, sample.features), x.shape[1], 1, spec.seed + 2, angles(sample.features))

    def loss(noise: Any, xb: Any, yb: Any) -> Any:
        return tf.reduce_mean((net(xb)[0, :, 0] - yb) ** 2)

    epochs = spec.train.float_epochs
    phase = loop.Phase("student", "float student", epochs, BATCH, loop.cosine(RATE, epochs), spec.seed + 2, key)
    job = loop.Job((_normal(x, norm), y.astype(np.float32)), loss, net.variables, net.variables)
    loop.fit(phase, job, folder, console)
    return folded(net.weights(0), net.layers[0].name, norm)


def _normal(x: NDArray[np.integer[Any]], norm: Floats) -> NDArray[np.float32]:
    return (inputs.scaled(x) * norm).astype(np.float32)
