"""Electron showers in six layers of three radiation lengths, without their spread to the side (``showers/cascade.py``).

Layers are read with a resolution of 10 % / sqrt(E). Given: log10 of the energy in GeV, uniform in it from 5 to 50 GeV.
Truth: log of visible over true energy, and for each layer but the last the logit of its share of what it and later
ones see, all brought to mean 0 and deviation 1.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trigger_ml.offline.metrics import Number
from trigger_ml.offline.showers import fractions
from trigger_ml.offline.showers.cascade import deposits
from trigger_ml.offline.showers.detector import HIGHEST, LAYERS, LOWEST, THICKNESS
from trigger_ml.offline.showers.shares import totals
from trigger_ml.offline.sources.source import Events, Scale, Source, drawn

RESOLUTION = 0.1
PILOT = 4000

Floats = NDArray[np.float64]


def layers(energies: Floats, rng: np.random.Generator) -> Floats:
    """Energy that each layer reads, in GeV, ``(events, 6)``, for electrons of given energies in GeV.

    Raises:
        ToolMissing: without numba.
    """
    electrons = np.zeros(len(energies), np.bool_)
    found = deposits(energies, electrons, rng, layers=LAYERS, thickness=THICKNESS)
    return np.maximum(found + RESOLUTION * np.sqrt(found) * rng.normal(size=found.shape), 0)


def _draw(rng: np.random.Generator, count: int) -> tuple[NDArray[np.floating], Floats]:
    given = rng.uniform(np.log10(LOWEST), np.log10(HIGHEST), count)
    return totals(layers(10**given, rng), 10**given), given[:, None]


def source() -> Source:
    """Showers as simulation and as data."""
    pilot, _ = _draw(np.random.default_rng(0), PILOT)
    scale = Scale.of(pilot)

    def draw(rng: np.random.Generator, count: int) -> Events:
        truth, given = _draw(rng, count)
        return Events(scale.down(truth), given.astype(np.float32))

    def view(truth: NDArray[np.floating], reco: NDArray[np.floating]) -> Mapping[str, NDArray[np.floating]]:
        return fractions.shown(scale.up(truth), reco)

    def measures(found: NDArray[np.floating], test: Events, other: Events, seed: int) -> Mapping[str, Number]:
        made, wanted, also = map(scale.up, (found, test.truth, other.truth))
        return fractions.numbers(made, wanted, also, test.reco, seed)

    return Source(drawn(draw, draw), view=view, measures=measures, micros=_micros)


def _micros() -> float:
    start = time.process_time()
    _draw(np.random.default_rng(1), PILOT)
    return 1e6 * (time.process_time() - start) / PILOT
