"""Hardware scales of jets: how constituents, jets and features become integers, and what each column means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trigger_ml.samples.dataset import Feature
from trigger_ml.samples.jet_features import NAMES, TAU_NAMES

DEPTH = 32
"""Leading constituents that are kept."""

PT_LSB, PT_HI = 0.5, 4095  # GeV
ANGLE_LSB, ANGLE_HI = 2.0**-7, 127
MASS_LSB, MASS_HI = 0.5, 2047  # GeV
JET_PT_LSB, JET_PT_HI = 1.0, 2047  # GeV

SIDE = 16
"""Pixels of an image in each direction."""
PIXEL_UNITS = 13
"""Angle units across a pixel: 0.1016, so that an image reaches 0.8125 from the axis."""
PIXEL_LSB, PIXEL_HI = 1.0, 1023  # GeV


@dataclass(frozen=True)
class Scale:
    """How one quantity is digitised: to the nearest multiple of ``lsb`` (ties to even), saturated at ``lo``, ``hi``."""

    lsb: float
    lo: int
    hi: int
    unit: str = "1"

    def encode(self, value: ArrayLike) -> NDArray[np.int16]:
        """Hardware integers of values in ``unit``."""
        return np.clip(np.rint(np.asarray(value, np.float64) / self.lsb), self.lo, self.hi).astype(np.int16)


def _ratio(bits: int) -> Scale:
    return Scale(2.0**-bits, 0, 2047)


FEATURE_SCALES = dict(
    zip(
        NAMES,
        (
            Scale(2.0**-8, -1280, 0),
            *(_ratio(bits) for bits in (12, 12, 13)),
            *(_ratio(bits) for bits in (12, 12)),
            *(_ratio(bits) for bits in (9, 8, 9, 12)),
            *(_ratio(bits) for bits in (13, 14)),
            *(_ratio(bits) for bits in (12, 12)),
            Scale(MASS_LSB, 0, MASS_HI, "GeV"),
            Scale(1.0, 0, 255),
        ),
        strict=True,
    )
)
"""11 bits each (with the sign of zlogz 12); the ranges hold all but about one jet in a thousand of either set."""

TAU_SCALES = dict(
    zip(TAU_NAMES, (_ratio(bits) for bits in (11, 11, 11, 12, 12, 13, 12, 13, 14, 12, 13, 14, 12, 13, 14)), strict=True)
)

MORE_AXES = (6, 7)
MORE_TAU_SCALES = dict(
    zip(
        (f"tau{n}_{beta}" for n in MORE_AXES for beta in ("b0p5", "b1", "b2")),
        (_ratio(bits) for bits in (13, 14, 17, 13, 15, 17)),
        strict=True,
    )
)
"""Of the kept constituents."""


def encode_constituents(values: ArrayLike) -> NDArray[np.int16]:
    """(jets, DEPTH, 3) integers of the leading constituents.

    Args:
        values: (jets, K, 3) by falling pT: GeV, eta and phi relative to the axis; zeros behind the last. A constituent
            whose pT rounds to 0 is dropped.
    """
    leading = np.asarray(values, np.float64)[:, :DEPTH]
    out = np.zeros((len(leading), DEPTH, 3), np.int16)
    pt = Scale(PT_LSB, 0, PT_HI).encode(leading[..., 0])
    out[:, : pt.shape[1], 0] = pt
    angles = Scale(ANGLE_LSB, -ANGLE_HI, ANGLE_HI).encode(leading[..., 1:])
    out[:, : pt.shape[1], 1:] = angles * (pt > 0)[..., None]
    return out


def encode_jet(values: ArrayLike) -> NDArray[np.int16]:
    """(jets, 3): pT in GeV, eta in units of 2^-7, mass in 0.5 GeV; from (jets, 4) pT, eta, phi, mass."""
    pt, eta, _, mass = np.moveaxis(np.asarray(values, np.float64), -1, 0)
    scales = (Scale(JET_PT_LSB, 0, JET_PT_HI), Scale(ANGLE_LSB, -511, 511), Scale(MASS_LSB, 0, MASS_HI))
    return np.stack([scale.encode(v) for scale, v in zip(scales, (pt, eta, mass), strict=True)], -1)


def encode_table(values: ArrayLike, scales: dict[str, Scale]) -> NDArray[np.int16]:
    """(jets, columns) integers, a column a scale."""
    columns = np.asarray(values, np.float64).T
    return np.stack([scale.encode(column) for scale, column in zip(scales.values(), columns, strict=True)], -1)


def constituent_columns() -> tuple[Feature, ...]:
    """Columns ``particle0_pt, particle0_eta, particle0_phi, particle1_pt ...``."""
    return tuple(
        feature
        for slot in range(DEPTH)
        for feature in (
            Feature(f"particle{slot}_pt", "particle", slot, "pt", PT_LSB, "GeV", 0, PT_HI),
            Feature(f"particle{slot}_eta", "particle", slot, "eta", ANGLE_LSB, "1", -ANGLE_HI, ANGLE_HI),
            Feature(f"particle{slot}_phi", "particle", slot, "phi", ANGLE_LSB, "rad", -ANGLE_HI, ANGLE_HI),
        )
    )


def image_columns() -> tuple[Feature, ...]:
    """``pixel0_0, pixel0_1 ...``: the first number counts in the first angle."""
    names = [f"pixel{i}_{j}" for i in range(SIDE) for j in range(SIDE)]
    return tuple(Feature(name, "pixel", k, "pt", PIXEL_LSB, "GeV", 0, PIXEL_HI) for k, name in enumerate(names))


def table_columns(scales: dict[str, Scale]) -> tuple[Feature, ...]:
    """One entry a quantity of the whole jet."""
    return tuple(Feature(name, "jet", 0, name, s.lsb, s.unit, s.lo, s.hi) for name, s in scales.items())
