"""The verb and the bundle: files of a run's events, with their layout, that read back to the golden answers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests import test_pipeline
from tests.backends.rtl_graphs import score
from tests.frontends.events import sample
from trigger_ml import artifact, bundle, cli, pipeline, tools, verify
from trigger_ml.boards import layout, patterns
from trigger_ml.errors import ArtifactError, Mismatch, SpecError
from trigger_ml.fuzz import random_events
from trigger_ml.ir.interpret import interpret
from trigger_ml.ir.io import digest


def made(events: int = 300) -> dict[str, bytes]:
    feed = random_events(score(), events, 1)
    plan = layout.default(score())
    return patterns.files(score(), plan, feed, interpret(score(), feed), ["emp2", "emp1", "apx"], "small")


def test_the_files_hold_the_events_and_the_digest():
    files, feed = made(), random_events(score(), 300, 1)
    for name in ("emp2", "emp1", "apx"):
        assert sum(n.startswith(f"{name}/input_") for n in files) == 3
        inputs, outputs = patterns.read(score(), layout.parse(files["layout.toml"].decode()), files, name)
        assert all(np.array_equal(inputs[k], feed[k]) for k in feed)
        assert all(np.array_equal(y, outputs[o]) for o, y in interpret(score(), feed).items())
    assert files["emp2/input_0.txt"].startswith(f"ID: small {digest(score())}\n".encode())
    assert files["emp1/output_2.txt"].startswith(f"Board small {digest(score())}\n".encode())
    index = json.loads(files["patterns.json"])
    assert (index["graph_digest"], index["events"]) == (digest(score()), 300)
    assert index["files"] == {n: artifact.digest_bytes(c) for n, c in files.items() if n != "patterns.json"}
    assert made() == files


def test_a_missing_file_is_told():
    files = made()
    plan = layout.parse(files["layout.toml"].decode())
    for gone in ("emp2/output_1.txt", "emp2/input_0.txt"):
        with pytest.raises(ArtifactError, match=f"{gone} is missing"):
            patterns.read(score(), plan, {n: c for n, c in files.items() if n != gone}, "emp2")
    with pytest.raises(SpecError, match="give emp2, emp1, apx"):
        patterns.files(score(), plan, random_events(score(), 1, 1), {}, ["x"], "small")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small model that ran, and its bundle."""
    folder = tmp_path_factory.mktemp("patterns")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trigger_ml.workspace.Workspace.sample", sample(4000, 800))
        patch.setattr(
            "trigger_ml.families.mlp.float_score", lambda weights, x, spec: x[:, ::3].sum(axis=1).astype(float)
        )
        spec = test_pipeline.model(folder / "m") / "spec.toml"
        if tools.find("g++") is None:
            pytest.skip("needs g++")
        spec.write_text(spec.read_text().replace("onnx = 3000", "onnx = 0"))
        pipeline.run(folder / "m", test_pipeline.quiet(), folder, frozen=True)
        bundle.bundle(folder / "m", test_pipeline.quiet(), folder, folder / "a.zip")
        yield folder


def test_the_verb_writes_them(run, tmp_path, capsys):
    argv = ["patterns", str(run / "m"), "--out", str(run), "--to", str(tmp_path / "p"), "--json"]
    assert cli.main([*argv, "--format", "apx", "--events", "200"]) == 0
    result = json.loads(capsys.readouterr().out)
    files = {str(p.relative_to(tmp_path / "p")): p.read_bytes() for p in (tmp_path / "p").rglob("*.*") if p.is_file()}
    assert sorted(files) == result["files"]
    found = bundle.open_bundle(run / "a.zip").graph
    inputs, outputs = patterns.read(found, layout.load(tmp_path / "p" / "layout.toml"), files, "apx")
    assert len(inputs["x"]) == 200
    assert len(np.unique(outputs["score"])) > 20
    assert all(np.array_equal(y, outputs[o]) for o, y in interpret(found, inputs).items())
    # Again, over the old ones, with a layout of one's own.
    text = (tmp_path / "p" / "layout.toml").read_text().replace("tmux = 1", "tmux = 6")
    (tmp_path / "mine.toml").write_text(text)
    assert cli.main([*argv, "--layout", str(tmp_path / "mine.toml"), "--events", "20"]) == 0
    assert {p.name for p in (tmp_path / "p").iterdir()} == {"emp2", "layout.toml", "patterns.json"}
    assert len(list((tmp_path / "p" / "emp2").iterdir())) == 4  # 18 events fit into a file


