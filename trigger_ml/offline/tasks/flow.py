"""Truth from noise or from what is measured: flows, diffusions, bridges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SpecError
from trigger_ml.offline import objectives, steps
from trigger_ml.offline.coupling import coupling_flow
from trigger_ml.offline.deploy import BATCH, Deployed, deploy, lowerings
from trigger_ml.offline.framework import Trained
from trigger_ml.offline.layers import Network, Shape, Weights
from trigger_ml.offline.moves import AffineMove, SplineMove
from trigger_ml.offline.networks import Precision
from trigger_ml.offline.onnx.model import model
from trigger_ml.offline.onnx.sampler import sampler
from trigger_ml.offline.onnx.walker import walker
from trigger_ml.offline.paths import PATHS
from trigger_ml.offline.solvers import SOLVERS, chosen
from trigger_ml.offline.sources.source import Source
from trigger_ml.offline.spec import Row
from trigger_ml.offline.steps import Wanted
from trigger_ml.offline.tasks import measured
from trigger_ml.offline.tasks.generated import judge
from trigger_ml.offline.tasks.measured import Measured
from trigger_ml.offline.training import Place, trained
from trigger_ml.offline.walks import Walk, walk

Floats = NDArray[np.float32]

COUPLINGS = ("coupling_flow", "spline_flow")
FROM_RECO = ("direct_diffusion", "bridge")

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
        walk: how the path is followed, if not by a Runge-Kutta method.
        spread: deviation of normal noise that is added to what is measured at the start.
    """

    network: Network
    loss: Callable[[Trained], objectives.Loss]
    one_pass: bool = False
    from_reco: bool = False
    told: bool = True
    walk: Walk | None = None
    spread: float = 0.0

    @property
    def kicked(self) -> bool:
        """Whether the sampler takes random kicks."""
        return self.walk is not None and self.walk.kicked

    def evaluations(self, row: Row) -> int:
        """How often the network is asked for one event."""
        if self.one_pass:
            return 1
        stages = 1 if self.walk is not None else len(SOLVERS[chosen(row.sampler.method)].at)
        return row.sampler.steps * stages


def flow(place: Place, source: Source, precision: Precision) -> Measured:
    """Truth from noise, or from what is measured; conditioned on the latter where there is any."""
    row = place.row
    p = measured.complete(source.parts(row.sample.events, row.seed), row)
    size, given = p.test.truth.shape[1], p.test.reco.shape[1]
    made = generator(row, size, given, precision, source.grid)
    data, scaled = (p.simulation.truth, p.simulation.reco), {"condition": p.simulation.reco} if made.told else {}
    weights = trained(place, made.network, made.loss, data, scaled)
    step, whole = _deployed(place, made, weights)
    rng = np.random.default_rng([row.seed, 9])
    state = "x" if made.one_pass else "noise"

    def feed(reco: Floats) -> dict[str, Floats]:
        noise = rng.normal(size=(len(reco), size)).astype(np.float32)
        start = reco + np.float32(made.spread) * noise if made.from_reco else noise
        kicks = {"kicks": _kicks(made, rng, len(reco), size)} if made.kicked else {}
        return {state: start, **kicks} | ({"condition": reco} if made.told else {})

    def sampled(reco: Floats) -> Floats:
        parts = [whole(feed(reco[i : i + BATCH])) for i in range(0, len(reco), BATCH)]
        return np.concatenate(parts)

    judged = judge(row, source, p, sampled)
    bad = whole.differing(_feed(made, rng, SAMPLED, state))
    bad += () if made.one_pass else step.differing(_feed(made, rng, measured.COMPARED, "x"))
    return Measured(
        judged.metrics,
        bad,
        measured.COMPARED,
        measured.kernel_bytes(step),
        measured.bit_operations(made.network, made.evaluations(row)),
        {**measured.micros(whole, feed(p.test.reco[: measured.TIMED])), **judged.micros},
        judged.figures,
    )


