"""The figures of a model's card, and the table of all models, from their reports: no number is typed by hand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trigger_ml import artifact
from trigger_ml.errors import ArtifactError
from trigger_ml.physics.intervals import Estimate
from trigger_ml.report import labels
from trigger_ml.report.document import FAST_SIMULATION

BEGIN, END = "<!-- figures: `make cards` writes what follows -->", "<!-- end of the figures -->"
SIGNALS = ("A_to_4l", "LQ_to_btau", "h0_to_tautau", "hC_to_taunu")
COUNTED = (
    "lut", "ff", "dsp", "bram", "carry8", "logic_levels", "path_ns", "latency_cycles", "initiation_interval", "ebops",
)  # fmt: skip

SIDES = ("quantized", "float")

Report = Mapping[str, Any]


def write_all(models: Path, runs: Path, docs: Path) -> None:
    """Write the figures into every card with a place for them, and the table into ``models.md``, README and JSON.

    Args:
        models: folder of models.
        runs: folder of runs, e.g. ``hls_projects``.
        docs: where the table goes.

    Raises:
        ArtifactError: a run is missing or of another graph than the frozen one, or a card has no place for figures.
    """
    reports = []
    for folder in sorted(p.parent for p in models.glob("*/card.md") if BEGIN in p.read_text("utf-8")):
        report = artifact.read_json(runs / folder.name / "report.json")
        frozen = artifact.read_json(folder / "qgraph.json")["digest"]
        if report["graph"]["digest"] != frozen:
            raise ArtifactError(f"{runs / folder.name} is a run of another graph: trigger-ml run {folder} --frozen")
        put(folder / "card.md", figures(report))
        reports.append(report)
    for page in (docs / "models.md", docs.parent / "README.md"):
        put(page, table(reports))
    artifact.write_json(docs / "models.json", [_row(report) for report in reports])


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
    found = _quantities(report)
    lines = ["| quantity | value | source |", "|---|---|---|"]
    lines += [f"| {_name(q)} | {q['value']:,} | {q['source']} |" for n in COUNTED if (q := found.get(n))]
    lines += ["", "| engine | events | differing |", "|---|---|---|"]
    lines += [f"| {a['engine']} | {a['events']:,} | {a['mismatches']} |" for a in report["agreement"]]
    physics = report["physics"]
    at = physics["working_point"]
    lines += ["", f"{physics['sample']['name']}, 68 % errors, test part. {FAST_SIMULATION}", ""]
    counted = physics["baselines"][0]
    head = ["AUC, quantized", "AUC, float", f"AUC, {counted['label']}"]
    head += [f"efficiency at {labels.point(at)}, quantized, %", "float, %"]
    lines += [f"| signal | {' | '.join(head)} |", "|---|---|---|---|---|---|"]
    for name in _signals(report):
        both = physics["signals"][name]
        cells = [_error(both[side]["auc"]) for side in SIDES] + [_error(counted["signals"][name]["auc"])]
        cells += [_error(both[side]["tpr"][at], 100) for side in SIDES]
        lines.append(f"| {labels.process(name)} | {' | '.join(cells)} |")
    ranks = physics["rank_correlation"]["all"]
    lines += [
        "",
        f"Rank correlation with the float twin's score: {ranks:.4f} (background and signals, validation part).",
    ]
    lines += ["", f"Graph `{report['graph']['digest'][:16]}`.", ""]
    return "\n".join(lines)


def table(reports: Iterable[Report]) -> str:
    """One row a model, then the count of objects for comparison."""
    rows = list(reports)
    heads = ["model", "weight bits", "EBOPs", "LUT", "FF", "DSP", "cycles", "II"]
    heads += [*(f"AUC {labels.process(name)}" for name in SIGNALS), "events that differ"]
    lines = [f"| {' | '.join(heads)} |"]
    lines.append("|---" * (9 + len(SIGNALS)) + "|")
    for report in rows:
        r = _row(report)
        q = r["quantities"]
        cells = [f"`{r['model']}`", r["bits"], *(f"{q[n]:,}" for n in ("ebops", "lut", "ff", "dsp", "latency_cycles"))]
        cells += [str(q["initiation_interval"]), *(_short(r["auc"][n]["quantized"]) for n in SIGNALS)]
        cells.append(f"{r['mismatches']} of {r['events']:,}")
        lines.append(f"| {' | '.join(cells)} |")
    if rows:
        counted = next(b for b in rows[0]["physics"]["baselines"] if b["name"] == "objects")["signals"]
        cells = ["number of objects", *[""] * 7, *(_short(counted[n]["auc"]) for n in SIGNALS), ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _row(report: Report) -> dict[str, Any]:
    physics, layers = report["physics"], report["graph"]["layers"]
    at = physics["working_point"]
    ranges = [layer["weight_bits"] for layer in layers if layer.get("weight_bits")]
    return {
        "model": report["model"],
        "digest": report["graph"]["digest"],
        "bits": f"{min(b['low'] for b in ranges)} to {max(b['high'] for b in ranges)}" if ranges else "",
        "quantities": {n: q["value"] for n, q in _quantities(report).items()},
        "sample": physics["sample"]["name"],
        "auc": {n: {side: physics["signals"][n][side]["auc"] for side in SIDES} for n in _signals(report)},
        "tpr": {n: {side: physics["signals"][n][side]["tpr"][at] for side in SIDES} for n in _signals(report)},
        "agreement": {a["engine"]: [a["events"], a["mismatches"]] for a in report["agreement"]},
        "events": sum(a["events"] for a in report["agreement"]),
        "mismatches": sum(a["mismatches"] for a in report["agreement"]),
    }


def _signals(report: Report) -> list[str]:
    return [n for n in SIGNALS if n in report["physics"]["signals"]]


def _quantities(report: Report) -> dict[str, Any]:
    return {q["name"]: q for q in report["quantities"]}


def _name(q: Mapping[str, Any]) -> str:
    unit = f", {q['unit']}" if q["unit"] else ""
    note = " (before layout, not calibrated)" if q["name"] == "path_ns" else ""
    return f"{labels.quantity(q['name'])}{unit}{note}"


def _error(estimate: Mapping[str, float], scale: float = 1) -> str:
    return labels.measured(Estimate(estimate["value"], estimate["low"], estimate["high"]), scale)


def _short(estimate: Mapping[str, float]) -> str:
    half = (estimate["high"] - estimate["low"]) / 2
    return f"{estimate['value']:.3f} ± {half:.3f}"
