"""The scan of reuse factors: every project is built, exact, and as the estimate says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.estimators.test_csynth import REPORT
from trigger_ml import artifact, collect, reuse
from trigger_ml.backends.hls.made_from import FILE
from trigger_ml.errors import ArtifactError, SpecError
from trigger_ml.estimators import sharing
from trigger_ml.fixed import Fixed
from trigger_ml.frozen import named
from trigger_ml.ir import io
from trigger_ml.ir.build import Builder
from trigger_ml.workspace import open_run

SPEC = """
name = "tiny"
[sample]
name = "none"
[model]
family = "imported"
[engines]
hls4ml = {events}
"""


def model(folder: Path, weight: int = 3, events: int = 200) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "spec.toml").write_text(SPEC.format(events=events))
    b = Builder()
    x = b.input((5,), Fixed(True, 5, 0))
    io.save(b.graph(b.affine(x, np.full((5, 3), weight), [0] * 3, 0, name="out")), folder)
    return folder


@pytest.mark.needs_hls
def test_every_factor_is_exact_and_asks_for_the_interval_that_is_estimated(tmp_path: Path) -> None:
    where, console, run = model(tmp_path / "tiny"), Console(quiet=True), tmp_path / "out" / "tiny"
    found = sharing.read(reuse.reuse(where, console, tmp_path / "out", [5, 1]))
    assert [(p.reuse, p.events, p.mismatches) for p in found.points] == [(1, 200, 0), (5, 200, 0)]
    for p in found.points:
        (interval,) = p.named("initiation_interval")
        top = run / f"scan/reuse_{p.reuse}/project/firmware/tiny.cpp"
        assert f"#pragma HLS PIPELINE II={interval.value}\n" in top.read_text()
    assert [p.named("multipliers")[0].value for p in found.points] == [15, 3]
    report = run / "scan/reuse_5/project/trigger_prj/solution1/syn/report"
    report.mkdir(parents=True)
    (report / "trigger_csynth.xml").write_text(REPORT.format(dsp="DSP"))
    project = run / "scan/reuse_5/project"
    assert f"csynth_design\n    file copy -force {FILE} " in (project / "build_prj.tcl").read_text()
    (project / "trigger_prj" / FILE).write_bytes((project / FILE).read_bytes())
    stamp = (run / "stamps/scan_reuse_5.json").stat().st_mtime_ns
    again = sharing.read(reuse.reuse(where, console, tmp_path / "out", [1, 5]))
    assert (run / "stamps/scan_reuse_5.json").stat().st_mtime_ns == stamp
    assert [q.source for q in again.points[1].named("initiation_interval")] == ["estimated", "vendor csynth"]
    assert artifact.read_json(run / reuse.FILE)["graph"] == again.graph
    ws, graph = open_run(where, tmp_path / "out", console), named(io.load(where), "tiny")
    assert collect._reuse(ws, graph) == (again, "")
    why = "reuse.json is of another graph: run `trigger-ml scan --reuse` again."
    assert collect._reuse(ws, graph.with_meta(name="other")) == (None, why)


def test_what_can_not_be_shared_is_refused(tmp_path: Path) -> None:
    console, out = Console(quiet=True), tmp_path / "out"
    for factors in ([], [0, 1]):
        with pytest.raises(SpecError, match="give some from 1"):
            reuse.reuse(model(tmp_path / "a"), console, out, factors)
    with pytest.raises(SpecError, match="nothing to share"):
        reuse.reuse(model(tmp_path / "b", weight=2), console, out, [2])
    with pytest.raises(SpecError, match="hls4ml is 0"):
        reuse.reuse(model(tmp_path / "c", events=0), console, out, [2])
    where = model(tmp_path / "d")
    (where / io.FILE).unlink()
    with pytest.raises(ArtifactError, match="no converted graph"):
        reuse.reuse(where, console, out, [2])
