"""What a detector would see of a top-quark pair: four jets, a lepton and missing momentum.

A jet is a parton with a measured transverse momentum of resolution ``100 % / sqrt(pT) + 5 %`` (in quadrature: 19 % at
30 GeV, 11 % at 100 GeV, 6 % at 1 TeV; CMS gives 15 to 20 %, 10 % and 5 %, arXiv:1607.03663) and a direction that is off
by 0.03 in eta and phi each. Leptons: 2 %, their direction exactly. Missing momentum balances what is measured, and 20
GeV in each of x and y that is not. A b jet is told for one with a probability of 70 %, another with 10 %. Nothing is
lost: there are no thresholds and no edges, and no jets from elsewhere.

Jets come in the order of their measured momentum; which is which is not told.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trigger_ml.offline.tops.partons import Pairs

Floats = NDArray[np.floating]

STOCHASTIC, CONSTANT = 1.0, 0.05
ANGLE = 0.03
LEPTON = 0.02
SOFT_GEV = 20.0
FOUND, MISTAKEN = 0.7, 0.1
LEAST = 0.1
"""Of a true momentum that is always measured."""

LEAST_GEV = 1.0
"""Least transverse momentum whose logarithm is taken."""


def seen(rng: np.random.Generator, p: Pairs) -> Floats:
    """What is measured, ``(events, 25)``, azimuths from that of the lepton.

    Lepton: log pT / GeV, eta. Missing: log pT / GeV, sin and cos of its azimuth. Each jet: log pT / GeV, eta, sin and
    cos of its azimuth, whether it is told for a b.
    """
    partons = np.stack([p.quark_b, p.lepton_b, *p.quarks], 1)
    jets = measured_jets(rng, partons)
    chance = np.where(np.arange(4) < 2, FOUND, MISTAKEN)
    told = rng.random(jets.shape[:2]) < chance
    lepton = transverse(p.lepton) * stretched(rng, np.full((len(jets), 1), LEPTON))
    off = (partons[..., :2] - plane(jets)).sum(1) + transverse(p.lepton) - lepton
    missing = p.neutrino[:, :2] + off + SOFT_GEV * rng.normal(size=lepton.shape)
    order = np.argsort(-jets[..., 0], axis=1)
    jets, told = np.take_along_axis(jets, order[..., None], 1), np.take_along_axis(told, order, 1)
    start = azimuth(p.lepton)
    turned = jets[..., 2] - start[:, None]
    way = azimuth(missing) - start
    each = np.stack([log_gev(jets[..., 0]), jets[..., 1], np.sin(turned), np.cos(turned), told], -1)
    head = [log_gev(np.hypot(*lepton.T)), pseudorapidity(p.lepton), log_gev(np.hypot(*missing.T))]
    return np.concatenate([np.stack([*head, np.sin(way), np.cos(way)], 1), each.reshape(len(each), -1)], 1)


def measured_jets(rng: np.random.Generator, partons: Floats) -> Floats:
    """Measured pT in GeV, eta and phi, ``(events, jets, 3)``, of momenta ``(events, jets, 4)``."""
    pt = np.hypot(partons[..., 0], partons[..., 1])
    width = np.sqrt(STOCHASTIC**2 / np.maximum(pt, LEAST_GEV) + CONSTANT**2)
    angles = np.stack([pseudorapidity(partons), azimuth(partons)], -1)
    return np.concatenate([(pt * stretched(rng, width))[..., None], angles + ANGLE * rng.normal(size=angles.shape)], -1)


def stretched(rng: np.random.Generator, width: Floats) -> Floats:
    """Measured over true momentum: normal around 1, at least LEAST."""
    return np.maximum(1 + width * rng.normal(size=width.shape), LEAST)


def plane(jets: Floats) -> Floats:
    """The momentum in x and y of pT, eta and phi."""
    return jets[..., :1] * np.stack([np.cos(jets[..., 2]), np.sin(jets[..., 2])], -1)


def transverse(momentum: Floats) -> Floats:
    """The momentum in x and y."""
    return momentum[..., :2]


def azimuth(momentum: Floats) -> Floats:
    """Angle around the beam."""
    return np.arctan2(momentum[..., 1], momentum[..., 0])


def pseudorapidity(momentum: Floats) -> Floats:
    """Eta, of a momentum that is not along the beam."""
    found: Floats = np.arcsinh(momentum[..., 2] / np.hypot(momentum[..., 0], momentum[..., 1]))
    return found


def log_gev(pt: Floats) -> Floats:
    """Logarithm of a momentum in GeV."""
    return np.log(np.maximum(pt, LEAST_GEV))
