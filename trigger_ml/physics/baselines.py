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
}


def pt_lsb(sample: Events) -> float:
    """The finest transverse-momentum unit of the sample's columns, in GeV.

    Raises:
        SampleError: the sample has no transverse momenta.
    """
    lsbs = [f.lsb for f in sample.features if f.quantity == "pt"]
    if not lsbs:
        raise SampleError(
            f"sample {sample.name}/{sample.variant} has no column of quantity pt: give it one for each object"
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
    """Integer quantities of each event: pT-like ones in units of :func:`pt_lsb`, and two counts.

    Args:
        sample: whose columns ``x`` has.
        x: hardware integers ``(events, features)``.
    """
    leptons, objects, jets, met = (momenta(sample, x, kinds) for kinds in (LEPTONS, OBJECTS, ("jet",), ("met",)))
    return {
        "jet_pt": jets.max(axis=1, initial=0),
        "lepton_pt": leptons.max(axis=1, initial=0),
        "ht": jets.sum(axis=1),
        "met": met.max(axis=1, initial=0),
        "objects": np.count_nonzero(objects, axis=1).astype(np.int64),
        "leptons": np.count_nonzero(leptons, axis=1).astype(np.int64),
    }


def scores(sample: Events, x: NDArray[Any]) -> dict[str, Ints]:
    """Every baseline's integer score; the keys are those of :data:`LABELS`.

    The last two order equal counts by a sum or momentum, since a bare count can seldom meet a rate.

    Args:
        sample: whose columns ``x`` has.
        x: hardware integers ``(events, features)``.
    """
    v = variables(sample, x)
    return {
        "objects": v["objects"],
        "leptons": v["leptons"],
        "ht": v["ht"],
        "met": v["met"],
        "leading_pt": np.maximum(v["jet_pt"], v["lepton_pt"]),
        "objects_ht": (v["objects"] << 24) + v["ht"],
        "leptons_pt": (v["leptons"] << 24) + v["lepton_pt"],
    }
