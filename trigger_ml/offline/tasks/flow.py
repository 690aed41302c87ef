"""Truth from noise or from what is measured: flows, diffusions, bridges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SpecError
from trigger_ml.offline import objectives
from trigger_ml.offline.coupling import coupling_flow
from trigger_ml.offline.deploy import Deployed, deploy, lowerings
from trigger_ml.offline.framework import Trained
from trigger_ml.offline.layers import Network, Weights
from trigger_ml.offline.networks import Precision, residual_mlp
from trigger_ml.offline.onnx.model import model
from trigger_ml.offline.onnx.sampler import sampler
from trigger_ml.offline.paths import PATHS
from trigger_ml.offline.solvers import SOLVERS
from trigger_ml.offline.sources.source import Source
from trigger_ml.offline.spec import Row
from trigger_ml.offline.tasks import measured
from trigger_ml.offline.tasks.generated import judge
from trigger_ml.offline.tasks.measured import Measured
from trigger_ml.offline.training import Place, trained

Floats = NDArray[np.float32]

COUPLING = "coupling_flow"

SAMPLED = 2000
"""Rows on which the lowerings of a whole sampler are compared, where it is not one pass."""


@dataclass(frozen=True)
class Generator:
    """What an objective trains, and how truth is drawn from it.

    Attributes:
        network: from its ports ``x``, ``time`` and ``condition`` to a slope, to noise, or, in one pass, to truth.
        loss: of the trained form, for batches of truth and of what is measured.
        one_pass: the network gives truth from noise ``x`` at once; else a sampler follows its path.
        from_reco: the path starts at what is measured, not at noise.
        told: the network has a port ``condition`` for what is measured.
        spread: deviation of normal noise that is added to a start at what is measured.
    """

    network: Network
    loss: Callable[[Trained], objectives.Loss]
    one_pass: bool = False
    from_reco: bool = False
    told: bool = True
    spread: float = 0.0


def flow(place: Place, source: Source, precision: Precision) -> Measured:
    """Truth from noise, or from what is measured; conditioned on the latter where there is any."""
    row = place.row
    p = measured.complete(source.parts(row.sample.events, row.seed), row)
    size, given = p.test.truth.shape[1], p.test.reco.shape[1]
    made = generator(row, size, given, precision)
    data, scaled = (p.simulation.truth, p.simulation.reco), {"condition": p.simulation.reco} if made.told else {}
    weights = trained(place, made.network, made.loss, data, scaled)
    step, whole = _deployed(place, made, weights)
    rng = np.random.default_rng([row.seed, 9])
    state = "x" if made.one_pass else "noise"

    def feed(reco: Floats) -> dict[str, Floats]:
        noise = rng.normal(size=(len(reco), size)).astype(np.float32)
        start = reco + np.float32(made.spread) * noise if made.from_reco else noise
        return {state: start, "condition": reco} if made.told else {state: start}

    judged = judge(row, source, p, lambda reco: whole(feed(reco)))
    bad = whole.differing(_feed(made.network, rng, SAMPLED, state))
    bad += () if made.one_pass else step.differing(_feed(made.network, rng, measured.COMPARED, "x"))
    evaluations = 1 if made.one_pass else row.sampler.steps * len(SOLVERS[row.sampler.method].at)
    return Measured(
        judged.metrics,
        bad,
        measured.COMPARED,
        measured.kernel_bytes(step),
        measured.bit_operations(made.network, evaluations),
        {**measured.micros(whole, feed(p.test.reco)), **judged.micros},
        judged.figures,
    )


def generator(row: Row, size: int, given: int, precision: Precision) -> Generator:
    """The network of a flow and its loss, for dimensions of truth and of what is measured.

    Raises:
        SpecError: the objective can't do these dimensions.
    """
    n, objective = row.network, row.objective.name
    if objective == COUPLING:
        flow = coupling_flow(size, n.hidden, 2 * n.blocks, precision, n.low, given)
        return Generator(
            flow.network, lambda net: objectives.likelihood(net, flow, given > 0), one_pass=True, told=given > 0
        )
    if objective == "direct_diffusion":
        return _direct(row, size, given, precision)
    network = residual_mlp(size, size, n.hidden, n.blocks, precision, n.low, given, timed=True)
    if objective == "flow_matching":
        return Generator(network, lambda net: objectives.flow_matching(net, given > 0), told=given > 0)
    path = PATHS[objective]
    return Generator(network, lambda net: objectives.score_matching(net, path, given > 0), told=given > 0)


def _direct(row: Row, size: int, given: int, precision: Precision) -> Generator:
    n, told = row.network, row.objective.conditional
    if size != given:
        raise SpecError(f"{row.objective.name} maps {given} measured dimensions to {size} of truth: it needs as many")
    network = residual_mlp(size, size, n.hidden, n.blocks, precision, n.low, given if told else 0, timed=True)
    spread = objectives.SPREAD if told else 0.0
    return Generator(
        network, lambda net: objectives.direct_diffusion(net, told), from_reco=True, told=told, spread=spread
    )


def _deployed(place: Place, made: Generator, weights: Weights) -> tuple[Deployed, Deployed]:
    """The step network and the whole sampler; both the same where one pass is all."""
    s, network = place.row.sampler, made.network
    steps = {k: model(network, weights, k) for k in lowerings()}
    if made.one_pass:
        one = deploy(steps, place.folder, place.name)
        return one, one
    path = PATHS[place.row.objective.name]
    whole = {k: sampler(network, weights, k, s.method, s.steps, path) for k in lowerings()}
    return deploy(steps, place.folder, f"{place.name}_step"), deploy(whole, place.folder, place.name)


def _feed(network: Network, rng: np.random.Generator, count: int, state: str) -> dict[str, Floats]:
    feed = {}
    for port in network.ports:
        if port.name == "x":
            feed[state] = rng.normal(size=(count, *port.shape)).astype(np.float32)
        elif port.name != "time":
            feed[port.name] = rng.normal(size=(count, *port.shape)).astype(np.float32)
        elif state == "x":
            feed["time"] = rng.random((count, 1)).astype(np.float32)
    return feed
