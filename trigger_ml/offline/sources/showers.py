"""Electron showers in six layers of three radiation lengths, from a cascade that follows every particle above 50 MeV.

Lengths are in radiation lengths, energies in GeV. A photon makes a pair after 9/7 on average and divides its energy
uniformly. An electron loses the critical energy for each length by ionisation and radiates fractions z of its energy
with a density of 1/z for each length, above 1 %: the energy that it loses so in a short length is that share of it.
What falls below the threshold stays within one length on average (Heitler's and Rossi's picture; Review of Particle
Physics, "Passage of particles through matter"). Layers are read with a resolution of 10 % / sqrt(E).

Given: log10 of the energy, uniform from 5 to 50 GeV. Truth: log of visible over true energy, and for each layer but
the last the logit of its share of what it and later ones see, all brought to mean 0 and deviation 1.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import tools
from trigger_ml.offline import fractions
from trigger_ml.offline.metrics import Number
from trigger_ml.offline.sources.source import Events, Source, drawn

LAYERS, THICKNESS = 6, 3.0
THRESHOLD, CRITICAL = 0.05, 0.01
SOFTEST = 0.01
PAIR_LENGTH = 9 / 7
RADIATION_LENGTH = float(1 / np.log(1 / SOFTEST))
RESOLUTION = 0.1
LOWEST, HIGHEST = 5.0, 50.0
STACK = 4096
PILOT = 4000
SHARE = 5e-3
"""Least share of a layer, so that its logit is finite."""

Floats = NDArray[np.float64]


def _cascade(energies: Floats, rng: np.random.Generator) -> Floats:
    """Energy in each layer, ``(events, layers)``; compiled by numba."""
    found = np.zeros((len(energies), LAYERS))
    energy, depth, photon = np.empty(STACK), np.empty(STACK), np.empty(STACK, np.bool_)
    end = LAYERS * THICKNESS
    for event in range(len(energies)):
        energy[0], depth[0], photon[0], held = energies[event], 0.0, False, 1
        while held > 0:
            held -= 1
            e, d, light = energy[held], depth[held], photon[held]
            if e < THRESHOLD:
                d += rng.exponential(1.0)
                if d < end:
                    found[event, int(d / THICKNESS)] += e
                continue
            step = rng.exponential(PAIR_LENGTH if light else RADIATION_LENGTH)
            if not light:
                loss = min(e, CRITICAL * step)
                middle = d + 0.5 * step
                if middle < end:
                    found[event, int(middle / THICKNESS)] += loss
                e -= loss
            d += step
            if d >= end or held + 2 > STACK:
                continue
            z = rng.random() if light else SOFTEST ** rng.random()
            for part, is_photon in ((z * e, not light), ((1 - z) * e, False)):
                energy[held], depth[held], photon[held] = part, d, is_photon
                held += 1
    return found


@cache
def _compiled() -> Any:
    return tools.package("numba").njit(_cascade)


def layers(energies: Floats, rng: np.random.Generator) -> Floats:
    """Energy that each layer reads, in GeV, ``(events, 6)``, for electrons of given energies in GeV.

    Raises:
        ToolMissing: without numba.
    """
    found: Floats = _compiled()(energies, rng)
    return np.maximum(found + RESOLUTION * np.sqrt(found) * rng.normal(size=found.shape), 0)


def _features(energies: Floats, seen: Floats) -> Floats:
    later = np.cumsum(seen[:, ::-1], axis=1)[:, ::-1]
    share = np.clip(seen[:, :-1] / np.maximum(later[:, :-1], 1e-9), SHARE, 1 - SHARE)
    total = np.log(np.maximum(later[:, :1], 1e-9) / energies[:, None])
    return np.concatenate([total, np.log(share / (1 - share))], axis=1)


def _draw(rng: np.random.Generator, count: int) -> tuple[Floats, Floats]:
    given = rng.uniform(np.log10(LOWEST), np.log10(HIGHEST), count)
    return _features(10**given, layers(10**given, rng)), given[:, None]


def source() -> Source:
    """Showers as simulation and as data."""
    pilot, _ = _draw(np.random.default_rng(0), PILOT)
    mean, spread = pilot.mean(0), pilot.std(0)

    def draw(rng: np.random.Generator, count: int) -> Events:
        truth, given = _draw(rng, count)
        return Events(((truth - mean) / spread).astype(np.float32), given.astype(np.float32))

    def view(truth: NDArray[np.floating], reco: NDArray[np.floating]) -> Mapping[str, NDArray[np.floating]]:
        return fractions.shown(truth * spread + mean, reco)

    def measures(found: NDArray[np.floating], test: Events, other: Events, seed: int) -> Mapping[str, Number]:
        made, wanted, also = (x * spread + mean for x in (found, test.truth, other.truth))
        return fractions.numbers(made, wanted, also, test.reco, seed)

    return Source(drawn(draw, draw), view=view, measures=measures, micros=_micros)


def _micros() -> float:
    start = time.process_time()
    _draw(np.random.default_rng(1), PILOT)
    return 1e6 * (time.process_time() - start) / PILOT
