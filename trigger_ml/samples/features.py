"""The 57 inputs of an L1 anomaly trigger: objects, hardware scales, and the way between physical units and integers.

Order and scales are those of the CMS Global Trigger's anomaly condition (CMSSW, ``AXOL1TLCondition.cc``; Phase-1
scales): missing transverse energy, four e/gamma, four muons, ten jets, each (pT, eta, phi). An empty slot is three
zeros.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trigger_ml.fixed import Fixed
from trigger_ml.samples.dataset import Feature, Sample

PT_LSB = 0.5  # GeV
CALO_ETA_LSB = 0.0435
CALO_PHI_STEPS = 144
MUON_ETA_LSB = 0.010875
MUON_PHI_STEPS = 576


@dataclass(frozen=True)
class Kind:
    """One kind of object.

    Attributes:
        name: ``met``, ``eg``, ``mu`` or ``jet``.
        slots: how many of them an event has.
        pt_hi: largest hardware pT (the width of the field: 12, 9, 9 and 11 bits).
        eta_hi: largest hardware abs(eta); 0 where eta is not measured.
        eta_lsb: size of one eta unit.
        phi_steps: phi units in a full turn.
    """

    name: str
    slots: int
    pt_hi: int
    eta_hi: int
    eta_lsb: float
    phi_steps: int

    @property
    def phi_lsb(self) -> float:
        """Size of one phi unit in rad."""
        return 2 * math.pi / self.phi_steps


KINDS = (
    Kind("met", 1, 4095, 0, CALO_ETA_LSB, CALO_PHI_STEPS),
    Kind("eg", 4, 511, 69, CALO_ETA_LSB, CALO_PHI_STEPS),
    Kind("mu", 4, 511, 225, MUON_ETA_LSB, MUON_PHI_STEPS),
    Kind("jet", 10, 2047, 115, CALO_ETA_LSB, CALO_PHI_STEPS),
)
"""In the order of the inputs; e/gamma to abs(eta) 3.0, muons to 2.45, jets to 5.0."""

OBJECTS = sum(kind.slots for kind in KINDS)
"""19 objects, 57 inputs."""

INPUT_FORMAT = Fixed(True, 13, 0)
"""One signed format that holds every input: the widest is the 12-bit missing transverse energy."""


def _features() -> tuple[Feature, ...]:
    result = []
    for kind in KINDS:
        for slot in range(kind.slots):
            stem = kind.name if kind.slots == 1 else f"{kind.name}{slot}"
            result += [
                Feature(f"{stem}_pt", kind.name, slot, "pt", PT_LSB, "GeV", 0, kind.pt_hi),
                Feature(f"{stem}_eta", kind.name, slot, "eta", kind.eta_lsb, "1", -kind.eta_hi, kind.eta_hi),
                Feature(f"{stem}_phi", kind.name, slot, "phi", kind.phi_lsb, "rad", 0, kind.phi_steps - 1),
            ]
    return tuple(result)


FEATURES = _features()
"""One entry a column: ``met_pt, met_eta, met_phi, eg0_pt ... jet9_phi``."""

COLUMN = {feature.name: column for column, feature in enumerate(FEATURES)}
"""Name -> column."""


def encode(objects: ArrayLike) -> NDArray[np.int16]:
    """Hardware integers of objects in physical units; pT and eta round to nearest and saturate, phi wraps around.

    Args:
        objects: (events, 19, 3), pT in GeV, eta, phi in rad (any turn), each kind sorted by falling pT. An object
            whose pT rounds to zero becomes an empty slot.

    Returns:
        (events, 57) integers, each column in the range of its :data:`FEATURES` entry.
    """
    values = np.asarray(objects, np.float64)
    pt, eta, phi = values[..., 0], values[..., 1], values[..., 2]
    pt_hi, eta_hi = _per_object([k.pt_hi for k in KINDS]), _per_object([k.eta_hi for k in KINDS])
    eta_lsb, steps = _per_object([k.eta_lsb for k in KINDS]), _per_object([k.phi_steps for k in KINDS])
    hw_pt = np.clip(np.rint(pt / PT_LSB), 0, pt_hi)
    hw_eta = np.clip(np.rint(eta / eta_lsb), -eta_hi, eta_hi)
    hw_phi = np.mod(np.rint(phi / (2 * math.pi) * steps), steps)
    hw = np.stack([hw_pt, hw_eta, hw_phi], -1) * (hw_pt > 0)[..., None]
    return hw.reshape(len(values), 3 * OBJECTS).astype(np.int16)


def _per_object(values: list[int] | list[float]) -> NDArray[np.float64]:
    return np.repeat(np.asarray(values, np.float64), [kind.slots for kind in KINDS])


def physical(sample: Sample, x: ArrayLike) -> NDArray[np.float64]:
    """Hardware integers in physical units: pT in GeV, eta, phi in rad in [0, 2 pi).

    Args:
        sample: gives the scale of each column.
        x: (..., features) integers.
    """
    return np.asarray(x, np.float64) * np.asarray([feature.lsb for feature in sample.features])
