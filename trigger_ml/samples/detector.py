"""A fast calorimeter and muon system, the same for every process: what particles leave in towers before any smearing.

Charged particles bend in 3.8 T to the calorimeter's face at 1.29 m; those that never reach it are lost. Towers are
0.087 x 0.087 to abs(eta) 3.13 and 0.16 x 0.087 to 5.0. All parameters are our own choice, of the size of CMS's; none is
tuned to data. Not simulated: shower sharing between towers, bremsstrahlung, noise, pion and kaon decays in flight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

PHI = 72
TOWER = 0.087
_SIDE = np.concatenate([np.arange(37) * TOWER, 36 * TOWER + (5.0 - 36 * TOWER) / 12 * np.arange(1, 13)])
ETA_EDGES = np.concatenate([-_SIDE[:0:-1], _SIDE])
ETA = 96
"""Rings of towers in eta; ring ``ETA - 1 - i`` mirrors ring ``i``."""
ETA_CENTRE = 0.5 * (ETA_EDGES[1:] + ETA_EDGES[:-1])
ETA_WIDTH = np.diff(ETA_EDGES)
FORWARD = np.abs(ETA_CENTRE) > 36 * TOWER

FIELD, RADIUS = 3.8, 1.29  # T, m
MUON_ETA, MUON_PT = 2.4, 3.0
_CHARGED = (11, 13, 211, 321, 2212, 3222, 3112, 3312, 3334)
_INVISIBLE = (12, 14, 16)


def add(where: Ints, weight: NDArray[np.floating], length: int) -> NDArray[np.float64]:
    """Sums of ``weight`` at each index 0 ... ``length`` - 1."""
    return np.bincount(where, weight, length).astype(np.float64, copy=False)


@dataclass(frozen=True)
class Particles:
    """Final-state particles of a batch of collisions, flat: ``counts`` of each collision, PDG ids, momenta in GeV."""

    counts: Ints
    pid: Ints
    px: NDArray[np.float64]
    py: NDArray[np.float64]
    pz: NDArray[np.float64]

    @property
    def event(self) -> Ints:
        """The collision of each particle."""
        return np.repeat(np.arange(len(self.counts)), self.counts)


@dataclass(frozen=True)
class Leptons:
    """Flat list of leptons: collision (rising), pT in GeV, eta, phi in rad."""

    event: Ints
    pt: Floats
    eta: Floats
    phi: Floats

    def take(self, which: NDArray[np.bool_] | Ints) -> Leptons:
        """Some of them."""
        return Leptons(self.event[which], self.pt[which], self.eta[which], self.phi[which])


@dataclass(frozen=True)
class Deposits:
    """What a batch of collisions leaves: flat tower entries sorted by collision, and the muons found.

    Attributes:
        collisions: how many.
        event: collision of each entry, rising.
        cell: tower, ``ring * PHI + phi bin``.
        em: electromagnetic transverse energy in GeV.
        had: hadronic transverse energy in GeV.
        muons: reconstructed muons.
    """

    collisions: int
    event: Ints
    cell: NDArray[np.uint16]
    em: Floats
    had: Floats
    muons: Leptons

    def activity(self) -> NDArray[np.float64]:
        """Transverse energy of each collision in towers above 2 GeV and in muons: how it could lead a crossing."""
        total = self.em + self.had
        towers = add(self.event, np.where(total > 2.0, total, 0), self.collisions)
        return towers + add(self.muons.event, self.muons.pt, self.collisions)


def respond(particles: Particles, rng: np.random.Generator) -> Deposits:
    """Towers and muons of each collision, before towers of overlaid collisions add up and are smeared."""
    event, pid = particles.event, particles.pid
    pt = np.hypot(particles.px, particles.py) + 1e-9
    eta, phi = np.arcsinh(particles.pz / pt), np.arctan2(particles.py, particles.px)
    a = np.abs(pid)
    charge = np.sign(pid) * np.isin(a, _CHARGED) * np.where(np.isin(a, (11, 13, 3112, 3312, 3334)), -1, 1)
    bend = 0.15 * FIELD * RADIUS / pt
    seen = ~np.isin(a, (*_INVISIBLE, 13)) & (np.abs(eta) < 5.0) & ((charge == 0) | (bend < 1))
    at_face = phi - charge * np.arcsin(np.minimum(bend, 1.0))
    fraction = np.where(np.isin(a, (11, 22)), 1.0, np.clip(rng.normal(0.35, 0.25, len(pt)), 0, 1))[seen]
    ring = np.clip(np.searchsorted(ETA_EDGES, eta[seen], "right") - 1, 0, ETA - 1)
    column = np.floor(at_face[seen] / (2 * np.pi) * PHI).astype(np.int64) % PHI
    key, inverse = np.unique(event[seen] * (ETA * PHI) + ring * PHI + column, return_inverse=True)
    em = np.bincount(inverse, pt[seen] * fraction, len(key))
    had = np.bincount(inverse, pt[seen] * (1 - fraction), len(key))
    return Deposits(
        len(particles.counts),
        key // (ETA * PHI),
        (key % (ETA * PHI)).astype(np.uint16),
        em.astype(np.float32),
        had.astype(np.float32),
        _muons(event, a, pt, eta, phi, rng),
    )


def _muons(
    event: Ints,
    a: Ints,
    pt: NDArray[np.float64],
    eta: NDArray[np.float64],
    phi: NDArray[np.float64],
    rng: np.random.Generator,
) -> Leptons:
    """Muons above 3 GeV in abs(eta) 2.4: turn-on around 4 GeV to 95 %, 1/pT smeared by 15 %, angles at the vertex."""
    found = np.flatnonzero((a == 13) & (np.abs(eta) < MUON_ETA) & (pt > MUON_PT - 1))
    efficiency = 0.95 * (0.5 + 0.5 * np.tanh((pt[found] - 4) / 1.5))
    measured = pt[found] / np.maximum(0.3, rng.normal(1, 0.15, len(found)))
    keep = (rng.random(len(found)) < efficiency) & (measured > MUON_PT)
    found, measured = found[keep], measured[keep]
    return Leptons(event[found], *(v.astype(np.float32) for v in (measured, eta[found], phi[found])))


def electrons(particles: Particles, threshold: float) -> Leptons:
    """True electrons above ``threshold`` GeV within abs(eta) 3.0, with phi where they reach the calorimeter."""
    pt = np.hypot(particles.px, particles.py) + 1e-9
    eta, phi = np.arcsinh(particles.pz / pt), np.arctan2(particles.py, particles.px)
    which = np.flatnonzero((np.abs(particles.pid) == 11) & (pt > threshold) & (np.abs(eta) < 3.0))
    bend = np.arcsin(np.minimum(0.15 * FIELD * RADIUS / pt[which], 1.0)) * np.sign(particles.pid[which])
    face = (phi[which] + bend).astype(np.float32)
    return Leptons(particles.event[which], pt[which].astype(np.float32), eta[which].astype(np.float32), face)


def measure(em: NDArray[np.float64], had: NDArray[np.float64], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Smear and digitise towers: (events, ETA, PHI) transverse energies to multiples of 0.5 GeV, as trigger primitives.

    Energy resolution: electromagnetic 5 %/sqrt(E) + 1 % and hadronic 100 %/sqrt(E) + 5 %; forward 50 % and 90 %.
    Towers whose sum is below 1 GeV are dropped.
    """
    e = _smear(em, np.where(FORWARD, 0.5, 0.05), 0.01, rng)
    h = _smear(had, np.where(FORWARD, 0.9, 1.0), 0.05, rng)
    keep = (e + h) >= 1.0
    return e * keep, h * keep


def _smear(
    et: NDArray[np.float64], stochastic: NDArray[np.float64], constant: float, rng: np.random.Generator
) -> Floats:
    out = np.zeros(et.shape, np.float32)
    where = np.nonzero(et > 0.05)
    x, ring = et[where], where[1]
    sigma = np.sqrt(stochastic[ring] ** 2 * x / np.cosh(ETA_CENTRE[ring]) + (constant * x) ** 2)
    out[where] = np.maximum(0, np.rint(rng.normal(x, sigma) * 2) / 2)
    return out
