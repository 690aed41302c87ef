"""What ``trigger-ml rates`` found: frozen values that turn into JSON and back."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trigger_ml.errors import ArtifactError
from trigger_ml.physics.abcd import Abcd, ClosureShift
from trigger_ml.physics.correlation import DistanceCorrelation
from trigger_ml.physics.intervals import Estimate
from trigger_ml.physics.menu_rates import MenuRates, Rate
from trigger_ml.physics.roc import Point

VERSION = 1
"""Of ``rates.json``."""


@dataclass(frozen=True)
class EventFile:
    """A file of zero-bias events.

    Attributes:
        name: without its folder.
        digest: sha256 of the file.
        events: that were counted.
        sources: independent collisions that dominate them.
        pileup: mean number of overlaid collisions.
        dataset: the part of the file that was read.
    """

    name: str
    digest: str
    events: int
    sources: int
    pileup: float
    dataset: str


@dataclass(frozen=True)
class WorkingPoint:
    """One threshold of the score.

    Attributes:
        point: threshold, events behind it, total rate before prescale.
        tpr: signal -> efficiency.
        unique: what the score adds on top of the menu; None without a menu.
        gain: signal -> share of its events that the score keeps and no unprescaled seed of the menu does.
    """

    point: Point
    tpr: Mapping[str, Estimate]
    unique: Rate | None = None
    gain: Mapping[str, Estimate] | None = None


@dataclass(frozen=True)
class RateCurve:
    """Rate against threshold, one entry a threshold, thresholds falling.

    Attributes:
        threshold: in the score's integer units.
        events: zero-bias events at or above it.
        khz: total rate.
        low: lower end of its interval.
        high: upper end.
    """

    threshold: tuple[int, ...]
    events: tuple[int, ...]
    khz: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Shift:
    """What quantization changed at one working point.

    Attributes:
        point: its name.
        rate_khz: rate with the float score's threshold kept on the quantized score, minus the float rate.
        tpr: signal -> efficiency minus that of the float score, each at its own threshold; paired bootstrap error.
    """

    point: str
    rate_khz: Estimate
    tpr: Mapping[str, Estimate]


@dataclass(frozen=True)
class OnMenu:
    """A menu on the same events.

    Attributes:
        name: of the menu.
        notes: what stands beside its figures.
        digest: of its content.
        rates: of its seeds.
        tpr: signal -> share of its events that an unprescaled seed keeps.
    """

    name: str
    notes: str
    digest: str
    rates: MenuRates
    tpr: Mapping[str, Estimate]


@dataclass(frozen=True)
class Elsewhere:
    """The same thresholds on events of another mean pileup.

    Attributes:
        file: the events.
        rate_khz: working point -> total rate.
        events: working point -> events behind it.
        tpr: working point -> signal -> efficiency; empty where the file has no signals.
    """

    file: EventFile
    rate_khz: Mapping[str, Estimate]
    events: Mapping[str, int]
    tpr: Mapping[str, Mapping[str, Estimate]]


@dataclass(frozen=True)
class Pair:
    """A score that is the lesser of two, which predict the background that both keep.

    Attributes:
        correlation: of the two on zero-bias events, the first of them where there are many.
        points: working point -> what the other three regions predict there.
        scan: at equal efficiencies of the two, before and after quantization; empty without a float twin.
    """

    correlation: DistanceCorrelation
    points: Mapping[str, Abcd]
    scan: tuple[ClosureShift, ...] = ()


@dataclass(frozen=True)
class Taught:
    """A distilled score, quantized and float, beside the score of the teachers that it has learned, on the same events.

    Attributes:
        auc: ``teacher``, ``float``, ``quantized`` -> signal -> area under the ROC curve against the file's events.
        tpr: the same -> working point -> signal -> efficiency at its own threshold.
        auc_shift: ``float``, ``quantized`` -> signal -> area minus the teacher's; paired error.
        tpr_shift: the same -> working point -> signal -> efficiency minus the teacher's; paired bootstrap error.
    """

    auc: Mapping[str, Mapping[str, Estimate]]
    tpr: Mapping[str, Mapping[str, Mapping[str, Estimate]]]
    auc_shift: Mapping[str, Mapping[str, Estimate]]
    tpr_shift: Mapping[str, Mapping[str, Mapping[str, Estimate]]]


@dataclass(frozen=True)
class RateTable:
    """Rates of one graph on many zero-bias events.

    Attributes:
        version: of this layout.
        model: name of the spec.
        graph: digest of the graph.
        engine: ``cpp`` or ``interpreter``; both give the same integers.
        file: the events.
        notes: what stands beside every figure made from them.
        bunches: colliding bunches in an orbit.
        crossings_khz: the crossing rate behind every rate.
        confidence: coverage of every interval.
        points: thresholds for the target rates (``rate_10_khz``), for unique rates (``unique_10_khz``), and the
            threshold built into the graph (``firmware``).
        curve: rate against threshold.
        signal_events: signal -> events of the spec's test part.
        shifts: what quantization changed; empty without a float twin.
        menu: None without a menu.
        elsewhere: the same thresholds at other pileup.
        pair: None for a score that is not the lesser of two.
        taught: None for a score that is not distilled, or whose teachers were not kept.
    """

    version: int
    model: str
    graph: str
    engine: str
    file: EventFile
    notes: str
    bunches: int
    crossings_khz: float
    confidence: float
    points: tuple[WorkingPoint, ...]
    curve: RateCurve
    signal_events: Mapping[str, int]
    shifts: tuple[Shift, ...] = ()
    menu: OnMenu | None = None
    elsewhere: tuple[Elsewhere, ...] = ()
    pair: Pair | None = None
    taught: Taught | None = None


def read(value: Any) -> RateTable:
    """The table from its JSON values.

    Raises:
        ArtifactError: they are not one, or one of another version.
    """
    if not isinstance(value, Mapping) or value.get("version") != VERSION:
        raise ArtifactError(f"rates.json is not of version {VERSION}: run `trigger-ml rates` again")
    try:
        table: RateTable = _read(RateTable, value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(f"rates.json is damaged ({error}): run `trigger-ml rates` again") from None
    return table


def _read(hint: Any, value: Any) -> Any:
    """A value in the type of ``hint``: a dataclass, a tuple or mapping of such, or a plain value."""
    if isinstance(hint, types.UnionType):
        return None if value is None else _read(typing.get_args(hint)[0], value)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return tuple(_read(arguments[0], item) for item in value)
    if origin is Mapping:
        return {str(key): _read(arguments[1], item) for key, item in value.items()}
    if not dataclasses.is_dataclass(hint):
        return value
    hints = typing.get_type_hints(hint)
    unknown = set(value) - set(hints)
    if unknown:
        raise ValueError(f"unknown key {min(unknown)}")
    optional = (name for name, kind in hints.items() if isinstance(kind, types.UnionType) and name not in value)
    known = {name: _read(hints[name], item) for name, item in value.items()}
    made: Any = hint
    return made(**dict.fromkeys(optional), **known)
