"""What a particle-flow trigger would see of a jet: tracks, and calorimeter cells of what left none.

Tracks: charged, abs(eta) < 2.4, pT above 2 GeV (the Phase-2 track trigger's threshold), 93 % efficiency whatever the
density, resolution 1 % + 0.015 % of pT per GeV, angles exact. Cells: electromagnetic 0.0174 x 0.0175 (photons, and
electrons without a track) and hadronic 0.087 x 0.0873 (everything else), to abs(eta) 3.0; energies of one cell add up
before they are smeared by 7 %/sqrt(E) + 0.7 % or 110 %/sqrt(E) + 5 %; below 0.5 or 1 GeV of pT a cell is dropped. All
numbers are our own choice, of CMS's size, and tuned to no data. Not simulated: bending, showers that spread, confusion
between tracks and cells, noise, pileup.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_ml.samples.detector import Ints, Particles

TRACK_ETA, TRACK_PT, TRACK_EFFICIENCY = 2.4, 2.0, 0.93
CALORIMETER_ETA = 3.0
CELLS_IN_PHI = {"em": 360, "had": 72}
CELL_ETA = {"em": 0.0174, "had": 0.087}
THRESHOLD = {"em": 0.5, "had": 1.0}  # GeV of pT
RESOLUTION = {"em": (0.07, 0.007), "had": (1.1, 0.05)}

CHARGED = (11, 13, 211, 321, 2212, 3222, 3112, 3312, 3334)
INVISIBLE = (12, 14, 16)


@dataclass(frozen=True)
class Candidates:
    """Massless measured particles of a batch of collisions, flat: collision (rising), pT in GeV, eta, phi in rad."""

    event: Ints
    pt: NDArray[np.float64]
    eta: NDArray[np.float64]
    phi: NDArray[np.float64]


def measure(particles: Particles, rng: np.random.Generator) -> Candidates:
    """Tracks and cells of each collision."""
    event, pid = particles.event, np.abs(particles.pid)
    pt = np.hypot(particles.px, particles.py) + 1e-9
    eta, phi = np.arcsinh(particles.pz / pt), np.arctan2(particles.py, particles.px)
    reachable = np.isin(pid, CHARGED) & (np.abs(eta) < TRACK_ETA) & (pt > TRACK_PT)
    tracked = reachable & (rng.random(len(pt)) < TRACK_EFFICIENCY)
    measured = pt * np.maximum(0, rng.normal(1, 0.01 + 0.00015 * pt))
    parts = [Candidates(event[tracked], measured[tracked], eta[tracked], phi[tracked])]
    in_cells = ~tracked & ~np.isin(pid, (*INVISIBLE, 13)) & (np.abs(eta) < CALORIMETER_ETA)
    light = np.isin(pid, (11, 22))
    for kind, mine in (("em", in_cells & light), ("had", in_cells & ~light)):
        parts.append(_cells(kind, Candidates(event[mine], pt[mine], eta[mine], phi[mine]), rng))
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in ("event", "pt", "eta", "phi")]
    order = np.argsort(columns[0], kind="stable")
    return Candidates(*(column[order] for column in columns))


def _cells(kind: str, what: Candidates, rng: np.random.Generator) -> Candidates:
    """Sums over cells, smeared, at the cells' centres."""
    columns, width = CELLS_IN_PHI[kind], CELL_ETA[kind]
    half = int(np.ceil(CALORIMETER_ETA / width))
    ring = np.floor(what.eta / width).astype(np.int64) + half
    column = np.floor(what.phi / (2 * np.pi) * columns).astype(np.int64) % columns
    key, inverse = np.unique((what.event * 2 * half + ring) * columns + column, return_inverse=True)
    pt = np.bincount(inverse, what.pt, len(key))
    eta = (key // columns % (2 * half) - half + 0.5) * width
    phi = (key % columns + 0.5) * 2 * np.pi / columns
    stochastic, constant = RESOLUTION[kind]
    sigma = np.hypot(stochastic / np.sqrt(pt * np.cosh(eta) + 1e-9), constant)
    measured = pt * np.maximum(0, rng.normal(1, sigma))
    seen = measured > THRESHOLD[kind]
    return Candidates(key[seen] // (2 * half * columns), measured[seen], eta[seen], phi[seen])
