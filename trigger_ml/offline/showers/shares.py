"""Showers as numbers that a model can learn: the energies of layers, then the share of each voxel in its layer.

As in CaloINN (F. Ernst et al., arXiv:2312.09290) and CaloDREAM (L. Favaro et al., arXiv:2405.09629): ratios of energies
and normalised voxels, both through a logit; voxels that read nothing get a little noise first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trigger_ml.offline.showers.binning import Binning

Floats = NDArray[np.floating]

LEAST_RATIO = 5e-3
"""Least and, from 1, largest share of a layer in what it and later ones see."""

LEAST_SHARE = 1e-6
"""The same of a voxel in its layer."""

FAINTEST = 0.05
"""Noise of a voxel that reads nothing: from this to 1, in units of the smallest energy that is read."""


def totals(seen: Floats, incident: Floats) -> Floats:
    """Log of visible over incident energy; for each layer but the last the logit of its share in the rest.

    Args:
        seen: energy of each layer, ``(events, layers)``, in the unit of ``incident``.
        incident: ``(events,)``.
    """
    later = np.cumsum(seen[:, ::-1], axis=1)[:, ::-1]
    share = np.clip(seen[:, :-1] / np.maximum(later[:, :-1], 1e-9), LEAST_RATIO, 1 - LEAST_RATIO)
    total = np.log(np.maximum(later[:, :1], 1e-9) / incident[:, None])
    return np.concatenate([total, np.log(share / (1 - share))], axis=1)


def seen(found: Floats, incident: Floats) -> Floats:
    """The layers' energies of :func:`totals`, ``(events, layers)``."""
    left = np.exp(np.clip(found[:, 0].astype(np.float64), -30, 5)) * incident
    layers = []
    for column in found.T[1:]:
        share = _sigmoid(column)
        layers.append(left * share)
        left = left * (1 - share)
    return np.stack([*layers, left], axis=1)


def shape(voxels: Floats, binning: Binning, smallest: float, rng: np.random.Generator) -> Floats:
    """Logit of each voxel's share in its layer, ``(events, voxels)``.

    Args:
        voxels: energies, ``(events, voxels)``.
        binning: says which voxels are a layer.
        smallest: energy that is read; below it a voxel is given noise.
        rng: of the noise.
    """
    noise = smallest * rng.uniform(FAINTEST, 1, voxels.shape)
    filled = np.where(voxels < smallest, noise, voxels)
    share = np.concatenate([filled[:, c] / filled[:, c].sum(1, keepdims=True) for c in binning.slices], axis=1)
    share = LEAST_SHARE + (1 - 2 * LEAST_SHARE) * share
    return np.log(share / (1 - share))


def voxels(found: Floats, layers: Floats, binning: Binning, smallest: float) -> Floats:
    """Energies of voxels from the numbers of :func:`shape`, ``(events, voxels)``; each layer's sum is what is given.

    Voxels below ``smallest`` read nothing, and what they would have goes to the others of the layer; a layer with no
    voxel above is left empty.
    """
    share = _sigmoid(found)
    parts = []
    for i, cut in enumerate(binning.slices):
        each = share[:, cut] / np.maximum(share[:, cut].sum(1, keepdims=True), 1e-30) * layers[:, i : i + 1]
        each = np.where(each < smallest, 0, each)
        parts.append(each * (layers[:, i : i + 1] / np.maximum(each.sum(1, keepdims=True), 1e-30)))
    return np.concatenate(parts, axis=1)


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(x.astype(np.float64), -30, 30)))
