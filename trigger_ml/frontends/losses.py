"""What a quantized network is trained on: its distance from the targets of a plan, in TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.families import classes, inputs
from trigger_ml.frontends import teacher
from trigger_ml.frontends.entropy import cross_entropy, probabilities
from trigger_ml.frontends.plan import Plan
from trigger_ml.samples.dataset import Sample
from trigger_ml.spec import Spec

MEASURED = 2048
"""Events whose distance is measured at once: a distance correlation compares all pairs of them."""

EVERY = 16
"""Every so many-th training event measures how good an epoch's quantized weights are."""

TAIL, WEIGHT = 0.02, 10.0
"""The part of the training events whose score in the twin is highest, and how many times each of them counts."""

Loss = Callable[[Any, Any, Any], Any]
"""From inputs, targets and predictions, TensorFlow float32 ``(events, .)``, to a scalar."""


def loss(spec: Spec, plan: Plan, sample: Sample) -> Loss:
    """How far the outputs are from the twin's, plus the squared error of the score's logarithm.

    Heads with log-variances are compared as the normal distributions that they stand for: the logarithm of 1 + the
    Kullback-Leibler divergence of the twin's from the quantized one's. Others by squared error in units of spread.
    Events in the twin's tail, where a trigger acts, count ``WEIGHT`` times.
    """
    import tensorflow as tf

    if spec.model.score in ("tagger", classes.SCORE):
        return _tagging
    if spec.model.score == "pair":
        return pair_loss(plan.y[:, :2])
    scale = np.maximum(plan.y.std(0), 0.1).astype(np.float32)
    distilled, latent = spec.model.score == "distilled", spec.model.latent
    score = _score(spec, sample)

    def log_score(x: Any, z: Any) -> Any:
        return z[:, 0] if distilled else tf.math.log(0.1 + score(x, z))

    few = inputs.scaled(plan.x[::EVERY]).astype(np.float32)
    edge = float(np.quantile(log_score(few, plan.y[::EVERY]), 1.0 - TAIL))

    def heads(y: Any, p: Any) -> Any:
        if distilled:  # the only output is the score's logarithm
            return 0.0
        if len(plan.heads) == 1:
            return tf.reduce_mean(((p - y) / scale) ** 2, -1)
        excess = y[:, latent:] - p[:, latent:]
        pull = (y[:, :latent] - p[:, :latent]) ** 2 * tf.exp(-p[:, latent:])
        return tf.math.log1p(0.5 * tf.reduce_sum(pull + tf.exp(excess) - excess - 1.0, -1))

    def total(x: Any, y: Any, p: Any) -> Any:
        wanted = log_score(x, y)
        weight = tf.where(wanted > edge, WEIGHT, 1.0)
        return tf.reduce_mean(weight * (heads(y, p) + (log_score(x, p) - wanted) ** 2))

    return total


def pair_loss(y: NDArray[np.float32]) -> Loss:
    """Squared errors of both scores, those in the tails counting more, and what ties the two on background.

    The third column of the targets says which events are background, not mixed ones: only their dependence counts.
    """
    import tensorflow as tf

    edges = tf.constant(np.quantile(y, 1.0 - TAIL, axis=0).astype(np.float32))

    def total(x: Any, y: Any, p: Any) -> Any:
        error = tf.reduce_mean(tf.where(y[:, :2] > edges, WEIGHT, 1.0) * (p - y[:, :2]) ** 2)
        return error + teacher.APART * teacher.dependence(p[:, 0], p[:, 1], y[:, 2])

    return total


def _tagging(x: Any, y: Any, p: Any) -> Any:
    """Cross-entropy with the labels and with what the float twin says, in equal parts."""
    import tensorflow as tf

    count = p.shape[1]
    said, twin, label = (z[:, 0] if count == 1 else z for z in (p, y[:, :count], y[:, count : 2 * count]))
    wanted = 0.5 * (label + probabilities(twin))
    return tf.reduce_mean(y[:, 2 * count] * cross_entropy(wanted, said))


def measure(
    distance: Loss,
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    predict: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> Callable[[], dict[str, float]]:
    """A measurement after an epoch: ``distance`` of the quantized network from the targets on some training events."""
    few, wanted = x[::EVERY], y[::EVERY]

    def distances() -> dict[str, float]:
        said = predict(few)
        parts = [slice(i, i + MEASURED) for i in range(0, len(few), MEASURED)]
        each = [float(distance(few[part], wanted[part], said[part])) for part in parts]
        return {"distance": float(np.average(each, weights=[len(few[part]) for part in parts]))}

    return distances


def _score(spec: Spec, sample: Sample) -> Callable[[Any, Any], Any]:
    """The score in TensorFlow, from inputs and outputs: see :mod:`trigger_ml.families.scores`."""
    import tensorflow as tf

    columns, latent = tf.constant(inputs.pt_index(sample.features)), spec.model.latent

    def score(x: Any, heads: Any) -> Any:
        mu, log_var = heads[:, :latent], heads[:, latent:]
        match spec.model.score:
            case "reconstruction":
                pt = tf.gather(x, columns, axis=1) * 2.0 ** (inputs.INPUT_FRAC - inputs.PT_FRAC)
                return tf.reduce_sum((tf.math.log1p(pt) / np.float32(np.log(2)) - heads) ** 2, -1)
            case "mu2":
                return tf.reduce_sum(mu**2, -1)
            case "rz":
                return tf.reduce_sum(mu**2 * tf.exp(-log_var), -1)
            case _:
                return 0.5 * tf.reduce_sum(mu**2 + tf.exp(log_var) - log_var - 1.0, -1)

    return score
