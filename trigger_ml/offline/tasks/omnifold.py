"""Unfolding by weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SpecError
from trigger_ml.offline.metrics import Number
from trigger_ml.offline.networks import Precision
from trigger_ml.offline.sources.source import Source
from trigger_ml.offline.tasks import measured, unfolded
from trigger_ml.offline.tasks.classify import Classifier, classifier
from trigger_ml.offline.tasks.measured import Measured
from trigger_ml.offline.training import Place

Floats = NDArray[np.float32]

CLIP = 20.0
"""Largest logit that becomes a weight."""


def omnifold(place: Place, source: Source, precision: Precision) -> Measured:
    """Weights of simulated truth that make simulation look like data (A. Andreassen et al., arXiv:1911.09107).

    Each iteration: step 1 tells data from weighted simulation by what is measured, step 2 makes the weights a function
    of truth. Events that are not measured take the average weight of measured ones with their truth, fakes keep weight
    1 (A. Andreassen et al., arXiv:2105.04448). Sizes and times are those of the last network, which is the result;
    the lowerings of all are compared.
    """
    row = place.row
    if not source.unfolds:
        raise SpecError(f"[sample] {row.sample.name} is nothing to unfold: its data has no other truth than simulation")
    p = measured.in_lines(source.parts(row.sample.events, row.seed), row)
    sim, (seen, counts) = p.simulation, p.simulation.masks
    both, lost, taken = seen & counts, counts & ~seen, p.data.reco[p.data.masks[0]]
    push = np.ones(len(sim), np.float32)
    prior, wanted = unfolded.looked_for(p.test).truth, unfolded.looked_for(p.test_data).truth
    metrics: dict[str, Number] = {}
    nets: dict[str, Classifier] = {}

    def fitted(part: str, x: Floats, y: Floats, weight: Sequence[Floats]) -> Classifier:
        named = replace(place, name=f"{place.name}_{i}_{part}")
        nets[f"{i}_{part}"] = classifier(named, precision, x, y, np.concatenate(weight))
        return nets[f"{i}_{part}"]

    for i in range(row.objective.iterations):
        net = fitted("1", taken, sim.reco[seen], (np.ones(len(taken), np.float32), push[seen]))
        pull = push.copy()
        pull[seen] *= _weight(net(sim.reco[seen]))
        if lost.any():
            net = fitted("1b", sim.truth[both], sim.truth[both], (pull[both], push[both]))
            pull[lost] *= _weight(net(sim.truth[lost]))
        net = fitted("2", sim.truth[counts], sim.truth[counts], (pull[counts], np.ones_like(pull[counts])))
        push[counts] = _weight(net(sim.truth[counts]))
        metrics[f"iteration {i + 1}"] = unfolded.distance(prior, _weight(net(prior)), wanted, row.seed)
    weights = _weight(net(prior))
    metrics |= unfolded.spectra(source, p, prior, weights, row.seed)
    drawn = unfolded.drawn(source, p, prior, weights)
    found = measured.of_step(row, net.deployed, net.network, metrics, p.test.truth, drawn)
    before = [f"{name} {bad}" for name, each in list(nets.items())[:-1] for bad in _differing(each, row.seed)]
    return replace(found, differing=(*before, *found.differing))


def _differing(net: Classifier, seed: int) -> tuple[str, ...]:
    """Of a network that came before the last: lowerings that are not equal to the golden one."""
    size = net.network.shapes["x"]
    x = np.random.default_rng(seed).normal(size=(measured.COMPARED, *size)).astype(np.float32)
    return net.deployed.differing({"x": x})


def _weight(logit: Floats) -> Floats:
    return np.exp(np.clip(logit, -CLIP, CLIP))
