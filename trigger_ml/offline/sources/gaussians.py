"""Gaussian truth seen with Gaussian smearing: densities, ratios and posteriors are known in closed form.

Simulation: three independent normal numbers. Data: shifted and stretched ones. Both are measured with an error of
``SMEAR`` in each dimension, the second of which is measured as a sum with half the first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trigger_ml.offline.sources.source import Draw, Events, Source, drawn

Floats = NDArray[np.floating]

SHIFT = np.array([0.5, -0.3, 0.2])
STRETCH = np.array([0.8, 1.1, 0.9])
SMEAR = 0.5
MIX = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def _draw(shift: Floats, stretch: Floats) -> Draw:
    def draw(rng: np.random.Generator, count: int) -> Events:
        truth = shift + stretch * rng.normal(size=(count, 3))
        reco = truth @ MIX + SMEAR * rng.normal(size=(count, 3))
        return Events(truth.astype(np.float32), reco.astype(np.float32))

    return draw


def _log_density(reco: Floats, shift: Floats, stretch: Floats) -> Floats:
    """Without the constant that all Gaussians share."""
    covariance = MIX.T @ np.diag(stretch**2) @ MIX + SMEAR**2 * np.eye(3)
    off = reco.astype(np.float64) - shift @ MIX
    square = np.einsum("ni,ij,nj->n", off, np.linalg.inv(covariance), off)
    return -0.5 * (square + np.log(np.linalg.det(covariance)))


def _posterior(reco: Floats) -> tuple[Floats, Floats]:
    covariance = np.linalg.inv(np.eye(3) + MIX @ MIX.T / SMEAR**2)
    return reco @ (MIX.T / SMEAR**2) @ covariance, np.sqrt(np.diag(covariance))


simulation: Draw = _draw(np.zeros(3), np.ones(3))
data: Draw = _draw(SHIFT, STRETCH)


def source() -> Source:
    """Simulation and data as above."""
    return Source(
        drawn(simulation, data),
        lambda reco: _log_density(reco, SHIFT, STRETCH) - _log_density(reco, np.zeros(3), np.ones(3)),
        _posterior,
        unfolds=True,
    )
