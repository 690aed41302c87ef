"""The HLS engine: an hls4ml project for Vitis or Vivado whose C simulation equals the golden model, bit by bit.

Every type is ours, from the graph's proven intervals; hls4ml infers, fuses and narrows nothing. Why, and what else was
tried, is in ``docs/decisions``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.artifact import atomic_folder
from trigger_ml.backends.hls import adders, made_from, project, readme, stream, testbench
from trigger_ml.backends.hls.layers import kernel, lower
from trigger_ml.errors import Unsupported
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import FLOAT64_EXACT, bounds
from trigger_ml.ir.columns import columns
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import check_inputs
from trigger_ml.ir.io import digest
from trigger_ml.spec import Target

MAX_TABLE_WIDTH = 18
"""Bits of a table's input: beyond this the ROM outgrows the device's block RAM."""


def check(graph: Graph, target: Target) -> None:
    """Say what can't be realised, before anything is written.

    Raises:
        Unsupported: with the node and the reason.
    """
    known = bounds(graph)
    if target.io_type == "io_stream":
        stream.check(graph)
    for node in graph.nodes:
        op: Any = node.op
        if target.strategy == "distributed_arithmetic" and isinstance(op, (ops.Affine, ops.Conv)):
            adders.check(kernel(graph, node))
        for name in ("w", "b", "values"):
            numbers = getattr(op, name, None)
            if numbers is not None and max(-int(numbers.min()), int(numbers.max())) > FLOAT64_EXACT:
                raise Unsupported(
                    f"hls4ml: node {node.name!r} holds a constant beyond 2**53, which hls4ml's double can't carry: "
                    "give it fewer bits"
                )
        if isinstance(op, ops.Table) and known[node.inputs[0]].fixed.width > MAX_TABLE_WIDTH:
            raise Unsupported(
                f"hls4ml: table {node.name!r} is indexed by {known[node.inputs[0]].fixed.width} bits: "
                f"requantize its input to at most {MAX_TABLE_WIDTH}"
            )


def build(graph: Graph, folder: Path, target: Target) -> None:
    """Write the HLS project, whole or not at all.

    Raises:
        Unsupported: what :func:`check` says.
        ToolMissing: if hls4ml is not installed.
    """
    check(graph, target)
    streams = target.io_type == "io_stream"
    model = stream.lower(graph) if streams else lower(graph, target.strategy)
    with atomic_folder(folder) as part:
        name = project.name_of(graph)
        types = project.write(model, name, part, target)
        testbench.write(model, name, digest(graph), part, types)
        readme.write(model, name, digest(graph), part, target, columns(graph))
        made_from.write(digest(graph), part, target)


def write_vectors(
    folder: Path, graph: Graph, x: NDArray[Any] | Mapping[str, NDArray[Any]], y: Mapping[str, NDArray[np.int64]]
) -> None:
    """Give a built project test vectors: the vendor's C simulation and co-simulation compare with them.

    Args:
        folder: the project.
        graph: the graph it was built from.
        x: hardware integers ``(events, *shape)``, by input name or of the only input.
        y: the golden model's integers by output name.
    """
    testbench.built_from(folder, digest(graph))
    feed = check_inputs(graph, x)
    testbench.write_vectors(folder, _flat([feed[n.name] for n in graph.inputs]), _flat([y[o] for o in graph.outputs]))


def simulate(
    folder: Path, graph: Graph, inputs: NDArray[Any] | Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.int64]]:
    """C simulation of a built project with g++.

    Args:
        folder: the project.
        graph: the graph it was built from.
        inputs: hardware integers ``(events, *shape)``, by input name or of the only input.

    Returns:
        Integers ``(events, *shape)`` by output name; the ports have the graph's own grids, so nothing is rounded.

    Raises:
        ArtifactError: if the project is of another graph.
        ToolMissing: if there is no g++.
        ToolFailed: if the compiler or the program fails.
    """
    testbench.built_from(folder, digest(graph))
    feed, known = check_inputs(graph, inputs), bounds(graph)
    sizes = [math.prod(known[o].shape) for o in graph.outputs]
    flat = testbench.simulate(folder, _flat([feed[n.name] for n in graph.inputs]), sum(sizes))
    parts = np.split(flat, np.cumsum(sizes)[:-1], axis=1)
    return {o: p.reshape(len(p), *known[o].shape) for o, p in zip(graph.outputs, parts, strict=True)}


def _flat(arrays: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([a.reshape(len(a), -1) for a in arrays], axis=1)
