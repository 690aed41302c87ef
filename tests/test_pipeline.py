"""The flow on a small frozen model: what runs again and what doesn't, verdicts, nothing half-done."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.frontends.events import sample
from trigger_ml import artifact, depends, pipeline, to_graph
from trigger_ml.errors import ArtifactError, Mismatch, OverBudget, SpecError
from trigger_ml.fixed import Fixed
from trigger_ml.ir import io
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.passes.decision import with_decision
from trigger_ml.workspace import open_run

SPEC = """
name = "small"
seed = 3
[model]
family = "mlp"
frontend = "hgq"
score = "distilled"
hidden = [2]
[engines]
hls4ml = 0
verilog = 0
second = 0
vhdl = 0
onnx = 3000
cpp = 3000
cmssw = 0
[budget]
{budget}
"""


@pytest.fixture(autouse=True)
def events(monkeypatch: pytest.MonkeyPatch) -> None:
    made = sample(4000, 800)
    monkeypatch.setattr("trigger_ml.workspace.Workspace.sample", made)


def graph(threshold: int = 50) -> Graph:
    """The sum of all momenta, in bins of 4 hardware units: a score that its float twin below follows closely."""
    b = Builder()
    x = b.input((57,), Fixed(True, 13, 0), "x")
    w = np.zeros((57, 1), np.int64)
    w[::3] = 1
    return with_decision(
        b.graph(b.requant(b.affine(x, w, [0], 0), Fixed(False, 14, -2), "RND", "SAT", "score")), threshold
    )


def model(folder: Path, budget: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spec.toml").write_text(SPEC.format(budget=budget))
    io.save(graph(), folder)
    artifact.write_npz(folder / "float.npz", {"none": np.zeros(1)})
    artifact.write_json(folder / "training.json", {"selfcheck": []})
    return folder


@pytest.fixture
def twin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "trigger_ml.families.mlp.float_score", lambda weights, x, spec: x[:, ::3].sum(axis=1).astype(float)
    )


def quiet() -> Console:
    return Console(quiet=True)


def steps(out: Path) -> dict[str, float]:
    return {p.stem: p.stat().st_mtime_ns for p in (out / "small" / "stamps").glob("*.json")}


@pytest.mark.usefixtures("twin")
def test_a_frozen_model_runs_to_its_report_and_a_second_run_does_nothing(tmp_path: Path) -> None:
    made = pipeline.run(model(tmp_path / "m"), quiet(), tmp_path / "out", frozen=True)
    assert made["verdict"] == "PASS"
    assert [(row["engine"], row["events"]) for row in made["agreement"]] == [("cpp", 3000), ("onnx", 3000)]
    before, report = steps(tmp_path / "out"), (tmp_path / "out" / "small" / "report.json").read_bytes()
    pipeline.run(tmp_path / "m", quiet(), tmp_path / "out", frozen=True)
    assert steps(tmp_path / "out") == before
    assert (tmp_path / "out" / "small" / "report.json").read_bytes() == report


@pytest.mark.usefixtures("twin")
def test_a_changed_number_of_events_reruns_the_comparison_alone(tmp_path: Path) -> None:
    pipeline.run(model(tmp_path / "m"), quiet(), tmp_path / "out", frozen=True)
    before = steps(tmp_path / "out")
    spec = tmp_path / "m" / "spec.toml"
    spec.write_text(spec.read_text().replace("onnx = 3000", "onnx = 4000"))
    pipeline.run(tmp_path / "m", quiet(), tmp_path / "out", frozen=True)
    assert {k for k, v in steps(tmp_path / "out").items() if v != before[k]} == {"validate_onnx"}


@pytest.mark.usefixtures("twin")
def test_a_damaged_engine_is_built_again(tmp_path: Path) -> None:
    pipeline.run(model(tmp_path / "m"), quiet(), tmp_path / "out", frozen=True)
    built = tmp_path / "out" / "small" / "firmware" / "onnx" / "model_float.onnx"
    whole = built.read_bytes()
    built.write_bytes(whole[:-100])
    pipeline.run(tmp_path / "m", quiet(), tmp_path / "out", frozen=True)
    assert built.read_bytes() == whole


@pytest.mark.usefixtures("twin")
def test_over_budget_is_its_own_verdict_and_the_report_stands(tmp_path: Path) -> None:
    with pytest.raises(OverBudget, match="lut has a limit"):
        pipeline.run(model(tmp_path / "m", "lut = 10"), quiet(), tmp_path / "out", frozen=True)
    report = json.loads((tmp_path / "out" / "small" / "report.json").read_text())
    assert report["verdict"] == "FAIL"


@pytest.mark.usefixtures("twin")
def test_an_engine_that_differs_is_the_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trigger_ml.backends import onnx

    right = onnx.simulate

    def wrong(folder: Path, graph: Graph, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        answer = right(folder, graph, inputs)
        return {**answer, "score": answer["score"] + (answer["score"] == 7)}

    monkeypatch.setattr(onnx, "simulate", wrong)
    with pytest.raises(Mismatch, match="onnx differs"):
        pipeline.run(model(tmp_path / "m"), quiet(), tmp_path / "out", frozen=True)
    with pytest.raises(Mismatch, match="output score is 8, expected 7"):
        pipeline.validate(tmp_path / "m", quiet(), tmp_path / "out")


def test_a_step_before_its_time_says_what_to_run_first(tmp_path: Path) -> None:
    where = model(tmp_path / "m")
    with pytest.raises(ArtifactError, match="run `trigger-ml convert` first"):
        pipeline.build(where, quiet(), tmp_path / "out")
    with pytest.raises(SpecError, match="holds no spec"):
        pipeline.build(tmp_path, quiet(), tmp_path / "out")
    (where / "qgraph.json").unlink()
    with pytest.raises(ArtifactError, match=r"qgraph\.json"):
        pipeline.convert(where, quiet(), tmp_path / "out")


def test_a_run_that_another_process_holds_is_left_alone(tmp_path: Path) -> None:
    where = model(tmp_path / "m")
    with artifact.exclusive(tmp_path / "out" / "small"), pytest.raises(ArtifactError, match="in use"):
        pipeline.convert(where, quiet(), tmp_path / "out")


def test_inspect_lists_every_node(tmp_path: Path) -> None:
    found = pipeline.inspect(model(tmp_path / "m"), quiet(), tmp_path / "out")
    assert [n["node"] for n in found["nodes"]] == [n.name for n in graph().nodes]
    assert found["digest"] == io.digest(graph())


def test_a_spec_without_a_graph(tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    (folder / io.FILE).unlink()
    assert pipeline.inspect(folder, quiet(), tmp_path / "out") == {"digest": None, "meta": {}, "nodes": [], "steps": []}
    with pytest.raises(ArtifactError, match=f"has no frozen graph .{io.FILE} is missing.: run without --frozen"):
        pipeline.run(folder, quiet(), tmp_path / "out", frozen=True)


def test_a_run_folder_is_absolute_wherever_it_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulators run in folders of their own: a relative run folder broke them."""
    from trigger_ml.workspace import open_run

    monkeypatch.chdir(model(tmp_path / "m"))
    assert open_run(Path("spec.toml"), Path("out"), quiet()).folder == (tmp_path / "m" / "out" / "small").resolve()


