"""The verb ``import``: a folder that is whole and checked, or no folder; and what runs behind it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tests.frontends.events import sample
from tests.importers.qonnx_files import Dice, File
from trigger_ml import artifact, bundle, cli, importing, patterns, pipeline, plugins, spec
from trigger_ml.boards import layout
from trigger_ml.boards import patterns as boards
from trigger_ml.errors import ImportRefused, Mismatch, SpecError
from trigger_ml.fixed import Fixed, Formats
from trigger_ml.importers.imported import Imported
from trigger_ml.ir import io, ops
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.ir.verify import verify
from trigger_ml.verify import verify as verify_bundle

FEW = """
[engines]
hls4ml = 0
verilog = 0
second = 0
vhdl = 0
onnx = 3000
cpp = 3000
cmssw = 0
[physics]
bootstrap = 20
"""


def quiet() -> Console:
    return Console(quiet=True)


def graph(inputs: int = 3, outputs: int = 2, width: int = 6) -> Graph:
    b = Builder()
    x = b.input((inputs,), Fixed(True, width, 0), "x")
    w = np.zeros((inputs, outputs), np.int64)
    w[::3] = 1
    return b.graph(b.requant(b.affine(x, w, [0] * outputs, 0), Fixed(False, 14, -2), "RND", "SAT", "score"))


@pytest.fixture
def importer(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """An importer that knows every file and gives ``.graph``, or raises ``.error``."""
    fake = SimpleNamespace(graph=graph(), error=None, recognises=lambda path: True)

    def read(path: Path, events: int, seed: int) -> Imported:
        if fake.error is not None:
            raise fake.error
        return Imported(fake.graph, "a test, 1 layer", "nothing at all", events, ("It is only a test.",))

    fake.read = read
    monkeypatch.setattr(plugins, "names", lambda kind: ("test",))
    monkeypatch.setattr(
        plugins, "find", lambda kind, name, real=plugins.find: fake if name == "test" else real(kind, name)
    )
    return fake


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.bin"
    path.write_bytes(b"x")
    return path


@pytest.mark.usefixtures("importer")
def test_the_folder_holds_graph_spec_record_and_card(file: Path, tmp_path: Path) -> None:
    made = importing.bring_in(file, tmp_path / "My Model-2", quiet(), events=77)
    folder = tmp_path / "My Model-2"
    assert sorted(p.name for p in folder.iterdir()) == [
        "card.md", "imported.json", "qgraph.json", "qgraph.npz", "spec.toml",
    ]  # fmt: skip
    verify(io.load(folder))
    assert io.digest(io.load(folder)) == made["graph_digest"]
    wanted = spec.load(folder / "spec.toml")
    assert (wanted.name, wanted.model.imported, wanted.sample.name) == ("my_model_2", True, "none")
    card = (folder / "card.md").read_text()
    for said in ("a test, 1 layer", "nothing at all: 77 random", "It is only a test.", "`ap_fixed<6,6>`"):
        assert said in card
    assert artifact.read_json(folder / "imported.json")["events"] == 77
    assert str(tmp_path) not in card + (folder / "imported.json").read_text()


@pytest.mark.parametrize("error", [Mismatch("they differ"), ImportRefused("it is odd")])
def test_nothing_is_written_if_the_check_fails(
    importer: SimpleNamespace, file: Path, tmp_path: Path, error: Exception
) -> None:
    importer.error = error
    with pytest.raises(type(error), match=str(error)):
        importing.bring_in(file, tmp_path / "m", quiet())
    assert not (tmp_path / "m").exists()


@pytest.mark.usefixtures("importer")
def test_only_an_earlier_import_is_replaced(file: Path, tmp_path: Path) -> None:
    importing.bring_in(file, tmp_path / "m", quiet())
    importing.bring_in(file, tmp_path / "m", quiet(), events=5)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("years of work")
    for folder in (tmp_path / "other", file):
        with pytest.raises(ImportRefused, match="holds something else"):
            importing.bring_in(file, folder, quiet())
    with pytest.raises(SpecError, match="it must match"):
        importing.bring_in(file, tmp_path / "9", quiet())


def test_a_model_that_nobody_knows(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="no kind of model that is known: give --as with one of .*qonnx"):
        importing.bring_in(file, tmp_path / "m", quiet())
    with pytest.raises(ImportRefused, match="does not exist"):
        importing.bring_in(tmp_path / "absent", tmp_path / "m", quiet())
    with pytest.raises(SpecError, match="among the importers"):
        importing.bring_in(file, tmp_path / "m", quiet(), kind="caffe")


def test_the_command_line_passes_everything_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(importing, "bring_in", lambda *a: calls.append(a) or {"model": "m"})
    argv = ["import", "a.onnx", "--to", "m", "--as", "qonnx", "--events", "9", "--name", "n", "--json"]
    assert cli.main(argv) == 0
    assert calls[0][:2] + calls[0][3:] == (Path("a.onnx"), Path("m"), "qonnx", 9, "n")
    assert json.loads(capsys.readouterr().out) == {"model": "m"}


# -- behind the import ------------------------------------------------------------------------------------------------


def imported(folder: Path, made: Graph) -> Path:
    folder.mkdir()
    io.save(made, folder)
    said = {"kind": "test", "origin": "a test", "oracle": "nothing", "events": 5, "remarks": ["Only a test."]}
    artifact.write_json(folder / "imported.json", said)
    (folder / "spec.toml").write_text(importing.spec_text("small", made) + FEW)
    return folder


def test_a_model_with_other_inputs_runs_on_random_vectors_alone(tmp_path: Path) -> None:
    made = pipeline.run(imported(tmp_path / "m", graph()), quiet(), tmp_path / "out")
    assert made["verdict"] == "PASS"
    assert [(row["engine"], row["events"]) for row in made["agreement"]] == [("cpp", 3000), ("onnx", 3000)]
    assert made["physics"] is None
    assert "random vectors" in made["physics_left_out"]
    assert made["provenance"]["imported from"] == "a test"
    assert made["provenance"]["remark 1"] == "Only a test."
    page = (tmp_path / "out" / "small" / "report.html").read_text()
    assert "Not evaluated. The model reads other inputs" in page
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "small" / "stamps").iterdir()}
    pipeline.run(tmp_path / "m", quiet(), tmp_path / "out")
    assert before == {p: p.stat().st_mtime_ns for p in before}
    with pytest.raises(SpecError, match="nothing to train"):
        pipeline.train(tmp_path / "m", quiet(), tmp_path / "out")
    packed = bundle.bundle(tmp_path / "out" / "small", quiet(), tmp_path / "out")
    assert all(check["ok"] for check in verify_bundle(Path(packed["bundle"]), quiet(), 500)["checks"])
    assert "gives no seed" in bundle.open_bundle(Path(packed["bundle"])).members[bundle.MENU].decode()


@pytest.mark.usefixtures("importer")
def test_a_graph_without_an_array_runs_and_is_bundled(importer: SimpleNamespace, file: Path, tmp_path: Path) -> None:
    b = Builder()
    importer.graph = b.graph(b.add(ops.Relu(), b.input((3,), Fixed(True, 6, 0), "x"), name="score"))
    importing.bring_in(file, tmp_path / "small", quiet())
    text = (tmp_path / "small" / "spec.toml").read_text()
    (tmp_path / "small" / "spec.toml").write_text(text + FEW)
    assert io.digest(io.load(tmp_path / "small")) == io.digest(importer.graph.with_meta(name="small"))
    made = pipeline.run(tmp_path / "small", quiet(), tmp_path / "out")
    assert made["verdict"] == "PASS"
    assert [(row["engine"], row["mismatches"]) for row in made["agreement"]] == [("cpp", 0), ("onnx", 0)]
    packed = Path(bundle.bundle(tmp_path / "out" / "small", quiet(), tmp_path / "out")["bundle"])
    assert io.digest(bundle.open_bundle(packed).graph) == made["graph"]["digest"]
    assert all(check["ok"] for check in verify_bundle(packed, quiet(), 500)["checks"])


def test_a_score_of_the_samples_events_gets_a_threshold_and_physics_without_a_twin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import jsonschema

    monkeypatch.setattr("trigger_ml.workspace.Workspace.sample", sample(4000, 800))
    made = pipeline.run(imported(tmp_path / "m", graph(57, 1, 13)), quiet(), tmp_path / "out")
    assert made["verdict"] == "PASS"
    schema = json.loads((Path(pipeline.__file__).parent / "report" / "report.schema.json").read_text())
    jsonschema.validate(made, schema)
    assert set(made["physics"]["points"]) == {"quantized"}
    assert "float" not in made["physics"]["signals"][next(iter(made["physics"]["signals"]))]
    assert made["physics_left_out"] == ""
    assert "threshold" in made["provenance"]
    assert io.load(tmp_path / "out" / "small" / "graph").outputs == ("score", "decision")
    page = (tmp_path / "out" / "small" / "report.html").read_text()
    assert "float twin" not in page
    assert "Each signal" in page


def test_several_outputs_have_no_threshold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trigger_ml.workspace.Workspace.sample", sample(4000, 800))
    made = pipeline.run(imported(tmp_path / "m", graph(57, 2, 13)), quiet(), tmp_path / "out")
    assert "does not give one score" in made["physics_left_out"]


def test_the_sample_is_taken_only_where_every_event_fits() -> None:
    assert importing.reads_l1_objects(graph(57, 1, 13))
    assert not importing.reads_l1_objects(graph(57, 1, 5))
    assert not importing.reads_l1_objects(graph(56, 1, 13))
    b = Builder()
    x = b.input((57,), Formats.uniform(Fixed(False, 13, 0)), "x")
    assert not importing.reads_l1_objects(b.graph(b.reduce(x, "sum", 0)))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('name = "a"\n[model]\nfamily = "imported"\nbits = 4', "[model] bits has no meaning for an imported model"),
        ('name = "a"\n[model]\nfamily = "imported"\nhidden = [3]', "[model] hidden has no meaning for an imported"),
        ('name = "a"\n[sample]\nname = "none"\n[model]\nfamily = "mlp"\nfrontend = "hgq"\nscore = "mu2"\nhidden = [3]',
         'only an imported model needs no events'),
        ('name = "a"\n[model]\nfamily = "mlp"', "[model] frontend is missing"),
    ],
)  # fmt: skip
def test_specs_of_imported_models(text: str, sentence: str) -> None:
    with pytest.raises(SpecError) as found:
        spec.parse(text)
    assert sentence in str(found.value)


def two_inputs() -> Graph:
    b = Builder()
    ports = [b.input((3,), Fixed(True, 6, 0), name) for name in ("x", "y")]
    sums = [b.affine(port, np.ones((3, 1), np.int64), [0], 0) for port in ports]
    return b.graph(b.requant(b.add(ops.Add(), *sums), Fixed(True, 9, 0), "RND", "SAT", "score"))


@pytest.mark.parametrize("made", [graph(), two_inputs()])
def test_the_verb_patterns_writes_what_the_bundle_holds(tmp_path: Path, made: Graph) -> None:
    """Imported models without events, or with several inputs, have random vectors; the verb asked for a sample."""
    where = imported(tmp_path / "m", made)
    pipeline.convert(where, quiet(), tmp_path / "out")
    patterns.patterns(where, quiet(), tmp_path / "out", tmp_path / "p", "emp2", None, 40)
    files = {f.relative_to(tmp_path / "p").as_posix(): f.read_bytes() for f in (tmp_path / "p").rglob("*.*")}
    named = made.with_meta(name="small")  # as the spec calls it
    inputs, outputs = boards.read(named, layout.load(tmp_path / "p" / "layout.toml"), files, "emp2")
    assert {name: len(x) for name, x in inputs.items()} == {port.name: 40 for port in made.inputs}
    assert all(np.array_equal(y, outputs[o]) for o, y in interpret(made, inputs).items())


@pytest.mark.needs_import
def test_qonnx_from_the_file_to_the_verdict(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(Dice(3).image().content())
    assert cli.main(["import", str(path), "--to", str(tmp_path / "m"), "--events", "100"]) == 0
    with (tmp_path / "m" / "spec.toml").open("a") as text:
        text.write(FEW)
    assert cli.main(["run", str(tmp_path / "m"), "--out", str(tmp_path / "out")]) == 0


@pytest.mark.needs_import
def test_a_refused_file_is_one_line_and_exit_code_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = File((3,))
    file.outputs = {file.node("Sin", file.quant("x", 4, 0)): (3,)}
    (tmp_path / "model.onnx").write_bytes(file.content())
    assert cli.main(["import", str(tmp_path / "model.onnx"), "--to", str(tmp_path / "m")]) == 3
    said = capsys.readouterr().err.strip().splitlines()
    assert "this operator is not supported" in said[-1]
    assert not (tmp_path / "m").exists()