def test_the_verb_refuses_what_it_can_not_do(run, tmp_path, capsys):
    argv = ["patterns", str(run / "m"), "--out", str(run), "--to"]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    assert cli.main([*argv, str(tmp_path / "full")]) == 3
    assert "holds something else than patterns" in capsys.readouterr().err
    assert cli.main([*argv, str(tmp_path / "full" / "thesis.tex")]) == 3
    assert cli.main([*argv, str(tmp_path / "new"), "--format", "x2o"]) == 3
    assert "give emp2, emp1, apx" in capsys.readouterr().err
    assert cli.main([*argv, str(tmp_path / "new"), "--layout", str(tmp_path / "none")]) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["full"]
    assert (tmp_path / "full" / "thesis.tex").read_text() == "years of work"


def test_the_bundle_holds_them_and_verifies_them(run, tmp_path):
    found = bundle.open_bundle(run / "a.zip")
    names = {n for n in found.members if n.startswith("patterns/")}
    assert names == {
        f"patterns/{n}"
        for n in (
            "patterns.json", "layout.toml", "emp2/input_0.txt", "emp2/output_0.txt", "apx/input_0.txt",
            "apx/output_0.txt",
        )
    }  # fmt: skip
    (check,) = verify._patterns(found)
    assert check.ok
    assert check.remark.startswith("113 events in emp2, apx")


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("patterns/emp2/output_0.txt", b"1111 00", b"1111 10", "emp2/output_0.txt is not what"),
        ("patterns/apx/output_0.txt", b"0x0000    0x0f 0x00", b"0x0000    0x0f 0x10", "apx/output_0.txt is not what"),
        ("patterns/emp2/input_0.txt", b"Frame 0001", b"Frame 0002", "emp2/input_0.txt, line 6: the line must begin"),
        ("patterns/patterns.json", b"113", b"112", "patterns.json is not what"),
        ("patterns/layout.toml", b"tmux = 1", b"tmux = 2", "an event takes"),
        ("patterns/emp2/input_0.txt", b"ID: small ", b"ID: small 0", "show another digest"),
    ],
)
def test_a_fault_with_an_honest_manifest_is_found(run, tmp_path, name, old, new, says):
    from tests.test_bundle import changed

    content = bundle.open_bundle(run / "a.zip").members[name]
    assert old in content
    path = changed(run / "a.zip", tmp_path / "b.zip", name, content.replace(old, new, 1), honest=True)
    with pytest.raises(Mismatch, match=says):
        verify.verify(path, test_pipeline.quiet(), 500)


def test_a_wrong_answer_in_a_file_is_found(run, tmp_path):
    from tests.test_bundle import changed

    content = bundle.open_bundle(run / "a.zip").members["patterns/emp2/output_0.txt"].decode()
    line = next(x for x in content.splitlines() if x.startswith("Frame 0900"))
    other = f"{line[:-1]}{int(line[-1], 16) ^ 1:x}"
    path = changed(
        run / "a.zip", tmp_path / "b.zip", "patterns/emp2/output_0.txt", content.replace(line, other).encode(), True
    )
    with pytest.raises(Mismatch, match=r"patterns: emp2/output_0\.txt is not"):
        verify.verify(path, test_pipeline.quiet(), 500)
