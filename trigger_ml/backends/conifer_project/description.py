"""A graph's trees in conifer's own terms: integers all, in ``ap_fixed`` without a fraction."""

from __future__ import annotations

from typing import Any

import numpy as np

from trigger_ml.errors import GraphError, Unsupported
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.trees import Trees, read_trees
from trigger_ml.passes.decision import NAME as DECISION
from trigger_ml.spec import Target

LEAF = -2
"""What conifer calls the feature of a leaf."""

DOUBLE = 1 << 53
"""conifer's C++ reads and gives numbers as double."""

VHDL_INTEGER = 1 << 31
"""conifer's VHDL and its test bench hold numbers as VHDL's integer, which has 32 bits with the sign."""

WEIGHT_BITS = 2
"""Of the 0 or 1 by which conifer selects a feature."""


def check(graph: Graph, limit: int) -> None:
    """Refuse a graph that isn't trees, gives more than their score and its decision, or holds numbers too large.

    Args:
        graph: to be realised.
        limit: numbers of this magnitude and beyond are refused, since conifer would change them.

    Raises:
        Unsupported: with the reason.
    """
    try:
        trees = read_trees(graph)
    except GraphError as error:
        raise Unsupported(f"conifer: {error}") from None
    if graph.outputs not in (("score",), ("score", DECISION)):
        raise Unsupported(f"conifer: the outputs are {', '.join(graph.outputs)}: it gives a score and its decision")
    known, compared = bounds(graph), int(np.abs(trees.threshold).max(initial=0))
    for what, reach in (
        ("inputs", known[graph.inputs[0].name].peak),
        ("thresholds", compared),
        ("score", known["score"].peak),
    ):
        if reach >= limit:
            raise Unsupported(
                f"conifer: the {what} may reach {reach.bit_length()} bits and conifer keeps {limit.bit_length() - 1}: "
                "use fewer bits"
            )


def described(graph: Graph) -> dict[str, Any]:
    """The ensemble as conifer's converters give it: thresholds in hardware units, leaves in steps of the score."""
    trees, features = read_trees(graph), bounds(graph)[graph.inputs[0].name].shape[0]
    return {
        "max_depth": trees.depth,
        "n_trees": len(trees.feature),
        "n_features": features,
        "n_classes": 2,
        "init_predict": [trees.base],
        "norm": 1,
        "library": "trigger_ml",
        "splitting_convention": "<=",
        "trees": [[_tree(trees, i, features)] for i in range(len(trees.feature))],
    }


def configs(graph: Graph, target: Target) -> dict[str, dict[str, Any]]:
    """What each kind of project is configured with: types that hold every number, the part, the clock.

    conifer's VHDL has one type for inputs and scores. Sums wrap in all of them, so that only the last one has to fit.
    """
    known, trees = bounds(graph), read_trees(graph)
    port, score = known[graph.inputs[0].name], known["score"]
    top = max(port.peak, int(np.abs(trees.threshold).max()), 1)
    narrow, wide = top.bit_length() + 1, max(score.peak, 1).bit_length() + 1
    types = {
        "input_precision": _integer(narrow),
        "threshold_precision": _integer(narrow),
        "weight_precision": _integer(WEIGHT_BITS),
        "score_precision": _integer(wide),
    }
    vendor = {"xilinx_part": target.part}
    return {
        "cpp": types,
        "hls": {**types, **vendor, "clock_period": target.clock_ns, "unroll": True},
        "vhdl": {"precision": _integer(max(narrow, wide)), **vendor},
    }


def _integer(bits: int) -> str:
    return f"ap_fixed<{bits},{bits}>"


def _tree(trees: Trees, number: int, features: int) -> dict[str, list[Any]]:
    """One tree, parents first; a node that compares nothing is its left child."""
    made: dict[str, list[Any]] = {
        name: [] for name in ("feature", "weight", "threshold", "value", "children_left", "children_right")
    }
    inner = trees.feature.shape[1]

    def add(place: int) -> int:
        while place < inner and trees.feature[number, place] < 0:
            place = 2 * place + 1
        row, leaf = len(made["feature"]), place >= inner
        feature = LEAF if leaf else int(trees.feature[number, place])
        made["feature"].append(feature)
        made["weight"].append([int(i == feature) for i in range(features)])
        made["threshold"].append(LEAF if leaf else int(trees.threshold[number, place]))
        made["value"].append(int(trees.leaf[number, place - inner]) if leaf else 0)
        for name in ("children_left", "children_right"):
            made[name].append(-1)
        if not leaf:
            for side, name in enumerate(("children_left", "children_right")):
                made[name][row] = add(2 * place + 1 + side)
        return row

    add(0)
    return made
