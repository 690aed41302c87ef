"""Scores that need no network: counters and sums of hardware integers, evaluated by the same code as any network."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SampleError
from trigger_ml.physics.events import Events

Ints = NDArray[np.int64]

LEPTONS = ("eg", "mu")
OBJECTS = ("eg", "mu", "jet")

LABELS = {
    "objects": "number of objects",
    "leptons": "number of leptons",
    "ht": "HT",
    "met": "MET",
    "leading_pt": "leading pT",
    "objects_ht": "objects, then HT",
    "leptons_pt": "leptons, then pT",
    "total": "total transverse energy",
    "occupied": "number of cells above zero",
    "hardest": "hardest cell",
    "particles": "number of particles",
    "sum_pt": "sum of pT",
    "width": "sum of pT times angle squared",
    "mass": "mass",
    "mass_mmdt": "groomed mass",
    "multiplicity": "multiplicity",
}
"""Every baseline; which of them a sample has, its columns say: see :func:`scores`."""

GRID = ("region", "pixel")
"""Kinds of columns that are cells of one picture."""

MASSES = ("mass", "mass_mmdt", "multiplicity")
"""Quantities of a whole jet that are a score by themselves."""


def pt_lsb(sample: Events) -> float:
    """The finest transverse-momentum unit of the sample's columns, in GeV.

    Raises:
        SampleError: the sample has no transverse momenta.
    """
    lsbs = [f.lsb for f in sample.features if f.quantity in ("pt", "et")]
    if not lsbs:
        raise SampleError(
            f"sample {sample.name}/{sample.variant} has no column of quantity pt or et: give it one for each object"
        )
    return min(lsbs)


def momenta(sample: Events, x: NDArray[Any], kinds: tuple[str, ...]) -> Ints:
    """Transverse momenta of some kinds of objects, ``(events, slots)``, all in units of :func:`pt_lsb`.

    Raises:
        SampleError: a unit that isn't a whole multiple of the finest one.
    """
    finest = Fraction(repr(pt_lsb(sample)))
    columns = [
        (i, Fraction(repr(f.lsb)) / finest)
        for i, f in enumerate(sample.features)
        if f.quantity == "pt" and f.kind in kinds
    ]
    if any(ratio.denominator != 1 for _, ratio in columns):
        raise SampleError(
            f"the pt units of sample {sample.name}/{sample.variant} are not multiples of {float(finest)} GeV: rescale"
        )
    picked = x[:, [i for i, _ in columns]].astype(np.int64)
    return picked * np.array([int(ratio) for _, ratio in columns], np.int64)


def variables(sample: Events, x: NDArray[Any]) -> dict[str, Ints]:
    """Integer quantities of each event: pT-like ones in units of :func:`pt_lsb`, and counts.

    Which ones depends on the columns: trigger objects, cells of a picture, particles of a jet, or quantities of a whole
    jet, of which those of :data:`MASSES` are taken in their own units.

    Args:
        sample: whose columns ``x`` has.
        x: hardware integers ``(events, features)``.
    """
    kinds = {f.kind for f in sample.features}
    if kinds & set(GRID):
        cells = x.astype(np.int64)
        return {
            "total": cells.sum(axis=1),
            "occupied": np.count_nonzero(cells, axis=1).astype(np.int64),
            "hardest": cells.max(axis=1),
        }
    if "particle" in kinds:
        return _particles(sample, x)
    if "met" not in kinds:
        found = {f.quantity: i for i, f in enumerate(sample.features) if f.quantity in MASSES}
        return {name: x[:, i].astype(np.int64) for name, i in found.items()}
    leptons, objects, jets, met = (momenta(sample, x, k) for k in (LEPTONS, OBJECTS, ("jet",), ("met",)))
    return {
        "jet_pt": jets.max(axis=1, initial=0),
        "lepton_pt": leptons.max(axis=1, initial=0),
        "ht": jets.sum(axis=1),
        "met": met.max(axis=1, initial=0),
        "objects": np.count_nonzero(objects, axis=1).astype(np.int64),
        "leptons": np.count_nonzero(leptons, axis=1).astype(np.int64),
    }


def _particles(sample: Events, x: NDArray[Any]) -> dict[str, Ints]:
    columns = {q: [i for i, f in enumerate(sample.features) if f.quantity == q] for q in ("pt", "eta", "phi")}
    pt, eta, phi = (x[:, columns[q]].astype(np.int64) for q in ("pt", "eta", "phi"))
    return {
        "particles": np.count_nonzero(pt, axis=1).astype(np.int64),
        "sum_pt": pt.sum(axis=1),
        "width": (pt * (eta**2 + phi**2)).sum(axis=1),
    }


def scores(sample: Events, x: NDArray[Any]) -> dict[str, Ints]:
    """Every baseline's integer score; the keys are some of :data:`LABELS`.

    The last two of trigger objects order equal counts by a sum or momentum, since a bare count can seldom meet a rate.

    Args:
        sample: whose columns ``x`` has.
        x: hardware integers ``(events, features)``.
    """
    v = variables(sample, x)
    if "met" not in v:
        return v
    return {
        "objects": v["objects"],
        "leptons": v["leptons"],
        "ht": v["ht"],
        "met": v["met"],
        "leading_pt": np.maximum(v["jet_pt"], v["lepton_pt"]),
        "objects_ht": (v["objects"] << 24) + v["ht"],
        "leptons_pt": (v["leptons"] << 24) + v["lepton_pt"],
    }
