"""The trigger decision as part of the graph: what the firmware does is in the graph, all of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trigger_ml.errors import GraphError
from trigger_ml.fixed import Fixed, Formats, Overflow, Rounding
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.graph import Graph, Node
from trigger_ml.ir.verify import verify

NAME = "decision"


def with_decision(graph: Graph, threshold: int, score: str | None = None) -> Graph:
    """The graph with one more output, ``decision``: 1 where ``score >= threshold``, else 0.

    ``min(max(score - threshold + 1, 0), 1)`` by exact operations: a subtraction and a saturation to one unsigned bit.

    Args:
        graph: a graph whose output ``score`` has one element.
        threshold: in the score's integer units.
        score: the output compared; by default the first.

    Raises:
        GraphError: a score of several elements, a threshold that the score can't straddle, or a decision already there.
    """
    score = score or graph.outputs[0]
    t = bounds(graph)[score]
    if t.shape != (1,):
        raise GraphError(f"output {score!r} has shape {t.shape}: a decision needs one score, shape (1,)")
    if NAME in graph.by_name:
        raise GraphError(f"the graph already has a node named {NAME!r}")
    lo, hi = int(t.lo[0]), int(t.hi[0])
    if not lo < threshold <= hi:
        raise GraphError(f"threshold {threshold} never divides a score of {lo}...{hi}: choose one inside that range")
    one, bias = ops.integers([[1]]), ops.integers([1 - threshold])
    whole = Formats.uniform(Fixed(False, 1, t.frac))
    added = (
        Node(f"{NAME}_margin", ops.Affine(one, bias, 0), (score,)),
        Node(NAME, ops.Requant(whole, Rounding.TRN, Overflow.SAT), (f"{NAME}_margin",)),
    )
    made = replace(
        graph,
        nodes=(*graph.nodes, *added),
        outputs=(*graph.outputs, NAME),
        meta={**graph.meta, "threshold": int(threshold)},
    )
    verify(made)
    return made


def decidable(graph: Graph) -> bool:
    """Whether the graph is one score, of more than one value, without a decision yet."""
    score = bounds(graph)[graph.outputs[0]]
    single = len(graph.outputs) == 1 and score.shape == (1,) and NAME not in graph.by_name
    return single and bool(score.lo[0] < score.hi[0])


def decide(scores: np.ndarray, threshold: int) -> np.ndarray:
    """What ``decision`` means, on integers: ``(events,)`` of 0 and 1."""
    return (np.asarray(scores).reshape(len(scores), -1)[:, 0] >= threshold).astype(np.int64)
