"""Turn-on curves: the share of events that a trigger keeps, against a quantity one can cut on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_ml.physics import baselines
from trigger_ml.physics.events import Events
from trigger_ml.physics.intervals import binomial

AXES = {
    "jet_pt": ("leading jet pT", "GeV"),
    "lepton_pt": ("leading lepton pT", "GeV"),
    "ht": ("HT", "GeV"),
    "met": ("MET", "GeV"),
    "objects": ("number of objects", ""),
    "total": ("total transverse energy", "GeV"),
    "occupied": ("number of cells above zero", ""),
    "hardest": ("hardest cell", "GeV"),
    "particles": ("number of particles", ""),
    "sum_pt": ("sum of pT", "GeV"),
}
"""Variable -> its name for people and its unit, empty for a count."""


@dataclass(frozen=True)
class TurnOn:
    """Efficiency of one process in bins of one variable.

    Attributes:
        variable: key of :data:`AXES`.
        process: the signal.
        edges: bin edges in GeV, or counts; the last bin holds everything above its lower edge.
        passed: events kept in each bin.
        total: events in each bin.
        low: lower end of the Clopper-Pearson interval.
        high: upper end.
    """

    variable: str
    process: str
    edges: tuple[float, ...]
    passed: tuple[int, ...]
    total: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def turn_ons(
    sample: Events, inputs: Mapping[str, NDArray[np.integer]], fires: Mapping[str, NDArray[np.bool_]]
) -> tuple[TurnOn, ...]:
    """The turn-on of each process in each variable of :data:`AXES` that the sample has.

    Args:
        sample: whose columns the inputs have.
        inputs: process -> hardware integers ``(events, features)``.
        fires: process -> decision of each event.

    Raises:
        ToolMissing: scipy is not installed.
    """
    values = {process: baselines.variables(sample, x) for process, x in inputs.items()}
    curves = []
    for variable, (_, unit_name) in AXES.items():
        if not all(variable in v for v in values.values()):
            continue
        pooled = np.concatenate([v[variable] for v in values.values()])
        few = not unit_name and np.quantile(pooled, 0.998) < 30
        edges = np.arange(0, max(int(np.quantile(pooled, 0.998)), 1) + 2) if few else _edges(pooled)
        unit = baselines.pt_lsb(sample) if unit_name else 1.0
        curves += [_curve(variable, p, v[variable], fires[p], edges, unit) for p, v in values.items()]
    return tuple(curves)


def _edges(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """About 14 equal bins up to the 98 % quantile, a whole round number of hardware units wide."""
    rough = max(int(np.quantile(values, 0.98)) / 14, 1.0)
    decade = 10 ** int(np.floor(np.log10(rough)))
    width = next(int(m * decade) for m in (1, 2, 4, 5, 10, 20) if m * decade >= rough)
    return np.arange(0, 15) * width


def _curve(
    variable: str,
    process: str,
    values: NDArray[np.int64],
    fires: NDArray[np.bool_],
    edges: NDArray[np.int64],
    unit: float,
) -> TurnOn:
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    total = np.bincount(place, minlength=len(edges) - 1)
    passed = np.bincount(place[fires], minlength=len(edges) - 1)
    low, high = binomial(passed, total)
    return TurnOn(
        variable,
        process,
        tuple(float(e * unit) for e in edges),
        tuple(int(k) for k in passed),
        tuple(int(n) for n in total),
        tuple(float(v) for v in low),
        tuple(float(v) for v in high),
    )
