"""Gradient-boosted decision trees: the tagger that triggers had first.

Friedman, Ann. Statist. 29 (2001) 1189. In firmware a tree is a few comparisons and a look-up: Summers et al.,
arXiv:2002.02534 (conifer). Its float twin compares the same integers, and differs in its leaves alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trigger_ml.families import inputs, scores
from trigger_ml.spec import Spec

BLOCK = 16_384
"""Events whose way through all trees is followed at once."""

Arrays = Mapping[str, NDArray[np.generic]]


def float_score(weights: Arrays, x_int: inputs.Integers, spec: Spec) -> NDArray[np.float64]:
    """The trees' logit, float64 ``(events,)``, of hardware integers ``x_int (events, features)``.

    ``weights`` holds complete trees in heap order: ``feature`` (-1: always left) and ``threshold``, in hardware units,
    ``(trees, 2**depth - 1)``, left where the feature is not above it; ``leaf`` is ``(trees, 2**depth)``.

    Raises:
        SpecError: for a score that isn't this family's.
    """
    scores.check(spec.model, "trees")
    blocks = range(0, len(x_int), BLOCK)
    return np.concatenate([np.zeros(0), *(_sum(weights, x_int[i : i + BLOCK]) for i in blocks)])


def _sum(weights: Arrays, x: inputs.Integers) -> NDArray[np.float64]:
    feature, threshold, leaf = (np.asarray(weights[name]) for name in ("feature", "threshold", "leaf"))
    total, event = np.zeros(len(x)), np.arange(len(x))
    for f, t, values in zip(feature, threshold, leaf, strict=True):
        at = np.zeros(len(x), np.int64)
        for _ in range(len(values).bit_length() - 1):
            at = 2 * at + 1 + ((f[at] >= 0) & (x[event, f[at]] > t[at]))
        total += values[at - len(f)]
    return total
