"""A row's spec is strict, and the table only shows numbers of the spec that stands there."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from trigger_ml import artifact, cli
from trigger_ml.errors import ArtifactError, SpecError
from trigger_ml.offline import run as rows
from trigger_ml.offline import table
from trigger_ml.offline.spec import load, parse

GOOD = 'name = "a"\ntitle = "b"\n[sample]\nname = "gaussians"\n[objective]\nname = "classifier"\n'


def test_defaults_do_not_change_the_digest():
    row = parse(GOOD)
    assert row.network.hidden == 64
    assert parse(GOOD + "[network]\nhidden = 64\n").digest() == row.digest()
    assert parse(GOOD.replace('"b"', '"c"')).digest() == row.digest()
    assert parse(GOOD + "[network]\nhidden = 65\n").digest() != row.digest()


def test_a_younger_key_at_its_default_changes_no_digest():
    """Numbers that were kept before the key came stay those of their spec: this was the digest before all of them."""
    flow = GOOD.replace("classifier", "flow_matching")
    assert parse(flow).digest() == "06e8f7c227c12004916acb786cb3a62f3c0923778ed211fa8736934f5c436161"
    dual = parse(GOOD + '[network]\nkind = "dual_attention"\n')
    assert parse(GOOD + '[network]\nkind = "dual_attention"\nneighbours = 8\n').digest() == dual.digest()
    assert parse(GOOD + '[network]\nkind = "dual_attention"\nneighbours = 9\n').digest() != dual.digest()
    assert parse(f"{flow}[train]\nevents = 200\n").digest() != parse(flow).digest()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('title = "b"\n', "", "title is missing"),
        ("[objective]\n", "[objektive]\n", 'did you mean "objective"'),
        ('name = "classifier"', 'name = "magic"', "must be one of classifier, omnifold"),
        ('name = "gaussians"', 'name = "gaussians"\nevents = 1.5', r"\[sample\] events is 1.5"),
        ("[sample]\n", "[network]\nblocks = 0\n[sample]\n", r"\[network\] blocks is 0: it must be at least 1"),
        ('name = "classifier"', 'name = "classifier"\nsteps = 2', r'unknown key "steps" in \[objective\]'),
        ('[sample]\nname = "gaussians"\n', "sample = 3\n", "must be a table"),
        ("=", "", "not TOML"),
    ],
)
def test_refused(old, new, sentence):
    with pytest.raises(SpecError, match=sentence):
        parse(GOOD.replace(old, new))


@pytest.mark.parametrize(
    ("section", "key", "value", "sentence"),
    [
        ("objective", "iterations", 2, "iterations has no effect on classifier, only on omnifold: take it out"),
        ("objective", "bins", 8, "bins has no effect on classifier"),
        ("objective", "leading", "false", "leading has no effect on classifier"),
        ("network", "latent", 8, "latent has no effect on classifier"),
        ("network", "heads", 4, "heads has no effect on residual, only on transformer"),
        ("network", "patch", 1, "patch has no effect on residual"),
        ("network", "neighbours", 8, "neighbours has no effect on residual, only on dual_attention: take it out"),
        ("sampler", "steps", 20, "steps has no effect on classifier"),
        ("train", "leading_epochs", 9, "leading_epochs has no effect on classifier, only on flow_matching, "),
        ("train", "events", 100, "events has no effect on classifier, only on flow_matching, "),
    ],
)
def test_keys_without_effect_are_refused_even_at_their_default(section, key, value, sentence):
    line, head = f"{key} = {value}\n", f"[{section}]\n"
    text = GOOD.replace(head, head + line) if head in GOOD else GOOD + head + line
    with pytest.raises(SpecError, match=sentence):
        parse(text)


def test_stages_and_events_of_the_training_must_be_there():
    flow = GOOD.replace("classifier", "flow_matching")
    with pytest.raises(SpecError, match=r"leading_epochs has no effect without leading"):
        parse(f"{flow}[train]\nleading_epochs = 9\n")
    with pytest.raises(SpecError, match=r"\[train\] events is 50001, but \[sample\] gives 50000: give at most as many"):
        parse(f"{flow}[train]\nevents = 50001\n")
    with pytest.raises(SpecError, match=r"\[train\] events is 1000, but \[full\] gives 999: give at most as many"):
        parse(f"{flow}[train]\nevents = 1000\n[full]\nevents = 999\n")


def test_a_missing_file_and_an_unknown_source(tmp_path):
    with pytest.raises(SpecError, match="can't be read"):
        load(tmp_path)
    (tmp_path / "spec.toml").write_text(GOOD.replace("gaussians", "nothing"))
    with pytest.raises(SpecError, match="available are gaussians, "):
        rows.run(tmp_path, Console(quiet=True), tmp_path / "out")


def _result(row, value: float):
    metrics = {"auc": {"value": value, "error": 0.01, "scatter": None, "values": [value]}}
    sizes = {"float": 160, "int8": 40, "int2": 10, "ternary": 10}
    return {
        "row": row.name, "spec": row.digest(), "precision": "x", "metrics": metrics, "differing": [], "compared": 9,
        "kernel_bytes": sizes, "bit_operations": 1, "micros": {}, "figures": {}, "command": "c", "date": "2026-01-01",
    }  # fmt: skip


def test_the_table(tmp_path, capsys):
    home = tmp_path / "a"
    home.mkdir()
    (home / "spec.toml").write_text(GOOD)
    for precision, value in (("none", 0.8), ("all", 0.7)):
        artifact.save(home / f"{precision}.json", table.KIND, table.VERSION, _result(parse(GOOD), value))
    assert cli.main(["offline", "table", "--models", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(r["precision"], r["value"], r["float"], r["smaller"]) for r in found] == [
        ("none", 0.8, 0.8, 16),
        ("all", 0.7, 0.8, 16),
    ]
    assert cli.main(["offline", "table", "--models", str(tmp_path)]) == 0
    assert "0.7" in capsys.readouterr().out
    assert [(r["fewer"], r["time"], r["date"]) for r in found] == [(1, None, "2026-01-01")] * 2
    assert cli.main(["offline", "table", "--models", str(tmp_path), "--full"]) == 3
    capsys.readouterr()
    longer = parse(GOOD).longer
    artifact.save(table.file_of(home, "none", True), table.KIND, table.VERSION, _result(longer, 0.9))
    assert cli.main(["offline", "table", "--models", str(tmp_path), "--full", "--json"]) == 0
    assert [r["value"] for r in json.loads(capsys.readouterr().out)] == [0.9]
    extra = [{**found[0], "metric": "another"}, *found]
    assert {line["metric"] for line in table.beside(extra)} == {"another", "auc", *table.TAKEN}
    assert {line["metric"] for line in table.beside(extra, every=False)} == {"auc", *table.TAKEN}
    (home / "spec.toml").write_text(GOOD + "[network]\nhidden = 65\n")
    with pytest.raises(ArtifactError, match="belongs to another spec"):
        table.table(tmp_path)
