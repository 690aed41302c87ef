"""conifer's VHDL of the same trees, simulated in GHDL."""

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


def check(graph: Graph, target: Target) -> None:
    """Refuse a graph that isn't trees, or holds numbers beyond 31 bits.

    Raises:
        Unsupported: with the reason.
    """
    description.check(graph, description.VHDL_INTEGER)


def build(graph: Graph, folder: Path, target: Target) -> None:
    """Write conifer's VHDL project into ``folder/vhdl``.

    Raises:
        Unsupported: what :func:`check` says.
        ToolMissing, ToolFailed: conifer, or what it needs.
    """
    check(graph, target)
    with artifact.atomic_folder(folder) as part:
        running.write(graph, part, target, ("vhdl",))


def simulate(
    folder: Path, graph: Graph, inputs: NDArray[Any] | Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.int64]]:
    """Run the VHDL in GHDL; the decision is taken on its score.

    Returns:
        Integers ``(events, 1)`` by output name.

    Raises:
        Mismatch: the project is of another graph.
        ToolMissing, ToolFailed: conifer or GHDL.
    """
    return running.scores(folder, graph, inputs, "vhdl")


probe = simulate
"""conifer shows no node but the score."""
