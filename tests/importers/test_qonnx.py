"""QONNX files in, integers out: equal to qonnx's own execution, or refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.importers.qonnx_files import Dice
from trigger_ml.importers import comparing
from trigger_ml.importers.qonnx_file import oracle, reading, rules

pytestmark = pytest.mark.needs_import


def check(content: bytes, events: int = 64, seed: int = 0) -> None:
    model = reading.parse(content)
    graph, _ = rules.to_graph(model, {})
    comparing.compare(graph, oracle.oracle(model), "qonnx", events, seed)


@given(st.integers(0, 2**32), st.sampled_from(["dense", "image"]))
@settings(max_examples=60)
def test_random_files_give_qonnx_its_own_numbers(seed: int, kind: str) -> None:
    check(getattr(Dice(seed), kind)().content(), seed=seed % 1000)
