"""What a sample of events is: integers as the trigger sees them, in three fixed parts, background and signals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_ml.fixed import Fixed


@dataclass(frozen=True)
class Feature:
    """One input of the network.

    Attributes:
        name: e.g. ``jet3_pt``.
        kind: the object: ``met``, ``eg``, ``mu``, ``jet``, ``region``, ``particle`` ...
        slot: rank of the object among its kind, 0 the leading one.
        quantity: ``pt``, ``eta``, ``phi``, or what else it measures.
        lsb: physical size of one hardware unit, in ``unit``.
        unit: ``GeV``, ``1`` (eta and ratios) or ``rad``.
        lo: smallest hardware integer.
        hi: largest hardware integer.
    """

    name: str
    kind: str
    slot: int
    quantity: str
    lsb: float
    unit: str
    lo: int
    hi: int


@dataclass(frozen=True)
class Split:
    """The three parts of one process: integers ``(events, features)``, int16 or int32, disjoint, in a fixed order."""

    train: NDArray[np.signedinteger]
    validation: NDArray[np.signedinteger]
    test: NDArray[np.signedinteger]


@dataclass(frozen=True)
class Sample:
    """Events of one background and some signals.

    Attributes:
        name: the module in ``trigger_ml/samples`` that defines it, e.g. ``l1_objects``.
        variant: e.g. ``zero_bias``.
        digest: sha256 of the content (not of the file's compression).
        features: one entry a column.
        input_format: the hardware integers' common format, ``frac`` 0.
        background: the background's parts.
        signals: process name -> parts.
        gives_rates: True only where the background is what a trigger sees (zero bias): elsewhere a rate in kHz means
            nothing.
        pileup: mean number of overlaid collisions.
        source: for each background test event, the id of the simulated collision that dominates it (its muon's, if
            it has one); events that share an id are not independent, and rate errors account for it. Same length as
            ``background.test``.
        notes: one or two sentences that stand beside every figure made from it.
        shape: how a network that looks at positions sees an event's features, in C order: (18, 14) regions, (30, 3)
            particles, (19, 3) objects; its product is their number.
    """

    name: str
    variant: str
    digest: str
    features: tuple[Feature, ...]
    input_format: Fixed
    background: Split
    signals: Mapping[str, Split]
    gives_rates: bool
    pileup: float
    source: NDArray[np.integer]
    notes: str
    shape: tuple[int, ...] = ()
