"""The float half of training: autoencoders, and the student of their reconstruction error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from trigger_ml import plugins
from trigger_ml.errors import SpecError
from trigger_ml.families import autoencoder, classes, conv, inputs, scores
from trigger_ml.families.layers import Dense, Layer, Reshape, forward
from trigger_ml.frontends import loop
from trigger_ml.frontends.entropy import cross_entropy
from trigger_ml.frontends.floatnet import Arrays, Ensemble, Net, folded
from trigger_ml.samples.dataset import Feature, Sample
from trigger_ml.spec import Spec

Floats = NDArray[np.float64]

LOG_VAR = 8.0
"""Log-variances are held inside +- this while a VAE trains."""

MIN_KL = 1.0
"""A VAE whose KL divergence is below this many nats has stopped using its latent space."""

FLOOR = 2.0**-6
"""Added to a squared error before its logarithm."""

APART = 2.0
"""Weight of the dependence of two scores in the loss (arXiv:2111.06417 has 10, without tails)."""

TILT = 0.6
"""How much the tails of two scores count in their dependence: see :func:`dependence`."""

PAIR_BATCH = 2048
"""Events in which tails are to be seen."""

BATCH = 512
RATE = 3e-3


PT_SCALE = 2.0
"""Momenta enter the float networks in units of ``64 / PT_SCALE`` hardware units (16 GeV)."""


def scaling(features: Sequence[Feature]) -> Floats:
    """Factors that bring raw inputs near [-1, 1], one a feature; folded into the first layer after training.

    They don't depend on the events, so that a slot which is empty in training is no louder than its neighbours.
    """
    reach = np.array([max(f.hi, -f.lo, 1) for f in features]) * 2.0**-inputs.INPUT_FRAC
    plain = {"pt": PT_SCALE, "et": 2.0 * PT_SCALE}
    return np.array([plain.get(f.quantity, 1.0 / r) for f, r in zip(features, reach, strict=True)])


def shared(factors: Floats, layers: Sequence[Layer]) -> Floats:
    """The same factors, but those of one channel alike at every position where a network shares weights over them."""
    first = next((layer for layer in layers if isinstance(layer, Reshape)), None)
    if first is None:
        return factors
    channels = factors.reshape(-1, first.shape[-1])
    least: Floats = np.tile(channels.min(axis=0), len(channels))
    return least


def spread(spec: Spec, sample: Sample) -> Floats:
    """Factors that bring a tagger's raw inputs to a spread of 1, one for each kind and quantity.

    The pT that weights a sum enters it as it is: its factor is 1.
    """
    x = inputs.scaled(np.concatenate([sample.background.train, *(s.train for s in sample.signals.values())]))
    factors = np.ones(len(sample.features))
    kinds = [(f.kind, f.quantity) for f in sample.features]
    for kind in set(kinds):
        columns = [i for i, k in enumerate(kinds) if k == kind]
        filled = x[:, columns][x[:, columns] != 0]
        if filled.size and not (spec.model.weighted and kind[1] == "pt"):
            factors[columns] = 1.0 / max(float(np.sqrt(np.mean(filled**2))), 2.0**-inputs.INPUT_FRAC)
    return factors


def angles(features: Sequence[Feature]) -> NDArray[np.bool_]:
    """Inputs whose weights start at zero: they say little of momenta, and random weights on them are noise."""
    return np.array([f.quantity not in ("pt", "et") for f in features])


class Stack:
    """Several networks of any layers on the same events, as :class:`Ensemble` is of dense chains.

    Attributes:
        layers: of each of them.
        variables: of all of them.
    """

    def __init__(self, layers: Sequence[Layer], features: int, members: int, seed: int) -> None:
        """``members`` networks, each with its own starting weights."""
        self.members = [Net(layers, features, seed + 1000 * m) for m in range(members)]
        self.layers = tuple(layers)
        self.variables = [v for member in self.members for v in member.variables]

    def __call__(self, x: Any) -> Any:
        """Outputs ``(members, events, units)`` for inputs ``(events, features)``."""
        import tensorflow as tf

        return tf.stack([member(x) for member in self.members])

    def weights(self, member: int) -> Arrays:
        """One member's weights by name, float64."""
        return self.members[member].weights()


