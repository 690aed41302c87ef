"""What a reuse factor does to an hls4ml project, before any synthesis: multipliers, interval, cycles of the products.

A model of hls4ml's pragmas, marked as estimated: the pipeline's interval is the reuse factor, and each layer gets so
many multipliers that its multiplications fit into it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trigger_ml.backends.hls.stream import words_of
from trigger_ml.errors import ArtifactError
from trigger_ml.estimators import opcount
from trigger_ml.estimators.quantity import Quantity
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.graph import Graph, Node
from trigger_ml.spec import Target

PRAGMAS = "model of hls4ml's pragmas"


@dataclass(frozen=True)
class Shared:
    """The model's HLS project at one reuse factor.

    Attributes:
        reuse: multiplications that share one multiplier.
        io_type: hls4ml's interface.
        events: on which its C simulation was compared with the golden interpreter.
        mismatches: events of these that differ.
        quantities: estimates, and what the vendor's C synthesis reported where it was run.
    """

    reuse: int
    io_type: str
    events: int
    mismatches: int
    quantities: tuple[Quantity, ...]

    def named(self, name: str) -> tuple[Quantity, ...]:
        """The quantities of a name, one from each source."""
        return tuple(q for q in self.quantities if q.name == name)


@dataclass(frozen=True)
class ReuseScan:
    """A graph's projects by rising reuse factor."""

    graph: str
    points: tuple[Shared, ...]


def quantities(graph: Graph, target: Target) -> tuple[Quantity, ...]:
    """Multipliers, initiation interval, and for io_parallel the cycles that products take, layer behind layer.

    Multipliers are each layer's multiplications (exact, :mod:`opcount`) over the reuse factor, rounded up; products of
    two variables are not shared. The cycles are a lower bound of the latency: adders, rounding and ports come on top.
    """
    streams, reuse = target.io_type == "io_stream", target.reuse_factor
    counts = {name: (c["multiplications"], c["products"]) for name, c in opcount.by_node(graph).items()}
    if streams:
        counts |= {n.name: (_at_once(n), 0) for n in graph.nodes if isinstance(n.op, ops.Affine | ops.Conv)}
    shared = {name: math.ceil(m / reuse) for name, (m, _) in counts.items()}
    multipliers = sum(shared.values()) + sum(p for _, p in counts.values())
    found = [
        Quantity("multipliers", multipliers, "", "estimated", "exact multiplications / reuse factor, by layer"),
        Quantity("initiation_interval", _interval(graph, reuse) if streams else reuse, "cycles", "estimated", PRAGMAS),
    ]
    if not streams:
        took: dict[str, int] = {}
        for node in graph.nodes:
            m = counts.get(node.name, (0, 0))[0]
            own = math.ceil(m / shared[node.name]) if m else 0
            took[node.name] = own + max((took[i] for i in node.inputs), default=0)
        most = max(took[o] for o in graph.outputs)
        found.append(Quantity("product_cycles", most, "cycles", "estimated", PRAGMAS))
    return tuple(found)


def _at_once(node: Node) -> int:
    """Multiplications of one position: a stream brings them one by one."""
    op: Any = node.op
    return int(np.count_nonzero(opcount.span(op.w) > 1))


def _interval(graph: Graph, reuse: int) -> int:
    """Cycles of the layer that the longest train of words goes through, at its reuse factor."""
    known, most = bounds(graph), 1
    for node in graph.nodes:
        op: Any = node.op
        longest = max((words_of(known[name].shape)[0] for name in (*node.inputs, node.name)), default=1)
        if isinstance(op, ops.Conv):
            space = known[node.inputs[0]].shape[:-1]
            longest = math.prod(n + sum(pair) for n, pair in zip(space, op.padding, strict=True))
        most = max(most, longest * (reuse if isinstance(op, ops.Affine | ops.Conv) else 1))
    return most


def read(content: Mapping[str, Any]) -> ReuseScan:
    """From ``reuse.json``, as `trigger-ml scan --reuse` writes it.

    Raises:
        ArtifactError: it is something else.
    """
    try:
        points = tuple(
            Shared(
                p["reuse"],
                p["io_type"],
                p["events"],
                p["mismatches"],
                tuple(Quantity(**q) for q in p["quantities"]),
            )
            for p in content["points"]
        )
        return ReuseScan(content["graph"], points)
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"reuse.json is not what `trigger-ml scan` writes ({error}): run it again") from None
