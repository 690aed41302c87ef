"""The figures of a model's card, and the table of all models, from their reports: no number is typed by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trigger_ml import artifact, spec
from trigger_ml.errors import ArtifactError
from trigger_ml.physics.intervals import Estimate
from trigger_ml.report import labels, model_table, tagger_order
from trigger_ml.report.document import FAST_SIMULATION

BEGIN, END = "<!-- figures: `make cards` writes what follows -->", "<!-- end of the figures -->"
COUNTED = (
    "lut", "ff", "dsp", "bram", "carry8", "logic_levels", "path_ns", "latency_cycles", "initiation_interval", "ebops",
)  # fmt: skip

SIDES = ("quantized", "float")
LOWEST = 2
"""Target rates, from the lowest, at which a card compares a student with its teacher."""

Report = Mapping[str, Any]


def write_all(models: Path, runs: Path, docs: Path) -> list[str]:
    """Write the figures of frozen models into their cards, where they have a place for them, and all tables.

    A model that has no run keeps its card, and its row of ``models.json``.

    Args:
        models: folder of models.
        runs: folder of runs, e.g. ``hls_projects``.
        docs: where the tables are.

    Returns:
        The models that kept theirs.

    Raises:
        ArtifactError: a run, or a row that is kept, is of another graph than the frozen one, or a card has no place for
            figures.
    """
    known = {row["model"]: row for row in artifact.read_json(docs / "models.json")}
    rows, kept = [], []
    cards = (p for p in models.glob("*/card.md") if (p.parent / "qgraph.json").exists())
    for folder in sorted(p.parent for p in cards if BEGIN in p.read_text("utf-8")):
        frozen = artifact.read_json(folder / "qgraph.json")["digest"]
        path = runs / folder.name / "report.json"
        if path.exists():
            report = artifact.read_json(path)
            row = model_table.row(report, spec.load(folder / "spec.toml"))
        else:
            row = known.get(folder.name, {})
            kept.append(folder.name)
        if row.get("digest") != frozen:
            raise ArtifactError(f"{folder} has no figures of its graph: trigger-ml run {folder} --frozen")
        if path.exists():
            put(folder / "card.md", figures(report))
        rows.append(row)
    put(docs.parent / "README.md", model_table.costs(rows))
    put(docs / "models.md", f"{model_table.costs(rows)}\n{model_table.physics(rows)}{model_table.classes(rows)}")
    put(docs / "taggers.md", tagger_order.compare(rows))
    artifact.write_json(docs / "models.json", rows)
    return kept


def put(page: Path, text: str) -> None:
    """Replace what stands between the two marks of a page.

    Raises:
        ArtifactError: there are no marks.
    """
    before = page.read_text("utf-8")
    parts = re.split(f"(?s)({re.escape(BEGIN)}).*?({re.escape(END)})", before)
    if len(parts) != 4:
        raise ArtifactError(f"{page} has no place for figures: put the lines {BEGIN} and {END} into it, once")
    artifact.atomic_write(page, f"{parts[0]}{BEGIN}\n{text}{END}{parts[3]}")


def figures(report: Report) -> str:
    """Cost, agreement and physics of one model as Markdown tables."""
    found = report["quantities"]
    lines = ["| quantity | value | source |", "|---|---|---|"]
    lines += [f"| {_name(q)} | {q['value']:,} | {q['source']} |" for n in COUNTED for q in found if q["name"] == n]
    lines += ["", "| engine | events | differing |", "|---|---|---|"]
    lines += [f"| {a['engine']} | {a['events']:,} | {a['mismatches']} |" for a in report["agreement"]]
    physics = report["physics"]
    at = physics["working_point"]
    lines += [line for remark in report.get("remarks", []) for line in ("", remark)]
    lines += [
        "",
        f"{physics['sample']['name']}, 68 % errors, test part; thresholds set on its background. {FAST_SIMULATION}",
        "",
    ]
    counted = physics["baselines"][0]
    head = ["AUC, quantized", "AUC, float", f"AUC, {counted['label']}"]
    head += [f"efficiency at {labels.point(at)}, quantized, %", "float, %"]
    lines += [f"| signal | {' | '.join(head)} |", "|---|---|---|---|---|---|"]
    for name, both in physics["signals"].items():
        cells = [_error(both[side]["auc"]) for side in SIDES] + [_error(counted["signals"][name]["auc"])]
        cells += [_error(both[side]["tpr"][at], 100) for side in SIDES]
        lines.append(f"| {labels.process(name)} | {' | '.join(cells)} |")
    ranks = physics["rank_correlation"]["all"]
    lines += [
        "",
        f"Rank correlation with the float twin's score: {ranks:.4f} (background and signals, validation part).",
    ]
    lines += _classes(physics["classes"]) if physics.get("classes") else []
    lines += _rates(report["rates"]) if report.get("rates") else []
    lines += ["", f"Graph `{report['graph']['digest'][:16]}`.", ""]
    return "\n".join(lines)


def _classes(found: Mapping[str, Any]) -> list[str]:
    """A tagger of several classes: areas, accuracy, and who is taken for whom."""
    names, twin = found["names"], "float" in found
    sides = [side for side in SIDES if side in found]
    heads = [f"AUC, {side}" for side in sides] + (["quantized − float"] if twin else [])
    heads += [f"AUC against background alone, {side}" for side in sides]
    lines = [
        "",
        "Each class's softmax probability against the other classes, which weigh the same, and each signal's logit "
        "less the background's against background alone. Differences are paired; signal events count as independent.",
        "",
        f"| class | {' | '.join(heads)} |",
        "|---" * (len(heads) + 1) + "|",
    ]
    for name in names:
        cells = [_error(found[side]["auc"][name]) for side in sides]
        cells += [_error(found["shift"]["auc"][name], 1, True)] if twin else []
        cells += [_error(e) if (e := found[side]["against_background"].get(name)) else "" for side in sides]
        lines.append(f"| {labels.process(name)} | {' | '.join(cells)} |")
    cells = [_error(found[side]["accuracy"], 100) for side in sides]
    cells += [_error(found["shift"]["accuracy"], 100, True)] if twin else []
    lines.append(f"| **accuracy, %** | {' | '.join([*cells, *[''] * len(sides)])} |")
    lines += ["", "Share of each true class that is taken for each, quantized, %:", ""]
    lines += [f"| true class | {' | '.join(map(labels.process, names))} |", "|---" * (len(names) + 1) + "|"]
    for true in names:
        row = found["quantized"]["confusion"][true]
        lines.append(f"| {labels.process(true)} | {' | '.join(_error(row[taken], 100) for taken in names)} |")
    return lines


def _rates(table: Mapping[str, Any]) -> list[str]:
    """Efficiencies at rates counted on a larger file, and where the score is a pair its closure there."""
    file, signals = table["file"], list(table["signal_events"])
    lines = ["", f"At rates counted on {file['events']:,} other zero-bias events (`{file['digest'][:16]}`):", ""]
    heads = ["working point", "score ≥", "events", "rate, kHz", *(f"{labels.process(s)}, %" for s in signals)]
    lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for p in table["points"]:
        at = p["point"]
        cells = [labels.point(at["name"]), str(at["threshold"]), f"{at['events']:,}", _error(at["rate_khz"])]
        cells += [_error(p["tpr"][s], 100) for s in signals]
        lines.append(f"| {' | '.join(cells)} |")
    lines += _taught(table, signals) if table.get("taught") else []
    return lines + (_pair(table["pair"]) if table.get("pair") else [])


def _taught(table: Mapping[str, Any], signals: Sequence[str]) -> list[str]:
    """The score beside that of the teacher it has learned: areas, and efficiencies at the lowest target rates."""
    found = table["taught"]
    points = [p["point"]["name"] for p in table["points"] if p["point"]["name"] in found["tpr"]["teacher"]]
    lines = [
        "",
        f"Teacher and students on the same {table['file']['events']:,} events, each at its own threshold; "
        "differences are paired.",
        "",
        f"| | {' | '.join(labels.process(s) for s in signals)} |",
        "|---" * (len(signals) + 1) + "|",
        *_beside("AUC", 1, found["auc"], found["auc_shift"], signals),
    ]
    for point in points[:LOWEST]:
        tpr, shift = ({who: at[point] for who, at in found[key].items()} for key in ("tpr", "tpr_shift"))
        lines += _beside(f"efficiency at {labels.point(point)}, %", 100, tpr, shift, signals)
    return lines


def _beside(
    label: str, scale: float, values: Mapping[str, Any], shifts: Mapping[str, Any], signals: Sequence[str]
) -> list[str]:
    lines = []
    for who in labels.TAUGHT:
        cells = [_error(values[who][s], scale) for s in signals]
        lines.append(f"| {label}, {labels.taught(who)} | {' | '.join(cells)} |")
    for who in labels.TAUGHT[1:]:
        cells = [_error(shifts[who][s], scale, True) for s in signals]
        lines.append(f"| {label}, {labels.taught(who)} − teacher | {' | '.join(cells)} |")
    return lines


def _pair(pair: Mapping[str, Any]) -> list[str]:
    """How well three regions of a pair of scores predict the fourth, before and after quantization."""
    found = _error(pair["correlation"]["unbiased"])
    lines = [
        "",
        f"Squared distance correlation of the two scores on background, unbiased: {found}. Closure (1: independent):",
        "",
    ]
    lines += [
        "| total efficiency | events in A, quantized | closure, quantized | closure, float |",
        "|---|---|---|---|",
    ]
    for shift in pair["scan"]:
        both = [shift[side]["closure"] for side in ("quantized", "floating")]
        cells = [f"{shift['target']:g}", f"{shift['quantized']['counts'][0]:,}"]
        cells += ["" if e is None else _error(e) for e in both]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _name(q: Mapping[str, Any]) -> str:
    unit = f", {q['unit']}" if q["unit"] else ""
    note = " (before layout, not calibrated)" if (q["name"], q["source"]) == ("path_ns", "open synthesis") else ""
    return f"{labels.quantity(q['name'])}{unit}{note}"


def _error(estimate: Mapping[str, float], scale: float = 1, sign: bool = False) -> str:
    return labels.measured(Estimate(estimate["value"], estimate["low"], estimate["high"]), scale, sign)