def encoder_of(spec: Spec, sample: Sample) -> tuple[Layer, ...]:
    """The float autoencoder's encoder: the family's own, or for a student the teacher that the spec describes."""
    model, train = spec.model, spec.train
    if model.score in ("distilled", "pair"):
        hidden = train.teacher_hidden or model.hidden
        if train.teacher_filters:
            return conv.body(conv.teacher_model(model, train.teacher_filters, hidden), sample.shape, _head(spec))
        return autoencoder.teacher(replace(model, hidden=hidden), sample.shape)
    made: tuple[Layer, ...] = plugins.find("families", model.family).teacher(model, sample.shape)
    return made


def _head(spec: Spec) -> Dense:
    return Dense("heads", (2 if spec.model.beta > 0 else 1) * spec.model.latent, False)


def decoder_of(spec: Spec, outputs: int) -> tuple[Dense, ...]:
    """The float autoencoder's decoder."""
    hidden = spec.train.teacher_hidden if spec.model.score in ("distilled", "pair") else ()
    return autoencoder.decoder(replace(spec.model, hidden=hidden or spec.model.hidden), outputs)


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
    members, latent = spec.train.teachers, model.latent
    layers = encoder_of(spec, sample)
    norm = shared(scaling(sample.features), layers)
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    encoder = (
        Ensemble(dense, x.shape[1], members, spec.seed, angles(sample.features))
        if len(dense) == len(layers)
        else Stack(layers, x.shape[1], members, spec.seed)
    )
    decoder = Ensemble(decoder_of(spec, len(columns)), latent, members, spec.seed + 1)
    unit = inputs.target_frac(sample.features)
    data = (_normal(x, norm), inputs.target(x[:, columns], unit).astype(np.float32))

    def loss(noise: Any, xb: Any, tb: Any) -> Any:
        heads = encoder(xb)
        mu = heads[..., :latent]
        kl = tf.constant(0.0)
        if model.beta > 0:
            log_var = tf.clip_by_value(heads[..., latent:], -LOG_VAR, LOG_VAR)
            kl = 0.5 * tf.reduce_sum(mu**2 + tf.exp(log_var) - log_var - 1.0, -1)
            mu = mu + tf.exp(0.5 * log_var) * tf.random.stateless_normal(tf.shape(mu), noise)
        error = 0.5 * tf.reduce_sum((decoder(mu) - tb) ** 2, -1)
        apart = tf.constant(0.0)
        if model.score == "pair":
            logs = tf.math.log(error + 0.5 * FLOOR)
            apart = APART * dependence(logs[0], logs[1], tf.ones_like(logs[0]))
        return tf.reduce_sum(tf.reduce_mean(error + model.beta * kl, -1)) + apart

    variables = [*encoder.variables, *decoder.variables]
    epochs = spec.train.float_epochs
    phase = loop.Phase("float", "float autoencoder", epochs, BATCH, loop.cosine(RATE, epochs), spec.seed, key)
    loop.fit(phase, loop.Job(data, loss, variables, variables), folder, console)
    trained = [
        {
            **folded(encoder.weights(m), layers, norm),
            **decoder.weights(m),
            "target.columns": columns.astype(np.float64),
            "input.shape": np.array(sample.shape, np.float64),
        }
        for m in range(members)
    ]
    if model.beta > 0:
        _check_collapse(spec, layers, trained, x)
    return trained


def divergence(layers: Sequence[Layer], weights: Arrays, spec: Spec, x: NDArray[np.integer[Any]]) -> float:
    """Mean KL divergence of the encoder's posterior from the prior, in nats."""
    heads = forward(layers, weights, inputs.scaled(x))
    latent = spec.model.latent
    return float(scores.dkl(heads[:, :latent], np.clip(heads[:, latent:], -LOG_VAR, LOG_VAR)).mean())


