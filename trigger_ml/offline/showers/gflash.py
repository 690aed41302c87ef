"""GFlash: showers from a parametrisation (G. Grindhammer and S. Peters, hep-ex/0001020, homogeneous media).

The longitudinal profile is a gamma distribution whose two parameters fluctuate together; the radial one is a narrow and
a wide part, both ``2 r R^2 / (r^2 + R^2)^2``; a number of spots of equal energy gives the fluctuations to the side.
Coefficients are those of the paper as the GFlash of Geant4 states them (class ``GVFlashHomoShowerTuning``, compared
with its source); the paper itself was not at hand. They were fitted to GEANT 3, not to the cascade here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_ml import tools
from trigger_ml.offline.showers import detector
from trigger_ml.offline.showers.cascade import CRITICAL, PAIR_LENGTH
from trigger_ml.offline.showers.detector import Showers, read_out

Floats = NDArray[np.floating]

CHARGE = 68.0
"""Z of lead tungstate: the mean over its atoms, weighted by mass (Pb 45.5 %, W 40.4 %, O 14.1 %)."""


@dataclass(frozen=True)
class Profile:
    """Longitudinal parameters of showers.

    Attributes:
        deepest: depth of the maximum in radiation lengths, T.
        alpha: of the gamma distribution.
        typical: alpha of the mean shower.
    """

    deepest: Floats
    alpha: Floats
    typical: Floats

    @property
    def beta(self) -> Floats:
        """Of the gamma distribution."""
        return (self.alpha - 1) / self.deepest


def profiles(incident: Floats, rng: np.random.Generator) -> Profile:
    """Fluctuating profiles for energies in MeV."""
    y = np.log(incident / (1000 * CRITICAL))
    mean_t, mean_a = np.log(y - 0.812), np.log(0.81 + (0.458 + 2.26 / CHARGE) * y)
    spread_t, spread_a = 1 / (-1.4 + 1.26 * y), 1 / (-0.58 + 0.86 * y)
    rho = 0.705 - 0.023 * y
    one, two = rng.normal(size=(2, len(incident)))
    same, other = np.sqrt((1 + rho) / 2) * one, np.sqrt((1 - rho) / 2) * two
    alpha = np.maximum(np.exp(mean_a + spread_a * (same - other)), 1.01)
    return Profile(np.exp(mean_t + spread_t * (same + other)), alpha, np.exp(mean_a))


def rings(tau: Floats, incident: Floats, edges: Floats) -> Floats:
    """Share of the energy in each ring and beyond, ``(events, rings + 1)``.

    Args:
        tau: depth over the mean shower's, ``(events,)``.
        incident: energies in MeV, ``(events,)``.
        edges: of the rings, in Moliere radii, from 0.
    """
    e, tau = np.log(incident / 1000)[:, None], tau[:, None]
    core = 0.0251 + 0.00319 * e + (0.1162 - 0.000381 * CHARGE) * tau
    tail = (0.659 - 0.00309 * CHARGE) * (np.exp(-2.59 * (tau - 0.645)) + np.exp((0.3585 + 0.0412 * e) * (tau - 0.645)))
    u = (0.401 + 0.00187 * CHARGE - tau) / (1.313 - 0.0686 * e)
    weight = np.clip((2.632 - 0.00094 * CHARGE) * np.exp(u - np.exp(u)), 0, 1)
    square = np.append(edges, np.inf) ** 2
    inside = [1 - r**2 / (square[1:-1] + r**2) for r in (core, tail)]
    cumulative = weight * inside[0] + (1 - weight) * inside[1]
    ends = np.zeros((len(tau), 1)), np.ones((len(tau), 1))
    return np.diff(np.concatenate([ends[0], cumulative, ends[1]], axis=1), axis=1)


def parametrised(incident: Floats, photons: NDArray[np.bool_], rng: np.random.Generator) -> Showers:
    """Showers in the voxels of ``detector.py``; photons start after 9/7 radiation lengths on average.

    Args:
        incident: energies in MeV, ``(events,)``.
        photons: which are photons, not electrons.
        rng: the generator.

    Raises:
        ToolMissing: without scipy.
    """
    gamma = tools.package("scipy.special").gammainc
    profile = profiles(incident, rng)
    start = np.where(photons, rng.exponential(PAIR_LENGTH, len(incident)), 0)
    spots = 93 * np.log(CHARGE) * (incident / 1000) ** 0.876
    spot_t = profile.deepest * (0.698 + 0.00212 * CHARGE)
    spot_a = np.maximum(profile.alpha * (0.639 + 0.00334 * CHARGE), 1.01)
    ends = np.maximum(detector.THICKNESS * np.arange(detector.LAYERS + 1) - start[:, None], 0)
    energy = np.diff(gamma(profile.alpha[:, None], profile.beta[:, None] * ends), axis=1) * incident[:, None]
    count = np.diff(gamma(spot_a[:, None], ((spot_a - 1) / spot_t)[:, None] * ends), axis=1) * spots[:, None]
    mean = profile.deepest * profile.alpha / (profile.alpha - 1)
    scale = mean * (profile.typical - 1) / profile.typical
    parts = []
    for i in range(detector.LAYERS):
        tau = (ends[:, i] + ends[:, i + 1]) / 2 / scale
        parts.append(energy[:, i : i + 1] * _sides(tau, incident, count[:, i], rng))
    return Showers(incident, read_out(np.concatenate(parts, axis=1), rng))


def _sides(tau: Floats, incident: Floats, count: Floats, rng: np.random.Generator) -> Floats:
    """Share of a layer's spots in each of its voxels, ``(events, angles * rings)``."""
    edges = np.asarray(detector.EDGES_MM) / detector.MOLIERE_MM
    one = rings(tau, incident, edges)
    inside = np.tile(one[:, :-1] / detector.ANGLES, detector.ANGLES)
    chances = np.concatenate([inside, one[:, -1:]], axis=1)
    spots = np.maximum(rng.poisson(count), 1)
    return rng.multinomial(spots, chances / chances.sum(1, keepdims=True))[:, :-1] / spots[:, None]
