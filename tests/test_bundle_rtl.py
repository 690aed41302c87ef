"""What a bundle with RTL brings along: it is played by hand, and verified."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import test_pipeline
from tests.backends.test_rtl_benches import module, play
from tests.frontends.events import sample
from tests.test_bundle import changed
from trigger_ml import bundle, cli, pipeline, verify
from trigger_ml.errors import ArtifactError, Mismatch

pytestmark = [pytest.mark.needs_icarus, pytest.mark.needs_ghdl]
pytest.importorskip("alkaid", reason="needs the extra rtl")

quiet = test_pipeline.quiet


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the Verilog and the VHDL of a small model that ran."""
    folder = tmp_path_factory.mktemp("bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trigger_ml.workspace.Workspace.sample", sample(4000, 800))
        patch.setattr(
            "trigger_ml.families.mlp.float_score", lambda weights, x, spec: x[:, ::3].sum(axis=1).astype(float)
        )
        model = test_pipeline.model(folder / "m")
        text = (model / "spec.toml").read_text()
        for old, new in (("onnx = 3000", "onnx = 0"), ("cpp = 3000", "cpp = 0"), ("second = 0", "second = 100")):
            text = text.replace(old, new)
        (model / "spec.toml").write_text(text.replace("vhdl = 0", "vhdl = 100"))
        pipeline.run(model, quiet(), folder / "out", frozen=True)
        bundle.bundle(model, quiet(), folder / "out", folder / "a.zip")
    return folder / "a.zip"


@pytest.mark.parametrize("language", ["verilog", "vhdl"])
def test_the_bench_is_played_by_hand(packed, tmp_path, language):
    found = bundle.open_bundle(packed)
    folder = found.unpack(f"firmware/{language}", tmp_path / language)
    code, said = play(folder, language, module(folder))
    assert code == 0, said
    assert "300 events, 2 of 2 outputs compared, as expected" in said


def test_the_valid_flag_is_inside(packed):
    assert "firmware/verilog/rtl/event_valid.v" in bundle.open_bundle(packed).members


@pytest.mark.parametrize("language", ["verilog", "vhdl"])
def test_every_input_has_its_name_and_unit(packed, language):
    """By hand from docs/samples.md: element 3 is the leading e/gamma's pT in half GeV."""
    found = bundle.open_bundle(packed)
    page = found.members[f"firmware/{language}/interface.md"].decode()
    assert "| 3 | 51:39 | signed, 13 bit | eg0_pt | 0.5 GeV |" in page
    element = json.loads(found.members[f"firmware/{language}/ports.json"])["inputs"][0]["elements"][3]
    assert (element["name"], element["unit"]) == ("eg0_pt", "0.5 GeV")


def test_names_that_are_none_or_others_are_found(packed, tmp_path):
    content = bundle.open_bundle(packed).members[bundle.ELEMENTS]
    other = content.replace(b"eg0_pt", b"eg1_pt")
    assert other != content
    path = changed(packed, tmp_path / "a.zip", bundle.ELEMENTS, other, honest=True)
    with pytest.raises(Mismatch, match=r"interface\.md is not what the graph gives"):
        verify.verify(path, quiet(), 100)
    for none in (b"{", b"[]", b'[["a", 1]]'):
        path = changed(packed, tmp_path / "b.zip", bundle.ELEMENTS, none, honest=True)
        with pytest.raises(ArtifactError):
            bundle.open_bundle(path).elements()


def test_it_verifies(packed, capsys):
    assert cli.main(["verify", str(packed), "--events", "200", "--json"]) == 0
    checks = {c["what"]: c for c in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["verilog, built again"]["ok"]
    assert checks["vhdl, built again"]["ok"]


@pytest.mark.parametrize("name", ["verilog/tb/score.expected", "vhdl/tb/x.hex"])
def test_words_that_are_not_the_graphs_are_found(packed, tmp_path, name):
    content = bundle.open_bundle(packed).members[f"firmware/{name}"]
    other = content[:3] + (b"0" if content[3:4] != b"0" else b"1") + content[4:]
    path = changed(packed, tmp_path / "a.zip", f"firmware/{name}", other, honest=True)
    with pytest.raises(Mismatch, match=f"{name.partition('/')[2]} is not what the graph gives"):
        verify.verify(path, quiet(), 100)
