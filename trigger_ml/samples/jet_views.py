"""The same jets as three kinds of network see them, and as the N-subjettiness basis: from stored integers alone.

Everything here is exact arithmetic on integers, or uses only +, -, *, / and square roots, which give the same bits on
every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_ml.fixed import Fixed
from trigger_ml.samples import jet_axes
from trigger_ml.samples.dataset import Feature
from trigger_ml.samples.jet_processes import RADIUS
from trigger_ml.samples.jet_scales import (
    ANGLE_HI,
    ANGLE_LSB,
    DEPTH,
    FEATURE_SCALES,
    JET_PT_HI,
    JET_PT_LSB,
    MASS_HI,
    MASS_LSB,
    MORE_AXES,
    MORE_TAU_SCALES,
    PIXEL_HI,
    PIXEL_UNITS,
    SIDE,
    TAU_SCALES,
    Scale,
    constituent_columns,
    encode_table,
    image_columns,
    table_columns,
)

Hardware = NDArray[np.int16]


@dataclass(frozen=True)
class Jets:
    """Jets of one class in hardware integers (``jet_scales``), in the order train, validation, test.

    Attributes:
        constituents: (jets, 32, 3) pT, eta, phi relative to the jet's axis, by falling pT.
        features: (jets, 16), or no columns where they were not asked for.
        taus: (jets, 15), likewise.
        jet: (jets, 3) pT, eta, mass.
        event: (jets,) the collision of each.
        parts: jets of each part.
    """

    constituents: Hardware
    features: Hardware
    taus: Hardware
    jet: Hardware
    event: NDArray[np.integer]
    parts: tuple[int, int, int]


@dataclass(frozen=True)
class View:
    """What a network gets of a jet.

    Attributes:
        columns: one entry an input.
        input_format: holds every input.
        shape: of an event for a network that looks at positions.
        of: (jets, inputs) from stored jets.
        needs: the stored fields that it is made of.
    """

    columns: tuple[Feature, ...]
    input_format: Fixed
    shape: tuple[int, ...]
    of: Callable[[Jets], Hardware]
    needs: tuple[str, ...]


def oriented(constituents: Hardware) -> Hardware:
    """Constituents (jets, 32, 3) turned about the jet's axis: prongs along the second angle, second prong down.

    The principal axis of pT-weighted second moments becomes the second angle; if less pT lies above (positive) than
    below it is mirrored, which brings the softer, farther prong down; then likewise left and right. A network sees 32
    numbers a kind either way; in firmware this costs six sums, a square root and a rotation upstream of it.
    """
    pt, x, y = np.moveaxis(constituents.astype(np.int64), -1, 0)
    xx, yy, xy = ((pt * a * b).sum(1, keepdims=True).astype(np.float64) for a, b in ((x, x), (y, y), (x, y)))
    length = np.sqrt((xx - yy) * (xx - yy) + 4 * xy * xy)
    # The axis makes an angle t with the second direction: cos 2t = (yy - xx) / length, and sin t has the sign of xy.
    cosine = np.sqrt((1 + (yy - xx) / np.where(length > 0, length, 1)) / 2)
    cosine = np.where(length > 0, cosine, 1)
    sine = np.sqrt(np.maximum(0, 1 - cosine * cosine)) * np.where(xy < 0, -1, 1)
    across, along = cosine * x - sine * y, sine * x + cosine * y
    turned = np.clip(np.rint(np.stack([across, along])), -ANGLE_HI, ANGLE_HI).astype(np.int64)
    balance = (pt * np.sign(turned)).sum(2, keepdims=True)
    turned = np.where(balance < 0, -turned, turned)
    return np.stack([pt, *turned], -1).astype(np.int16)


def image(constituents: Hardware) -> Hardware:
    """Pixels (jets, 16, 16) of pT in GeV, 0.1016 wide, of oriented constituents; halves round up, saturates at 1023.

    The axis is the corner that the four central pixels share; what lies outside is dropped.
    """
    pt, x, y = np.moveaxis(constituents.astype(np.int64), -1, 0)
    column, row = ((angle // PIXEL_UNITS) + SIDE // 2 for angle in (x, y))
    inside = (pt > 0) & (np.minimum(column, row) >= 0) & (np.maximum(column, row) < SIDE)
    jet = np.broadcast_to(np.arange(len(pt))[:, None], pt.shape)
    where = ((jet * SIDE + column) * SIDE + row)[inside]
    halves = np.bincount(where, pt[inside], len(pt) * SIDE * SIDE).astype(np.int64)
    return np.minimum((halves + 1) // 2, PIXEL_HI).astype(np.int16).reshape(len(pt), SIDE, SIDE)


def _constituents(jets: Jets) -> Hardware:
    return oriented(jets.constituents).reshape(len(jets.constituents), -1)


def _image(jets: Jets) -> Hardware:
    return image(oriented(jets.constituents)).reshape(len(jets.constituents), -1)


def _taus(jets: Jets) -> Hardware:
    return np.concatenate([jets.jet[:, :1], jets.jet[:, 2:], jets.taus], 1)


def _more_taus(jets: Jets) -> Hardware:
    tau = jet_axes.subjettiness(jets.constituents, MORE_AXES, ANGLE_LSB / RADIUS)
    return np.concatenate([_taus(jets), encode_table(tau.reshape(len(tau), -1), MORE_TAU_SCALES)], 1)


_TAU_COLUMNS = {
    "pt": Scale(JET_PT_LSB, 0, JET_PT_HI, "GeV"),
    "mass": Scale(MASS_LSB, 0, MASS_HI, "GeV"),
    **TAU_SCALES,
}

_TAU8_COLUMNS = _TAU_COLUMNS | MORE_TAU_SCALES

VIEWS = {
    "constituents": View(constituent_columns(), Fixed(True, 13, 0), (DEPTH, 3), _constituents, ("constituents",)),
    "images": View(image_columns(), Fixed(True, 11, 0), (SIDE, SIDE), _image, ("constituents",)),
    "features": View(table_columns(FEATURE_SCALES), Fixed(True, 12, 0), (), lambda jets: jets.features, ("features",)),
    "tau": View(table_columns(_TAU_COLUMNS), Fixed(True, 12, 0), (), _taus, ("taus",)),
    "tau8": View(table_columns(_TAU8_COLUMNS), Fixed(True, 12, 0), (), _more_taus, ("taus", "constituents")),
}
"""``constituents``: 32 x (pT, two angles). ``images``: 16 x 16 of pT. ``features``: the sixteen high-level features.
``tau``: pT, mass and N-subjettiness for N up to 5, a basis of the six-body phase space (arXiv:1704.08249).
``tau8``: for N up to 7, a basis of the eight-body one; N 6 and 7 are of the stored constituents alone."""
