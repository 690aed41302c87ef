"""What a source is: events of a simulation and of the data that it stands for, each with truth and measurement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


Draw = Callable[[np.random.Generator, int], Events]


@dataclass(frozen=True)
class Source:
    """Simulation and data.

    Attributes:
        simulation: draws events of the simulation.
        data: draws events as nature makes them; a method may look at ``reco`` only.
        ratio: log of data over simulation densities at ``reco``, where it is known.
        posterior: mean and standard deviation of the simulation's truth given ``reco``, where they are known.
    """

    simulation: Draw
    data: Draw
    ratio: Callable[[Any], Any] | None = None
    posterior: Callable[[Any], tuple[Any, Any]] | None = None
