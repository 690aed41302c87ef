"""A bundle is a function of the run, tells what it is, and is checked from itself alone."""

from __future__ import annotations

import json
import shutil
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests import test_pipeline
from tests.frontends.events import sample
from trigger_ml import archive, artifact, bundle, cli, pipeline, tools, verify
from trigger_ml.errors import ArtifactError, Mismatch, ToolMissing
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
    assert [row["path"] for row in found.manifest["licences"]] == ["firmware/", ""]
    text = packed.read_bytes()
    assert str(Path.home()).encode() not in text


def test_licences_are_those_of_what_is_inside():
    rows = {row["path"]: row["licence"] for row in bundle.licences(["firmware/conifer/hls/trees.h", "spec.toml"])}
    assert rows == {"firmware/conifer": "Apache-2.0", "": "Apache-2.0"}
    copied = "firmware/conifer/hls/trees_test.cpp"
    assert bundle.licences([copied]) == [
        {"path": copied, "licence": "GPL-3.0-or-later", "origin": "of rfnoc-hls-neuralnet, copied by conifer"}
    ]


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
        ("firmware/cpp/kernel.inc", b"at_most(", b"at_least(", "is not what the graph gives"),
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


@pytest.fixture
def ran(packed, tmp_path, monkeypatch) -> Path:
    """A copy of the run behind the bundle, of which things can be changed."""
    monkeypatch.setattr("trigger_ml.workspace.Workspace.sample", sample(4000, 800))
    monkeypatch.setattr(
        "trigger_ml.families.mlp.float_score", lambda weights, x, spec: x[:, ::3].sum(axis=1).astype(float)
    )
    return Path(shutil.copytree(packed.parent / "one", tmp_path / "one"))


def pack(ran: Path) -> Path:
    bundle.bundle(ran / "m", quiet(), ran, ran / "a.zip")
    return ran / "a.zip"


def respecify(ran: Path, old: str, new: str) -> None:
    spec = ran / "m" / "spec.toml"
    assert old in spec.read_text()
    spec.write_text(spec.read_text().replace(old, new))


def test_what_else_lies_in_the_run_is_left_out(packed, ran):
    """Everything below ``firmware`` was packed."""
    artifact.atomic_write(ran / "small" / "firmware" / "vhdl" / "rtl" / "old.vhd", "-- of an earlier spec")
    assert pack(ran).read_bytes() == packed.read_bytes()


def test_projects_of_another_target_are_not_bundled(ran):
    respecify(ran, "[budget]", "[target]\nclock_ns = 2.5\n[budget]")
    with pytest.raises(ArtifactError, match="is of another spec"):
        pack(ran)
    pipeline.build(ran / "m", quiet(), ran)
    respecify(ran, "[target]\nclock_ns = 2.5\n", "")
    with pytest.raises(ArtifactError, match="is of another spec"):
        pack(ran)  # the run folder holds the spec that was built
    shutil.copy(ran / "m" / "spec.toml", ran / "small" / "spec.toml")
    with pytest.raises(ArtifactError, match=r"out of date .*run `trigger-ml build` first"):
        pack(ran)


def test_a_backend_that_is_no_more_asked_for_is_left_out(ran):
    respecify(ran, "onnx = 3000", "onnx = 0")
    with pytest.raises(ArtifactError, match="is of another spec"):
        pack(ran)
    pipeline.report(ran / "m", quiet(), ran)
    assert bundle.open_bundle(pack(ran)).backends() == ["cpp"]


@pytest.mark.parametrize(
    ("file", "says"),
    [("firmware/cpp/kernel.inc", "firmware/cpp was edited"), ("agreement/onnx.json", "agreement/onnx.json is missing")],
)
def test_an_edited_run_is_not_bundled(ran, file, says):
    path = ran / "small" / file
    if "firmware" in file:
        path.write_text(path.read_text() + "// mine")
    else:
        path.write_text("{")
    with pytest.raises(ArtifactError, match=says):
        pack(ran)


def test_a_report_that_is_older_than_a_comparison_is_not_bundled(ran):
    report = artifact.read_json(ran / "small" / "report.json")
    report["agreement"][0]["events"] -= 1
    artifact.write_json(ran / "small" / "report.json", report)
    with pytest.raises(ArtifactError, match="is older than the comparison of cpp"):
        pack(ran)


def test_a_run_that_another_process_writes_is_not_bundled(ran):
    with artifact.exclusive(ran / "small"), pytest.raises(ArtifactError, match="in use"):
        pack(ran)


def test_verbs_that_read_leave_the_spec_of_the_run(ran):
    before = (ran / "small" / "spec.toml").read_bytes()
    respecify(ran, "onnx = 3000", "onnx = 0")
    pipeline.inspect(ran / "m", quiet(), ran)
    with pytest.raises(ArtifactError):
        pack(ran)
    assert (ran / "small" / "spec.toml").read_bytes() == before
    pipeline.inspect(ran / "m", quiet(), ran / "elsewhere")
    assert not (ran / "elsewhere").exists()


