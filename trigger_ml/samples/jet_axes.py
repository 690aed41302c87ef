"""N-subjettiness of many axes from stored constituents alone: exclusive kt jets in exact integers.

The same as ``jet_features.subjettiness`` (arXiv:1011.2268; the N exclusive kt jets' axes with winner-take-all
recombination), without FastJet. Distances of stored integers are often equal; the earlier pair of the jet's order is
then joined first, and of two equal momenta the earlier one keeps its axis.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

BLOCK = 64
"""Jets at once: their distances stay in the cache."""

NEVER = np.iinfo(np.int64).max


def subjettiness(constituents: NDArray[np.integer], axes: tuple[int, ...], unit: float) -> NDArray[np.float64]:
    """tau_N^beta, (jets, N, 3), beta 0.5, 1, 2; 0 for a jet of N constituents or fewer.

    Args:
        constituents: (jets, K, 3) pT and two angles in hardware units, zeros behind the last.
        axes: each N.
        unit: of the angles over the jet's radius.
    """
    blocks = [constituents[i : i + BLOCK].astype(np.int64) for i in range(0, len(constituents), BLOCK)]
    found = [np.stack([_tau(x, alive, unit) for alive in _axes(x, axes)], 1) for x in blocks]
    return np.concatenate(found) if found else np.zeros((0, len(axes), 3))


def _axes(constituents: Ints, numbers: tuple[int, ...]) -> list[NDArray[np.bool_]]:
    """For each N, which constituents are the axes (jets, K): the harder of two that are joined stays."""
    pt, apart = constituents[..., 0].copy(), _apart(constituents)
    alive = pt > 0
    both = alive[:, :, None] & alive[:, None, :] & ~np.eye(pt.shape[1], dtype=bool)
    distance = np.where(both, np.minimum(pt[:, :, None], pt[:, None, :]) ** 2 * apart, NEVER)
    found: dict[int, NDArray[np.bool_]] = {}
    for number in sorted(numbers, reverse=True):
        while (more := np.flatnonzero(alive.sum(1) > number)).size:
            a, b = np.divmod(distance[more].reshape(len(more), -1).argmin(1), pt.shape[1])
            keeps = pt[more, a] >= pt[more, b]
            winner: Ints = a * keeps + b * ~keeps
            loser = a + b - winner
            pt[more, winner] += pt[more, loser]
            alive[more, loser] = False
            distance[more, loser], distance[more, :, loser] = NEVER, NEVER
            others = alive[more] & (np.arange(pt.shape[1]) != winner[:, None])
            nearer = np.minimum(pt[more], pt[more, winner][:, None]) ** 2 * apart[more, winner]
            distance[more, winner] = distance[more, :, winner] = np.where(others, nearer, NEVER)
        found[number] = alive.copy()
    return [found[number] for number in numbers]


def _apart(constituents: Ints) -> Ints:
    """Squared angles between constituents, (jets, K, K)."""
    x, y = constituents[..., 1], constituents[..., 2]
    apart: Ints = (x[:, :, None] - x[:, None, :]) ** 2 + (y[:, :, None] - y[:, None, :]) ** 2
    return apart


def _tau(constituents: Ints, axes: NDArray[np.bool_], unit: float) -> NDArray[np.float64]:
    """(jets, 3); summed from the first constituent to the last, so that every machine gives the same bits."""
    pt = constituents[..., 0]
    square = np.where(axes[:, None, :], _apart(constituents), NEVER).min(2)
    square = np.where(pt > 0, square, 0)
    theta = np.sqrt(square.astype(np.float64)) * unit
    powers = np.stack([np.sqrt(theta), theta, theta * theta], -1)
    total = np.cumsum(pt[..., None] * powers, 1)[:, -1]
    made: NDArray[np.float64] = total / np.maximum(pt.sum(1), 1)[:, None]
    return made
