"""Counts worked out by hand, and laws that hold for any graph."""

from __future__ import annotations

import numpy as np
import pytest

from trigger_ml.errors import SpecError
from trigger_ml.estimators.opcount import MEANING, element_bits, estimate, span
from trigger_ml.estimators.quantity import Quantity
from trigger_ml.fixed import Fixed, Formats
from trigger_ml.fuzz import random_graph
from trigger_ml.ir import ops
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph


def counts(graph: Graph) -> dict[str, int]:
    return {q.name: int(q.value) for q in estimate(graph)}


def test_a_dense_layer_by_hand():
    b = Builder()
    x = b.input((3,), Formats.of(0, [4, 3, 0], 0))  # the third input is dead
    y = b.affine(x, [[5, 4], [-1, 12], [7, 7]], [3, 0], 0)
    assert counts(b.graph(y)) == {
        "multiplications": 2,  # 5 and 12; 4 and -1 are powers of two, 7 meets a dead input
        "products": 0,
        "additions": 3,  # two terms and a bias, two terms
        "ebops": 4 * 3 + 4 * 1 + 3 * 1 + 3 * 2,  # 5 = 101 has 3 bits, 4 and -1 one, 12 = 1100 two
        "table_bits": 0,
        "parameters": 8,
        "nonzero_parameters": 7,
    }


def test_a_padded_convolution_counts_what_it_computes():
    b = Builder()
    x = b.input((3, 1), Fixed(False, 4, 0))
    y = b.conv(x, np.array([3, 1, 5]).reshape(3, 1, 1), [1], 0, (1,), ((1, 1),))
    found = counts(b.graph(y))
    assert found["multiplications"] == 2 + 2  # 3 and 5 at two positions each: the padding is no variable
    assert found["additions"] == (2 + 3 + 2) + 3 - 3
    assert found["ebops"] == 4 * (2 * 2 + 3 * 1 + 2 * 3)


def test_products_tables_and_sums_by_hand():
    b = Builder()
    x = b.input((4,), Fixed(True, 5, 2))
    t = b.table(x, np.arange(-16, 16) ** 2, -16, 4)
    found = counts(b.graph(b.reduce(b.add(ops.Mul(), x, t), "sum", 0)))
    assert found["products"] == 4
    assert found["ebops"] == 4 * 5 * 9
    assert found["additions"] == 3
    assert found["table_bits"] == 4 * 32 * 9


def test_a_matrix_product_by_hand():
    b = Builder()
    x, y = b.input((2, 3), Fixed(True, 4, 0)), b.input((3, 5), Fixed(False, 2, 0))
    found = counts(b.graph(b.add(ops.MatMul(), x, y)))
    assert (found["products"], found["additions"], found["ebops"]) == (30, 20, 30 * 8)


def test_an_element_counts_its_own_bits_not_its_neighbours_grid():
    b = Builder()
    x = b.input((2,), Fixed(True, 10, 4))
    r = b.requant(x, Formats.of(1, [4, 4], [0, 4]), "TRN", "WRAP")
    graph = b.graph(b.reduce(b.add(ops.Relu(), r), "sum", 0))
    assert element_bits(graph)[r].tolist() == [4, 4]
    assert element_bits(graph)["relu"].tolist() == [3, 3]


def test_span():
    assert span(np.array([0, 1, -1, 8, 9, -20])).tolist() == [0, 1, 1, 1, 4, 3]


@pytest.mark.parametrize("seed", range(40))
def test_counts_of_random_graphs(seed):
    graph = random_graph(seed)
    found = counts(graph)
    assert list(found) == list(MEANING)
    assert min(found.values()) >= 0
    assert found["nonzero_parameters"] <= found["parameters"]
    assert found["ebops"] >= found["multiplications"] + found["products"]


def test_a_source_that_does_not_exist_is_refused():
    with pytest.raises(SpecError, match='"guessed" is no source of a number: choose from exact, simulated'):
        Quantity("lut", 3, "", "guessed", "me")  # type: ignore[arg-type]
