"""Diffusion in the latent space of an autoencoder: the networks, and their losses in nats for each dimension of truth.

Two ways. In two stages (R. Rombach et al., arXiv:2112.10752): a variational autoencoder of truth (D. P. Kingma, M.
Welling, arXiv:1312.6114), then a diffusion of what its encoder gives. In one (A. Shmakov et al., arXiv:2305.10399):
encoder, diffusion and decoder in one likelihood (arXiv:2107.00630, with the fixed noise of ``paths.py`` instead of a
trained one). In both what is measured passes a network of its own that is trained with the diffusion.

The encoder of truth is needed in training alone and stays float.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from trigger_ml.errors import SpecError
from trigger_ml.offline.compose import prefixed
from trigger_ml.offline.framework import Trained
from trigger_ml.offline.layers import Network
from trigger_ml.offline.networks import Precision, residual_mlp
from trigger_ml.offline.objectives import Loss
from trigger_ml.offline.paths import HIGH, LOW, PATHS, Path
from trigger_ml.offline.spec import Row

WIDTH = 0.05
"""Standard deviation of truth around what the decoder gives, in the units of truth."""

LEAST_LOG, MOST_LOG = -8.0, 4.0
"""Range of the logarithm of a latent width."""

NOISED = PATHS["score_vp"]
"""The path of latent numbers that were encoded before."""

END = 0.14
JOINT = dataclasses.replace(NOISED, stop=END)
"""The path that is trained together with the encoder: it ends where the decoder takes over, at a noise of 0.08."""


@dataclass(frozen=True)
class Autoencoder:
    """Truth to its latent space and back.

    Attributes:
        encoder: port ``x`` -> means, then logarithms of widths unless the model is a joint one.
        decoder: port ``x``, latent numbers -> truth.
    """

    encoder: Network
    decoder: Network


@dataclass(frozen=True)
class Diffusion:
    """Noise to latent numbers.

    Attributes:
        denoiser: ports ``x``, ``time`` and, if something is measured, ``condition``.
        given: port ``x``, what is measured -> that condition; None if nothing is.
    """

    denoiser: Network
    given: Network | None

    @property
    def parts(self) -> dict[str, Network]:
        """By the prefix of their layers."""
        return {"denoiser": self.denoiser} | ({} if self.given is None else {"given": self.given})


def autoencoder(row: Row, size: int, precision: Precision, widths: bool) -> Autoencoder:
    """Its networks, for ``size`` dimensions of truth; ``widths``: the encoder gives a width as well."""
    n = row.network
    encoder = residual_mlp(size, n.latent * (2 if widths else 1), n.hidden, n.blocks)
    return Autoencoder(encoder, residual_mlp(n.latent, size, n.hidden, n.blocks, precision, n.low))


def diffusion(row: Row, given: int, precision: Precision) -> Diffusion:
    """Its networks, for ``given`` measured dimensions."""
    n, width = row.network, row.network.hidden if given else 0
    denoiser = residual_mlp(n.latent, n.latent, n.hidden, n.blocks, precision, n.low, width, timed=True)
    return Diffusion(denoiser, residual_mlp(given, n.hidden, n.hidden, n.blocks, precision, n.low) if given else None)


def read(net: Trained, part: str, network: Network, x: Any) -> Any:
    """The output of a part that has one port."""
    return net.on(prefixed(network, part), {"x": x})


def mean_and_log(encoded: Any) -> tuple[Any, Any]:
    """Mean, and logarithm of the width, of each latent number."""
    import tensorflow as tf

    mean, log = tf.split(encoded, 2, axis=-1)
    return mean, tf.clip_by_value(log, LEAST_LOG, MOST_LOG)


def divergence(mean: Any, log: Any) -> Any:
    """Kullback-Leibler divergence of a normal number with that mean and log width from one of 0 and 1, in nats."""
    from keras import ops

    return ops.sum(0.5 * (mean**2 + ops.exp(2 * log) - 1) - log, axis=-1)


def missed(decoded: Any, truth: Any) -> Any:
    """Minus the log density of truth around what was decoded, without the constant, in nats."""
    from keras import ops

    return ops.sum(0.5 * ((decoded - truth) / WIDTH) ** 2, axis=-1)


def bound(net: Trained, parts: Autoencoder) -> Loss:
    """Minus the evidence's lower bound of an autoencoder, per dimension of truth."""

    def loss(seed: Any, truth: Any) -> Any:
        import tensorflow as tf

        mean, log = mean_and_log(read(net, "encoder", parts.encoder, truth))
        z = mean + tf.exp(log) * tf.random.stateless_normal(tf.shape(mean), seed)
        cost = missed(read(net, "decoder", parts.decoder, z), truth) + divergence(mean, log)
        return tf.reduce_mean(cost) / truth.shape[1]

    return loss


