"""Truth in one pass from noise and what is asked for, trained against a critic."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trigger_ml.offline.adversarial import Adversaries, adversarial, adversaries
from trigger_ml.offline.compose import prefixed, together
from trigger_ml.offline.deploy import deploy, lowerings
from trigger_ml.offline.framework import deployed
from trigger_ml.offline.layers import Weights
from trigger_ml.offline.metrics import Number, bootstrapped
from trigger_ml.offline.networks import Precision
from trigger_ml.offline.onnx.model import model
from trigger_ml.offline.sources.source import Events, Source
from trigger_ml.offline.tasks import measured
from trigger_ml.offline.tasks.generated import judge
from trigger_ml.offline.tasks.latent import plain
from trigger_ml.offline.tasks.measured import Measured
from trigger_ml.offline.training import Place, trained

Floats = NDArray[np.float32]


def gan(place: Place, source: Source, precision: Precision) -> Measured:
    """Train generator, critic and attribute network; judge the generator."""
    row = place.row
    p = plain(row, source)
    size, given = p.test.truth.shape[1], p.test.reco.shape[1]
    parts = adversaries(row, size, given, precision)
    weights = learned(place, parts, p.simulation)
    generator = prefixed(parts.generator, "generator")
    net = deploy({k: model(generator, weights, k) for k in lowerings()}, place.folder, place.name)
    rng = np.random.default_rng([row.seed, 9])

    def feed(asked: Floats) -> dict[str, Floats]:
        noise = rng.normal(size=(len(asked), row.network.latent)).astype(np.float32)
        return {"x": noise, "condition": asked} if given else {"x": noise}

    judged = judge(row, source, p, lambda asked: net(feed(asked)))
    again = Events(net(feed(p.test.reco)), p.test.reco)
    metrics = {**judged.metrics, **answered(parts, weights, again, p.test, row.seed)}
    bad = net.differing(feed(rng.normal(size=(measured.COMPARED, given)).astype(np.float32)))
    return Measured(
        metrics,
        bad,
        measured.COMPARED,
        measured.kernel_bytes(net),
        measured.bit_operations(generator),
        {**measured.micros(net, feed(p.test.reco)), **judged.micros},
        judged.figures,
    )


def learned(place: Place, parts: Adversaries, events: Events) -> Weights:
    """The weights of all networks, by the names of their layers with their prefixes."""
    truth, asked = events.truth, events.reco
    spread = np.maximum(asked.std(0), 1e-6)
    scaled = {"generator_condition": asked, "critic_condition": asked, "critic_x": truth, "attribute_x": truth}
    data = (truth, asked, ((asked - asked.mean(0)) / spread).astype(np.float32))
    return trained(place, together(parts.parts), lambda net: adversarial(net, parts), data, scaled)


def answered(parts: Adversaries, weights: Weights, made: Events, true: Events, seed: int) -> dict[str, Number]:
    """Correlation of what was asked for with what the attribute network reads in events: in generated and true ones."""
    if parts.attribute is None:
        return {}
    network, numbers = prefixed(parts.attribute, "attribute"), {}
    for name, events in (("asked and read", made), ("asked and read in truth", true)):
        both = np.concatenate([events.reco, deployed(network, weights, {"x": events.truth})], 1)
        numbers[f"correlation, {name}"] = bootstrapped(correlation, (both,), seed)
    return numbers


def correlation(both: NDArray[np.floating]) -> float:
    """Mean over attributes: correlation of the first half of columns with the second, 0 of one that never varies."""
    asked, read = np.split(both.astype(np.float64), 2, axis=1)
    spread = asked.std(0) * read.std(0)
    shared = ((asked - asked.mean(0)) * (read - read.mean(0))).mean(0)
    return float(np.where(spread > 0, shared / np.maximum(spread, 1e-300), 0.0).mean())
