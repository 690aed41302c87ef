"""A generator of one pass, trained against a critic and told by a second network whether it gave what was asked for.

The critic compares a true event with a generated one of the same condition, with penalties on its slope at both, so
that steps at the same time converge (Y. Huang et al., arXiv:2501.05441; conditional as in arXiv:1411.1784).
The attribute network learns from true events to tell what was asked for (A. Odena et al., arXiv:1610.09585; M. Paganini
et al., arXiv:1712.10321), and in generated ones it shall err as much: pulled to no error, they would tell too well what
was asked for. Critic and attribute network are needed in training alone and stay float.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trigger_ml.offline.compose import prefixed
from trigger_ml.offline.framework import Trained
from trigger_ml.offline.layers import Network
from trigger_ml.offline.networks import Precision, residual_mlp
from trigger_ml.offline.objectives import Loss
from trigger_ml.offline.spec import Row

PENALTY = 10.0
"""Of the critic's squared slope at true and at generated events."""

ANSWER = 1.0
"""Weight of the squared difference between the attribute network's errors on generated and on true events."""


@dataclass(frozen=True)
class Adversaries:
    """The networks.

    Attributes:
        generator: ports ``x``, noise, and ``condition``, what is asked for -> truth.
        critic: ports ``x``, truth, and ``condition`` -> how true it looks; differences count.
        attribute: port ``x``, truth -> what was asked for, standardized; None where nothing is.
    """

    generator: Network
    critic: Network
    attribute: Network | None

    @property
    def parts(self) -> dict[str, Network]:
        """By the prefix of their layers."""
        pair = {"generator": self.generator, "critic": self.critic}
        return pair | ({} if self.attribute is None else {"attribute": self.attribute})


def adversaries(row: Row, size: int, given: int, precision: Precision) -> Adversaries:
    """The networks for ``size`` dimensions of truth and ``given`` of what is asked for."""
    n = row.network
    return Adversaries(
        residual_mlp(n.latent, size, n.hidden, n.blocks, precision, n.low, given),
        residual_mlp(size, 1, n.hidden, n.blocks, condition=given),
        residual_mlp(size, given, n.hidden, n.blocks) if given else None,
    )


def adversarial(net: Trained, parts: Adversaries) -> Loss:
    """The sum of all losses; no gradient of the generator's moves a critic, and none of a critic's the generator."""

    def loss(seed: Any, truth: Any, asked: Any, wanted: Any) -> Any:
        import tensorflow as tf

        noise = tf.random.stateless_normal((tf.shape(truth)[0], *parts.generator.shapes["x"]), seed)
        made = _on(net, parts, "generator", noise, asked)
        real, steep = _critic_and_slope(net, parts, truth, asked)
        fake, steep_too = _critic_and_slope(net, parts, tf.stop_gradient(made), asked)
        total = tf.reduce_mean(tf.nn.softplus(fake - real)) + 0.5 * PENALTY * tf.reduce_mean(steep + steep_too)
        liked = _on(net, parts, "critic", made, asked, held=True)
        total += tf.reduce_mean(tf.nn.softplus(tf.stop_gradient(real) - liked))
        if parts.attribute is not None:
            error = _error(net, parts.attribute, truth, wanted)
            reached = _error(net, parts.attribute, made, wanted, held=True)
            total += error + ANSWER * (reached - tf.stop_gradient(error)) ** 2
        return total

    return loss


def _critic_and_slope(net: Trained, parts: Adversaries, events: Any, asked: Any) -> tuple[Any, Any]:
    """The critic's answer to events, and the square of its gradient there, ``(events,)``."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(events)
        found = _on(net, parts, "critic", events, asked)
        total = tf.reduce_sum(found)
    return found, tf.reduce_sum(tape.gradient(total, events) ** 2, axis=-1)


def _error(net: Trained, attribute: Network, x: Any, wanted: Any, held: bool = False) -> Any:
    """Mean squared error of what the attribute network reads in events."""
    import tensorflow as tf

    answer = net.on(prefixed(attribute, "attribute"), {"x": x}, held)
    return tf.reduce_mean((answer - wanted) ** 2)


def _on(net: Trained, parts: Adversaries, part: str, x: Any, asked: Any, held: bool = False) -> Any:
    feed = {"x": x} | ({} if parts.attribute is None else {"condition": asked})
    return net.on(prefixed(parts.parts[part], part), feed, held)
