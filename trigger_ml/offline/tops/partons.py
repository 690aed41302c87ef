"""Top-quark pairs from a seed: a model of their kinematics, not an event generator.

There is no matrix element, no spin correlation, no polarisation of the W and no radiation: masses follow Breit-Wigner
curves, every decay is isotropic in the frame of what decays, and the pair's motion follows falling spectra chosen to
look like those at the LHC. One top decays to b and two light quarks, the other to b, a charged lepton and a neutrino.
Masses and widths: Review of Particle Physics (2024).

Momenta are arrays ``(events, 4)`` of px, py, pz, E in GeV.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

TOP_MASS, TOP_WIDTH = 172.57, 1.42
W_MASS, W_WIDTH = 80.369, 2.085
B_MASS = 4.8
CUT = 12.0
"""Masses lie within so many widths: every decay then has the energy that it needs."""

SPECTRUM_GEV, SPECTRUM_POWER = 250.0, 4.0
"""Transverse momentum of a top in the pair's frame: ``p / (1 + (p / SPECTRUM_GEV)**2)**SPECTRUM_POWER``."""

SPREAD = 0.6
"""Width of a top's rapidity in the pair's frame."""

PAIR_GEV, PAIR_SPREAD = 40.0, 0.8
"""Mean of the pair's transverse momentum, which falls exponentially, and width of its rapidity."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """The momenta of a pair's decay: of the top that ends in quarks, and of the one that ends in a lepton."""

    quark_top: Floats
    quark_w: Floats
    quark_b: Floats
    quarks: tuple[Floats, Floats]
    lepton_top: Floats
    lepton_w: Floats
    lepton_b: Floats
    lepton: Floats
    neutrino: Floats


def pairs(rng: np.random.Generator, count: int) -> Pairs:
    """``count`` pairs."""
    first, second = _tops(rng, count)
    nothing = np.zeros(count)
    ws = [_breit_wigner(rng, W_MASS, W_WIDTH, count) for _ in range(2)]
    bottom = np.full(count, B_MASS)
    quark_w, quark_b = decayed(rng, first, ws[0], bottom)
    lepton_w, lepton_b = decayed(rng, second, ws[1], bottom)
    quarks = decayed(rng, quark_w, nothing, nothing)
    lepton, neutrino = decayed(rng, lepton_w, nothing, nothing)
    return Pairs(first, quark_w, quark_b, quarks, second, lepton_w, lepton_b, lepton, neutrino)


def _tops(rng: np.random.Generator, count: int) -> tuple[Floats, Floats]:
    masses = [_breit_wigner(rng, TOP_MASS, TOP_WIDTH, count) for _ in range(2)]
    pt = SPECTRUM_GEV * np.sqrt(rng.random(count) ** (-1 / (SPECTRUM_POWER - 1)) - 1)
    pz = np.hypot(pt, masses[0]) * np.sinh(SPREAD * rng.normal(size=count))
    azimuth = rng.uniform(-np.pi, np.pi, count)
    momentum = np.stack([pt * np.cos(azimuth), pt * np.sin(azimuth), pz], -1)
    inside = [with_mass(sign * momentum, m) for sign, m in zip((1, -1), masses, strict=True)]
    together = mass(inside[0] + inside[1])
    kick, turn = rng.exponential(PAIR_GEV, count), rng.uniform(-np.pi, np.pi, count)
    along = np.hypot(together, kick) * np.sinh(PAIR_SPREAD * rng.normal(size=count))
    frame = with_mass(np.stack([kick * np.cos(turn), kick * np.sin(turn), along], -1), together)
    return boosted(inside[0], frame), boosted(inside[1], frame)


def _breit_wigner(rng: np.random.Generator, centre: float, width: float, count: int) -> Floats:
    """Masses with a density of ``1 / ((m - centre)**2 + width**2 / 4)`` within CUT widths."""
    edge = np.arctan(2 * CUT)
    return centre + 0.5 * width * np.tan(rng.uniform(-edge, edge, count))


def decayed(rng: np.random.Generator, parent: Floats, first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Two daughters of masses ``first`` and ``second``, isotropic where the parent rests."""
    whole = mass(parent)
    size = np.sqrt((whole**2 - (first + second) ** 2) * (whole**2 - (first - second) ** 2)) / (2 * whole)
    cosine, azimuth = rng.uniform(-1, 1, len(parent)), rng.uniform(-np.pi, np.pi, len(parent))
    sine = np.sqrt(1 - cosine**2)
    way = np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine], -1) * size[:, None]
    return boosted(with_mass(way, first), parent), boosted(with_mass(-way, second), parent)


def boosted(momentum: Floats, frame: Floats) -> Floats:
    """A momentum that is given where ``frame`` rests, as it is where that moves so."""
    whole = mass(frame)[:, None]
    inner = (momentum[:, :3] * frame[:, :3]).sum(1, keepdims=True)
    energy = (momentum[:, 3:] * frame[:, 3:] + inner) / whole
    space = momentum[:, :3] + frame[:, :3] * (inner / (frame[:, 3:] + whole) + momentum[:, 3:]) / whole
    return np.concatenate([space, energy], 1)


def with_mass(space: Floats, masses: Floats) -> Floats:
    """A momentum from its three parts ``(events, 3)`` and its mass ``(events,)``."""
    return np.concatenate([space, np.sqrt((space**2).sum(1) + masses**2)[:, None]], 1)


def mass(momentum: Floats) -> Floats:
    """Invariant mass in GeV, ``(events,)``."""
    square: Floats = momentum[:, 3] ** 2 - (momentum[:, :3] ** 2).sum(1)
    return np.sqrt(np.maximum(square, 0))
