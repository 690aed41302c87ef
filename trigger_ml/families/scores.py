"""Anomaly scores from the heads of a network, in float64: the definitions, without any hardware."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SpecError
from trigger_ml.spec import Model

Floats = NDArray[np.float64]


FAMILIES = {
    "autoencoder": ("rz", "mu2", "dkl", "reconstruction"),
    "mlp": ("distilled", "tagger", "classes"),
    "conv": ("rz", "mu2", "dkl", "distilled", "tagger", "classes"),
    "deepsets": ("tagger", "distilled", "classes"),
    "mixer": ("tagger", "distilled", "classes"),
    "double": ("pair",),
    "trees": ("tagger",),
}
"""Family -> the scores that it gives."""


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


def of_heads(model: Model, heads: Floats) -> Floats:
    """A decoder-free score of ``heads (events, means then log-variances)``; ``mu2`` needs the means alone."""
    mu, log_var = heads[:, : model.latent], heads[:, model.latent : 2 * model.latent]
    if model.score == "mu2":
        return mu2(mu)
    return rz(mu, log_var) if model.score == "rz" else dkl(mu, log_var)


def check(model: Model, family: str) -> None:
    """Refuse a score that a family can't give.

    Raises:
        SpecError: naming those that it can, and the families that can.
    """
    if model.score not in FAMILIES[family]:
        others = " or ".join(sorted(f for f, known in FAMILIES.items() if model.score in known))
        raise SpecError(
            f'[model] score "{model.score}" is not one of the family {family}: use {", ".join(FAMILIES[family])}, or '
            f"the family {others}"
        )


def shape_of(weights: Mapping[str, NDArray[np.floating]]) -> tuple[int, ...]:
    """How the float twin's events are shaped: kept beside its weights; empty where every event is flat."""
    return tuple(int(n) for n in weights["input.shape"]) if "input.shape" in weights else ()
