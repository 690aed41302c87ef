"""What each column of a sample tells by itself: the area under the ROC curve of a cut on one number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SampleError, SpecError
from trigger_ml.physics import roc
from trigger_ml.physics.events import Events
from trigger_ml.physics.intervals import Estimate


@dataclass(frozen=True)
class Alone:
    """One column as the only score.

    Attributes:
        column: its name.
        falling: signal -> whether small numbers are taken for the signal, which the training part decides.
        auc: signal -> area under the ROC curve on the test part, DeLong error.
    """

    column: str
    falling: Mapping[str, bool]
    auc: Mapping[str, Estimate]


@dataclass(frozen=True)
class Window:
    """Events that count: ``low <= column < high``, in the column's physical unit; all where no column is named."""

    column: str = ""
    low: float = -math.inf
    high: float = math.inf

    @staticmethod
    def parse(text: str) -> Window:
        """From ``column:low:high``.

        Raises:
            SpecError: it reads otherwise.
        """
        try:
            column, low, high = text.split(":")
            window = Window(column, float(low), float(high))
        except ValueError:
            window = Window()
        if not window.column or not window.low < window.high:
            raise SpecError(f"the window {text!r} is not column:low:high, low < high: give e.g. mass_mmdt:65:105")
        return window

    def of(self, sample: Events, x: NDArray[Any]) -> NDArray[np.bool_]:
        """Which events ``(events, columns)`` are inside.

        Raises:
            SpecError: the sample has no such column.
        """
        if not self.column:
            return np.ones(len(x), np.bool_)
        place = next((i for i, feature in enumerate(sample.features) if feature.name == self.column), None)
        if place is None:
            raise SpecError(f"sample {sample.name}/{sample.variant} has no column {self.column!r}: see --columns alone")
        value = x[:, place] * sample.features[place].lsb
        return np.asarray((value >= self.low) & (value < self.high))


def alone(sample: Events, window: Window) -> list[Alone]:
    """Every column of a sample by itself, the best of the first signal first.

    Args:
        sample: with a background and signals.
        window: the events that count.

    Raises:
        SampleError: fewer than two events of the background or of a signal.
        SpecError: the sample lacks the window's column.
    """

    def kept(x: NDArray[Any]) -> NDArray[Any]:
        return x[window.of(sample, x)].astype(np.int64)

    processes = {"": sample.background, **sample.signals}
    train, test = ({name: kept(getattr(p, part)) for name, p in processes.items()} for part in ("train", "test"))
    for part, of_part in (("train", train), ("test", test)):
        for name, x in of_part.items():
            if window.column and len(x) < 2:
                raise SampleError(
                    f"the window {window.column}:{window.low:g}:{window.high:g} leaves {len(x)} of "
                    f"{name or 'background'} in the part {part}, an AUC needs two events: widen it"
                )
    source = sample.source[window.of(sample, sample.background.test)]
    found = []
    for i, feature in enumerate(sample.features):
        falling, areas = {}, {}
        for name in sample.signals:
            falling[name] = roc.auc(train[""][:, i], train[name][:, i]).value < 1 / 2
            sign = -1 if falling[name] else 1
            areas[name] = roc.auc(sign * test[""][:, i], sign * test[name][:, i], source).estimate()
        found.append(Alone(feature.name, falling, areas))
    first = next(iter(sample.signals))
    return sorted(found, key=lambda each: -each.auc[first].value)


def rows(found: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """For people: a line a column, from the JSON values of :class:`Alone`."""
    made = []
    for each in found:
        line = {"column": str(each["column"])}
        for name, area in each["auc"].items():
            side = "below" if each["falling"][name] else "above"
            line[f"AUC {name}"] = f"{area['value']:.4f} +- {area['high'] - area['value']:.4f} {side}"
        made.append(line)
    return made
