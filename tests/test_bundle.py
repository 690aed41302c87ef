"""A bundle is a function of the run, tells what it is, and is checked from itself alone."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from tests import test_pipeline
from tests.frontends.events import sample
from trigger_ml import archive, artifact, bundle, cli, pipeline, tools, verify
from trigger_ml.errors import ArtifactError, Mismatch
from trigger_ml.ir import io

pytestmark = pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")
pytest.importorskip("onnxruntime", reason="needs the extra onnx")

quiet = test_pipeline.quiet


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    """A bundle of a small model that ran."""
    folder = tmp_path_factory.mktemp("bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trigger_ml.workspace.Workspace.sample", sample(4000, 800))
        patch.setattr(
            "trigger_ml.families.mlp.float_score", lambda weights, x, spec: x[:, ::3].sum(axis=1).astype(float)
        )
        for run in ("one", "two"):
            pipeline.run(test_pipeline.model(folder / run / "m"), quiet(), folder / run, frozen=True)
            bundle.bundle(folder / run / "m", quiet(), folder / run, folder / f"{run}.zip")
    return folder / "one.zip"


def test_two_runs_give_the_same_bytes(packed):
    assert packed.read_bytes() == packed.with_name("two.zip").read_bytes()


def test_what_is_inside(packed):
    found = bundle.open_bundle(packed)
    names = set(found.members)
    assert {"spec.toml", "report.json", "report.html", "menu.toml", "graph/qgraph.json", "vectors/vectors.npz"} <= names
    assert {"firmware/cpp/trigger_emulator.h", "firmware/onnx/model.onnx"} <= names
    assert not [n for n in names if n.endswith((".so", ".o")) or "/." in n]
    assert found.backends() == ["cpp", "onnx"]
    assert io.digest(found.graph) == found.digest
    assert "threshold = 50 " in found.members["menu.toml"].decode()
    assert found.manifest["licences"]
    text = packed.read_bytes()
    assert str(Path.home()).encode() not in text


def test_it_verifies(packed, capsys):
    assert cli.main(["verify", str(packed), "--events", "2000", "--json"]) == 0
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert {c["what"].split(",")[0] for c in checks} >= {"members", "digests", "vectors", "cpp", "onnx"}
    assert all(c["ok"] for c in checks)


def changed(packed: Path, to: Path, name: str, content: bytes | None, honest: bool) -> Path:
    """The bundle with one member changed or left out; ``honest``: with a manifest that says so."""
    members = archive.read(packed)
    manifest = json.loads(members[bundle.MANIFEST])
    members.pop(name, None)
    if content is not None:
        members[name] = content
    if honest:
        manifest["members"].pop(name, None)
        if content is not None:
            manifest["members"][name] = artifact.digest_bytes(content)
        members[bundle.MANIFEST] = artifact.canonical_json(manifest)
    archive.write(to, members)
    return to


@pytest.mark.parametrize("name", ["graph/qgraph.json", "firmware/cpp/kernel.inc", "menu.toml", "vectors/vectors.npz"])
@pytest.mark.parametrize("content", [b"", b"{}", None])
def test_tampered_members_are_refused(packed, tmp_path, name, content):
    with pytest.raises(ArtifactError, match="don't trust"):
        bundle.open_bundle(changed(packed, tmp_path / "a.zip", name, content, honest=False))


def test_an_extra_member_is_refused(packed, tmp_path):
    with pytest.raises(ArtifactError, match="'extra' is not in the manifest"):
        bundle.open_bundle(changed(packed, tmp_path / "a.zip", "extra", b"x", honest=False))


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("firmware/cpp/kernel.inc", b"at_most(", b"at_least(", "differ"),
        ("firmware/cpp/model.h", b'MODEL_NAME "', b'MODEL_NAME "x', "is not what the graph gives"),
        ("menu.toml", b"graph_digest = ", b'graph_digest = "0" # ', None),
        ("vectors/graph_digest.txt", None, b"0" * 64, "show another digest"),
        ("firmware/onnx/model.onnx", b"trigger_ml", b"trigger_xx", "is not what the graph gives"),
    ],
)
def test_a_fault_with_an_honest_manifest_is_found(packed, tmp_path, name, old, new, says):
    content = bundle.open_bundle(packed).members[name]
    if old is not None:
        assert old in content
    other = new if old is None else content.replace(old, new, 1)
    path = changed(packed, tmp_path / "a.zip", name, other, honest=True)
    if says is None:
        assert verify.verify(path, quiet(), 1000)  # a comment changes nothing
        return
    with pytest.raises(Mismatch, match=says):
        verify.verify(path, quiet(), 1000)


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b"{",
        b'{"kind": "trigger_ml.bundle"}',
        b'{"kind": "other", "version": 1}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_manifest_that_is_none(packed, tmp_path, manifest):
    members = archive.read(packed)
    members[bundle.MANIFEST] = manifest
    archive.write(tmp_path / "a.zip", members)
    with pytest.raises(ArtifactError) as caught:
        bundle.open_bundle(tmp_path / "a.zip")
    assert len(str(caught.value)) < 400


def test_a_later_version_says_so(packed, tmp_path):
    members = archive.read(packed)
    manifest = {**json.loads(members[bundle.MANIFEST]), "version": 99}
    archive.write(tmp_path / "a.zip", {**members, bundle.MANIFEST: artifact.canonical_json(manifest)})
    with pytest.raises(ArtifactError, match="has version 99"):
        bundle.open_bundle(tmp_path / "a.zip")


def test_a_plain_zip_is_no_bundle(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as z:
        z.writestr("a", "b")
    assert cli.main(["verify", str(tmp_path / "a.zip")]) == 3


def test_a_run_that_is_not_finished_is_not_bundled(tmp_path):
    folder = test_pipeline.model(tmp_path / "m")
    with pytest.raises(ArtifactError, match="holds no report"):
        bundle.bundle(folder, quiet(), tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.zip"))
