"""Vendor reports in a run: work in generated folders is never lost, and reports of the run are judged."""

from __future__ import annotations

import json
import shutil
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.estimators.test_csynth import REPORT, project
from tests.estimators.vivado_reports import put, timing, utilization
from trigger_ml import artifact, bundle, pipeline, vendor
from trigger_ml.backends.hls import made_from
from trigger_ml.errors import ArtifactError, OverBudget, Unsupported
from trigger_ml.fixed import Fixed
from trigger_ml.ir import io
from trigger_ml.ir.build import Builder
from trigger_ml.workspace import open_run

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
    with pytest.raises(ArtifactError, match="summed has no HLS engine: give"):
        again(run, hls=tmp_path)


def test_reports_that_are_not_complete_are_none_and_said_so(run: Path) -> None:
    """The script copies ``ports.json`` first: while Vivado ran, every estimate ended in an error."""
    verilog = run / "firmware" / "verilog"
    artifact.write_json(verilog / "vendor" / "ports.json", artifact.read_json(verilog / "ports.json"))
    said = StringIO()
    with pytest.raises(OverBudget, match="lut is 9,999"):
        pipeline.estimate(run.parents[1] / "m", Console(file=said, width=1000), run.parent)
    assert "firmware/verilog/vendor lacks utilization.rpt and timing.rpt, so nothing there was read" in said.getvalue()


def test_c_synthesis_that_ran_elsewhere_is_brought_in(run: Path, tmp_path: Path) -> None:
    spec = run.parents[1] / "m" / "spec.toml"
    spec.write_text(spec.read_text().replace("hls4ml = 0", "hls4ml = 10"))
    ws = open_run(spec, run.parent, quiet())
    there = project(tmp_path / "there", REPORT.format(dsp="DSP"))
    mark = there / "trigger_prj" / made_from.FILE
    artifact.write_json(mark, made_from.made_from(io.digest(ws.graph), ws.spec.target))
    with pytest.raises(ArtifactError, match="firmware/hls4ml is out of date"):
        again(run, hls=there)
    vendor.bring(ws, ws.graph, None, there)
    assert {q.name: q.value for q in vendor.quantities(ws, ws.graph)}["lut"] == 5678
    (run / "firmware" / "hls4ml" / mark.relative_to(there)).unlink()
    assert vendor.quantities(ws, ws.graph) == ()
    (said,) = vendor.remarks(ws)
    assert "does not say of which graph it is and was not read" in said


def test_reports_of_a_project_that_is_out_of_date_are_not_taken(run: Path) -> None:
    """With VHDL alone nothing asked of which graph ``firmware/vhdl`` was."""
    shutil.copytree(run / "firmware" / "verilog", run / "firmware" / "vhdl")
    plan = artifact.read_json(run / "firmware" / "vhdl" / "ports.json")
    put(run / "firmware" / "vhdl" / "vendor", plan, utilization("summed"), timing("summed"))
    spec = run.parents[1] / "m" / "spec.toml"
    spec.write_text(spec.read_text().replace("verilog = 50", "verilog = 0").replace("vhdl = 0", "vhdl = 50"))
    with pytest.raises(ArtifactError, match="firmware/vhdl is out of date"):
        again(run)


def test_a_build_that_is_refused_moves_nothing(run: Path) -> None:
    report = run / "firmware" / "verilog" / "vendor" / "timing.rpt"
    artifact.atomic_write(report, "hours of work")
    spec = run.parents[1] / "m" / "spec.toml"
    spec.write_text(spec.read_text().replace("[budget]", "[target]\ncut_ns = 0.1\n[budget]"))
    with pytest.raises(Unsupported, match="cut_ns is 0.1"):
        pipeline.build(spec, quiet(), run.parent)
    assert report.read_text() == "hours of work"
    assert not (run / "kept").exists()


def test_a_report_that_is_older_than_the_estimate_is_not_bundled(run: Path) -> None:
    """``estimate`` may read reports that change the judgement; ``bundle`` went by the old verdict."""
    model, verilog = run.parents[1] / "m", run / "firmware" / "verilog"
    plan = artifact.read_json(verilog / "ports.json")
    put(verilog / "vendor", plan, utilization("summed"), timing("summed"))
    pipeline.run(model, quiet(), run.parent)
    bundle.bundle(model, quiet(), run.parent)
    put(verilog / "vendor", plan, utilization("summed"), timing("summed", wns="-0.5"))
    with pytest.raises(OverBudget):
        again(run)
    with pytest.raises(ArtifactError, match="older than the estimate: run `trigger-ml report` again"):
        bundle.bundle(model, quiet(), run.parent)


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
