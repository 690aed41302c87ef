"""The scan of precisions on a real sample: few epochs, rounding only."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from rich.console import Console

from trigger_ml import artifact, collect, frozen, scan
from trigger_ml.errors import SpecError
from trigger_ml.fixed import Fixed
from trigger_ml.ir import io
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.physics import precision
from trigger_ml.workspace import open_run

SPEC = """
name = "tiny"
[sample]
name = "jets"
variant = "top_600_features"
[model]
family = "{family}"
frontend = "hgq"
score = "tagger"
hidden = [8]
[train]
float_epochs = 2
epochs = 1
fine_tune_epochs = 1
"""


def write(folder: Path, family: str = "mlp") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "spec.toml").write_text(SPEC.format(family=family))
    return folder


@pytest.mark.needs_train
def test_more_bits_are_worth_more_and_a_second_scan_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, console = write(tmp_path / "tiny"), Console(record=True, quiet=True)
    found = precision.read(scan.scan(where, console, tmp_path / "out", [8, 2], ["ptq"]))
    assert [p.bits for p in found.points] == [2, 8]
    low, high = (p.auc["top"] for p in found.points)
    assert high.value > low.value
    assert found.floating.auc["top"].value > 0.9
    assert abs(high.value - found.floating.auc["top"].value) < 0.03
    assert found.points[0].ebops < found.points[1].ebops
    file = tmp_path / "out" / "tiny" / scan.FILE
    before = (artifact.read_json(file), (tmp_path / "out" / "tiny" / "stamps" / "scan_ptq_8.json").stat().st_mtime_ns)
    scan.scan(where, console, tmp_path / "out", [2, 8], ["ptq"])
    after = (artifact.read_json(file), (tmp_path / "out" / "tiny" / "stamps" / "scan_ptq_8.json").stat().st_mtime_ns)
    assert after == before
    shown_until_something_changes(where, tmp_path / "out", monkeypatch)


def shown_until_something_changes(where: Path, out: Path, patch: pytest.MonkeyPatch) -> None:
    """On the report: whatever it is made from is another, it is left out and the report says why."""
    ws = open_run(where, out, Console(quiet=True))
    (one, two), file = [network(weight) for weight in (1, 2)], ws.folder / scan.FILE
    content = artifact.read_json(file)
    assert collect._scan(ws, one)[1] == collect._scan(ws, two)[1] == ""  # no graph was there when it was made
    own = content | {"own": content["points"][0], "made_from": content["made_from"] | {"graph": io.digest(one)}}
    artifact.write_json(file, own)
    assert collect._scan(ws, one)[0] == precision.read(own)
    assert collect._scan(ws, two) == (None, "scan.json is of another graph: run `trigger-ml scan` again.")
    trained = dataclasses.replace(ws.spec, train=dataclasses.replace(ws.spec.train, epochs=7))
    found, why = collect._scan(dataclasses.replace(ws, spec=trained), one)
    assert (found, why) == (None, "scan.json is of another spec: run `trigger-ml scan` again.")
    with patch.context() as other:
        other.setattr("trigger_ml.depends.code", lambda *parts: "of tomorrow")
        assert collect._scan(ws, one)[1] == "scan.json is of another program: run `trigger-ml scan` again."
    artifact.write_json(file, {name: value for name, value in own.items() if name != "made_from"})  # before it said so
    assert collect._scan(ws, one)[1].startswith("scan.json is of another graph and spec and sample and program: ")
    file.unlink()
    assert collect._scan(ws, one) == (None, "")


def network(weight: int) -> Graph:
    b = Builder()
    return b.graph(b.affine(b.input((2,), Fixed(True, 5, 0)), [[weight], [1]], [0], 0))


@pytest.mark.parametrize(
    ("bits", "methods", "sentence"),
    [([], ["ptq"], "give some from 2 to 16"), ([17], ["ptq"], "give some from"), ([8], ["magic"], "available are ptq")],
)
def test_what_can_not_be_scanned_is_refused(tmp_path: Path, bits: list[int], methods: list[str], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        scan.scan(write(tmp_path / "tiny"), Console(quiet=True), tmp_path / "out", bits, methods)


def test_the_own_graph_has_the_name_of_the_spec(tmp_path: Path) -> None:
    """As every other graph of a run: another name is another digest, and the scan was never of the run's."""
    where = write(tmp_path / "tiny")
    io.save(network(1).with_meta(name="older"), where)
    own = frozen.latest(open_run(where, tmp_path / "out", Console(quiet=True)))
    assert own is not None
    assert own.meta["name"] == "tiny"


def test_a_file_of_something_else_is_refused() -> None:
    with pytest.raises(artifact.ArtifactError, match=r"is not what `trigger-ml scan` writes"):
        precision.read({"points": []})


def test_float_networks_of_another_program_are_not_shared(tmp_path: Path) -> None:
    home, target = tmp_path / "home", tmp_path / "target"
    scan._copy_floats(home, target, "program 1")
    (home / "float.npz").write_bytes(b"trained by program 1")
    scan._copy_floats(home, target, "program 1")
    assert (target / "float.npz").read_bytes() == b"trained by program 1"
    scan._copy_floats(home, target, "program 2")
    assert not (home / "float.npz").exists()
    assert not (target / "float.npz").exists()
