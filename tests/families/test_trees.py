"""The float twin of trees: worked by hand, and the integer trees where its leaves are integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ir.tree_graphs import forests, random_inputs
from trigger_ml import spec
from trigger_ml.errors import SpecError
from trigger_ml.families import trees
from trigger_ml.ir.trees import Trees

SPEC = """
name = "t"
[model]
family = "trees"
frontend = "trees"
score = "{score}"
trees = 2
depth = 2
"""


def read(score: str = "tagger") -> spec.Spec:
    return spec.parse(SPEC.format(score=score))


def test_a_tree_by_hand() -> None:
    weights = {
        "feature": np.array([[0, 1, -1]]),
        "threshold": np.array([[2.5, -1.5, 0.0]]),
        "leaf": np.array([[0.25, 0.5, 0.75, 1.0]]),
    }
    x = np.array([[2, -2], [2, -1], [3, -9], [3, 9]])
    assert trees.float_score(weights, x, read()).tolist() == [0.25, 0.5, 0.75, 0.75]
    assert trees.float_score(weights, x[:0], read()).shape == (0,)


@given(forests, st.integers(0, 10**6))
def test_with_integer_leaves_it_is_the_integer_trees(made: Trees, seed: int) -> None:
    weights = {"feature": made.feature, "threshold": made.threshold + 0.5, "leaf": made.leaf.astype(np.float64)}
    x = random_inputs(seed, 20)
    assert np.array_equal(trees.float_score(weights, x, read()) + made.base, made.score(x))


def test_another_score_is_refused() -> None:
    with pytest.raises(SpecError, match='score "distilled" is not one of the family trees: use tagger'):
        trees.float_score({}, np.zeros((1, 2), int), read("distilled"))
