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
    and the hardest fill the slots, as if two collisions had coincided. There, events with rare numbers of objects are
    drawn more often, so that slots which ordinary events leave empty are filled. Objects stay ordered by pT.

    Calorimeter regions have no slots to fill: two or more events are added up, region by region.
    """
    if all(f.quantity == "et" for f in features):
        return _overlaid(x, features, rng)
    tables = _objects(features)
    half = len(x) // 2
    rare = _rarity(x, tables)
    i, j = (np.concatenate([rng.integers(0, len(x), half), rng.choice(len(x), len(x) - half, p=rare)]) for _ in "ij")
    first, second = x[i], x[j]
    out = first.copy()
    for columns in tables:
        a, b = first[:, columns], second[:, columns]  # (events, slots, quantities), pT first
        chosen = np.where(rng.random(a[:half].shape[:2])[..., None] < 0.5, a[:half], b[:half])
        both = np.concatenate([a[half:], b[half:]], axis=1)
        out[:half, columns] = _hardest(chosen, columns.shape[0])
        out[half:, columns] = _hardest(both, columns.shape[0])
    return out


def _overlaid(x: Integers, features: Sequence[Feature], rng: np.random.Generator) -> Integers:
    """Each event plus one to four others, one of them made up to eight times as hard; saturated."""
    top = np.array([f.hi for f in features])
    total = x[rng.permutation(len(x))].astype(np.int64)
    total += x[rng.integers(0, len(x), len(x))] * rng.integers(1, 9, (len(x), 1))
    for extra in range(3):
        more = rng.random(len(x)) < 0.3 / (extra + 1)
        total[more] += x[rng.integers(0, len(x), int(more.sum()))]
    return np.minimum(total, top).astype(x.dtype)


def _rarity(x: Integers, tables: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Probability to draw each event: falls with the square root of how often its numbers of objects occur."""
    counts = np.stack([(x[:, columns[:, 0]] > 0).sum(axis=1) for columns in tables], axis=1)
    _, pattern, often = np.unique(counts, axis=0, return_inverse=True, return_counts=True)
    weight = 1.0 / np.sqrt(often[pattern.reshape(-1)])
    return weight / weight.sum()


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
