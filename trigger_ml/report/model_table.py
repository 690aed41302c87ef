"""The tables of all models: what each costs, and what it does to each signal, quantized and float."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trigger_ml.physics.intervals import Estimate
from trigger_ml.physics.tagging import rejection
from trigger_ml.report import labels
from trigger_ml.spec import Spec

Report = Mapping[str, Any]
Row = Mapping[str, Any]
SIDES = ("quantized", "float")
COSTS = ("ebops", "lut", "ff", "dsp", "latency_cycles", "initiation_interval")


def row(report: Report, spec: Spec) -> dict[str, Any]:
    """What ``models.json`` holds of one model.

    Args:
        report: its ``report.json``.
        spec: its spec.
    """
    physics, layers = report["physics"], report["graph"]["layers"]
    at = physics["working_point"]
    ranges = [layer["weight_bits"] for layer in layers if layer.get("weight_bits")]
    signals = physics["signals"]
    return {
        "model": report["model"],
        "family": spec.model.family,
        "score": spec.model.score,
        "digest": report["graph"]["digest"],
        "bits": f"{min(b['low'] for b in ranges)} to {max(b['high'] for b in ranges)}" if ranges else "",
        "quantities": {q["name"]: q["value"] for q in report["quantities"] if not q["source"].startswith("vendor")},
        "sample": physics["sample"]["name"],
        "working_point": at,
        "auc": {n: {side: s[side]["auc"] for side in SIDES if side in s} for n, s in signals.items()},
        "tpr": {n: {side: s[side]["tpr"][at] for side in SIDES if side in s} for n, s in signals.items()},
        "counted": _counted(report.get("rates"), at),
        "tagging": {n: {side: s[side].get("tagging") for side in SIDES if side in s} for n, s in signals.items()},
        "counter": {
            "label": physics["baselines"][0]["label"],
            "auc": {n: m["auc"] for n, m in physics["baselines"][0]["signals"].items()},
        }
        if physics["baselines"]
        else None,
        "agreement": {a["engine"]: [a["events"], a["mismatches"]] for a in report["agreement"]},
        "events": sum(a["events"] for a in report["agreement"]),
        "mismatches": sum(a["mismatches"] for a in report["agreement"]),
        **_classes(physics.get("classes")),
    }


def _classes(found: Mapping[str, Any] | None) -> dict[str, Any]:
    """Areas and accuracy of a tagger of several classes; nothing for a single score."""
    if found is None:
        return {}
    each = {side: {key: found[side][key] for key in ("auc", "accuracy")} for side in SIDES if side in found}
    return {"classes": {"names": found["names"], **each}}


def _counted(rates: Mapping[str, Any] | None, at: str) -> dict[str, Any] | None:
    """Efficiencies at the working point's rate on a larger file, and what quantization changed there, if it was run."""
    points = {p["point"]["name"]: p["tpr"] for p in rates["points"]} if rates else {}
    shifts = {s["point"]: s["tpr"] for s in rates["shifts"]} if rates else {}
    if rates is None or at not in points or at not in shifts:
        return None
    return {"events": rates["file"]["events"], "tpr": points[at], "shift": shifts[at]}


def costs(rows: Sequence[Row]) -> str:
    """One row a model: sample, score, bits, cost, and events that differ in any engine."""
    heads = ["model", "family, score", "sample", "weight bits", "EBOPs", "LUT", "FF", "DSP", "cycles", "II"]
    lines = _header([*heads, "events that differ"])
    for r in rows:
        found = (f"{r['quantities'][n]:,}" for n in COSTS)
        cells = [f"`{r['model']}`", f"{r['family']}, {r['score']}", r["sample"].replace("/", " / "), r["bits"], *found]
        lines.append(_line([*cells, f"{r['mismatches']} of {r['events']:,}"]))
    return "\n".join(lines) + "\n"


def physics(rows: Sequence[Row]) -> str:
    """For each set of signals a table of AUC and efficiency, and for taggers accuracy and rejection; 68 % errors."""
    groups: dict[tuple[str, tuple[str, ...]], list[Row]] = {}
    for r in rows:
        groups.setdefault((r["working_point"], tuple(r["auc"])), []).append(r)
    parts = []
    for (point, signals), members in groups.items():
        samples = ", ".join(dict.fromkeys(m["sample"] for m in members))
        parts.append(f"### {samples}\n\n{_group(point, signals, members)}")
    return "\n".join(parts)


def classes(rows: Sequence[Row]) -> str:
    """One line a class of each tagger of several, one class against the rest; nothing where there is none."""
    found = [r for r in rows if "classes" in r]
    if not found:
        return ""
    heads = ["model", "class", "AUC against the rest, quantized", "float", "accuracy, quantized, %", "float, %"]
    lines = ["", "### One class against the rest", "", *_header(heads)]
    for r in found:
        each = r["classes"]
        right = _sides({side: each[side]["accuracy"] for side in SIDES if side in each}, 100)
        for i, name in enumerate(each["names"]):
            areas = _sides({side: each[side]["auc"][name] for side in SIDES if side in each})
            lines.append(_line([f"`{r['model']}`", labels.process(name), *areas, *(right if not i else ["", ""])]))
    return "\n".join(lines) + "\n"


def _group(point: str, signals: Sequence[str], rows: Sequence[Row]) -> str:
    tagging = all(r["tagging"][s]["quantized"] for r in rows for s in signals)
    heads = ["model", "signal", "AUC, quantized", "AUC, float"]
    counted = {r["counted"]["events"] if r["counted"] else 0 for r in rows}
    alike = len(counted) == 1 and counted != {0}
    where = f" counted on {min(counted):,} crossings" if alike else ""
    heads += [
        f"efficiency at {labels.point(point)}{where}, quantized, %",
        "quantized − float, %" if alike else "float, %",
    ]
    heads += ["accuracy, quantized, %", "float, %", "1/εB at εS 0.3, quantized", "float"] if tagging else []
    lines = _header(heads)
    for r in rows:
        for signal in signals:
            cells = [f"`{r['model']}`", labels.process(signal)]
            cells += _sides(r["auc"][signal])
            if alike:
                cells += [_error(r["counted"]["tpr"][signal], 100), _error(r["counted"]["shift"][signal], 100, True)]
            else:
                cells += _sides(r["tpr"][signal], 100)
            if tagging:
                found = r["tagging"][signal]
                cells += _sides({side: t["accuracy"] for side, t in found.items()}, 100)
                cells += [_rejection(found[side]["background"]["0.3"]) if side in found else "" for side in SIDES]
            lines.append(_line(cells))
    for label, auc in {r["counter"]["label"]: r["counter"]["auc"] for r in rows if r["counter"]}.items():
        for signal in signals:
            lines.append(_line([label, labels.process(signal), _error(auc[signal]), *[""] * (len(heads) - 3)]))
    return "\n".join(lines) + "\n"


def _header(heads: Sequence[str]) -> list[str]:
    return [_line(heads), "|---" * len(heads) + "|"]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _sides(found: Mapping[str, Any], scale: float = 1) -> list[str]:
    return [_error(found[side], scale) if side in found else "" for side in SIDES]


def _error(estimate: Mapping[str, float], scale: float = 1, sign: bool = False) -> str:
    return labels.measured(Estimate(estimate["value"], estimate["low"], estimate["high"]), scale, sign)


def _rejection(background: Mapping[str, float]) -> str:
    e = rejection(Estimate(background["value"], background["low"], background["high"]))
    return labels.measured(e) if background["low"] > 0 else f"> {labels.number(round(e.low))}"