def _check_collapse(spec: Spec, layers: Sequence[Layer], trained: list[Arrays], x: NDArray[np.integer[Any]]) -> None:
    worst = min(divergence(layers, weights, spec, x[:20_000]) for weights in trained)
    if worst < MIN_KL:
        raise SpecError(
            f"[model] beta {spec.model.beta:g} made the latent space collapse (KL {worst:.2f} nats, at least "
            f"{MIN_KL:g} expected): lower beta, for instance to {spec.model.beta / 10:g}"
        )


def errors(trained: list[Arrays], spec: Spec, sample: Sample, x: NDArray[np.integer[Any]]) -> Floats:
    """Mean over the teachers of ``log2`` of their reconstruction errors, ``(events,)``."""
    z, unit, layers = inputs.scaled(x), inputs.target_frac(sample.features), encoder_of(spec, sample)
    total = np.zeros(len(x))
    for weights in trained:
        columns = weights["target.columns"].astype(int)
        mu = forward(layers, weights, z)[:, : spec.model.latent]
        restored = forward(decoder_of(spec, len(columns)), weights, mu)
        total += np.log2(scores.squared_error(inputs.target(x[:, columns], unit), restored) + FLOOR)
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
    """A float network of the firmware's shape that learns what the autoencoders say; weights on raw inputs.

    Args:
        spec: of the run.
        sample: its events.
        x: hardware integers ``(events, features)``.
        y: one score ``(events, 1)``; of a pair ``(events, 3)``: both, and 1 for events of the background, on which the
            two are kept apart.
        key: digest of all that the training depends on.
        folder: of the checkpoints.
        console: for progress.
    """
    import tensorflow as tf

    layers, apart = network_of(spec, sample), spec.model.score == "pair"
    norm = shared(scaling(sample.features), layers)
    net = _single(layers, x.shape[1], spec.seed + 2, angles(sample.features))

    def loss(noise: Any, xb: Any, yb: Any) -> Any:
        p = tf.reshape(net(xb), (-1, 2 if apart else 1))
        error = tf.reduce_mean((p - yb[:, : p.shape[1]]) ** 2)
        return error + APART * dependence(p[:, 0], p[:, 1], yb[:, 2]) if apart else error

    epochs, batch = spec.train.float_epochs, PAIR_BATCH if apart else BATCH
    label = "float pair" if apart else "float student"
    phase = loop.Phase("student", label, epochs, batch, loop.cosine(RATE, epochs), spec.seed + 2, key)
    job = loop.Job((_normal(x, norm), y.astype(np.float32)), loss, net.variables, net.variables)
    loop.fit(phase, job, folder, console)
    return finished(net, layers, sample, norm)


