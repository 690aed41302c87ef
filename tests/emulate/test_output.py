"""Columns become the same file whatever batches they come in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger_ml.emulate import output
from trigger_ml.emulate.chunks import _small
from trigger_ml.emulate.engine import Model
from trigger_ml.emulate.run import _about, _columns
from trigger_ml.errors import SpecError


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20), st.integers(1, 120))
def test_regrouping_keeps_order_and_sizes(sizes: list[int], rows: int) -> None:
    ends = np.cumsum([0, *sizes])
    batches = [{"a": np.arange(x, y)} for x, y in zip(ends, ends[1:], strict=False)]
    found = list(output.regrouped(batches, rows))
    assert np.concatenate([b["a"] for b in found]).tolist() == list(range(ends[-1]))
    assert all(len(b["a"]) == rows for b in found[:-1])
    assert found[:1]


@pytest.mark.needs_emulate
@pytest.mark.parametrize("suffix", [".parquet", ".root"])
def test_what_a_file_is_about_comes_back_and_damage_is_none_of_ours(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    columns = {"index": np.arange(5), "decision": np.array([True, False] * 2 + [True])}
    output.write(path, iter([columns]), {"key": "k", "files": []})
    assert output.read_about(path) == {"key": "k", "files": []}
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    path.write_bytes(path.read_bytes()[:-30])
    assert output.read_about(path) is None
    path.write_text("something else")
    assert output.read_about(path) is None


@pytest.mark.needs_emulate
def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def batches() -> object:
        yield {"index": np.arange(output.ROWS)}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        output.write(tmp_path / "a.parquet", batches(), {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("order", [("score", "score_0"), ("score_0", "score")])
def test_two_outputs_never_share_a_column(order: tuple[str, str]) -> None:
    shapes = {"score": np.zeros((3, 2), np.int64), "score_0": np.zeros((3, 1), np.int64)}
    with pytest.raises(SpecError, match="would be the column score_0"):
        _columns(0, 0, {name: shapes[name] for name in order}, 3, ids=False)


def test_ids_beyond_63_bits_keep_theirs() -> None:
    blocks = [np.array([2**63 + 1], np.uint64), np.array([2**40 + 1], np.uint64), np.array([3], np.int64)]
    joined = _small(np.concatenate([_small(block) for block in blocks]))
    assert joined.tolist() == [2**63 + 1, 2**40 + 1, 3]
    assert _small(np.array([-1, 200])).dtype == np.int16


def test_outputs_of_several_elements_and_of_taken_names() -> None:
    arrays = {"score": np.arange(6).reshape(2, 3), "event": np.array([[7], [8]]), "decision": np.array([[1], [0]])}
    found = _columns(4, 10, arrays, 2, ids=False)
    assert {name: values.tolist() for name, values in found.items()} == {
        "file": [4, 4], "index": [10, 11], "score_0": [0, 3], "score_1": [1, 4], "score_2": [2, 5],
        "output_event": [7, 8], "decision": [True, False],
    }  # fmt: skip
    assert found["decision"].dtype == bool
    assert found["score_1"].dtype == np.int64


def test_a_file_says_what_the_elements_of_outputs_are() -> None:
    outputs = (("score", 1), ("logits", 3))
    plain = Model(Path("a.zip"), "d" * 64, "s" * 64, "cpp", "x", 5, outputs, "a")
    named = replace(plain, columns=(("logits", ("background", "g", "top")),))
    assert "columns" not in _about(plain, [], [], "key")
    assert _about(named, [], [], "key") == _about(plain, [], [], "key") | {
        "columns": {"logits": ["background", "g", "top"]}
    }
