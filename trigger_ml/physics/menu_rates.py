"""Rates of a menu: total, pure and unique rates of each seed, overlaps, and what a new score adds on top.

Prescaled seeds are counted by what is expected of them: a seed of prescale N keeps an event that it fires on with
probability 1/N, each seed on its own. So the rates have no noise of the prescale counters, and their errors are those
of the events behind them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SampleError
from trigger_ml.physics.intervals import Estimate, Floats, effective_count, efficiency
from trigger_ml.physics.rates import crossings_khz
from trigger_ml.physics.roc import Scores
from trigger_ml.spec import ORBIT_HZ


@dataclass(frozen=True, eq=False)
class Fired:
    """What a menu did on zero-bias events; only those on which a seed fired are kept.

    Attributes:
        events: all zero-bias events.
        independent: different sources of all of them.
        where: their numbers, rising.
        decisions: which seeds fired, before prescales, ``(len(where), seeds)``.
        sources: source id of each.
    """

    events: int
    independent: int
    where: NDArray[np.int64]
    decisions: NDArray[np.bool_]
    sources: NDArray[Any]

    @staticmethod
    def of(decisions: NDArray[np.bool_], sources: NDArray[Any] | None = None) -> Fired:
        """From the decisions of all events ``(events, seeds)``; without ``sources`` all are independent.

        Raises:
            SampleError: no events, or another number of sources.
        """
        sources = np.arange(len(decisions)) if sources is None else np.asarray(sources)
        if not len(decisions) or len(sources) != len(decisions):
            raise SampleError(
                f"{len(decisions)} decisions, {len(sources)} source ids: give one event or more, each with an id"
            )
        where = np.flatnonzero(decisions.any(axis=1))
        return Fired(len(decisions), len(np.unique(sources)), where, decisions[where], sources[where])


@dataclass(frozen=True)
class Rate:
    """A rate with the events behind it.

    Attributes:
        khz: after prescales.
        events: zero-bias events that contribute, before prescales.
        effective: independent events these are worth.
    """

    khz: Estimate
    events: int
    effective: float


@dataclass(frozen=True)
class SeedRate:
    """One seed of a menu.

    Attributes:
        name: of the seed.
        prescale: one in so many events is kept.
        unprescaled: its rate without its prescale.
        total: its rate after it.
        pure: events that no other seed of the menu keeps.
        unique: events that none of the seeds listed before it keeps.
    """

    name: str
    prescale: int
    unprescaled: Rate
    total: Rate
    pure: Rate
    unique: Rate


@dataclass(frozen=True)
class MenuRates:
    """A menu on zero-bias events.

    Attributes:
        events: zero-bias events.
        crossings_khz: rate of bunch crossings.
        menu: rate of all seeds together.
        seeds: in the menu's order.
        overlap: kHz that both the row's and the column's seed keep; on the diagonal the total rates.
    """

    events: int
    crossings_khz: float
    menu: Rate
    seeds: tuple[SeedRate, ...]
    overlap: tuple[tuple[float, ...], ...]


def menu_rates(fired: Fired, names: Sequence[str], prescales: Sequence[int], bunches: int) -> MenuRates:
    """Total, pure and unique rates of every seed, the menu's rate and the overlaps.

    Args:
        fired: on zero-bias events.
        names: of the seeds.
        prescales: of the seeds, at least 1.
        bunches: colliding bunches in an orbit.

    Raises:
        SampleError: another number of names or prescales than seeds.
    """
    seeds = fired.decisions.shape[1]
    if len(names) != seeds or len(prescales) != seeds:
        raise SampleError(f"{len(names)} names and {len(prescales)} prescales for {seeds} seeds: give one for each")
    crossings = crossings_khz(bunches)
    kept = fired.decisions / np.asarray(prescales, float)
    rows = []
    for i, (name, prescale) in enumerate(zip(names, prescales, strict=True)):
        others = np.delete(kept, i, axis=1)
        weights = {
            "unprescaled": fired.decisions[:, i].astype(float),
            "pure": fired.decisions[:, i] * _none_keeps(others),
            "unique": fired.decisions[:, i] * _none_keeps(kept[:, :i]),
        }
        found = {
            what: _rate(w, fired, crossings / (1 if what == "unprescaled" else prescale)) for what, w in weights.items()
        }
        total = Rate(found["unprescaled"].khz.scaled(1 / prescale), *_behind(weights["unprescaled"], fired))
        rows.append(SeedRate(name, int(prescale), found["unprescaled"], total, found["pure"], found["unique"]))
    both = kept.T @ kept
    np.fill_diagonal(both, kept.sum(axis=0))
    overlap = tuple(tuple(float(v) for v in row) for row in both * (crossings / fired.events))
    return MenuRates(fired.events, crossings, _rate(1 - _none_keeps(kept), fired, crossings), tuple(rows), overlap)


def left_over(fired: Fired, prescales: Sequence[int]) -> Floats:
    """For each zero-bias event the probability that the menu does not keep it: what a new seed could add."""
    out = np.ones(fired.events)
    out[fired.where] = _none_keeps(fired.decisions / np.asarray(prescales, float))
    return out


def added(keeps: NDArray[np.bool_], left: Floats, sources: NDArray[Any], bunches: int) -> Rate:
    """The unique rate of a new decision on top of a menu.

    Args:
        keeps: the decision on each zero-bias event.
        left: from :func:`left_over`; all ones: the total rate.
        sources: source id of each event.
        bunches: colliding bunches in an orbit.
    """
    crossings = crossings_khz(bunches)
    where = np.flatnonzero(keeps & (left > 0))
    ones = np.ones((len(where), 1), bool)
    fired = Fired(len(keeps), len(np.unique(sources)), where, ones, sources[where])
    return _rate(left[where], fired, crossings)


def unique_threshold(scores: Scores, left: Floats, target_khz: float, bunches: int) -> int:
    """The smallest integer threshold whose unique rate on top of a menu is at most ``target_khz``.

    Counted exactly where the menu has no prescales; the sum of probabilities is rounded in double precision else.

    Args:
        scores: integer score of each zero-bias event.
        left: from :func:`left_over`.
        target_khz: rate asked for.
        bunches: colliding bunches in an orbit.

    Raises:
        SampleError: no events.
    """
    if not len(scores):
        raise SampleError("there is no zero-bias event to set a threshold on: give some")
    share = Fraction(repr(float(target_khz))) * 1000 / (bunches * Fraction(repr(ORBIT_HZ)))
    exact = share * len(scores)
    limit = float(exact)
    limit = math.nextafter(limit, 0.0) if Fraction(limit) > exact else limit
    levels, place = np.unique(scores, return_inverse=True)
    filled = np.cumsum(np.bincount(place, left)[::-1])
    passing = int(np.searchsorted(filled, limit, side="right"))
    return int(levels[0]) if passing == len(levels) else int(levels[len(levels) - 1 - passing]) + 1


def _none_keeps(kept: Floats) -> Floats:
    """Probability that none of the columns' seeds keeps the event."""
    return np.prod(1 - kept, axis=1)


def _behind(weights: Floats, fired: Fired) -> tuple[int, float]:
    counted = weights > 0
    return int(np.count_nonzero(counted)), effective_count(fired.sources[counted], weights[counted])


def _rate(weights: Floats, fired: Fired, crossings: float) -> Rate:
    events, effective = _behind(weights, fired)
    share = efficiency(float(weights.sum()), fired.events, effective, fired.independent)
    return Rate(share.scaled(crossings), events, effective)
