"""The decision node is a comparison, for every score and threshold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger_ml.errors import GraphError
from trigger_ml.fixed import Fixed
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.passes.decision import decide, with_decision


def scored(signed: bool, frac: int) -> Graph:
    b = Builder()
    x = b.input((2,), Fixed(signed, 5, frac), "x")
    return b.graph(b.affine(x, [[3], [-2]], [7], 1, name="score"))


@given(st.booleans(), st.integers(-5, 9), st.integers(-40, 80))
def test_decision_is_score_at_or_above_threshold(signed: bool, frac: int, threshold: int) -> None:
    g = scored(signed, frac)
    x = np.array([(i, j) for i in range(-16, 32) for j in range(-16, 32)])
    x = x[((x >= (-16 if signed else 0)) & (x <= (15 if signed else 31))).all(axis=1)]
    score = interpret(g, x)["score"]
    if not score.min() < threshold <= score.max():
        with pytest.raises(GraphError, match="never divides"):
            with_decision(g, threshold)
        return
    got = interpret(with_decision(g, threshold), x)
    assert np.array_equal(got["score"], score)
    assert np.array_equal(got["decision"][:, 0], score[:, 0] >= threshold)
    assert np.array_equal(got["decision"][:, 0], decide(score, threshold))


def test_a_second_decision_is_refused() -> None:
    with pytest.raises(GraphError, match="already"):
        with_decision(with_decision(scored(True, 0), 3), 4)
