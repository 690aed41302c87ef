"""Losses of the trained form, each a function of the step's seed and a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trigger_ml.errors import SpecError
from trigger_ml.offline.coupling import CouplingFlow, to_noise
from trigger_ml.offline.framework import Trained
from trigger_ml.offline.layers import Network
from trigger_ml.offline.paths import SPREAD, Path, bridge_share, seen, wanted

Loss = Callable[..., Any]

START = 0.5
"""Deviation of the noise at the start of conditional direct diffusion, where measurements have one of about 1."""

FIRST = 1e-3
"""Least time of a bridge that is learned; its samplers stop before."""


def flow_matching(net: Trained, conditional: bool) -> Loss:
    """``|v(x_t, t, c) - (x_1 - x_0)|**2`` on straight lines from noise x_0 (Y. Lipman et al., arXiv:2210.02747)."""

    def loss(seed: Any, target: Any, condition: Any) -> Any:
        import tensorflow as tf

        noise = tf.random.stateless_normal(tf.shape(target), seed)
        return _on_lines(net, seed, noise, target, condition if conditional else None)

    return loss


def direct_diffusion(net: Trained, conditional: bool) -> Loss:
    """The same from what was measured instead of noise (A. Butter et al., arXiv:2411.02495).

    Unconditional it moves one spectrum into the other, whatever belongs together. Conditional, the network is told the
    measurement all the way, and lines from it would lead to the mean of all truths that it may come from. So their
    start is spread with normal noise, and each of its points is led to another truth.
    """

    def loss(seed: Any, target: Any, measured: Any) -> Any:
        import tensorflow as tf

        if not conditional:
            return _on_lines(net, seed, measured, target, None)
        start = measured + START * tf.random.stateless_normal(tf.shape(measured), seed)
        return _on_lines(net, seed, start, target, measured)

    return loss


def bridge(net: Trained, conditional: bool) -> Loss:
    """``|net(x_t, t) - (x_t - truth) / sigma_t|**2`` on Brownian bridges from truth to measurement (arXiv:2302.05872).

    A point of a bridge is normal: its mean lies between both ends at the share of noise gathered until t.
    """

    def loss(seed: Any, target: Any, measured: Any) -> Any:
        import tensorflow as tf

        t = tf.random.stateless_uniform((tf.shape(target)[0], 1), seed + 1, FIRST, 1.0)
        share = bridge_share(t)
        noise = SPREAD * tf.sqrt(share * (1 - share)) * tf.random.stateless_normal(tf.shape(target), seed)
        x = target + share * (measured - target) + noise
        feed = {"x": x, "time": t} | ({"condition": measured} if conditional else {})
        return tf.reduce_mean((net(feed) - (x - target) / (SPREAD * tf.sqrt(share))) ** 2)

    return loss


def _on_lines(net: Trained, seed: Any, start: Any, target: Any, condition: Any) -> Any:
    import tensorflow as tf

    t = tf.random.stateless_uniform((tf.shape(target)[0], 1), seed + 1)
    feed = {"x": start + t * (target - start), "time": t}
    if condition is not None:
        feed["condition"] = condition
    return tf.reduce_mean((net(feed) - (target - start)) ** 2)


def score_matching(net: Trained, path: Path, conditional: bool) -> Loss:
    """Squared error of what a path's network gives, for ``x_t = alpha data + sigma noise``, evenly over times.

    With the best network that is score matching (Y. Song et al., arXiv:2011.13456) with the weight of ``paths``.

    Raises:
        SpecError: for a path that adds no noise.
    """
    if path.noised is None:
        raise SpecError("score matching needs a path that adds noise")
    noised = path.noised

    def loss(seed: Any, target: Any, condition: Any) -> Any:
        import tensorflow as tf

        noise = tf.random.stateless_normal(tf.shape(target), seed)
        t = tf.random.stateless_uniform((tf.shape(target)[0], 1), seed + 1, path.stop, path.start)
        alpha, sigma = noised(t)
        feed = {"x": (alpha * target + sigma * noise) * seen(noised, t), "time": t}
        if conditional:
            feed["condition"] = condition
        return tf.reduce_mean((net(feed) - wanted(noised, t, target, noise)) ** 2)

    return loss


def likelihood(net: Trained, flow: CouplingFlow, conditional: bool) -> Loss:
    """Minus the log density of data under a coupling flow, per dimension, without the constant."""

    def loss(seed: Any, target: Any, condition: Any) -> Any:
        import tensorflow as tf

        noise, stretch = to_noise(net, flow, target, condition if conditional else None)
        return tf.reduce_mean(0.5 * tf.reduce_sum(noise**2, -1) - stretch) / flow.size

    return loss


def classifier(net: Trained) -> Loss:
    """Weighted binary cross-entropy of a logit; its least gives the log of the ratio of densities."""

    def loss(seed: Any, x: Any, label: Any, weight: Any) -> Any:
        import tensorflow as tf

        logit = net(by_port(net.network, x))[:, 0]
        each = tf.nn.sigmoid_cross_entropy_with_logits(labels=label, logits=logit)
        return tf.reduce_sum(weight * each) / tf.reduce_sum(weight)

    return loss


def by_port(network: Network, x: Any) -> dict[str, Any]:
    """What a classifier reads, by port: items hold their mask, 0 or 1, as last feature."""
    if any(p.name == "mask" for p in network.ports):
        return {"x": x[..., :-1], "mask": x[..., -1:]}
    return {"x": x}