def test_the_menu_says_what_the_threshold_was_chosen_for(packed):
    """A share where the sample gives no rates: the menu named a rate that nobody had asked for."""
    found = bundle.open_bundle(packed)
    assert found.members["menu.toml"].decode() == bundle.menu(found.spec, found.graph, gives_rates=False)
    (rate,) = tomllib.loads(bundle.menu(found.spec, found.graph, gives_rates=True))["seed"]
    (share,) = tomllib.loads(bundle.menu(found.spec, found.graph, gives_rates=False))["seed"]
    assert (rate["rate_khz"], rate["bunches"]) == (found.spec.physics.rate_khz, found.spec.physics.bunches)
    assert share.pop("fpr") == max(found.spec.physics.fpr)
    assert share == {k: v for k, v in rate.items() if k not in ("rate_khz", "bunches")}


def dressed(packed: Path, to: Path, change: dict[str, bytes], gone: tuple[str, ...] = ()) -> Path:
    """The bundle with members changed, added, or left out by the start of their names; its manifest says so."""
    members = {n: c for n, c in archive.read(packed).items() if not n.startswith(gone or ("?",))} | change
    manifest = json.loads(members.pop(bundle.MANIFEST))
    manifest["members"] = {name: artifact.digest_bytes(content) for name, content in members.items()}
    archive.write(to, {**members, bundle.MANIFEST: artifact.canonical_json(manifest)})
    return to


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda a: a.pop("output.decision"), "lacks 'output.decision'"),
        (lambda a: a.pop("input.x"), "lacks 'input.x'"),
        (lambda a: a.update({"output.more": a["output.score"]}), "holds 'output.more', which the graph has not"),
        (lambda a: a.update({"input.x": a["input.x"][:, 1:]}), "gives 'input.x' as int64"),
        (lambda a: a.update({"input.x": a["input.x"] + 0.5}), "gives 'input.x' as float64"),
        (lambda a: a.update({"input.x": a["input.x"][1:]}), "has not as many events for each port"),
        (lambda a: a.update({k: v[:0] for k, v in a.items()}), "holds no event"),
    ],
)
def test_vectors_that_are_none_are_one_sentence(packed, tmp_path, spoil, says):
    """A missing port was a KeyError, and no event at all was ok."""
    arrays = artifact.parse_npz(archive.read(packed)[bundle.VECTORS], "vectors")
    spoil(arrays)
    path = dressed(packed, tmp_path / "a.zip", {bundle.VECTORS: artifact.npz_bytes(arrays)})
    with pytest.raises(ArtifactError, match=f"vectors.npz {says}.*: get the bundle again"):
        verify.verify(path, quiet(), 100)


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b"\xff", b'{"graph_digest": 3}'])
def test_ports_that_are_none_are_one_sentence(packed, tmp_path, content):
    path = dressed(packed, tmp_path / "a.zip", {"firmware/verilog/ports.json": content})
    with pytest.raises(Mismatch, match=r"firmware/verilog/ports\.json show another digest, or none"):
        verify.verify(path, quiet(), 100)


def test_a_bundle_without_an_engine_is_not_verified(packed, tmp_path):
    path = dressed(packed, tmp_path / "a.zip", {}, gone=("firmware/",))
    with pytest.raises(Mismatch, match="engines: there is none inside, so nothing was compared"):
        verify.verify(path, quiet(), 100)


def test_what_no_tool_here_can_compare_is_not_verified(packed, tmp_path, monkeypatch):
    def missing(*of):
        raise ToolMissing("g++ is not installed: apt-get install g++")

    monkeypatch.setattr("trigger_ml.engines.Kind.open", missing)
    with pytest.raises(ToolMissing, match=r"no engine inside could be compared here: g\+\+ is not installed"):
        verify.verify(packed, quiet(), 100)


def test_sources_that_are_not_the_graphs_are_not_run(packed, tmp_path):
    """They were compiled, loaded and run all the same."""
    mark = tmp_path / "ran"
    content = bundle.open_bundle(packed).members["firmware/cpp/kernel.inc"]
    harm = f'#include <cstdio>\nstatic FILE *const harm = std::fopen("{mark}", "w");\n'.encode()
    for name in ("firmware/cpp/kernel.inc", "firmware/cpp/model.h"):
        content = bundle.open_bundle(packed).members[name]
        path = dressed(packed, tmp_path / "a.zip", {name: harm + content})
        with pytest.raises(Mismatch, match=f"{Path(name).name} is not what the graph gives"):
            verify.verify(path, quiet(), 100)
        assert not mark.exists()


def test_what_can_not_be_compiled_here_is_not_checked_and_the_rest_is(packed, monkeypatch):
    """Without a compiler the library that was never made could not be loaded, and that was the end."""

    def missing(*of):
        raise ToolMissing("g++ is not installed: apt-get install g++")

    monkeypatch.setattr("trigger_ml.backends.cpp.compile_library", missing)
    checks = {check["what"]: check["ok"] for check in verify.verify(packed, quiet(), 100)["checks"]}
    assert checks["cpp, compiled"] is None
    assert checks["ONNX Runtime of what is inside"] is True
    assert "C++ emulator, g++ of what is inside" not in checks
