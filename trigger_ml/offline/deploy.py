"""A trained network as files in every lowering, run in the smallest and compared with the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import tools
from trigger_ml.artifact import atomic_write
from trigger_ml.offline.layers import Network
from trigger_ml.offline.onnx.model import Model, evaluate, opened
from trigger_ml.offline.onnx.writer import LOWERINGS, Lowering

BATCH = 4096
WIDEST = 1 << 24
"""Numbers in a layer's output, for a batch, at most: a session keeps several such arrays."""

SINGLE, PAIR = 1, 2
"""Threads of the sessions that are compared."""


@dataclass(frozen=True, eq=False)
class Deployed:
    """One model in its lowerings.

    Attributes:
        models: lowering -> what was written.
        sessions: lowering -> session.
        batch: rows that are evaluated at once.
    """

    models: Mapping[Lowering, Model]
    sessions: Mapping[Lowering, Any]
    batch: int = BATCH

    @property
    def smallest(self) -> Lowering:
        """The last lowering: ``ternary`` where it can be had."""
        return tuple(self.models)[-1]

    def __call__(self, feed: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """The output, in batches; arrays of one row serve all."""
        return self.run(self.smallest, feed)

    def run(self, lowering: Lowering, feed: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """The output of one lowering, in batches."""
        return _batches(self.sessions[lowering], feed, self.batch)

    def differing(self, feed: Mapping[str, NDArray[np.float32]]) -> tuple[str, ...]:
        """Lowerings and threads of which some bit differs from the golden one's, in the same batches."""
        golden = _batches(self.sessions["float"], feed, self.batch)
        bad: list[str] = []
        for lowering, model in self.models.items():
            pair = opened(model.content, model.digest, PAIR)
            for threads, session in ((SINGLE, self.sessions[lowering]), (PAIR, pair)):
                if not np.array_equal(_batches(session, feed, self.batch), golden):
                    bad.append(lowering if threads == SINGLE else f"{lowering} with {threads} threads")
        return tuple(bad)


def deploy(models: Mapping[Lowering, Model], folder: Path, name: str, batch: int = BATCH) -> Deployed:
    """Keep the models as ``<name>.<lowering>.onnx`` and open them, to be run in batches of so many rows."""
    for lowering, model in models.items():
        atomic_write(folder / f"{name}.{lowering}.onnx", model.content)
    return Deployed(models, {k: opened(m.content, m.digest, SINGLE) for k, m in models.items()}, batch)


def lowerings() -> tuple[Lowering, ...]:
    """Those that this machine can run: all, or all but ``ternary`` without a compiler."""
    return LOWERINGS if tools.find("g++") is not None else LOWERINGS[:-1]


def batch_of(network: Network) -> int:
    """Rows that are evaluated at once: fewer where a layer's output is wide."""
    return max(1, min(BATCH, WIDEST // max(prod(shape) for shape in network.shapes.values())))


def _batches(session: Any, feed: Mapping[str, NDArray[np.float32]], batch: int) -> NDArray[np.float32]:
    count = max(len(v) for v in feed.values())
    cut = {k: len(v) == count for k, v in feed.items()}
    parts = [
        evaluate(session, {k: v[i : i + batch] if cut[k] else v for k, v in feed.items()})
        for i in range(0, count, batch)
    ]
    return np.concatenate(parts)
