"""Telling data from simulation, event by event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SpecError
from trigger_ml.offline import objectives, spec, steps
from trigger_ml.offline.deploy import Deployed, batch_of, deploy, lowerings
from trigger_ml.offline.edges import Plane
from trigger_ml.offline.layers import Network
from trigger_ml.offline.metrics import Number
from trigger_ml.offline.networks import Precision, deep_sets, dual_attention, particle_transformer
from trigger_ml.offline.onnx.model import model
from trigger_ml.offline.sources.source import Source
from trigger_ml.offline.steps import Wanted
from trigger_ml.offline.tasks import measured
from trigger_ml.offline.tasks.measured import Measured
from trigger_ml.offline.training import Place, trained
from trigger_ml.physics.roc import auc
from trigger_ml.physics.tagging import tagging

Floats = NDArray[np.float32]


WORKING = "0.5"
"""Efficiency on data at which the share of simulation that passes is looked at."""


@dataclass(frozen=True)
class Classifier:
    """A deployed classifier and its layers."""

    network: Network
    deployed: Deployed

    def __call__(self, x: Floats) -> Floats:
        """The logit of each event."""
        found: Floats = self.deployed(objectives.by_port(self.network, x))[:, 0]
        return found


def classify(place: Place, source: Source, precision: Precision) -> Measured:
    """Data against simulation on what is measured."""
    row = place.row
    p = measured.complete(source.parts(row.sample.events, row.seed), row)
    if p.data is p.simulation or not p.test.reco.size:
        raise SpecError(f"[sample] {row.sample.name} can't be told apart: data is simulation, or nothing is measured")
    ones = np.ones(len(p.data) + len(p.simulation), np.float32)
    net = classifier(place, precision, p.data.reco, p.simulation.reco, ones, source.plane)
    signal, background = net(p.test_data.reco), net(p.test.reco)
    found = auc(background, signal)
    metrics = {"auc": Number(found.value, found.error)}
    rejected = tagging(background, signal).rejection[WORKING]
    metrics[f"rejection at {WORKING}"] = Number(rejected.value, (rejected.high - rejected.low) / 2)
    if source.ratio is not None:
        best = auc(source.ratio(p.test.reco), source.ratio(p.test_data.reco))
        lost = best.minus(found)
        metrics["auc below the best possible"] = Number(lost.value, (lost.high - lost.low) / 2)
    drawn = {"logit": measured.overlaid({"simulation": background, "data": signal})}
    return measured.of_step(row, net.deployed, net.network, metrics, p.test.reco, drawn)


def classifier(
    place: Place,
    precision: Precision,
    data: Floats,
    simulation: Floats,
    weight: Floats,
    plane: Plane | None = None,
) -> Classifier:
    """A trained, deployed classifier of data (label 1) against simulation.

    Args:
        place: of the row's training.
        precision: of its layers.
        data: events, or particles with their mask as last feature.
        simulation: the same.
        weight: of data's events, then of simulation's.
        plane: where particles lie, if they do.
    """
    row = place.row
    x = np.concatenate([data, simulation])
    label = np.concatenate([np.ones(len(data)), np.zeros(len(simulation))]).astype(np.float32)
    network = _network(row.network, x.shape[1:], precision, plane)
    scaled = objectives.by_port(network, x)
    seen = scaled["x"][scaled["mask"][..., 0] > 0] if "mask" in scaled else scaled["x"]
    weights = trained(place, network, objectives.classifier, (x, label, weight.astype(np.float32)), {"x": seen})
    models = {k: model(network, weights, k) for k in lowerings()}
    return Classifier(network, deploy(models, place.folder, place.name, batch_of(network)))


def _network(n: spec.Network, shape: tuple[int, ...], precision: Precision, plane: Plane | None = None) -> Network:
    """The network of the spec for one event's shape: ``(dimensions,)``, or ``(items, features and mask)``.

    Raises:
        SpecError: this kind reads no particles, or looks for near ones where there are none, or heads don't divide
            the width.
    """
    if n.kind in spec.OF_KIND["heads"] and n.hidden % n.heads:
        raise SpecError(f"[network] hidden is {n.hidden}, heads is {n.heads}: give a hidden that heads divide")
    if len(shape) == 1:
        return steps.network(n, precision, Wanted(shape[0], 1))
    items, features = shape
    if n.patch != 1:
        raise SpecError("[network] patch: each particle is an item, take the key out")
    if n.kind == "deep_sets":
        return deep_sets(items, features - 1, 1, n.hidden, n.blocks, precision, n.low)
    if n.kind == "transformer":
        return particle_transformer(items, features - 1, 1, n.hidden, n.blocks, n.heads, precision, n.low)
    if n.kind == "dual_attention":
        if plane is None:
            raise SpecError(
                '[network] kind is "dual_attention", but this source does not tell where particles lie: take '
                "transformer or deep_sets"
            )
        if n.neighbours >= items:
            raise SpecError(f"[network] neighbours is {n.neighbours}: a particle has {items - 1} others, take fewer")
        sizes = (n.hidden, n.blocks, n.heads, n.neighbours)
        return dual_attention(items, features - 1, 1, *sizes, plane, precision, n.low)
    raise SpecError(
        f'[network] kind is "{n.kind}", which reads no particles: take deep_sets, transformer or dual_attention'
    )
