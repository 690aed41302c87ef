"""How much of a teacher's score its student has learned: areas and efficiencies on the same events, paired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.physics import roc
from trigger_ml.physics.intervals import Estimate
from trigger_ml.physics.rate_points import rate_name
from trigger_ml.physics.rate_table import Taught
from trigger_ml.physics.rates import at_rate
from trigger_ml.physics.roc import Background, Scores
from trigger_ml.physics.shift import tpr_shifts

TEACHER = "teacher"


def taught(
    scores: Mapping[str, Mapping[str, Scores]],
    sources: NDArray[Any],
    rates_khz: Sequence[float],
    bunches: int,
    *,
    resamplings: int,
    seed: int,
) -> Taught:
    """Compare a distilled score with its teacher's.

    Args:
        scores: ``teacher`` and its students -> ``background`` and signals -> scores of the same events.
        sources: source id of each background event.
        rates_khz: target rates at which efficiencies are compared, each score at its own threshold.
        bunches: colliding bunches in an orbit.
        resamplings: of the paired bootstrap, at least 2.
        seed: of the bootstrap.
    """
    students = [name for name in scores if name != TEACHER]
    names = [name for name in scores[TEACHER] if name != "background"]
    areas = {
        who: {name: roc.auc(found["background"], found[name], sources) for name in names}
        for who, found in scores.items()
    }
    ordered = {who: Background.of(found["background"], sources) for who, found in scores.items()}
    points = {who: [at_rate(rate_name(khz), b, khz, bunches) for khz in rates_khz] for who, b in ordered.items()}
    tpr = {
        who: {p.name: {name: roc.tpr(found[name], ordered[who], p) for name in names} for p in points[who]}
        for who, found in scores.items()
    }
    targets = [float(p.target) for p in points[TEACHER] if p.target is not None]
    split = {who: (found["background"], {name: found[name] for name in names}) for who, found in scores.items()}
    shifts: dict[str, dict[str, dict[str, Estimate]]] = {}
    for who in students:
        errors = tpr_shifts(split[who], split[TEACHER], sources, targets, resamplings, seed)
        shifts[who] = {
            p.name: {
                name: Estimate.symmetric(
                    tpr[who][p.name][name].value - tpr[TEACHER][p.name][name].value, float(np.asarray(errors[name])[i])
                )
                for name in names
            }
            for i, p in enumerate(points[TEACHER])
        }
    return Taught(
        {who: {name: area.estimate() for name, area in found.items()} for who, found in areas.items()},
        tpr,
        {who: {name: areas[who][name].minus(areas[TEACHER][name]) for name in names} for who in students},
        shifts,
    )
