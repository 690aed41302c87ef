"""What a source is: events of a simulation and of the data that it stands for, each with truth and measurement.

A module of this folder has a function ``source()``. One that can take events from a file has ``read(path)`` too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SpecError
from trigger_ml.offline.edges import Plane
from trigger_ml.offline.metrics import Number

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Events:
    """Events of one kind.

    Attributes:
        truth: ``(events, dimensions)``, of order 1.
        reco: what is measured or given, ``(events, dimensions)``; no columns where nothing is.
        measured: whether an event is measured at all, bool ``(events,)``; None: all are.
        counts: whether it is one of those looked for, not a fake; None: all are.
    """

    truth: Floats
    reco: Floats
    measured: NDArray[np.bool_] | None = None
    counts: NDArray[np.bool_] | None = None

    @property
    def masks(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """``measured`` and ``counts``, spelled out."""
        every = np.ones(len(self), np.bool_)
        return every if self.measured is None else self.measured, every if self.counts is None else self.counts

    def __len__(self) -> int:
        """Number of events."""
        return len(self.truth)

    def rows(self, chosen: NDArray[Any]) -> Events:
        """Some of the events, by index."""
        return Events(*(None if x is None else x[chosen] for x in (self.truth, self.reco, self.measured, self.counts)))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Parts:
    """Events: simulation and data, for training and for the test; none is in both.

    Data may be simulation, the same object, where a source has nothing else.
    """

    simulation: Events
    data: Events
    test: Events
    test_data: Events


@dataclass(frozen=True, eq=False)
class Scale:
    """Numbers brought to mean 0 and deviation 1, and back.

    Attributes:
        mean: what is subtracted, ``(numbers,)``.
        spread: what is divided by.
    """

    mean: NDArray[np.floating]
    spread: NDArray[np.floating]

    @staticmethod
    def of(raw: NDArray[np.floating]) -> Scale:
        """That of these events, ``(events, numbers)``."""
        return Scale(raw.mean(0), np.maximum(raw.std(0), 1e-6))

    def down(self, raw: NDArray[np.floating]) -> Floats:
        """Numbers of order 1."""
        return ((raw - self.mean) / self.spread).astype(np.float32)

    def up(self, scaled: NDArray[np.floating]) -> NDArray[np.floating]:
        """The numbers again."""
        found: NDArray[np.floating] = scaled * self.spread + self.mean
        return found


Draw = Callable[[np.random.Generator, int], Events]


def drawn(simulation: Draw, data: Draw) -> Callable[[int, int], Parts]:
    """Parts from two generators of events."""

    def parts(count: int, seed: int) -> Parts:
        rngs = [np.random.default_rng([seed, i]) for i in range(4)]
        draws = (simulation, data, simulation, data)
        return Parts(*(draw(rng, count) for draw, rng in zip(draws, rngs, strict=True)))

    return parts


def shared(simulation: Events, data: Events, where: str) -> Callable[[int, int], Parts]:
    """Parts from fixed events, ``where`` they are: the seed says which are for training and which for the test.

    The function that it returns raises :class:`SpecError` if there are not enough.
    """

    def parts(count: int, seed: int) -> Parts:
        halves = []
        for i, events in enumerate((simulation, data)):
            if len(events) < 2 * count:
                raise SpecError(
                    f"{where} has {len(events)} events, training and test need {2 * count}: "
                    f"set events, of [sample] or with --full of [full], to at most {len(events) // 2}"
                )
            order = np.random.default_rng([seed, 20 + i]).permutation(len(events))
            halves += [events.rows(order[:count]), events.rows(order[count : 2 * count])]
        return Parts(halves[0], halves[2], halves[1], halves[3])

    return parts


def columns(truth: Floats, reco: Floats) -> Mapping[str, Floats]:
    """Each dimension of truth under its number."""
    return {f"x{i}": column for i, column in enumerate(truth.T)}


@dataclass(frozen=True)
class Source:
    """Simulation and data.

    Attributes:
        parts: from a number of events and a seed to that many events of each part; a method may look at ``reco`` of
            data only.
        ratio: log of data over simulation densities at ``reco``, where it is known.
        posterior: mean and standard deviation of the simulation's truth given ``reco``, where they are known.
        view: from truth and reco to what plots show: name -> values in their unit ``(events,)``.
        measures: numbers of generated truth, for its test events, with other true events beside (what two samples of
            truth differ by), and a seed.
        micros: CPU time of the simulator in microseconds an event, where it makes them when asked.
        unfolds: truth and ``reco`` are the same observables, and data has another truth than simulation.
        leading: numbers of truth, the first ones, that can be made first; 0: it has no such stages.
        grid: the axes of which truth's dimensions, without the leading ones, are the cells, the last one fastest, for
            networks on a grid; None: one axis.
        around: axes of the grid that close in a circle.
        plane: where an event's particles lie, for networks that look for near ones; None: it has none.
    """

    parts: Callable[[int, int], Parts]
    ratio: Callable[[Any], Any] | None = None
    posterior: Callable[[Any], tuple[Any, Any]] | None = None
    view: Callable[[Floats, Floats], Mapping[str, Floats]] = columns
    measures: Callable[[Floats, Events, Events, int], Mapping[str, Number]] | None = None
    micros: Callable[[], float] | None = None
    unfolds: bool = False
    leading: int = 0
    grid: tuple[int, ...] | None = None
    around: tuple[int, ...] = ()
    plane: Plane | None = None
