"""Anomaly scores from the heads of a network, in float64: the definitions, without any hardware."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def rz(mu: Floats, log_var: Floats) -> Floats:
    """``sum mu^2 / sigma^2`` over the latent space: the distance of an event from the prior in units of its own width.

    The score of Govorkova et al., Nature Mach. Intell. 4 (2022) 154, arXiv:2108.03986. ``mu`` and ``log_var`` are
    ``(events, latent)``.
    """
    return np.sum(mu**2 * np.exp(-log_var), axis=-1)


def mu2(mu: Floats) -> Floats:
    """``sum mu^2``: R_z without the widths."""
    return np.sum(mu**2, axis=-1)


def dkl(mu: Floats, log_var: Floats) -> Floats:
    """Kullback-Leibler divergence of N(mu, sigma) from N(0, 1), in nats."""
    return 0.5 * np.sum(mu**2 + np.exp(log_var) - log_var - 1.0, axis=-1)


def squared_error(true: Floats, restored: Floats) -> Floats:
    """Sum of squared differences over the features; not the mean over filled slots, which divides multiplicity out."""
    return np.sum((true - restored) ** 2, axis=-1)
