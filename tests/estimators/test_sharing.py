"""What a reuse factor shares: laws of the estimate on random graphs, and counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger_ml.errors import ArtifactError
from trigger_ml.estimators import opcount, sharing
from trigger_ml.fixed import Fixed
from trigger_ml.fuzz import random_graph
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.spec import Target


def estimated(graph: Graph, reuse: int, io_type: str = "io_parallel") -> dict[str, int]:
    return {q.name: q.value for q in sharing.quantities(graph, Target(reuse_factor=reuse, io_type=io_type))}


@given(st.integers(0, 10_000), st.integers(1, 64))
def test_laws_of_sharing(seed: int, reuse: int) -> None:
    graph = random_graph(seed)
    exact = {q.name: q.value for q in opcount.estimate(graph)}
    alone, shared, more = (estimated(graph, n) for n in (1, reuse, reuse + 1))
    assert alone["multipliers"] == exact["multiplications"] + exact["products"]
    assert shared["initiation_interval"] == reuse
    assert alone["multipliers"] >= shared["multipliers"] >= more["multipliers"] >= exact["products"]
    assert (shared["multipliers"] - exact["products"]) * reuse >= exact["multiplications"]
    assert alone["product_cycles"] <= shared["product_cycles"] <= reuse * alone["product_cycles"]


def layers() -> Graph:
    """15 multiplications, then 9: weights of 3 are no power of two."""
    b = Builder()
    x = b.input((5,), Fixed(True, 5, 0))
    h = b.requant(b.affine(x, np.full((5, 3), 3), [0] * 3, 0), Fixed(True, 4, 0), "TRN", "SAT")
    return b.graph(b.affine(h, np.full((3, 3), 3), [0] * 3, 0))


def test_two_layers_by_hand() -> None:
    assert estimated(layers(), 1) == {"multipliers": 24, "initiation_interval": 1, "product_cycles": 2}
    assert estimated(layers(), 4) == {"multipliers": 4 + 3, "initiation_interval": 4, "product_cycles": 4 + 3}
    assert estimated(layers(), 100) == {"multipliers": 2, "initiation_interval": 100, "product_cycles": 24}


def test_a_stream_multiplies_at_one_position_and_takes_all_of_them_in_turn() -> None:
    b = Builder()
    x = b.input((6, 7, 1), Fixed(True, 5, 0))
    graph = b.graph(b.conv(x, np.full((3, 3, 1, 2), 3), [0, 0], 0, (1, 1), ((1, 1), (0, 0))))
    assert estimated(graph, 1)["multipliers"] > 18 * 20
    assert estimated(graph, 4, "io_stream") == {"multipliers": 5, "initiation_interval": 8 * 7 * 4}


def test_a_file_of_something_else_is_refused() -> None:
    with pytest.raises(ArtifactError, match=r"is not what `trigger-ml scan` writes"):
        sharing.read({"graph": "ab", "points": [{}]})
