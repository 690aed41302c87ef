"""From lists of trigger objects, as files of others hold them, to rows of hardware integers.

Objects are taken in falling order of pT (equal ones as stored), as many as there are slots. pT and eta saturate at the
field's width, phi wraps; an object without pT leaves an empty slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SampleError
from trigger_ml.samples.features import COLUMN, FEATURES, KINDS, OBJECTS, Kind, encode

ADVICE = "get the file again, or correct the program that wrote it"
KIND = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True)
class Objects:
    """The objects of one kind in some events.

    Attributes:
        kind: of object.
        event: the event of each, not falling.
        values: (objects, 3) of pT, eta and phi: int64 hardware integers, or float64 in GeV and rad.
        hardware: True if they are hardware integers.
    """

    kind: Kind
    event: NDArray[np.int64]
    values: NDArray[Any]
    hardware: bool

    def check(self, name: str, path: Path, first: int) -> None:
        """Refuse what no trigger can send.

        Args:
            name: of the quantity, for the sentence.
            path: of the file.
            first: number of event 0 in the file.

        Raises:
            SampleError: at the first object with a negative or infinite pT, or an impossible angle.
        """
        with np.errstate(invalid="ignore"):
            wrong = ~np.isfinite(self.values).all(axis=1) | (self.values[:, 0] < 0)
            wrong |= np.abs(self.values[:, 1]) > (4 * 115 if self.hardware else 10.0)
            wrong |= np.abs(self.values[:, 2]) > (2 * self.kind.phi_steps if self.hardware else 4 * np.pi)
        if wrong.any():
            i = int(np.argmax(wrong))
            shown = ", ".join(f"{v:g}" for v in self.values[i])
            raise SampleError(
                f"{path}: event {first + self.event[i]} has an impossible object in {name}: "
                f"pT, eta, phi {shown}; {ADVICE}"
            )


def rows(found: Sequence[Objects], count: int) -> NDArray[np.int16]:
    """Hardware integers of ``count`` events, (count, 57)."""
    x = np.zeros((count, len(FEATURES)), np.int16)
    physical: NDArray[np.float64] | None = None
    soft = []
    for objects in found:
        event, rank, values = _ranked(objects, count)
        column = first_column(objects.kind)
        if objects.hardware:
            x[event[:, None], column + 3 * rank[:, None] + np.arange(3)] = _hardware(objects.kind, values)
        else:
            physical = np.zeros((count, OBJECTS, 3)) if physical is None else physical
            physical[event, column // 3 + rank] = values
            soft.append(slice(column, column + 3 * objects.kind.slots))
    if physical is not None:
        encoded = encode(physical)
        for where in soft:
            x[:, where] = encoded[:, where]
    return x


def first_column(kind: Kind) -> int:
    """Where a kind's slots begin in a row."""
    return next(COLUMN[feature.name] for feature in FEATURES if feature.kind == kind.name)


def _ranked(objects: Objects, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]:
    """Event, slot and values of the objects that find a slot."""
    there = objects.values[:, 0] > 0
    event, values = objects.event[there], objects.values[there]
    pt = values[:, 0]
    if np.any((event[1:] == event[:-1]) & (pt[1:] > pt[:-1])):
        order = np.lexsort((-pt, event))
        event, values = event[order], values[order]
    number_of = np.bincount(event, minlength=count)
    rank = np.arange(len(event)) - (np.cumsum(number_of) - number_of)[event]
    fits = rank < objects.kind.slots
    return event[fits], rank[fits], values[fits]


def _hardware(kind: Kind, values: NDArray[np.int64]) -> NDArray[np.int16]:
    pt, eta, phi = values[:, 0], values[:, 1], values[:, 2]
    ends = (np.minimum(pt, kind.pt_hi), np.clip(eta, -kind.eta_hi, kind.eta_hi), np.mod(phi, kind.phi_steps))
    return np.stack(ends, -1).astype(np.int16)
