"""The conifer engine: the same trees as conifer's projects, its C++ model of the firmware compared with the graph.

conifer: Summers et al., JINST 15 (2020) P05026, arXiv:2002.02534. Why it gets integers, and what it shows, is in
``docs/decisions/016-trees.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact
from trigger_ml.backends.conifer_project import description, running
from trigger_ml.ir.graph import Graph
from trigger_ml.spec import Target

PROJECTS = ("cpp", "hls")


def check(graph: Graph, target: Target) -> None:
    """Refuse a graph that isn't trees, or holds numbers beyond 53 bits.

    Raises:
        Unsupported: with the reason.
    """
    description.check(graph, description.DOUBLE)


def build(graph: Graph, folder: Path, target: Target) -> None:
    """Write ``cpp``, conifer's model of its firmware, and ``hls``, its project for Vitis HLS; compile the former.

    Raises:
        Unsupported: what :func:`check` says.
        ToolMissing, ToolFailed: conifer, what it needs, or the compiler.
    """
    check(graph, target)
    with artifact.atomic_folder(folder) as part:
        running.write(graph, part, target, PROJECTS)
        compile_library(part)


def compile_library(folder: Path) -> None:
    """Compile the C++ in ``folder/cpp``.

    Raises:
        ToolMissing, ToolFailed: conifer, what it needs, or the compiler.
    """
    running.run(folder, "compile", running.WRITE_S)


def simulate(
    folder: Path, graph: Graph, inputs: NDArray[Any] | Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.int64]]:
    """Run conifer's C++ model; the decision is taken on its score.

    Returns:
        Integers ``(events, 1)`` by output name.

    Raises:
        Mismatch: the project is of another graph.
        ToolMissing, ToolFailed: conifer.
    """
    return running.scores(folder, graph, inputs, "cpp")


probe = simulate
"""conifer shows no node but the score."""
