"""Chains of dense layers as data, and what they compute in float64 with numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[np.floating]]
"""``<layer>.kernel (n_in, n_out)`` and ``<layer>.bias (n_out,)`` of each layer."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Dense:
    """One layer: ``x @ kernel + bias``, then ``max(., 0)`` if ``relu``.

    Attributes:
        name: unique in the network.
        units: outputs.
        relu: whether negative outputs become zero.
    """

    name: str
    units: int
    relu: bool


def chain(stem: str, hidden: Sequence[int], last: Dense) -> tuple[Dense, ...]:
    """Hidden layers with ReLU, named ``<stem>0``, ``<stem>1`` ..., and a last one."""
    return (*(Dense(f"{stem}{i}", units, True) for i, units in enumerate(hidden)), last)


def forward(layers: Sequence[Dense], weights: Weights, x: Floats) -> Floats:
    """Outputs ``(events, units)`` of the last layer for inputs ``(events, n_in)``."""
    for layer in layers:
        x = x @ weights[f"{layer.name}.kernel"].astype(np.float64) + weights[f"{layer.name}.bias"].astype(np.float64)
        if layer.relu:
            x = np.maximum(x, 0.0)
    return x