def second_stage(net: Trained, parts: Diffusion) -> Loss:
    """Score matching of latent numbers that are drawn anew at each step from the means and widths of an encoder."""

    def loss(seed: Any, mean: Any, width: Any, reco: Any) -> Any:
        import tensorflow as tf

        z = mean + width * tf.random.stateless_normal(tf.shape(mean), seed)
        t = tf.random.stateless_uniform((tf.shape(z)[0], 1), seed + 1, NOISED.stop, NOISED.start)
        noise = tf.random.stateless_normal(tf.shape(mean), seed + 2)
        alpha, sigma = _noised(NOISED, t)
        found = told(net, parts, reco)(alpha * z + sigma * noise, t)
        return tf.reduce_mean((found - (alpha * noise - sigma * z)) ** 2)

    return loss


def joint(net: Trained, ae: Autoencoder, parts: Diffusion) -> Loss:
    """Minus the evidence's lower bound of all parts at once, per dimension of truth (arXiv:2305.10399)."""

    def loss(seed: Any, truth: Any, reco: Any) -> Any:
        import tensorflow as tf

        mean = read(net, "encoder", ae.encoder, truth)
        alpha, sigma = _noised(JOINT, JOINT.stop)
        z = alpha * mean + sigma * tf.random.stateless_normal(tf.shape(mean), seed)
        cost = missed(read(net, "decoder", ae.decoder, z), truth)
        cost += latent_cost(JOINT, mean, told(net, parts, reco), seed + 1)
        return tf.reduce_mean(cost) / truth.shape[1]

    return loss


def told(net: Trained, parts: Diffusion, reco: Any) -> Callable[[Any, Any], Any]:
    """From a noised state and a time to what the path's network gives, for what was measured."""
    condition = None if parts.given is None else read(net, "given", parts.given, reco)

    def denoise(x: Any, t: Any) -> Any:
        feed = {"x": x, "time": t} | ({} if condition is None else {"condition": condition})
        return net.on(prefixed(parts.denoiser, "denoiser"), feed)

    return denoise


def latent_cost(path: Path, mean: Any, denoise: Callable[[Any, Any], Any], seed: Any) -> Any:
    """Nats that it takes to tell what the path ends in, ``(events,)``.

    With the best denoiser that is the divergence (Kullback-Leibler) of the end's noise around ``alpha * mean`` from
    what all events together give there. It is the sum of ``KL(N(alpha mean, sigma) | N(0, 1))`` at the start and of
    half the integral of the noise's squared error over ``gamma``, the log of the variances of noise over signal: drawn
    evenly in gamma, and in a batch at even distances (arXiv:2107.00630).
    """
    import tensorflow as tf

    count = tf.shape(mean)[0]
    low, high = gamma(path.stop), gamma(path.start)
    even = tf.cast(tf.range(count), tf.float32) / tf.cast(count, tf.float32)
    u = (even + tf.random.stateless_uniform((), seed)) % 1.0
    t = time_of(low + (high - low) * u[:, None])
    noise = tf.random.stateless_normal(tf.shape(mean), seed + 1)
    alpha, sigma = _noised(path, t)
    off = denoise(alpha * mean + sigma * noise, t) - (alpha * noise - sigma * mean)
    error = tf.reduce_sum((alpha * off) ** 2, axis=-1)
    first, spread = _noised(path, path.start)
    known = divergence(first * mean, tf.fill(tf.shape(mean), np.float32(np.log(spread))))
    return known + 0.5 * np.float32(high - low) * error


def gamma(t: float) -> float:
    """Logarithm of the noise's over the signal's variance on a variance-preserving path."""
    alpha, sigma = _noised(NOISED, t)
    return float(2 * np.log(sigma / alpha))


def time_of(found: Any) -> Any:
    """The time at which it is that: ``softplus(gamma)`` is the rate's integral, a parabola in t squared."""
    from keras import ops

    rise = HIGH - LOW
    return ops.sqrt((ops.sqrt(LOW**2 + 2 * rise * ops.softplus(found)) - LOW) / rise)


def _noised(path: Path, t: Any) -> tuple[Any, Any]:
    if path.noised is None:
        raise SpecError("a latent diffusion needs a path that adds noise")
    return path.noised(t)
