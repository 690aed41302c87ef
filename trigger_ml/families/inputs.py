"""What a network sees of an event, hardware integers times a power of two, and what an autoencoder has to restore."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.samples.dataset import Feature

INPUT_FRAC = 6
"""A network's input is ``hardware integer * 2**-INPUT_FRAC``: an exponent only, no arithmetic in firmware."""

PT_FRAC = 4
"""The unit of transverse momentum in the target is ``2**PT_FRAC`` hardware units (8 GeV): see :func:`target`."""

Integers = NDArray[np.integer[Any]]


def scaled(x: Integers | NDArray[np.float64]) -> NDArray[np.float64]:
    """The network's input for hardware integers ``x (events, features)``; exact."""
    return x.astype(np.float64) * 2.0**-INPUT_FRAC


def pt_index(features: Sequence[Feature]) -> NDArray[np.int64]:
    """Columns that hold a transverse momentum."""
    return np.array([i for i, f in enumerate(features) if f.quantity == "pt"], np.int64)


def target(pt: Integers) -> NDArray[np.float64]:
    """``log2(1 + pT / 8 GeV)``: what an autoencoder restores, of every slot, the empty ones (0) too.

    Angles are left out: phi is uniform and would fill the latent space. Empty slots stay in: how many objects there are
    is the strongest sign of an anomaly. The logarithm keeps one hard object from outweighing the rest of the event, and
    is linear below 8 GeV, where the objects of soft collisions crowd.
    """
    return np.log2(1.0 + pt * 2.0**-PT_FRAC)
