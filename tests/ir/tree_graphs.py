"""Random trees, and graphs of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from trigger_ml.fixed import Fixed, Formats
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.ops import integers
from trigger_ml.ir.trees import Trees, add_trees

PORTS = Formats.of([0, 1, 1, 0, 0], [6, 5, 9, 1, 0], 0)
"""Unsigned, signed, wide, a single bit, and a feature that is always 0."""


def random_trees(seed: int, count: int, depth: int, bits: int = 8, holes: float = 0.2) -> Trees:
    """Trees that compare the features of :data:`PORTS`, some nodes nothing, some values far outside."""
    rng = np.random.default_rng([seed, count, depth])
    shape = (count, (1 << depth) - 1)
    feature = np.where(rng.random(shape) < holes, -1, rng.integers(0, 5, shape))
    feature[0, 0] = 0
    threshold = np.where(feature < 0, 0, rng.integers(-40, 80, shape))
    leaf = rng.integers(-(1 << bits - 1), 1 << bits - 1, (count, shape[1] + 1))
    return Trees(integers(feature), integers(threshold), integers(leaf), int(rng.integers(-99, 99)), 5)


def graph_of(trees: Trees, ports: Formats = PORTS, features: int = 5) -> Graph:
    b = Builder()
    x = b.input((features,), ports, name="x")
    return b.graph(add_trees(b, x, trees), meta={"name": "forest"})


def random_inputs(seed: int, count: int, ports: Formats = PORTS) -> np.ndarray:
    """Uniform in the ports' ranges."""
    return np.random.default_rng(seed).integers(ports.lo, ports.hi, (count, ports.width.size), endpoint=True)


def walked(trees: Trees, event: Any) -> int:
    """The definition once more, a node at a time, in Python integers."""
    total = trees.base
    for feature, threshold, leaf in zip(
        trees.feature.tolist(), trees.threshold.tolist(), trees.leaf.tolist(), strict=True
    ):
        low, high, node = 0, len(leaf), 0
        while high - low > 1:
            right = feature[node] >= 0 and int(event[feature[node]]) > threshold[node]
            middle = (low + high) // 2
            low, high, node = (middle, high, 2 * node + 2) if right else (low, middle, 2 * node + 1)
        total += leaf[low]
    return total


forests = st.builds(random_trees, st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 6))
"""Of every depth."""

UNIFORM = Fixed(True, 6, 2)
