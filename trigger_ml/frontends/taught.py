"""What taught a distilled score, kept beside its float twin: the autoencoders' weights and their error as a score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.artifact import read_npz
from trigger_ml.frontends import teacher
from trigger_ml.frontends.floatnet import Arrays
from trigger_ml.samples.dataset import Sample
from trigger_ml.spec import Spec

FILE = "teacher.npz"

BLOCK = 128
"""Events at once: their windows stay in the cache, four times faster than thousands."""

Score = Callable[[NDArray[np.integer[Any]]], NDArray[np.float64]]


def packed(teachers: Sequence[Arrays]) -> Arrays:
    """All teachers' weights in one table, ``<number>.<layer>.kernel``; float32 where that is exact."""
    return {f"{i}.{name}": _narrow(array) for i, weights in enumerate(teachers) for name, array in weights.items()}


def _narrow(array: NDArray[Any]) -> NDArray[Any]:
    single = array.astype(np.float32)
    return single if np.array_equal(single, array) else array


def unpacked(arrays: Arrays) -> list[Arrays]:
    """The teachers of such a table, in order."""
    teachers: dict[int, Arrays] = {}
    for key, array in arrays.items():
        number, _, name = key.partition(".")
        teachers.setdefault(int(number), {})[name] = array.astype(np.float64)
    return [teachers[i] for i in sorted(teachers)]


def score(folder: Path, spec: Spec, sample: Sample) -> Score | None:
    """The teachers' score, float64 ``(events,)`` of hardware integers, or None where they were not kept.

    It is the mean of ``log2`` of their reconstruction errors: what the student was trained on, but for a scale.

    Raises:
        ArtifactError: the file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return None
    teachers = unpacked(read_npz(path))

    def of(x: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        parts = [teacher.errors(teachers, spec, sample, x[i : i + BLOCK]) for i in range(0, len(x), BLOCK)]
        return np.concatenate(parts) if parts else np.zeros(0)

    return of