def tagger(
    spec: Spec,
    sample: Sample,
    x: NDArray[np.integer[Any]],
    label: NDArray[np.float32],
    weight: NDArray[np.float32],
    held_out: tuple[NDArray[np.integer[Any]], NDArray[np.float32], NDArray[np.float32]],
    key: str,
    folder: Path,
    console: Console | None,
) -> Arrays:
    """A float network of the firmware's shape that tells signal from background, or classes; weights on raw inputs.

    Args:
        spec: of the run.
        sample: its events.
        x: hardware integers ``(events, features)``.
        label: 1 for signal, 0 for background ``(events,)``; or ``(events, classes)``, 1 for the event's.
        weight: of each event in the cross-entropy.
        held_out: the same three for events not trained on: of all epochs the best on them is kept.
        key: digest of all that the training depends on.
        folder: of the checkpoints.
        console: for progress.
    """
    import tensorflow as tf

    layers = network_of(spec, sample)
    norm = shared(spread(spec, sample), layers)
    net = _single(layers, x.shape[1], spec.seed + 2, None)

    def loss(noise: Any, xb: Any, yb: Any, wb: Any) -> Any:
        return tf.reduce_mean(wb * cross_entropy(yb, tf.reshape(net(xb), (-1, *label.shape[1:]))))

    # Batches of one size, so that the network is traced once; what doesn't fill one is left out.
    few = [a[: max(len(a) // MEASURED, 1) * MEASURED] for a in (_normal(held_out[0], norm), *held_out[1:])]
    measured = tf.function(lambda *batch: loss(None, *batch), jit_compile=True)

    def measure() -> dict[str, float]:
        parts = [
            float(measured(*(tf.constant(a[i : i + MEASURED]) for a in few))) for i in range(0, len(few[0]), MEASURED)
        ]
        return {"distance": float(np.mean(parts))}

    epochs = spec.train.float_epochs
    phase = loop.Phase("tagger", "float tagger", epochs, BATCH, loop.cosine(RATE, epochs), spec.seed + 2, key)
    data = (_normal(x, norm), label, weight)
    job = loop.Job(data, loss, net.variables, net.variables, measure=measure, snapshot=loop.best)
    loop.fit(phase, job, folder, console)
    loop.restore(folder, phase, "best", net.variables)
    return finished(net, layers, sample, norm)


def dependence(a: Any, b: Any, background: Any) -> Any:
    """How far two scores are from independent on the background of a batch, in the tails as much as in the bulk.

    The squared distance correlation with the events weighted by functions of either score alone: independent scores
    stay independent under such weights, whatever they are. Here an event that a fraction ``t`` of the batch exceeds in
    a score weighs ``t ** -TILT`` for it: without that the bulk decides, and the regions that a trigger looks at, where
    everything grows with the hardness of a collision, are left correlated.
    """
    import tensorflow as tf

    count = tf.reduce_sum(background) + 1.0
    weight = background
    for score in (a, b):
        hidden = tf.where(background > 0, score, -1e9)  # what is not background comes last
        rank = tf.cast(tf.argsort(tf.argsort(-hidden)), tf.float32)
        weight *= tf.stop_gradient(((rank + 1.0) / count) ** -TILT)
    return distance_correlation(a, b, weight)


def distance_correlation(a: Any, b: Any, weight: Any) -> Any:
    """Squared distance correlation of two columns of a batch, TensorFlow (Szekely, Rizzo, Bakirov, arXiv:0803.4101).

    Args:
        a: numbers ``(events,)``.
        b: others of the same events.
        weight: how much each event counts.
    """
    import tensorflow as tf

    p = weight / tf.maximum(tf.reduce_sum(weight), 1.0)  # 0 where no event counts

    def centred(v: Any) -> Any:
        d = tf.abs(v[:, None] - v[None])
        row = tf.linalg.matvec(d, p)
        return d - row[:, None] - row[None] + tf.tensordot(p, row, 1)

    def covariance(c: Any, d: Any) -> Any:
        return tf.tensordot(p, tf.linalg.matvec(c * d, p), 1)

    c, d = centred(a), centred(b)
    return covariance(c, d) / tf.sqrt(covariance(c, c) * covariance(d, d) + 1e-12)


MEASURED = 2048
"""Held-out events that are measured at once."""


def network_of(spec: Spec, sample: Sample) -> tuple[Layer, ...]:
    """The layers in firmware.

    Raises:
        SpecError: for a score that isn't the family's, or keys or events that don't fit.
    """
    family = plugins.find("families", spec.model.family)
    return classes.widened(family.network(spec.model, sample.features, sample.shape), spec.model, sample)


def finished(net: Ensemble | Net, layers: Sequence[Layer], sample: Sample, norm: Floats) -> Arrays:
    """A trained network's weights on raw inputs, and the shape of its events."""
    weights = net.weights(0) if isinstance(net, Ensemble) else net.weights()
    shape = np.array(sample.shape, np.float64)
    return {**folded(weights, layers, norm), "input.shape": shape}


def _single(layers: Sequence[Layer], features: int, seed: int, silent: NDArray[np.bool_] | None) -> Ensemble | Net:
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    if len(dense) == len(layers):
        return Ensemble(dense, features, 1, seed, silent)
    return Net(layers, features, seed)


def _normal(x: NDArray[np.integer[Any]], norm: Floats) -> NDArray[np.float32]:
    return (inputs.scaled(x) * norm).astype(np.float32)
