"""Truth from noise through a latent space: an autoencoder and a diffusion, one after the other or at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SpecError
from trigger_ml.offline import latent
from trigger_ml.offline.compose import prefixed, together
from trigger_ml.offline.deploy import Deployed, deploy, lowerings
from trigger_ml.offline.framework import Trained
from trigger_ml.offline.latent import Diffusion
from trigger_ml.offline.layers import Network, Weights
from trigger_ml.offline.networks import Precision
from trigger_ml.offline.onnx.ends import Ends
from trigger_ml.offline.onnx.model import model
from trigger_ml.offline.onnx.sampler import sampler
from trigger_ml.offline.paths import Path
from trigger_ml.offline.solvers import SOLVERS, chosen
from trigger_ml.offline.sources.source import Events, Parts, Source
from trigger_ml.offline.spec import Row
from trigger_ml.offline.tasks import measured
from trigger_ml.offline.tasks.generated import judge
from trigger_ml.offline.tasks.measured import Measured
from trigger_ml.offline.training import Place, trained

Floats = NDArray[np.float32]

LEAST_WIDTH = 1e-6


@dataclass(frozen=True, eq=False)
class Learned:
    """What a training gives: the parts that are deployed, and the path from noise to the decoder's input.

    Attributes:
        diffusion: the step network, and that of what is measured.
        decoder: from latent numbers to truth.
        weights: by the names of the layers with their prefixes.
        path: from noise to latent numbers.
    """

    diffusion: Diffusion
    decoder: Network
    weights: Weights
    path: Path

    @property
    def parts(self) -> dict[str, Network]:
        """Network by prefix, layers under their prefixes."""
        parts = self.diffusion.parts | {"decoder": self.decoder}
        return {prefix: prefixed(network, prefix) for prefix, network in parts.items()}


def latent_diffusion(place: Place, source: Source, precision: Precision) -> Measured:
    """In two stages: the autoencoder, then the diffusion of its latent space."""
    chosen(place.row.sampler.method)
    p = plain(place.row, source)
    return _measured(place, source, p, two_stages(place, p.simulation, precision))


def vld(place: Place, source: Source, precision: Precision) -> Measured:
    """All at once."""
    chosen(place.row.sampler.method)
    p = plain(place.row, source)
    return _measured(place, source, p, at_once(place, p.simulation, precision))


def plain(row: Row, source: Source) -> Parts:
    """The events of a row whose networks take truth and what is measured as one line of numbers each.

    Raises:
        SpecError: another kind of network is asked for, or the events are not of that form.
    """
    name = row.objective.name
    if row.network.kind != "residual":
        raise SpecError(
            f'[network] kind is "{row.network.kind}", the objective {name} knows "residual" only: take that'
        )
    return measured.in_lines(measured.complete(source.parts(row.sample.events, row.seed), row), row)


def two_stages(place: Place, events: Events, precision: Precision) -> Learned:
    """Train both stages; latent numbers are brought to mean 0 and width 1 between, which the decoder undoes."""
    row, truth, reco = place.row, events.truth, events.reco
    ae = latent.autoencoder(row, truth.shape[1], precision, widths=True)
    parts = latent.diffusion(row, reco.shape[1], precision)
    first = dataclasses.replace(place, name=f"{place.name}_vae")
    both = together({"encoder": ae.encoder, "decoder": ae.decoder})
    weights = trained(first, both, lambda net: latent.bound(net, ae), (truth,), {"encoder_x": truth})
    mean, width = _encoded(ae.encoder, both, weights, truth)
    centre, spread = mean.mean(0), np.maximum(np.sqrt(mean.var(0) + (width**2).mean(0)), LEAST_WIDTH)
    data = ((mean - centre) / spread, width / spread, reco)
    second = trained(place, together(parts.parts), lambda net: latent.second_stage(net, parts), data, {"given_x": reco})
    start = next(iter(prefixed(ae.decoder, "decoder").nodes)).name
    undone = {f"{start}.scale": spread, f"{start}.shift": centre}
    return Learned(parts, ae.decoder, {**weights, **undone, **second}, latent.NOISED)


def at_once(place: Place, events: Events, precision: Precision) -> Learned:
    """Train all parts in one likelihood."""
    row, truth, reco = place.row, events.truth, events.reco
    ae = latent.autoencoder(row, truth.shape[1], precision, widths=False)
    parts = latent.diffusion(row, reco.shape[1], precision)
    every = together({"encoder": ae.encoder, "decoder": ae.decoder, **parts.parts})
    scaled = {"encoder_x": truth, "given_x": reco}
    weights = trained(place, every, lambda net: latent.joint(net, ae, parts), (truth, reco), scaled)
    return Learned(parts, ae.decoder, weights, latent.JOINT)


def _encoded(encoder: Network, both: Network, weights: Weights, truth: Floats) -> tuple[Floats, Floats]:
    """Mean and width of the latent numbers of events."""
    net, found = Trained(both, weights), []
    for start in range(0, len(truth), measured.TIMED):
        mean, log = latent.mean_and_log(latent.read(net, "encoder", encoder, truth[start : start + measured.TIMED]))
        found.append((mean.numpy(), np.exp(log.numpy())))
    mean, width = (np.concatenate(column) for column in zip(*found, strict=True))
    return mean, width


def _measured(place: Place, source: Source, p: Parts, learned: Learned) -> Measured:
    row, parts = place.row, learned.parts
    size, rng = row.network.latent, np.random.default_rng([place.row.seed, 9])
    steps, whole = _deployed(place, learned)

    def feed(reco: Floats) -> dict[str, Floats]:
        noise = rng.normal(size=(len(reco), size)).astype(np.float32)
        return {"noise": noise, "condition": reco} if reco.shape[1] else {"noise": noise}

    judged = judge(row, source, p, lambda reco: whole(feed(reco)))
    some = rng.normal(size=(measured.SAMPLED, p.test.reco.shape[1])).astype(np.float32)
    bad = whole.differing(feed(some))
    for name, net in steps.items():
        bad += tuple(f"{name}: {each}" for each in net.differing(_normal(parts[name], rng)))
    evaluations = row.sampler.steps * len(SOLVERS[chosen(row.sampler.method)].at)
    operations = {k: measured.bit_operations(n, evaluations if k == "denoiser" else 1) for k, n in parts.items()}
    return Measured(
        judged.metrics,
        bad,
        measured.COMPARED,
        measured.kernel_bytes(whole),
        sum(operations.values()),
        {**measured.micros(whole, feed(p.test.reco)), **judged.micros},
        judged.figures,
    )


def _deployed(place: Place, learned: Learned) -> tuple[Mapping[str, Deployed], Deployed]:
    """Each part alone, to be compared, and all in one model."""
    s, parts, weights = place.row.sampler, learned.parts, learned.weights
    ends = Ends(parts.get("given"), parts["decoder"], weights)
    made = {
        k: sampler(parts["denoiser"], weights, k, chosen(s.method), s.steps, learned.path, ends) for k in lowerings()
    }  # fmt: skip
    steps = {
        name: deploy({k: model(network, weights, k) for k in lowerings()}, place.folder, f"{place.name}_{name}")
        for name, network in parts.items()
    }
    return steps, deploy(made, place.folder, place.name)


def _normal(network: Network, rng: np.random.Generator) -> dict[str, Floats]:
    """Normal numbers for every port, and times."""
    count = measured.COMPARED
    found = {p.name: rng.normal(size=(count, *p.shape)).astype(np.float32) for p in network.ports}
    return found | ({"time": rng.random((count, 1)).astype(np.float32)} if "time" in found else {})
