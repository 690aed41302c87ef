"""Calorimeter regions: sums of trigger towers, 18 in phi and 14 in eta, the input of a calorimeter-wide detector.

The geometry follows CMS's Layer-1 calorimeter trigger (regions of 4 x 4 towers to abs(eta) 3.0, 10 bits; CMSSW,
``UCTRegion.hh``). Our towers keep their size beyond abs(eta) 1.74, where CMS's grow: there a region is 5, then 10 of
our rings wide, so that its edges are CMS's within 0.05.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trigger_ml.fixed import Fixed
from trigger_ml.samples.dataset import Feature
from trigger_ml.samples.detector import ETA, PHI, Floats

REGION_PHI, REGION_ETA = 18, 14
REGION_MAX = 1023
"""10 bits: a region saturates."""
REGION_LSB = 0.5
"""GeV."""

_RINGS = (4, 4, 4, 4, 4, 5, 10)
"""Rings of towers in each region of one side, from eta 0 outwards: edges at 0.35 ... 1.74, 2.175 and 3.045."""

FEATURES = tuple(
    Feature(f"region_p{phi}_e{eta}", "region", phi * REGION_ETA + eta, "et", REGION_LSB, "GeV", 0, REGION_MAX)
    for phi in range(REGION_PHI)
    for eta in range(REGION_ETA)
)
"""One entry a column, eta running fastest: ``region_p0_e0 ... region_p17_e13``."""

INPUT_FORMAT = Fixed(False, 10, 0)
"""Ten bits without sign."""


def regions(total: Floats) -> NDArray[np.uint16]:
    """Transverse energy of each region in units of 0.5 GeV, ``(events, 18, 14)``, from phi 0 and eta -3.045 upwards.

    Args:
        total: digitised towers ``(events, ETA, PHI)`` in GeV, multiples of 0.5.
    """
    rings = (*_RINGS[::-1], *_RINGS)
    start = ETA // 2 - sum(_RINGS) + np.cumsum((0, *rings[:-1]))
    inner = total[:, : ETA // 2 + sum(_RINGS)]
    by_ring = np.add.reduceat(inner, start, axis=1)
    both = by_ring.reshape(len(total), REGION_ETA, REGION_PHI, PHI // REGION_PHI).sum(3)
    return np.minimum(np.rint(both.transpose(0, 2, 1) / REGION_LSB), REGION_MAX).astype(np.uint16)
