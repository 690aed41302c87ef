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
    artifact.atomic_write(tmp_path / "verilog" / "top.v", "")
    assert stamps.why_stale(tmp_path, "build", INPUTS) == "verilog was edited"
    (tmp_path / "verilog" / "top.v").unlink()
    assert stamps.why_stale(tmp_path, "build", INPUTS) == "verilog is missing or damaged"
    artifact.atomic_write(tmp_path / "verilog" / "top.v", "module top; endmodule\n")
    assert stamps.is_fresh(tmp_path, "build", INPUTS)
    (tmp_path / "graph.json").unlink()
    assert stamps.why_stale(tmp_path, "build", INPUTS) == "graph.json is missing or damaged"


def test_what_is_put_beside_makes_nothing_stale_and_is_known_as_foreign(tmp_path: Path) -> None:
    _done(tmp_path)
    assert stamps.foreign(tmp_path, "build", "verilog") == []
    artifact.atomic_write(tmp_path / "verilog" / "vendor" / "timing.rpt", "WNS")
    artifact.atomic_write(tmp_path / "verilog" / ".cache" / "x", "not counted")
    assert stamps.is_fresh(tmp_path, "build", INPUTS)
    assert stamps.foreign(tmp_path, "build", "verilog") == ["vendor/timing.rpt"]
    artifact.atomic_write(tmp_path / "verilog" / "top.v", "module edited; endmodule\n")
    assert stamps.foreign(tmp_path, "build", "verilog") == ["top.v", "vendor/timing.rpt"]
    assert stamps.foreign(tmp_path, "build", "vhdl") == []


def test_what_is_foreign_is_not_read(tmp_path: Path) -> None:
    """A file that this package can't read, put beside, made building impossible."""
    _done(tmp_path)
    artifact.atomic_write(tmp_path / "verilog" / "settings.json", "{ // of another tool\n}")
    artifact.atomic_write(tmp_path / "verilog" / "half.npz", b"PK")
    assert stamps.foreign(tmp_path, "build", "verilog") == ["half.npz", "settings.json"]
    (tmp_path / "stamps" / "build.json").unlink()
    assert stamps.foreign(tmp_path, "build", "verilog") == ["half.npz", "settings.json", "top.v"]


def test_without_a_stamp_every_file_is_foreign_and_with_an_older_one_none(tmp_path: Path) -> None:
    _done(tmp_path)
    path = tmp_path / "stamps" / "build.json"
    older = {k: v for k, v in artifact.read_json(path).items() if k != "files"}
    artifact.write_json(path, older)
    assert stamps.is_fresh(tmp_path, "build", INPUTS)
    assert stamps.foreign(tmp_path, "build", "verilog") == []
    path.unlink()
    assert stamps.foreign(tmp_path, "build", "verilog") == ["top.v"]


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
