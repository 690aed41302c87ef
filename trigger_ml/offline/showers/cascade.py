"""Electromagnetic showers from a cascade that follows every particle above 50 MeV, in a block like lead tungstate.

Lengths are in radiation lengths, energies in GeV. A photon makes a pair after 9/7 on average and divides its energy
uniformly. An electron loses the critical energy for each length by ionisation and radiates fractions z of its energy
with a density of 1/z for each length, above 1 %: the energy that it loses so in a short length is that share of it.
What falls below the threshold stays within one length on average (Heitler's and Rossi's picture; Review of Particle
Physics, "Passage of particles through matter").

To the side, a charged particle of energy E is scattered in a step s by a Gaussian angle of 13.6 MeV / E * sqrt(s) in
each plane, and is displaced as the Review states it; its logarithm is left out, and so are the angles of emission,
m / E, which add less than a hundredth in quadrature. Below the critical energy a particle scatters as if it had that.
Angles add up as if they were small.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import tools

THRESHOLD, CRITICAL = 0.05, 0.01
SOFTEST = 0.01
PAIR_LENGTH = 9 / 7
RADIATION_LENGTH = float(1 / np.log(1 / SOFTEST))
SCATTER = 0.0136
"""Of a step of one radiation length at 1 GeV, in one plane (V. Highland, Nucl. Instrum. Meth. 129 (1975) 497)."""

STACK = 4096

Floats = NDArray[np.float64]


def _cascade(
    energies: Floats,
    photons: NDArray[np.bool_],
    layers: int,
    thickness: float,
    edges: Floats,
    angles: int,
    scatter: float,
    rng: np.random.Generator,
) -> Floats:
    """Energy in each voxel, ``(events, layers * angles * rings)``; compiled by numba."""
    rings = len(edges) - 1
    found = np.zeros((len(energies), layers * angles * rings))
    stack, photon = np.empty((STACK, 6)), np.empty(STACK, np.bool_)
    end = layers * thickness
    for event in range(len(energies)):
        stack[0, :], photon[0], held = 0.0, photons[event], 1
        stack[0, 0] = energies[event]
        while held > 0:
            held -= 1
            light = photon[held]
            e, d, x, y = stack[held, 0], stack[held, 1], stack[held, 2], stack[held, 3]
            slope_x, slope_y = stack[held, 4], stack[held, 5]
            soft = e < THRESHOLD
            step = rng.exponential(1.0 if soft else PAIR_LENGTH if light else RADIATION_LENGTH)
            stays = e if soft else 0.0 if light else min(e, CRITICAL * step)
            part = 1.0 if soft else 0.5
            at_x, at_y = x + part * step * slope_x, y + part * step * slope_y
            x, y = x + step * slope_x, y + step * slope_y
            if scatter > 0 and (soft or not light):
                angle = scatter / max(e, CRITICAL) * np.sqrt(step)
                turn_x, turn_y = angle * rng.normal(), angle * rng.normal()
                move_x = step * (angle * rng.normal() / np.sqrt(12.0) + turn_x / 2)
                move_y = step * (angle * rng.normal() / np.sqrt(12.0) + turn_y / 2)
                x, y, slope_x, slope_y = x + move_x, y + move_y, slope_x + turn_x, slope_y + turn_y
                at_x, at_y = at_x + part * part * move_x, at_y + part * part * move_y
            middle = d + part * step
            if stays > 0 and middle < end:
                radius, ring = np.sqrt(at_x * at_x + at_y * at_y), 0
                while ring < rings and radius >= edges[ring + 1]:
                    ring += 1
                if ring < rings:
                    turn = int((np.arctan2(at_y, at_x) + np.pi) / (2 * np.pi) * angles)
                    found[event, (int(middle / thickness) * angles + min(turn, angles - 1)) * rings + ring] += stays
            e -= stays
            d += step
            if soft or d >= end or held + 2 > STACK:
                continue
            z = rng.random() if light else SOFTEST ** rng.random()
            for energy, is_photon in ((z * e, not light), ((1 - z) * e, False)):
                stack[held, 0], stack[held, 1], stack[held, 2] = energy, d, x
                stack[held, 3], stack[held, 4], stack[held, 5] = y, slope_x, slope_y
                photon[held] = is_photon
                held += 1
    return found


@cache
def _compiled() -> Any:
    return tools.package("numba").njit(_cascade)


def deposits(
    energies: Floats,
    photons: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    layers: int,
    thickness: float,
    edges: tuple[float, ...] = (0.0, np.inf),
    angles: int = 1,
) -> Floats:
    """Energy that stays in each voxel of equal layers, in GeV, ``(events, layers * angles * rings)``.

    Args:
        energies: of the first particles, in GeV, ``(events,)``.
        photons: which of them are photons, not electrons.
        rng: the generator.
        layers: number of layers.
        thickness: of one, in radiation lengths.
        edges: of the rings, in radiation lengths, from 0; with one endless ring and one angle nothing is scattered.
        angles: bins in alpha.

    Raises:
        ToolMissing: without numba.
    """
    scatter = 0.0 if angles == 1 and edges == (0.0, np.inf) else SCATTER
    found: Floats = _compiled()(energies, photons, layers, thickness, np.asarray(edges), angles, scatter, rng)
    return found
