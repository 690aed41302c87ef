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
"""The unit of an object's transverse momentum in the target is ``2**PT_FRAC`` hardware units (8 GeV): see
:func:`target`."""

ET_FRAC = 2
"""The same for the transverse energy of a calorimeter region (2 GeV): pileup leaves that much in each."""

Integers = NDArray[np.integer[Any]]


def scaled(x: Integers | NDArray[np.float64]) -> NDArray[np.float64]:
    """The network's input for hardware integers ``x (events, features)``; exact."""
    return x.astype(np.float64) * 2.0**-INPUT_FRAC


def pt_index(features: Sequence[Feature]) -> NDArray[np.int64]:
    """Columns that hold a transverse momentum or energy."""
    return np.array([i for i, f in enumerate(features) if f.quantity in ("pt", "et")], np.int64)


def target_frac(features: Sequence[Feature]) -> int:
    """The unit of the target, as an exponent of two in hardware units: regions or objects."""
    return ET_FRAC if any(f.quantity == "et" for f in features) else PT_FRAC


def target(pt: Integers, frac: int = PT_FRAC) -> NDArray[np.float64]:
    """``log2(1 + pT / 8 GeV)``: what an autoencoder restores, of every slot, the empty ones (0) too.

    Angles are left out: phi is uniform and would fill the latent space. Empty slots stay in: how many objects there are
    is the strongest sign of an anomaly. The logarithm keeps one hard object from outweighing the rest of the event, and
    is linear below 8 GeV, where the objects of soft collisions crowd.

    Args:
        pt: hardware integers.
        frac: the unit is ``2**frac`` of them: :func:`target_frac`.
    """
    return np.log2(1.0 + pt * 2.0**-frac)
