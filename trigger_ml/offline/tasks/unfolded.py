"""How good unfolding is, in the same numbers for weights and for generators: unfolded data against the data's truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from trigger_ml.offline.metrics import Number, bootstrapped, triangular
from trigger_ml.offline.metrics_unfolding import Migration, edges_of, migration, migration_chi2, wasserstein_of
from trigger_ml.offline.sources.source import Events, Parts, Source
from trigger_ml.offline.tasks import measured
from trigger_ml.offline.tasks.measured import Figure

Floats = NDArray[np.float32]
Weights = NDArray[np.floating]


def looked_for(events: Events) -> Events:
    """Those that are no fakes."""
    return events.rows(np.flatnonzero(events.masks[1]))


def spectra(source: Source, p: Parts, found: Floats, weights: Weights | None, seed: int) -> dict[str, Number]:
    """Distances of unfolded data from the test data's truth.

    ``triangular``: of all observables; ``of prior`` is what the simulation has without unfolding, ``of truth`` what two
    samples of the data's truth differ by. ``W1``: of each observable, in units of its deviation.

    Args:
        source: says which observables.
        p: the parts.
        found: unfolded events, ``(events, dimensions)``.
        weights: of these; None: all alike.
        seed: of the resamplings.
    """
    wanted, prior, other = (looked_for(events).truth for events in (p.test_data, p.test, p.data))
    metrics = {
        "triangular": distance(found, weights, wanted, seed),
        "triangular of prior": distance(prior, None, wanted, seed),
        "triangular of truth": distance(other, None, wanted, seed),
    }
    even = np.ones(len(found), np.float32) if weights is None else weights
    views = source.view(found, found), source.view(wanted, wanted)
    for name, values in views[0].items():
        pairs = np.stack([values, even], -1)
        metrics[f"W1 of {name}"] = bootstrapped(
            lambda rows, y: wasserstein_of(rows[:, 0], rows[:, 1], y), (pairs, views[1][name]), seed
        )
    return metrics


def distance(found: Floats, weights: Weights | None, wanted: Floats, seed: int) -> Number:
    """Triangular discriminator of weighted events."""

    def statistic(rows: Weights, truth: Weights) -> float:
        return triangular(rows[:, :-1], rows[:, -1], truth)

    even = np.ones(len(found), np.float32) if weights is None else weights
    return bootstrapped(statistic, (np.concatenate([found, even[:, None]], 1), wanted), seed)


def pairing(test: Events, found: Floats) -> dict[str, Number]:
    """Whether each event's unfolded truth belongs to what was measured of it, on the simulation's test events.

    Unfolded pairs of one half of them against true pairs of the other half; ``of truth`` is what the true pairs of both
    differ by. Purity and stability: see :class:`Migration`.
    """
    half = len(test) // 2
    first, second = test.rows(np.arange(half)), test.rows(np.arange(half, len(test)))
    edges = edges_of(test.truth)
    model = migration(found[:half], first.reco, edges)
    true, other = (migration(each.truth, each.reco, edges) for each in (first, second))
    metrics = {
        "migration chi2 / dof": migration_chi2(model, other),
        "migration chi2 / dof of truth": migration_chi2(true, other),
    }
    shares: Mapping[str, Callable[[Migration], float]] = {
        "purity": lambda m: m.purity,
        "stability": lambda m: m.stability,
    }
    for name, share in shares.items():
        metrics[name] = _share(share, found[:half], first.reco, edges)
        metrics[f"{name} of truth"] = _share(share, first.truth, first.reco, edges)
    return metrics


def _share(share: Callable[[Migration], float], truth: Floats, reco: Floats, edges: Weights) -> Number:
    size = truth.shape[1]

    def statistic(rows: Weights) -> float:
        return share(migration(rows[:, :size], rows[:, size:], edges))

    return bootstrapped(statistic, (np.concatenate([truth, reco], 1),), 1)


def drawn(source: Source, p: Parts, found: Floats, weights: Weights | None) -> dict[str, Figure]:
    """The data's truth, the simulation's without unfolding, and the unfolded data."""
    truth, prior = looked_for(p.test_data), looked_for(p.test)
    return measured.figures(source, truth, {"prior": (prior, None), "model": (Events(found, found), weights)})
