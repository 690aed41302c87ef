"""The verb on a small frozen model and small files: what it counts is what the interpreter counts."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests import test_pipeline
from tests.emulate import files
from tests.frontends.events import sample
from trigger_ml import artifact, cli, collect, pipeline, rates
from trigger_ml.emulate import zero_bias
from trigger_ml.emulate.events import Wanted
from trigger_ml.errors import ArtifactError, SampleError, SpecError, ToolMissing
from trigger_ml.fixed import Fixed
from trigger_ml.ir import io, ops
from trigger_ml.ir.build import Builder
from trigger_ml.ir.interpret import interpret
from trigger_ml.passes.decision import with_decision
from trigger_ml.physics import menu, rate_table
from trigger_ml.physics.menu_decisions import decisions
from trigger_ml.samples import l1_objects, rate_background
from trigger_ml.samples.contents import REGIONS
from trigger_ml.samples.dataset import Split
from trigger_ml.samples.features import FEATURES
from trigger_ml.samples.layout import leading_muon
from trigger_ml.workspace import open_run

pytest.importorskip("scipy", reason="intervals need scipy")

MENU = """
name = "small"
[[seed]]
name = "Met"
require = [{ object = "met", pt = [40] }]
[[seed]]
name = "Jets"
prescale = 3
require = [{ object = "jet", pt = [30, 20] }]
"""
EVENTS = 3_000
LAYOUT = "trigger_ml.l1_objects"


def write(
    path, count=EVENTS, seed=1, dataset="all", pileup=20.0, variant="zero_bias", layout="trigger_ml.l1_objects", x=None
):
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs.update({"layout": layout, "variant": variant, "pileup": pileup, "provenance": "{}"})
        file[f"background/{dataset}"] = files.events(count, seed) if x is None else x
        file["background/source"] = (np.arange(count) // 3).astype(np.int32)
    return path


@pytest.fixture(autouse=True)
def _world(monkeypatch):
    monkeypatch.setattr("trigger_ml.workspace.Workspace.sample", replace(sample(4000, 800), features=FEATURES))
    monkeypatch.setattr(
        "trigger_ml.families.mlp.float_score", lambda weights, x, spec: x[:, ::3].sum(axis=1).astype(float)
    )


@pytest.fixture
def folder(tmp_path):
    """A converted run, a menu and a file of events."""
    pipeline.convert(test_pipeline.model(tmp_path / "m"), test_pipeline.quiet(), tmp_path / "out")
    (tmp_path / "menu.toml").write_text(MENU)
    write(tmp_path / "zb.h5")
    return tmp_path


def run(folder, asked):
    return rates.rates(folder / "m", test_pipeline.quiet(), folder / "out", asked)


def asked(folder, **changes):
    return replace(rates.Asked(folder / "zb.h5", folder / "menu.toml", (1000.0, 10_000.0)), **changes)


@pytest.fixture
def interpreted(monkeypatch):
    """No compiler: the interpreter runs."""
    monkeypatch.setattr("trigger_ml.backends.cpp.build", _missing)


def test_it_counts_what_the_interpreter_counts(folder, interpreted):
    found = rate_table.read(run(folder, asked(folder)))
    x = files.events(EVENTS, 1)
    scores = interpret(test_pipeline.graph(), x)["score"][:, 0]
    fired = decisions(menu.load(folder / "menu.toml"), FEATURES, x)
    names = [f"{kind}_{khz}_khz" for kind in ("rate", "unique") for khz in ("1000", "10000")]
    assert [p.point.name for p in found.points] == [*names, "firmware"]
    for p in found.points:
        keeps = scores >= p.point.threshold
        assert p.point.events == keeps.sum()
        left = np.prod(1 - fired / [1, 3], axis=1)
        assert p.unique.khz.value == pytest.approx((keeps * left).mean() * found.crossings_khz)
    at = {p.point.name: p for p in found.points}
    assert at["rate_1000_khz"].point.rate_khz.value <= 1000
    assert at["unique_1000_khz"].unique.khz.value <= 1000
    assert at["unique_1000_khz"].point.threshold <= at["rate_1000_khz"].point.threshold
    assert at["firmware"].point.threshold == 50
    assert [s.unprescaled.events for s in found.menu.rates.seeds] == fired.sum(axis=0).tolist()
    assert (found.engine, found.file.events) == ("interpreter", EVENTS)
    assert found.file.sources < EVENTS
    assert [s.point for s in found.shifts] == names[:2]


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_the_compiled_emulator_gives_the_same_table(folder):
    compiled = run(folder, asked(folder))
    assert compiled["engine"] == "cpp"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trigger_ml.backends.cpp.build", _missing)
        (folder / "out" / "small" / "stamps" / "rates.json").unlink()
        slow = run(folder, asked(folder))
    assert {**compiled, "engine": ""} == {**slow, "engine": ""}


def _missing(*_):
    raise ToolMissing("no g++")


def test_blocks_of_any_size_give_the_same_bytes(folder, interpreted, monkeypatch):
    run(folder, asked(folder))
    path = folder / "out" / "small" / rates.FILE
    whole = path.read_bytes()
    blocks = zero_bias.blocks
    monkeypatch.setattr("trigger_ml.emulate.zero_bias.blocks", lambda file, part: blocks(file, part, 700))
    path.unlink()
    run(folder, asked(folder))
    assert path.read_bytes() == whole


def test_nothing_is_done_twice_and_a_change_is_seen(folder, interpreted, monkeypatch):
    first = run(folder, asked(folder))
    with monkeypatch.context() as patch:
        patch.setattr("trigger_ml.rates._work", lambda *_: pytest.fail("done twice"))
        assert run(folder, asked(folder)) == first
    assert "menu" not in run(folder, asked(folder, menu=None))
    write(folder / "zb.h5", seed=2)
    assert run(folder, asked(folder))["file"]["digest"] != first["file"]["digest"]


def test_the_same_thresholds_at_other_pileup(folder, interpreted):
    write(folder / "busy.h5", 2_000, seed=1, pileup=60.0)
    found = rate_table.read(run(folder, asked(folder, elsewhere=(folder / "busy.h5",))))
    (there,) = found.elsewhere
    assert (there.file.pileup, there.file.events) == (60.0, 2_000)
    scores = interpret(test_pipeline.graph(), files.events(2_000, 1))["score"][:, 0]
    for p in found.points:
        assert there.events[p.point.name] == (scores >= p.point.threshold).sum()


def test_the_report_shows_it_until_the_graph_changes(folder, interpreted):
    run(folder, asked(folder))
    ws = open_run(folder / "m", folder / "out", test_pipeline.quiet())
    found, why = collect._rates(ws, ws.graph)
    assert (found.model, why) == ("small", "")
    found, why = collect._rates(ws, ws.graph.with_meta(name="other"))
    assert found is None
    assert "is of another graph: run" in why
    path = ws.folder / rates.FILE
    spoiled = json.loads(path.read_text())
    del spoiled["curve"]
    path.write_text(json.dumps(spoiled))
    with pytest.raises(ArtifactError, match=r"rates.json is damaged .*: run `trigger-ml rates` again"):
        collect._rates(ws, ws.graph)
    artifact.write_json(path, {"version": 99})
    with pytest.raises(ArtifactError, match="rates.json is not of version 1"):
        collect._rates(ws, ws.graph)


def test_sources_are_those_of_the_sample(tmp_path):
    """The committed sample, read block by block, has the sources that ``load`` gives it."""
    path = l1_objects.default_path("zero_bias")
    found = zero_bias.survey(path, FEATURES, Wanted(57))
    assert found.dataset == "background/test"
    muons = np.concatenate([leading_muon(x) for x in zero_bias.blocks(found, found.background)])
    assert np.array_equal(zero_bias.sources(found, muons), l1_objects.load("zero_bias").source)
    assert set(found.signals) == {"LQ_to_btau", "A_to_4l", "hC_to_taunu", "h0_to_tautau"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"variant": "adc2021_like"}, "holds the variant adc2021_like, which gives no rate in kHz: give"),
        (
            {"layout": "trigger_ml.calo_regions"},
            "the layout trigger_ml.calo_regions, whose events aren't of the run's kind",
        ),
        ({"dataset": "train"}, "has no dataset background/all or background/test"),
        ({"count": 0}, "background/all is empty"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(folder, changes, sentence):
    write(folder / "zb.h5", **changes)
    with pytest.raises(SampleError, match=sentence):
        run(folder, asked(folder))
    assert not (folder / "out" / "small" / rates.FILE).exists()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda f: f.__delitem__("background/source"), "background/source is not one integer for each event"),
        (
            lambda f: f["background/all"].__setitem__((5, 0), 5000),
            "background/all, event 5: met_pt is 5000, allowed 0...4095",
        ),
    ],
)
def test_spoiled_events_are_refused(folder, interpreted, spoil, sentence):
    import h5py

    with h5py.File(folder / "zb.h5", "r+") as file:
        spoil(file)
    with pytest.raises(SampleError, match=sentence):
        run(folder, asked(folder))


def test_no_file_and_half_a_file_are_refused(folder):
    whole = (folder / "zb.h5").read_bytes()
    (folder / "zb.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SampleError, match="is not a whole HDF5 file"):
        run(folder, asked(folder))
    (folder / "zb.h5").unlink()
    with pytest.raises(SampleError, match="is no file: give an HDF5 file of zero-bias events"):
        run(folder, asked(folder))


@pytest.mark.parametrize(
    ("khz", "sentence"),
    [((0.0,), "a target rate is 0.0 kHz"), ((40_000.0,), "below the 31038 kHz"), ((), "None"), ((5.0, 5.0), "twice")],
)
def test_rates_that_make_no_sense_are_refused(folder, khz, sentence):
    with pytest.raises(SpecError, match=sentence):
        run(folder, asked(folder, rates_khz=khz))


def test_the_command(folder, interpreted, capsys):
    argv = ["rates", str(folder / "m"), "--events", str(folder / "zb.h5"), "--out", str(folder / "out")]
    assert cli.main([*argv, "--rates", "500,5000", "--menu", str(folder / "menu.toml"), "--json"]) == 0
    shown = capsys.readouterr()
    found = rate_table.read(json.loads(shown.out))
    assert [p.point.name for p in found.points][:2] == ["rate_500_khz", "rate_5000_khz"]
    assert "Working points" in shown.err
    assert "so never above a target rate" in shown.err
    assert "Menu small" in shown.err
    assert cli.main([*argv, "--rates", "ten"]) == 3
    assert "--rates 'ten' are no numbers: give them like 1,10,100" in capsys.readouterr().err


def test_a_menu_only_reads_its_objects(folder, monkeypatch):
    monkeypatch.setattr("trigger_ml.workspace.Workspace.sample", sample(4000, 800))
    with pytest.raises(SpecError, match="a menu reads Level-1 objects, small reads l1_objects: leave --menu out"):
        run(folder, asked(folder))


def test_a_run_without_a_graph_says_what_to_do(tmp_path):
    test_pipeline.model(tmp_path / "m")
    with pytest.raises(ArtifactError, match="run `trigger-ml convert` first"):
        run(tmp_path, rates.Asked(Path("x.h5")))


def test_regions_of_the_calorimeter_are_counted_too(tmp_path, interpreted, monkeypatch):
    """Another kind of events: 252 regions, no muons; the score is their sum."""
    rng = np.random.default_rng(1)
    x = rng.poisson(3, (1_000, 252)).astype(np.int16)
    b = Builder()
    whole = b.affine(b.input((252,), Fixed(False, 10, 0), "x"), np.ones((252, 1), np.int64), [0], 0)
    graph = with_decision(b.graph(b.requant(whole, Fixed(False, 16, 0), "RND", "SAT", "score")), 760)
    folder = test_pipeline.model(tmp_path / "m")
    io.save(graph, folder)
    kept = sample(4000, 800)
    parts = {name: Split(x[:9], x[:9], x[100 * i : 100 * i + 100]) for i, name in enumerate(kept.signals)}
    monkeypatch.setattr(
        "trigger_ml.workspace.Workspace.sample", replace(kept, signals=parts, features=REGIONS.features)
    )
    monkeypatch.setattr("trigger_ml.families.mlp.float_score", lambda weights, x, spec: x.sum(axis=1).astype(float))
    write(tmp_path / "zb.h5", 1_000, layout="trigger_ml.calo_regions", x=x)
    pipeline.convert(folder, test_pipeline.quiet(), tmp_path / "out")
    found = rate_table.read(run(tmp_path, rates.Asked(tmp_path / "zb.h5", rates_khz=(3_000.0,))))
    at = {p.point.name: p for p in found.points}
    assert at["firmware"].point.events == (x.sum(axis=1) >= 760).sum()
    assert found.file.sources == 334
    assert [s.rate_khz.value for s in found.shifts] == [0]


def two_scores():
    """The lesser of two sums: of all momenta but those of jets, and of jets."""
    b = Builder()
    x = b.input((57,), Fixed(True, 13, 0), "x")
    negative = []
    for name, columns in (("first", range(0, 27, 3)), ("second", range(27, 57, 3))):
        w = np.zeros((57, 1), np.int64)
        w[list(columns)] = 1
        node = b.requant(b.affine(x, w, [0], 0), Fixed(False, 12, 0), "RND", "SAT", f"{name}_tail")
        negative.append(b.affine(node, [[-1]], [0], 0))
    return with_decision(b.graph(b.affine(b.add(ops.Max(), *negative), [[-1]], [0], 0, "score")), 60)


def test_two_scores_predict_their_background(tmp_path, interpreted, monkeypatch):
    folder = test_pipeline.model(tmp_path / "m")
    io.save(two_scores(), folder)
    text = (folder / "spec.toml").read_text()
    (folder / "spec.toml").write_text(text.replace('"mlp"', '"double"').replace('"distilled"', '"pair"'))

    def parts(weights, x, spec):
        return np.stack([x[:, 0:27:3].sum(axis=1), x[:, 27::3].sum(axis=1)], 1).astype(float)

    monkeypatch.setattr("trigger_ml.families.double.parts", parts)
    write(tmp_path / "zb.h5")
    pipeline.convert(folder, test_pipeline.quiet(), tmp_path / "out")
    found = rate_table.read(run(tmp_path, rates.Asked(tmp_path / "zb.h5", rates_khz=(3_000.0,))))
    first, second = parts(None, files.events(EVENTS, 1).astype(int), None).T
    for p in found.points:
        a, b = first >= p.point.threshold, second >= p.point.threshold
        assert found.pair.points[p.point.name].counts == tuple(int(v.sum()) for v in (a & b, a & ~b, ~a & b, ~a & ~b))
        assert found.pair.points[p.point.name].counts[0] == p.point.events
    assert {s.tpr[name].value for s in found.shifts for name in s.tpr} == {0}
    assert all(s.ratio is None or s.ratio.value == 1 for s in found.pair.scan)
    assert found.pair.correlation.unbiased.low < 0.05


def test_a_background_that_we_write_is_read_as_its_own_reader_does(tmp_path):
    x, stored = files.events(500, 3), np.where(np.arange(500) % 4, np.arange(500) // 5, -1).astype(np.int32)
    blocks = ((x[i : i + 200], stored[i : i + 200]) for i in range(0, 500, 200))
    rate_background.write(tmp_path / "all.h5", "zero_bias", 20.0, 500, blocks, {})
    found = zero_bias.survey(tmp_path / "all.h5", FEATURES, Wanted(57))
    read = list(zero_bias.blocks(found, found.background, 130))
    muons = np.concatenate([leading_muon(piece) for piece in read])
    theirs = rate_background.read(tmp_path / "all.h5")
    assert np.array_equal(np.concatenate(read), x)
    assert np.array_equal(zero_bias.sources(found, muons), theirs.source())
    assert (found.events, found.pileup, found.dataset, found.signals) == (500, 20.0, "background/all", {})
