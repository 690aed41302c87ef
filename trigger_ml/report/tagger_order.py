"""Our top taggers beside the published comparison: which is better than which, there and here."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trigger_ml.physics.intervals import Estimate
from trigger_ml.physics.tagging import rejection
from trigger_ml.report import labels

SIGNAL = "top"
CLEAR = 2.0
"""Two of ours differ clearly if their AUCs are this many standard deviations apart."""


@dataclass(frozen=True)
class Published:
    """A row of the table of Kasieczka et al., arXiv:1902.09914, for a single training.

    Attributes:
        name: there.
        auc: without an error, as printed.
        accuracy: as printed.
        rejection: one over the background efficiency at a signal efficiency of 0.3, and its error.
    """

    name: str
    auc: float
    accuracy: float
    rejection: tuple[float, float]


PUBLISHED = {
    "top_cnn": Published("CNN", 0.981, 0.930, (914, 14)),
    "top_topodnn": Published("TopoDNN", 0.972, 0.916, (295, 5)),
    "top_tau": Published("Multi-body N-subjettiness 6", 0.979, 0.922, (792, 18)),
    "top_pcnn": Published("P-CNN", 0.980, 0.930, (732, 24)),
    "top_efn": Published("Energy Flow Network", 0.979, 0.927, (633, 31)),
    "top_pfn": Published("Particle Flow Network", 0.982, 0.932, (891, 18)),
}
"""Our model -> the published tagger that it follows in form."""


def compare(rows: Sequence[Mapping[str, Any]]) -> str:
    """Both tables side by side, and every pair of taggers, as Markdown.

    Args:
        rows: of :func:`trigger_ml.report.model_table.row`; those that are in :data:`PUBLISHED` are used.
    """
    ours = {r["model"]: r for r in rows if r["model"] in PUBLISHED}
    heads = ["model", "published as", "AUC there", "AUC, float", "AUC, quantized"]
    heads += ["1/εB at εS 0.3 there", "float", "quantized", "accuracy there, %", "float", "quantized"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for model in sorted(ours, key=lambda m: -PUBLISHED[m].auc):
        there, auc, found = PUBLISHED[model], ours[model]["auc"][SIGNAL], ours[model]["tagging"][SIGNAL]
        cells = [f"`{model}`", there.name, f"{there.auc:.3f}", *(_said(auc[s]) for s in ("float", "quantized"))]
        cells.append("{:.0f} ± {:.0f}".format(*there.rejection))
        cells += [_rejected(found[s]["background"]["0.3"]) for s in ("float", "quantized")]
        cells.append(f"{100 * there.accuracy:.1f}")
        cells += [_said(found[s]["accuracy"], 100) for s in ("float", "quantized")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_pairs(ours)]) + "\n"


def _pairs(ours: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = []
    for side in ("float", "quantized"):
        same: list[str] = []
        other: list[str] = []
        near: list[str] = []
        for a, b in itertools.combinations(ours, 2):
            there = PUBLISHED[a].auc - PUBLISHED[b].auc
            if there == 0:
                continue
            first, second = (ours[m]["auc"][SIGNAL][side] for m in (a, b))
            here = first["value"] - second["value"]
            error = math.hypot(first["high"] - first["value"], second["high"] - second["value"])
            pair = " over ".join(PUBLISHED[m].name for m in ((a, b) if here > 0 else (b, a)))
            (near if abs(here) < CLEAR * error else same if here * there > 0 else other).append(pair)
        total = len(same) + len(other) + len(near)
        lines.append(
            f"{side.capitalize()}: of {total} pairs that differ in the published AUC, {len(same)} are clearly in the "
            f"same order here, {len(other)} clearly in the other, {len(near)} within {CLEAR:g} standard deviations."
        )
        if other:
            lines.append(f"Other order here: {'; '.join(sorted(other))}.")
        lines.append("")
    return lines[:-1]


def _said(estimate: Mapping[str, float], scale: float = 1) -> str:
    return labels.measured(Estimate(estimate["value"], estimate["low"], estimate["high"]), scale)


def _rejected(background: Mapping[str, float]) -> str:
    e = rejection(Estimate(background["value"], background["low"], background["high"]))
    return labels.measured(e) if background["low"] > 0 else f"> {labels.number(round(e.low))}"
