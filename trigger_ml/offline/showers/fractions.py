"""Which share of a shower's energy each layer holds, and numbers of how well generated showers divide it.

A shower is given as :func:`trigger_ml.offline.showers.shares.totals` gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from trigger_ml.offline.metrics import Number, bootstrapped
from trigger_ml.offline.showers.shares import seen

Floats = NDArray[np.floating]


def fractions(shower: Floats) -> Floats:
    """Each layer's share of the visible energy, ``(events, layers)``; they add up to 1."""
    layers = seen(shower, np.ones(len(shower)))
    found: Floats = layers / layers.sum(1, keepdims=True)
    return found


def depth(shower: Floats) -> Floats:
    """Mean number of the layer, from 0, by energy, ``(events,)``."""
    found: Floats = fractions(shower) @ np.arange(shower.shape[1])
    return found


def shown(shower: Floats, given: Floats) -> dict[str, Floats]:
    """What plots show, ``(events,)`` each: visible over true energy, depth, shares of layers. ``given`` is not used."""
    parts = {f"share of layer {i}": column for i, column in enumerate(fractions(shower).T)}
    return {"visible over true energy": np.exp(shower[:, 0]), "mean layer": depth(shower), **parts}


def numbers(found: Floats, wanted: Floats, other: Floats, given: Floats, seed: int) -> Mapping[str, Number]:
    """Means and widths of the shares, and the correlation of depth with the log of the energy that was asked for.

    Args:
        found: generated showers.
        wanted: true ones of the same energies.
        other: other true ones, of which the same numbers are given.
        given: log10 of the energy in GeV, ``(events, 1)``.
        seed: of the resamplings.
    """
    true, metrics = fractions(wanted), {}
    for label, events in (("", found), (" of truth", other)):
        each = fractions(events)
        metrics[f"largest relative error of a layer's mean share{label}"] = bootstrapped(
            _worst(np.mean), (each, true), seed
        )
        metrics[f"largest relative error of a layer's width{label}"] = bootstrapped(_worst(np.std), (each, true), seed)
    for label, events in (("", found), (" in truth", wanted)):
        both = np.concatenate([depth(events)[:, None], given], 1)
        metrics[f"correlation, depth and log energy{label}"] = bootstrapped(_correlation, (both,), seed)
    return metrics


def _worst(statistic: Callable[..., Floats]) -> Callable[[Floats, Floats], float]:
    """Over layers, those aside where the truth has 0."""

    def worst(found: Floats, true: Floats) -> float:
        wanted = statistic(true, axis=0)
        return float(np.abs(statistic(found, axis=0)[wanted > 0] / wanted[wanted > 0] - 1).max(initial=0))

    return worst


def _correlation(both: Floats) -> float:
    """0 where one of both never varies, as at one incident energy."""
    return float(np.corrcoef(both[:, 0], both[:, 1])[0, 1]) if (both.std(0) > 0).all() else 0.0
