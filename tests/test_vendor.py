"""Vendor reports in a run: work in generated folders is never lost, and reports of the run are judged."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.estimators.vivado_reports import put, timing, utilization
from trigger_ml import artifact, pipeline
from trigger_ml.errors import ArtifactError, OverBudget
from trigger_ml.fixed import Fixed
from trigger_ml.ir import io
from trigger_ml.ir.build import Builder

pytestmark = pytest.mark.needs_rtl

SPEC = """
name = "summed"
[sample]
name = "none"
[model]
family = "imported"
[engines]
hls4ml = 0
verilog = 50
second = 0
vhdl = 0
onnx = 0
cpp = 0
cmssw = 0
[budget]
lut = 2200
path_ns = 4.0
latency_ns = 60.0
"""


def quiet() -> Console:
    return Console(quiet=True)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of a small imported graph, before its estimate; Yosys is not asked."""
    model = tmp_path / "m"
    model.mkdir()
    (model / "spec.toml").write_text(SPEC)
    b = Builder()
    x = b.input((3,), Fixed(True, 5, 0), "x")
    io.save(b.graph(b.affine(x, np.array([[3], [-5], [7]]), [1], 0, "out")).with_meta(name="summed"), model)
    said = {"origin": "by hand", "oracle": "nothing", "events": 1, "remarks": [], "kind": "test"}
    artifact.write_json(model / "imported.json", said)
    pipeline.convert(model, quiet(), tmp_path / "out")
    pipeline.build(model, quiet(), tmp_path / "out")
    pipeline.validate(model, quiet(), tmp_path / "out")
    return tmp_path / "out" / "summed"


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    from trigger_ml.estimators import yosys
    from trigger_ml.estimators.quantity import Quantity

    found = (
        Quantity("lut", 9999, "", "open synthesis", "yosys"),
        Quantity("path_ns", 6.0, "ns", "open synthesis", "yosys"),
    )
    monkeypatch.setattr(yosys, "estimate", lambda folder, part: found)


def again(run: Path, **given: Path) -> dict[str, str]:
    """The estimate; the source of each budgeted quantity."""
    pipeline.estimate(run.parents[1] / "m", quiet(), run.parent, **given)
    return {q["name"]: q["source"] for q in artifact.read_json(run / "cost.json")["quantities"]}


def test_reports_in_the_project_are_judged_before_open_synthesis(run: Path) -> None:
    verilog = run / "firmware" / "verilog"
    with pytest.raises(OverBudget, match="lut is 9,999.*latency_ns is .* not met by open synthesis"):
        again(run)
    plan = artifact.read_json(verilog / "ports.json")
    put(verilog / "vendor", plan, utilization("summed"), timing("summed"))
    (verilog / "vivado.log").write_text("a log")
    sources = again(run)
    assert sources["lut"] == sources["path_ns"] == "vendor post-route"
    put(verilog / "vendor", plan, utilization("summed"), timing("summed", wns="-0.5"))
    with pytest.raises(OverBudget, match="latency_ns .* the clock of 5 ns is not met by vendor post-route.* 5.5 ns"):
        again(run)


def test_reports_made_elsewhere_are_brought_in_and_those_of_another_graph_refused(run: Path, tmp_path: Path) -> None:
    plan = artifact.read_json(run / "firmware" / "verilog" / "ports.json")
    other = put(tmp_path / "other", {**plan, "graph_digest": "cd" * 32}, utilization("summed"), timing("summed"))
    with pytest.raises(ArtifactError, match="holds reports of graph cdcdcdcdcdcd"):
        again(run, vivado=other)
    assert not (run / "firmware" / "verilog" / "vendor").exists()
    assert (
        again(run, vivado=put(tmp_path / "routed", plan, utilization("summed"), timing("summed")))["lut"]
        == "vendor post-route"
    )
    assert again(run)["lut"] == "vendor post-route"
    with pytest.raises(ArtifactError, match="holds no report of C synthesis"):
        again(run, hls=tmp_path)


def test_a_new_build_keeps_what_was_put_beside_or_edited(run: Path) -> None:
    verilog = run / "firmware" / "verilog"
    plan = artifact.read_json(verilog / "ports.json")
    put(verilog / "vendor", plan, utilization("summed"), timing("summed"))
    (verilog / "vendor" / "routed.dcp").write_bytes(b"hours of work")
    source = (verilog / "rtl" / "summed.v").read_bytes()
    stamp = (run / "stamps" / "build_verilog.json").stat().st_mtime_ns
    pipeline.build(run.parents[1] / "m", quiet(), run.parent)
    assert (run / "stamps" / "build_verilog.json").stat().st_mtime_ns == stamp
    (verilog / "rtl" / "summed.v").write_bytes(source + b"// mine\n")
    said = StringIO()
    pipeline.build(run.parents[1] / "m", Console(file=said, width=1000), run.parent)
    assert (verilog / "rtl" / "summed.v").read_bytes() == source
    kept = run / "kept" / "verilog_1"
    assert sorted(p.relative_to(kept).as_posix() for p in kept.rglob("*") if p.is_file()) == [
        "rtl/summed.v", "vendor/ports.json", "vendor/routed.dcp", "vendor/timing.rpt", "vendor/utilization.rpt"
    ]  # fmt: skip
    assert (kept / "rtl" / "summed.v").read_bytes() == source + b"// mine\n"
    assert "firmware/verilog held 5 files that build_verilog did not write as they were" in said.getvalue()


def test_a_run_is_judged_with_its_reports(run: Path) -> None:
    verilog = run / "firmware" / "verilog"
    put(verilog / "vendor", artifact.read_json(verilog / "ports.json"), utilization("summed"), timing("summed"))
    pipeline.run(run.parents[1] / "m", quiet(), run.parent)
    report = json.loads((run / "report.json").read_text())
    assert {(line["name"], line["source"], line["ok"]) for line in report["budget"]} == {
        ("lut", "vendor post-route", True),
        ("path_ns", "vendor post-route", True),
        ("latency_ns", "simulated", True),
    }
    assert {q["source"] for q in report["quantities"] if q["name"] == "lut"} == {"open synthesis", "vendor post-route"}