def generator(row: Row, size: int, given: int, precision: Precision, grid: Shape | None = None) -> Generator:
    """The network of a flow and its loss, for dimensions of truth and of what is measured; truth may be on a grid.

    Raises:
        SpecError: the objective can't do these dimensions, or the sampler can't follow it.
    """
    n, objective, told = row.network, row.objective.name, given > 0
    way = None if objective in COUPLINGS else _walk(row)
    if objective in COUPLINGS:
        if n.kind != "residual":
            raise SpecError(f"[network] kind is {n.kind}: {objective} has networks of its own, take the key out")
        move = SplineMove(row.objective.bins) if objective == "spline_flow" else AffineMove()
        flow = coupling_flow(size, n.hidden, 2 * n.blocks, precision, n.low, given, move)
        return Generator(flow.network, lambda net: objectives.likelihood(net, flow, told), one_pass=True, told=told)
    if objective in FROM_RECO:
        if size != given:
            raise SpecError(f"{objective} maps {given} measured dimensions to {size} of truth: it needs as many")
        told = row.objective.conditional
    wanted = Wanted(size, condition=given if told else 0, timed=True, grid=grid)
    network = steps.network(n, precision, wanted)
    if objective in FROM_RECO:
        loss = objectives.bridge if objective == "bridge" else objectives.direct_diffusion
        spread = objectives.START if told and objective == "direct_diffusion" else 0.0
        return Generator(network, lambda net: loss(net, told), from_reco=True, told=told, walk=way, spread=spread)
    if objective == "flow_matching":
        return Generator(network, lambda net: objectives.flow_matching(net, told), told=told)
    path = PATHS[objective]
    return Generator(network, lambda net: objectives.score_matching(net, path, told), told=told, walk=way)


def _walk(row: Row) -> Walk | None:
    """The walk of a sampler that is none of Runge and Kutta's."""
    method, objective = row.sampler.method, row.objective.name
    kicked = method == "euler_maruyama"
    if objective == "bridge" and not (kicked or method == "euler"):
        raise SpecError(f"[sampler] method {method} can't follow a bridge: choose euler or, with kicks, euler_maruyama")
    return walk(PATHS[objective], row.sampler.steps, kicked) if kicked or objective == "bridge" else None


def _deployed(place: Place, made: Generator, weights: Weights) -> tuple[Deployed, Deployed]:
    """The step network and the whole sampler; both the same where one pass is all."""
    s, network = place.row.sampler, made.network
    single = {k: model(network, weights, k) for k in lowerings()}
    if made.one_pass:
        one = deploy(single, place.folder, place.name)
        return one, one
    if made.walk is not None:
        whole = {k: walker(network, weights, k, made.walk) for k in lowerings()}
    else:
        method, path = chosen(s.method), PATHS[place.row.objective.name]
        whole = {k: sampler(network, weights, k, method, s.steps, path) for k in lowerings()}
    return deploy(single, place.folder, f"{place.name}_step"), deploy(whole, place.folder, place.name)


def _kicks(made: Generator, rng: np.random.Generator, count: int, size: int) -> Floats:
    steps = 0 if made.walk is None else made.walk.steps
    return rng.standard_normal((count, steps, size), np.float32)


def _feed(made: Generator, rng: np.random.Generator, count: int, state: str) -> dict[str, Floats]:
    feed = {}
    for port in made.network.ports:
        if port.name == "x":
            feed[state] = rng.normal(size=(count, *port.shape)).astype(np.float32)
        elif port.name != "time":
            feed[port.name] = rng.normal(size=(count, *port.shape)).astype(np.float32)
        elif state == "x":
            feed["time"] = rng.random((count, 1)).astype(np.float32)
    if state == "noise" and made.kicked:
        feed["kicks"] = _kicks(made, rng, count, feed["noise"].shape[1])
    return feed
