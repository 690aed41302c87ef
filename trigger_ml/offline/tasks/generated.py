"""How good generated truth is: its distribution, and for each event how far samples are from the posterior.

Where the source is one of unfolding, the data is unfolded too: a generator keeps the simulation's truth in mind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_ml.offline.metrics import Number, bootstrapped, rank_chi2, wasserstein
from trigger_ml.offline.metrics_unfolding import coverage, rank_probability
from trigger_ml.offline.sources.source import Events, Parts, Source
from trigger_ml.offline.spec import Row
from trigger_ml.offline.tasks import measured, unfolded
from trigger_ml.offline.tasks.measured import Figure

Floats = NDArray[np.float32]

Sampled = Callable[[Floats], Floats]
"""From what is measured, ``(events, dimensions)``, to one truth of each event, drawn anew at each call."""

DRAWS = 31
"""Posterior samples of an event, for the ranks."""

RANKED = 4000
"""Events that get so many."""

WIDE = 1_000_000
"""Numbers of truth, events times dimensions, that the distances with their resamplings are taken of."""

DRAWN = 1_500_000
"""The same, times draws, for the ranks."""


@dataclass(frozen=True)
class Judged:
    """Numbers, histograms and the time of the truth simulator."""

    metrics: Mapping[str, Number]
    figures: Mapping[str, Figure]
    micros: Mapping[str, float]


def judge(row: Row, source: Source, p: Parts, sampled: Sampled) -> Judged:
    """All numbers of a generator on events of the test."""
    found = sampled(p.test.reco)
    some = slice(max(WIDE // found.shape[1], 1))
    metrics = {
        "wasserstein": bootstrapped(wasserstein, (found[some], p.test.truth[some]), row.seed),
        "wasserstein of truth": bootstrapped(wasserstein, (p.simulation.truth[some], p.test.truth[some]), row.seed),
    }
    if p.test.reco.shape[1]:
        metrics |= posterior(source, p.test, sampled)
    if source.measures is not None:
        metrics |= source.measures(found, p.test, p.simulation, row.seed)
    if source.unfolds:
        data = sampled(p.test_data.reco)
        metrics |= unfolded.spectra(source, p, data, None, row.seed) | unfolded.pairing(p.test, found)
        drawn = unfolded.drawn(source, p, data, None)
    else:
        drawn = measured.figures(source, p.test, {"model": (Events(found, p.test.reco), None)})
    return Judged(metrics, drawn, {} if source.micros is None else {"truth simulator": source.micros()})


def posterior(source: Source, test: Events, sampled: Sampled) -> dict[str, Number]:
    """Calibration of samples of each event; nothing where a sampler has no randomness."""
    ranked = min(RANKED, max(DRAWN // (DRAWS * test.truth.shape[1]), 1))
    few = Events(test.truth[:ranked], test.reco[:ranked])
    drawn = np.stack([sampled(few.reco) for _ in range(DRAWS)])
    if np.array_equal(drawn[0], drawn[1]):
        return {}
    metrics = {
        "rank chi2 / dof": rank_chi2(drawn, few.truth),
        "rank probability": rank_probability(drawn, few.truth, 1),
        "coverage of 68 % over nominal": coverage(drawn, few.truth),
    }
    if source.posterior is not None:
        mean, width = source.posterior(few.reco)
        pull = (drawn.mean(0) - mean) / width * np.sqrt(DRAWS)
        ratio = drawn.std(0, ddof=1) / width
        metrics["rms pull of the mean"] = bootstrapped(lambda x: float(np.sqrt((x**2).mean())), (pull,), 1)
        metrics["width over the true one"] = bootstrapped(lambda x: float(x.mean()), (ratio,), 1)
    return metrics
