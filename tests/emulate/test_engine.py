"""The engine of a bundle: compiled once, held against the bundle's vectors, never another graph's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.test_bundle import changed
from trigger_ml import archive, artifact, bundle
from trigger_ml.emulate import engine
from trigger_ml.errors import ArtifactError, Mismatch
from trigger_ml.ir.interpret import interpret


@pytest.fixture(autouse=True)
def nothing_loaded() -> None:
    engine.evaluator.cache_clear()


def library() -> Path:
    (found,) = engine.cache_folder().glob("*/emulator.so")
    return found


def test_it_is_golden_and_compiled_once(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model, said = engine.prepare(packed)
    assert "C++ emulator of small.zip" in said
    when = library().stat().st_mtime_ns
    assert engine.prepare(packed)[0] == model
    assert library().stat().st_mtime_ns == when
    x = np.random.default_rng(1).integers(-4096, 4096, (500, 57), dtype=np.int16)
    got, golden = engine.evaluator(model)(x), interpret(bundle.open_bundle(packed).graph, x)
    assert {n: y.tolist() for n, y in got.items()} == {n: golden[n].tolist() for n in ("score", "decision")}


def test_processes_that_start_together_share_one_compilation(packed: Path, tmp_path: Path) -> None:
    code = "import sys, pathlib; from trigger_ml.emulate import engine; engine.prepare(pathlib.Path(sys.argv[1]))"
    argv = [sys.executable, "-c", code, str(packed)]
    environment = {"XDG_CACHE_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    running = [subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE) for _ in range(3)]
    assert [process.communicate()[1] for process in running] == [b""] * 3
    folder = tmp_path / "trigger_ml" / "emulators"
    assert len([p for p in folder.iterdir() if not p.name.endswith(".lock")]) == 1


def test_a_worker_compiles_for_itself(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = engine.prepare(packed)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    engine.evaluator.cache_clear()
    assert engine.evaluator(model)(np.zeros((3, 57), np.int16))["score"].tolist() == [[0]] * 3
    assert library().is_relative_to(tmp_path)


def test_another_bundle_in_its_place_is_noticed(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    text = bundle.open_bundle(packed).members["firmware/cpp/kernel.inc"]
    other = changed(packed, tmp_path / "a.zip", "firmware/cpp/kernel.inc", text + b"\n", honest=True)
    model, _ = engine.prepare(packed)
    engine.evaluator.cache_clear()
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(ArtifactError, match="has changed since the work began"):
        engine.evaluator(replace(model, bundle=other))


def test_sources_that_compute_something_else_are_refused(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    text = bundle.open_bundle(packed).members["firmware/cpp/kernel.inc"]
    assert b"at_most(" in text
    wrong = text.replace(b"at_most(", b"at_least(", 1)
    with pytest.raises(Mismatch, match="cpp engine and its vectors differ"):
        engine.prepare(changed(packed, tmp_path / "a.zip", "firmware/cpp/kernel.inc", wrong, honest=True))
    header = bundle.open_bundle(packed).members["firmware/cpp/model.h"]
    digest = bundle.open_bundle(packed).digest.encode()
    other = header.replace(digest, b"0" * 64)
    assert other != header
    with pytest.raises(Mismatch, match="holds graph 000000000000"):
        engine.prepare(changed(packed, tmp_path / "b.zip", "firmware/cpp/model.h", other, honest=True))


def without(packed: Path, to: Path, *backends: str) -> Path:
    members = {
        n: c for n, c in archive.read(packed).items() if not n.startswith(tuple(f"firmware/{b}/" for b in backends))
    }
    manifest = artifact.parse_json(members[bundle.MANIFEST], "manifest")
    manifest["members"] = {n: d for n, d in manifest["members"].items() if n in members}
    archive.write(to, {**members, bundle.MANIFEST: artifact.canonical_json(manifest)})
    return to


def test_a_bundle_without_cpp_runs_its_onnx_and_without_both_is_refused(packed: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    model, said = engine.prepare(without(packed, tmp_path / "a.zip", "cpp"))
    assert model.engine == "onnx"
    assert "no C++ emulator" in said
    x = np.random.default_rng(1).integers(-4096, 4096, (3000, 57), dtype=np.int16)
    golden = interpret(bundle.open_bundle(packed).graph, x)
    assert all(np.array_equal(y, golden[n]) for n, y in engine.evaluator(model)(x).items())
    with pytest.raises(ArtifactError, match="holds no engine that runs here"):
        engine.prepare(without(packed, tmp_path / "b.zip", "cpp", "onnx"))
