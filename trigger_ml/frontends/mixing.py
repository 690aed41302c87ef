"""More extreme events out of ordinary ones, so that a student has seen the tail on which a trigger acts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.samples.dataset import Feature

Integers = NDArray[np.integer[Any]]


def mixed(x: Integers, features: Sequence[Feature], rng: np.random.Generator) -> Integers:
    """As many events as ``x (events, features)``, each made of the objects of two events drawn from it.

    In the first half each slot is taken from one of the two at random; in the second half all objects of both compete,
    and the hardest fill the slots, as if two collisions had coincided. Objects of a kind stay ordered by pT.
    """
    i, j = rng.integers(0, len(x), (2, len(x)))
    first, second = x[i], x[j]
    half = len(x) // 2
    out = first.copy()
    for columns in _objects(features):
        a, b = first[:, columns], second[:, columns]  # (events, slots, quantities), pT first
        pick = rng.random(a.shape[:2]) < 0.5
        chosen = np.where(pick[..., None], a, b)
        both = np.concatenate([a, b], axis=1)
        out[:half, columns] = _hardest(chosen, columns.shape[0])[:half]
        out[half:, columns] = _hardest(both, columns.shape[0])[half:]
    return out


def _objects(features: Sequence[Feature]) -> list[NDArray[np.int64]]:
    """For each kind of object its columns ``(slots, quantities)``, pT first."""
    kinds = dict.fromkeys(f.kind for f in features)
    tables = []
    for kind in kinds:
        slots = sorted({f.slot for f in features if f.kind == kind})
        rows = [
            sorted((f.quantity != "pt", i) for i, f in enumerate(features) if f.kind == kind and f.slot == slot)
            for slot in slots
        ]
        tables.append(np.array([[i for _, i in row] for row in rows], np.int64))
    return tables


def _hardest(objects: Integers, slots: int) -> Integers:
    order = np.argsort(-objects[..., 0].astype(np.int64), axis=1, kind="stable")[:, :slots]
    return np.take_along_axis(objects, order[..., None], axis=1)