@pytest.mark.usefixtures("twin")
def test_a_missing_second_simulator_is_left_out_and_the_report_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trigger_ml.tools.find", lambda name: None)
    where = model(tmp_path / "m")
    spec = where / "spec.toml"
    spec.write_text(spec.read_text().replace("second = 0", "second = 500").replace("cpp = 3000", "cpp = 0"))
    made = pipeline.run(where, quiet(), tmp_path / "out", frozen=True)
    assert {"engine": "icarus", "reason": "iverilog is not installed: apt-get install iverilog"} in made["skipped"]
    assert [row["engine"] for row in made["agreement"]] == ["onnx"]


def test_what_is_left_out_is_said_in_full(tmp_path: Path) -> None:
    """``[engines]`` was taken for markup."""
    from trigger_ml.workspace import open_run

    console = Console(file=StringIO(), width=200)
    pipeline._wanted(open_run(model(tmp_path / "m"), tmp_path / "out", console))
    assert "hls4ml is left out: [engines] hls4ml is 0 in the spec" in console.file.getvalue()


def test_checkpoints_of_another_program_are_forgotten(tmp_path: Path) -> None:
    """A changed front end went on from what the old one had left."""
    folder = tmp_path / "checkpoints"
    to_graph.fresh_checkpoints(folder, "one")
    (folder / "ramp.npz").write_bytes(b"state")
    to_graph.fresh_checkpoints(folder, "one")
    assert (folder / "ramp.npz").exists()
    to_graph.fresh_checkpoints(folder, "two")
    assert not (folder / "ramp.npz").exists()


@pytest.mark.usefixtures("twin")
def test_a_report_is_of_the_graph_that_was_compared(tmp_path: Path) -> None:
    """A changed graph got the old comparison, the old cost, and with them PASS."""
    where, out = model(tmp_path / "m"), tmp_path / "out"
    pipeline.run(where, quiet(), out, frozen=True)
    before = (out / "small" / "report.json").read_bytes()
    io.save(graph(51), where)
    pipeline.convert(where, quiet(), out)
    for verb, says in [
        (pipeline.report, r"estimate is out of date \(graph changed\): run `trigger-ml estimate` first"),
        (pipeline.validate, r"firmware/cpp is out of date \(graph changed\): run `trigger-ml build` first"),
    ]:
        with pytest.raises(ArtifactError, match=says):
            verb(where, quiet(), out)
    pipeline.build(where, quiet(), out)
    with pytest.raises(ArtifactError, match=r"comparison of cpp is out of date .*: run `trigger-ml validate` first"):
        pipeline.estimate(where, quiet(), out)
    with pytest.raises(ArtifactError, match=r"comparison of cpp is out of date .*: run `trigger-ml validate` first"):
        pipeline.report(where, quiet(), out)
    assert (out / "small" / "report.json").read_bytes() == before
    pipeline.validate(where, quiet(), out)
    assert pipeline.report(where, quiet(), out)["provenance"]["graph"] == io.digest(graph(51).with_meta(name="small"))


