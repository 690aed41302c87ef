"""Which items are next to which, the same in every runtime: places are brought to integers before anything is compared.

The neighbours of an item are the others that are there, the nearest first: nearness is the sum of squared differences
of ``round_half_even(place * (1 / step))``, and of equally near ones that which is listed first goes before. Where fewer
than ``count`` others are there, the item itself stands for the missing ones: the difference is then 0. Integers beyond
``REACH`` count as ``REACH``; all sums fit 64 bits. ``onnx/rules.py`` writes the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

REACH = 1 << 15
"""Largest magnitude of a place in steps."""

FAR = 1 << 62
"""Above every key of an item that may be a neighbour."""


@dataclass(frozen=True)
class Plane:
    """Where an event's items lie.

    Attributes:
        first: number of the first of the two features that are an item's place.
        step: grid on which places are compared, in the unit of these features.
    """

    first: int
    step: float


def in_steps(step: float) -> np.float32:
    """What brings a place to steps, as a factor: so many are in one unit."""
    return np.float32(1 / step)


def nearest(place: Any, mask: Any, count: int, step: float) -> Any:
    """The neighbours of each item in TensorFlow.

    The sorted keys are ``squared distance * items + index``: no two of a row are equal, so no order of ties is asked of
    a runtime, and the index is the remainder.

    Args:
        place: ``(batch, items, dimensions)``.
        mask: 0 and 1, ``(batch, items, 1)``.
        count: neighbours of each, less than there are items.
        step: of the grid.

    Returns:
        Indices, int64 ``(batch, items, count)``.
    """
    import tensorflow as tf

    items = place.shape[-2]
    number = np.arange(items)
    whole = tf.cast(tf.clip_by_value(tf.round(place * in_steps(step)), -REACH, REACH), tf.int64)
    apart = whole[:, :, None] - whole[:, None]
    key = tf.reduce_sum(apart * apart, -1) * items + number
    able = (mask[:, None, :, 0] > 0) & ~np.eye(items, dtype=bool)
    least = -tf.math.top_k(-tf.where(able, key, FAR + number), count)[0]
    return tf.where(least < FAR, least % items, number[:, None])


def edges(x: Any, index: Any) -> Any:
    """What an edge sees, in TensorFlow: its item's features and what those of the neighbour differ by.

    Args:
        x: ``(batch, items, features)``.
        index: ``(batch, items, count)``.

    Returns:
        ``(batch, items, count, 2 * features)``.
    """
    import tensorflow as tf

    own = tf.repeat(x[:, :, None], index.shape[-1], axis=2)
    return tf.concat([own, tf.gather(x, index, batch_dims=1) - own], -1)
