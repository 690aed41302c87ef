"""The HLS project of a bundle bears the bundle's own vectors, and verify holds them against the graph."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import test_pipeline
from tests.frontends.events import sample
from tests.test_bundle import changed
from trigger_ml import bundle, pipeline, verify
from trigger_ml.errors import Mismatch

pytestmark = pytest.mark.needs_hls

quiet = test_pipeline.quiet


def test_vectors_of_the_hls_project_are_held_against_the_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trigger_ml.workspace.Workspace.sample", sample(4000, 800))
    monkeypatch.setattr(
        "trigger_ml.families.mlp.float_score", lambda weights, x, spec: x[:, ::3].sum(axis=1).astype(float)
    )
    model = test_pipeline.model(tmp_path / "m")
    text = (model / "spec.toml").read_text().replace("onnx = 3000", "onnx = 0").replace("cpp = 3000", "cpp = 0")
    (model / "spec.toml").write_text(text.replace("hls4ml = 0", "hls4ml = 100"))
    pipeline.run(model, quiet(), tmp_path / "out", frozen=True)
    bundle.bundle(model, quiet(), tmp_path / "out", tmp_path / "a.zip")
    said = {check["what"]: check for check in verify.verify(tmp_path / "a.zip", quiet(), 100)["checks"]}
    assert said["hls4ml, built again"]["ok"]
    name = "firmware/hls4ml/tb_data/outputs.txt"
    other = b"1" + bundle.open_bundle(tmp_path / "a.zip").members[name]
    path = changed(tmp_path / "a.zip", tmp_path / "b.zip", name, other, honest=True)
    with pytest.raises(Mismatch, match=r"tb_data/outputs\.txt is not what the graph gives"):
        verify.verify(path, quiet(), 100)
