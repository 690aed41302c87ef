"""What each objective trains and measures at one precision: classification, unfolding by weights, flows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SpecError
from trigger_ml.offline import objectives
from trigger_ml.offline.coupling import coupling_flow
from trigger_ml.offline.deploy import Deployed, deploy, lowerings
from trigger_ml.offline.framework import Trained
from trigger_ml.offline.layers import Network, Weights
from trigger_ml.offline.metrics import Number, bootstrapped, rank_chi2, triangular, wasserstein
from trigger_ml.offline.networks import Precision, residual_mlp
from trigger_ml.offline.onnx.model import model
from trigger_ml.offline.onnx.sampler import sampler
from trigger_ml.offline.paths import PATHS
from trigger_ml.offline.sources.source import Events, Source
from trigger_ml.offline.spec import Row
from trigger_ml.offline.training import Place, trained
from trigger_ml.physics.roc import auc

Floats = NDArray[np.float32]

DRAWS = 31
"""Posterior samples of an event, for the ranks."""

RANKED = 4000
"""Events that get so many."""

COMPARED = 100_000
"""Rows on which the lowerings of a step network are compared."""

COUPLING = "coupling_flow"
"""The objective whose network gives the data at once."""

CLIP = 20.0
"""Largest logit that becomes a weight."""


@dataclass(frozen=True)
class Measured:
    """One precision of a row.

    Attributes:
        metrics: name -> number.
        differing: lowerings that are not equal to the golden one, by model; empty if all are.
        compared: rows compared.
        kernel_bytes: lowering -> bytes of linear weights.
    """

    metrics: Mapping[str, Number]
    differing: tuple[str, ...]
    compared: int
    kernel_bytes: Mapping[str, int]


@dataclass(frozen=True)
class Parts:
    """Events: simulation and data, for training and for the test."""

    simulation: Events
    data: Events
    test: Events
    test_data: Events


def parts(source: Source, count: int, seed: int) -> Parts:
    """Independent parts of ``count`` events each."""
    rngs = [np.random.default_rng([seed, i]) for i in range(4)]
    draws = (source.simulation, source.data, source.simulation, source.data)
    return Parts(*(draw(rng, count) for draw, rng in zip(draws, rngs, strict=True)))


def _complete(p: Parts, row: Row) -> Parts:
    """The same; refused if events are lost or fake, which only omnifold takes into account."""
    if p.simulation.measured is not None or p.simulation.counts is not None:
        raise SpecError(f"[sample] {row.sample.name} has lost events and fakes: only the objective omnifold takes them")
    return p


def classify(place: Place, source: Source, precision: Precision) -> Measured:
    """Data against simulation on what is measured."""
    row = place.row
    p = _complete(parts(source, row.sample.events, row.seed), row)
    ones = np.ones(len(p.data) + len(p.simulation), np.float32)
    net = _classifier(place, precision, p.data.reco, p.simulation.reco, ones)
    signal, background = net({"x": p.test_data.reco})[:, 0], net({"x": p.test.reco})[:, 0]
    found = auc(background, signal)
    metrics = {"auc": Number(found.value, found.error)}
    if source.ratio is not None:
        best = auc(source.ratio(p.test.reco), source.ratio(p.test_data.reco))
        lost = best.minus(found)
        metrics["auc below the best possible"] = Number(lost.value, (lost.high - lost.low) / 2)
    x = np.random.default_rng(row.seed).normal(size=(COMPARED, p.test.reco.shape[1])).astype(np.float32)
    return Measured(metrics, net.differing({"x": x}), COMPARED, _bytes(net))


def omnifold(place: Place, source: Source, precision: Precision) -> Measured:
    """Weights of simulated truth that make simulation look like data (A. Andreassen et al., arXiv:1911.09107).

    Each iteration: step 1 tells data from weighted simulation by what is measured, step 2 makes the weights a function
    of truth. Events that are not measured take the average weight of measured ones with their truth, fakes keep weight
    1 (A. Andreassen et al., arXiv:2105.04448).
    """
    row = place.row
    p = parts(source, row.sample.events, row.seed)
    sim, (measured, counts) = p.simulation, p.simulation.masks
    both, lost, seen = measured & counts, counts & ~measured, p.data.reco[p.data.masks[0]]
    push = np.ones(len(sim), np.float32)
    metrics = {"prior": _distance(p, np.ones(len(p.test), np.float32), row.seed)}

    def classifier(part: str, x: Floats, y: Floats, weight: Sequence[Floats]) -> Deployed:
        named = replace(place, name=f"{place.name}_{i}_{part}")
        return _classifier(named, precision, x, y, np.concatenate(weight))

    for i in range(row.objective.iterations):
        net = classifier("1", seen, sim.reco[measured], (np.ones(len(seen), np.float32), push[measured]))
        pull = push.copy()
        pull[measured] *= _weight(net({"x": sim.reco[measured]}))
        if lost.any():
            net = classifier("1b", sim.truth[both], sim.truth[both], (pull[both], push[both]))
            pull[lost] *= _weight(net({"x": sim.truth[lost]}))
        net = classifier("2", sim.truth[counts], sim.truth[counts], (pull[counts], np.ones_like(pull[counts])))
        push[counts] = _weight(net({"x": sim.truth[counts]}))
        metrics[f"iteration {i + 1}"] = _distance(p, _weight(net({"x": p.test.truth})), row.seed)
    x = np.random.default_rng(row.seed).normal(size=(COMPARED, p.test.truth.shape[1])).astype(np.float32)
    return Measured(metrics, net.differing({"x": x}), COMPARED, _bytes(net))


def flow(place: Place, source: Source, precision: Precision) -> Measured:
    """Truth from noise, or from what is measured; conditioned on the latter where there is any."""
    row = place.row
    p = _complete(parts(source, row.sample.events, row.seed), row)
    size, given = p.test.truth.shape[1], p.test.reco.shape[1]
    direct = row.objective.name == "direct_diffusion"
    if direct and size != given:
        raise SpecError(f"direct_diffusion maps {given} measured dimensions to {size} of truth: it needs as many")
    network, loss = _generator(row, size, given, precision)
    data = (p.simulation.truth, p.simulation.reco)
    weights = trained(place, network, loss, data, {"condition": p.simulation.reco} if given else {})
    step, whole = _sampler(place, network, weights)
    rng = np.random.default_rng([row.seed, 9])

    state = "x" if row.objective.name == COUPLING else "noise"

    def sampled(reco: Floats) -> Floats:
        noise = reco if direct else rng.normal(size=(len(reco), size)).astype(np.float32)
        return whole({state: noise, "condition": reco} if given else {state: noise})

    found = sampled(p.test.reco)
    other = source.simulation(np.random.default_rng([row.seed, 5]), len(p.test)).truth
    metrics = {
        "wasserstein": bootstrapped(wasserstein, (found, p.test.truth), row.seed),
        "wasserstein of truth": bootstrapped(wasserstein, (other, p.test.truth), row.seed),
    }
    if given and not direct:
        metrics |= _posterior(source, p.test, sampled)
    bad = whole.differing(_feed(network, rng, 2000, state)) + step.differing(_feed(network, rng, COMPARED, "x"))
    return Measured(metrics, bad, COMPARED, _bytes(step))


def _posterior(source: Source, test: Events, sampled: Callable[[Floats], Floats]) -> dict[str, Number]:
    """How far the samples of each event are from the posterior."""
    few = Events(test.truth[:RANKED], test.reco[:RANKED])
    drawn = np.stack([sampled(few.reco) for _ in range(DRAWS)])
    metrics = {"rank chi2 / dof": rank_chi2(drawn, few.truth)}
    if source.posterior is not None:
        mean, width = source.posterior(few.reco)
        pull = (drawn.mean(0) - mean) / width * np.sqrt(DRAWS)
        ratio = drawn.std(0, ddof=1) / width
        metrics["rms pull of the mean"] = bootstrapped(lambda x: float(np.sqrt((x**2).mean())), (pull,), 1)
        metrics["width over the true one"] = bootstrapped(lambda x: float(x.mean()), (ratio,), 1)
    return metrics


def _classifier(place: Place, precision: Precision, data: Floats, simulation: Floats, weight: Floats) -> Deployed:
    """A trained, deployed classifier of data (label 1) against simulation; ``weight`` in that order."""
    row = place.row
    x = np.concatenate([data, simulation])
    label = np.concatenate([np.ones(len(data)), np.zeros(len(simulation))]).astype(np.float32)
    network = residual_mlp(x.shape[1], 1, row.network.hidden, row.network.blocks, precision, row.network.low)
    weights = trained(place, network, objectives.classifier, (x, label, weight.astype(np.float32)), {"x": x})
    return deploy({k: model(network, weights, k) for k in lowerings()}, place.folder, place.name)


def _generator(
    row: Row, size: int, given: int, precision: Precision
) -> tuple[Network, Callable[[Trained], objectives.Loss]]:
    """The network of a flow, and its loss."""
    n = row.network
    if row.objective.name == COUPLING:
        made = coupling_flow(size, n.hidden, 2 * n.blocks, precision, n.low, given)
        return made.network, lambda net: objectives.likelihood(net, made, given > 0)
    network = residual_mlp(size, size, n.hidden, n.blocks, precision, n.low, given, timed=True)
    return network, _loss(row.objective.name, given > 0)


def _loss(objective: str, conditional: bool) -> Callable[[Trained], objectives.Loss]:
    if objective == "direct_diffusion":
        return objectives.direct_diffusion
    if objective == "flow_matching":
        return lambda net: objectives.flow_matching(net, conditional)
    return lambda net: objectives.score_matching(net, PATHS[objective], conditional)


def _sampler(place: Place, network: Network, weights: Weights) -> tuple[Deployed, Deployed]:
    s = place.row.sampler
    steps = {k: model(network, weights, k) for k in lowerings()}
    if place.row.objective.name == COUPLING:
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


def _weight(logit: Floats) -> Floats:
    return np.exp(np.clip(logit[:, 0], -CLIP, CLIP))


def _distance(p: Parts, weights: NDArray[np.floating], seed: int) -> Number:
    def statistic(rows: NDArray[np.floating], wanted: NDArray[np.floating]) -> float:
        return triangular(rows[:, :-1], rows[:, -1], wanted)

    weighted = np.concatenate([p.test.truth, weights[:, None]], 1)[p.test.masks[1]]
    return bootstrapped(statistic, (weighted, p.test_data.truth[p.test_data.masks[1]]), seed)


def _bytes(net: Deployed) -> dict[str, int]:
    return {k: m.kernel_bytes for k, m in net.models.items()}


TASKS: dict[str, Callable[[Place, Source, Precision], Measured]] = {
    "classifier": classify,
    "omnifold": omnifold,
    "flow_matching": flow,
    "direct_diffusion": flow,
    "score_vp": flow,
    "score_sub_vp": flow,
    "score_ve": flow,
    COUPLING: flow,
}
