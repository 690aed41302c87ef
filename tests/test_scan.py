"""The scan of precisions on a real sample: few epochs, rounding only."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from trigger_ml import artifact, scan
from trigger_ml.errors import SpecError
from trigger_ml.physics import precision

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
def test_more_bits_are_worth_more_and_a_second_scan_does_nothing(tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    ("bits", "methods", "sentence"),
    [([], ["ptq"], "give some from 2 to 16"), ([17], ["ptq"], "give some from"), ([8], ["magic"], "available are ptq")],
)
def test_what_can_not_be_scanned_is_refused(tmp_path: Path, bits: list[int], methods: list[str], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        scan.scan(write(tmp_path / "tiny"), Console(quiet=True), tmp_path / "out", bits, methods)


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
