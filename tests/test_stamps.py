from __future__ import annotations

from pathlib import Path

import pytest

from trigger_ml import artifact, stamps
from trigger_ml.errors import ArtifactError

INPUTS = {"spec": "aa", "sample": "bb"}


def _done(folder: Path) -> None:
    artifact.write_json(folder / "graph.json", {"a": 1})
    artifact.atomic_write(folder / "verilog" / "top.v", "module top; endmodule\n")
    stamps.stamp(folder, "build", INPUTS, ["graph.json", "verilog"])


def test_a_finished_step_is_fresh(tmp_path: Path) -> None:
    assert stamps.why_stale(tmp_path, "build", INPUTS) == "not done yet"
    _done(tmp_path)
    assert stamps.is_fresh(tmp_path, "build", INPUTS)
    assert stamps.outputs_of(tmp_path, "build")["graph.json"] == artifact.digest_json({"a": 1})


def test_a_stamp_is_the_same_in_another_folder(tmp_path: Path) -> None:
    for name in ("one", "two"):
        _done(tmp_path / name)
    first, second = ((tmp_path / name / "stamps" / "build.json").read_bytes() for name in ("one", "two"))
    assert first == second


def test_every_change_is_seen(tmp_path: Path) -> None:
    _done(tmp_path)
    assert stamps.why_stale(tmp_path, "build", {**INPUTS, "spec": "cc"}) == "spec changed"
    assert stamps.why_stale(tmp_path, "build", {"spec": "aa"}) == "sample changed"
    assert stamps.why_stale(tmp_path, "build", {**INPUTS, "tool": "dd"}) == "tool changed"
    artifact.atomic_write(tmp_path / "verilog" / "extra.v", "")
    assert stamps.why_stale(tmp_path, "build", INPUTS) == "verilog was edited"
    (tmp_path / "graph.json").unlink()
    assert stamps.why_stale(tmp_path, "build", INPUTS) == "graph.json is missing or damaged"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"inputs": 3, "outputs": {}}'])
def test_a_damaged_stamp_counts_as_not_done(tmp_path: Path, text: str) -> None:
    _done(tmp_path)
    (tmp_path / "stamps" / "build.json").write_text(text)
    assert stamps.why_stale(tmp_path, "build", INPUTS) == "not done yet"


def test_outputs_of_an_unfinished_step(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no finished train: run `trigger-ml train` first"):
        stamps.outputs_of(tmp_path, "train")
    with pytest.raises(ArtifactError, match="is missing"):
        stamps.stamp(tmp_path, "train", {}, ["weights.npz"])
    assert not (tmp_path / "stamps").exists()
