"""A card's figures are the report's, and a page without a place for them is left alone."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.report.example import classes, report
from trigger_ml import artifact, spec
from trigger_ml.errors import ArtifactError
from trigger_ml.report import card, model_table
from trigger_ml.report.document import document

ROOT = Path(__file__).parents[2]
MODELS = sorted(p.parent for p in (ROOT / "models").glob("*/qgraph.json"))


@pytest.mark.parametrize("model", MODELS, ids=lambda p: p.name)
def test_the_shipped_cards_are_of_the_shipped_graphs(model: Path) -> None:
    digest = artifact.read_json(model / "qgraph.json")["digest"]
    assert f"Graph `{digest[:16]}`." in (model / "card.md").read_text("utf-8")


def test_the_tables_show_the_same_rows() -> None:
    rows = json.loads((ROOT / "docs" / "models.json").read_text("utf-8"))
    assert {row["model"] for row in rows} == {model.name for model in MODELS}
    for page in (ROOT / "README.md", ROOT / "docs" / "models.md"):
        text = page.read_text("utf-8")
        for row in rows:
            line = next(line for line in text.splitlines() if line.startswith(f"| `{row['model']}` |"))
            assert f"| {row['quantities']['lut']:,} |" in line
            assert f"{row['mismatches']} of {row['events']:,}" in line
    assert {row["mismatches"] for row in rows} == {0}


def test_what_stands_between_the_marks_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "card.md"
    page.write_text(f"above\n{card.BEGIN}\nold\n{card.END}\nbelow\n")
    card.put(page, "new\n")
    card.put(page, "newer\n")
    assert page.read_text() == f"above\n{card.BEGIN}\nnewer\n{card.END}\nbelow\n"


@pytest.mark.parametrize("text", ["", f"{card.BEGIN}\n", f"{card.END}\n{card.BEGIN}\n", f"{card.BEGIN}{card.END}" * 2])
def test_a_page_without_one_place_is_refused(tmp_path: Path, text: str) -> None:
    page = tmp_path / "card.md"
    page.write_text(text)
    with pytest.raises(ArtifactError, match="has no place for figures"):
        card.put(page, "new\n")
    assert page.read_text() == text


def test_a_card_of_classes_has_areas_and_who_is_taken_for_whom() -> None:
    data = report(4_000, 500)
    shown = document(replace(data, physics=replace(data.physics, classes=classes())))
    text = card.figures(shown)
    found = shown["physics"]["classes"]
    table = text[text.index("| true class |") :].splitlines()[2:7]
    for line, true in zip(table, found["names"], strict=True):
        cells = [float(c.split()[0]) for c in line.strip("|").split("|")[1:]]
        wanted = [100 * found["quantized"]["confusion"][true][n]["value"] for n in found["names"]]
        assert cells == pytest.approx(wanted, abs=0.1)
    assert "| **accuracy, %** |" in text
    assert card.figures(document(data)) == text.replace(text[text.index("\nEach class's") : text.index("\nGraph")], "")


def test_the_table_of_classes_is_there_only_for_them() -> None:
    data = report(4_000, 500)
    s = spec.parse('name = "t"\n[model]\nfamily = "mlp"\nfrontend = "hgq"\nscore = "classes"\nhidden = [4]\n')
    plain = model_table.row(document(data), s)
    several = model_table.row(document(replace(data, physics=replace(data.physics, classes=classes(False)))), s)
    assert "classes" not in plain
    assert model_table.classes([plain]) == ""
    lines = model_table.classes([plain, several]).splitlines()
    assert len(lines) == 5 + 5
    assert all(line.count("|") == 7 for line in lines if line.startswith("|"))


def row(counted: int) -> dict:
    def e(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 0.01, "high": value + 0.01}

    both = {"A_to_4l": {"quantized": e(0.8), "float": e(0.9)}}
    table = {"events": counted, "tpr": {"A_to_4l": e(0.5)}, "shift": {"A_to_4l": e(0.03)}}
    return {
        "model": f"m{counted}", "sample": "s", "working_point": "rate_10_khz", "auc": both, "tpr": both,
        "counter": None, "tagging": {"A_to_4l": {"quantized": None}}, "counted": table if counted else None,
    }  # fmt: skip


def test_efficiencies_are_those_of_the_larger_file_where_all_models_were_run_on_it() -> None:
    alike = model_table.physics([row(1000), row(1000)])
    assert "efficiency at 10 kHz counted on 1,000 crossings, quantized, % | quantized − float, % |" in alike
    assert "| 50.0 ± 1.0 | +3.0 ± 1.0 |" in alike
    for rows in ([row(1000), row(2000)], [row(1000), row(0)], [row(0)]):
        mixed = model_table.physics(rows)
        assert "counted on" not in mixed
        assert "| 80.0 ± 1.0 | 90.0 ± 1.0 |" in mixed


def _copied(tmp_path: Path) -> tuple[Path, Path]:
    """Models and pages as they are shipped, in another folder."""
    for model in MODELS:
        (tmp_path / "models" / model.name).mkdir(parents=True)
        for name in ("card.md", "qgraph.json", "spec.toml"):
            shutil.copy(model / name, tmp_path / "models" / model.name / name)
    (tmp_path / "docs").mkdir()
    for name in PAGES:
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path / "models", tmp_path / "docs"


PAGES = ("README.md", "docs/models.md", "docs/taggers.md", "docs/models.json")


def test_models_without_a_run_keep_their_figures_and_tables_are_those_that_are_shipped(tmp_path: Path) -> None:
    models, docs = _copied(tmp_path)
    kept = card.write_all(models, tmp_path / "runs", docs)
    assert kept == [model.name for model in MODELS]
    for name in PAGES:
        assert (tmp_path / name).read_text("utf-8") == (ROOT / name).read_text("utf-8")


def test_a_kept_row_of_another_graph_is_refused(tmp_path: Path) -> None:
    models, docs = _copied(tmp_path)
    shutil.copy(models / "l1_ae" / "qgraph.json", models / "l1_vae_rz" / "qgraph.json")
    with pytest.raises(ArtifactError, match="l1_vae_rz has no figures of its graph: trigger-ml run"):
        card.write_all(models, tmp_path / "runs", docs)