@pytest.mark.usefixtures("twin")
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[budget]", "[target]\nclock_ns = 2.5\n[budget]", "estimate is out of date .spec changed."),
        ("cpp = 3000", "cpp = 3001", "comparison of cpp is out of date .spec changed."),
        ("cmssw = 0", "cmssw = 100", "firmware/cmssw is out of date .not done yet.: run `trigger-ml build` first"),
    ],
)
def test_a_report_is_of_the_spec_that_was_followed(tmp_path: Path, old: str, new: str, says: str) -> None:
    where, out = model(tmp_path / "m"), tmp_path / "out"
    pipeline.run(where, quiet(), out, frozen=True)
    spec = where / "spec.toml"
    spec.write_text(spec.read_text().replace(old, new))
    with pytest.raises(ArtifactError, match=says):
        pipeline.report(where, quiet(), out)


@pytest.mark.usefixtures("twin")
def test_a_report_is_of_the_engines_that_are_there(tmp_path: Path) -> None:
    where, out = model(tmp_path / "m"), tmp_path / "out"
    pipeline.run(where, quiet(), out, frozen=True)
    built = out / "small" / "firmware" / "cpp" / "kernel.inc"
    built.write_text(built.read_text() + "\n")
    with pytest.raises(ArtifactError, match="firmware/cpp is out of date .firmware/cpp was edited."):
        pipeline.report(where, quiet(), out)


@pytest.mark.usefixtures("twin")
def test_verilog_of_an_earlier_spec_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever lay in ``firmware/verilog`` was synthesised."""
    from trigger_ml import collect
    from trigger_ml.workspace import open_run

    where, out = model(tmp_path / "m"), tmp_path / "out"
    artifact.atomic_write(out / "small" / "firmware" / "verilog" / "rtl" / "other.v", "module other; endmodule\n")
    pipeline.convert(where, quiet(), out)
    monkeypatch.setattr("trigger_ml.plugins.find", lambda kind, name: pytest.fail(f"{name} ran"))
    ws = open_run(where, out, quiet())
    collect.cost(ws, ws.graph)
    assert "lut" not in (ws.folder / "cost.json").read_text()


@pytest.mark.usefixtures("twin")
def test_a_renamed_model_has_one_name_everywhere(tmp_path: Path) -> None:
    """A frozen graph that was called otherwise: folder, report, graph and modules follow the spec."""
    where = model(tmp_path / "m")
    io.save(graph().with_meta(name="older"), where)
    pipeline.run(where, quiet(), tmp_path / "out", frozen=True)
    home = tmp_path / "out" / "small"
    assert json.loads((home / "report.json").read_text())["model"] == io.load(home / "graph").meta["name"] == "small"
    assert "small" in (home / "firmware" / "cpp" / "model.h").read_text()
    assert "older" not in (home / "firmware" / "cpp" / "model.h").read_text()
    renamed = (where / "spec.toml").read_text().replace('name = "small"', 'name = "newer"')
    (where / "spec.toml").write_text(renamed)
    pipeline.convert(where, quiet(), tmp_path / "out")
    assert io.load(tmp_path / "out" / "newer" / "graph").meta["name"] == "newer"


def test_a_build_is_of_its_seed_its_names_and_the_cycles_that_it_may_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Test benches hold events drawn by the seed; the page names the inputs; only RTL has a pipeline to cut."""
    where, out = model(tmp_path / "m"), tmp_path / "out"
    pipeline.convert(where, quiet(), out)
    file = where / "spec.toml"
    text = file.read_text()

    def inputs(backend: str, old: str = "", new: str = "") -> dict[str, str]:
        file.write_text(text.replace(old, new) if old else text)
        ws = open_run(where, out, quiet())
        return depends.of_build(ws, ws.graph, backend)

    assert inputs("verilog", "seed = 3", "seed = 4")["spec"] != inputs("verilog")["spec"]
    cycles = ("[budget]", "[budget]\nlatency_cycles = 5")
    assert inputs("cpp", *cycles) == inputs("cpp")
    assert inputs("vhdl", *cycles) != inputs("vhdl")
    before = inputs("verilog")
    monkeypatch.setattr("trigger_ml.workspace.Workspace.elements", lambda ws, graph: (("pt", "1 GeV"),))
    assert {k for k, v in inputs("verilog").items() if before[k] != v} == {"elements"}
