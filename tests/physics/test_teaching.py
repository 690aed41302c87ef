"""A student against its teacher: paired differences, and what has to be true of them."""

from __future__ import annotations

import numpy as np
import pytest

from trigger_ml.physics import roc, teaching
from trigger_ml.physics.intervals import Estimate

pytest.importorskip("scipy", reason="intervals need scipy")
RATES = (1000.0, 10_000.0)


def events(noise: float, seed: int = 1) -> tuple[dict, dict, np.ndarray]:
    """Scores of a teacher, and of a student who adds noise."""
    rng = np.random.default_rng(seed)
    teacher = {"background": rng.normal(size=6000), "a": rng.normal(1.0, size=2000), "b": rng.normal(2.0, size=2000)}
    student = {name: s + noise * rng.normal(size=len(s)) for name, s in teacher.items()}
    return teacher, student, np.arange(6000) // 2


def compared(noise: float):
    teacher, student, sources = events(noise)
    scores = {"teacher": teacher, "float": student, "quantized": student}
    return teaching.taught(scores, sources, RATES, 2760, resamplings=40, seed=1)


def values(found: Estimate) -> tuple[float, float, float]:
    return found.value, found.low, found.high


def test_a_student_who_says_the_same_differs_by_nothing() -> None:
    found = compared(0.0)
    for name in ("a", "b"):
        assert values(found.auc_shift["quantized"][name]) == (0, 0, 0)
        assert all(values(shift[name]) == (0, 0, 0) for shift in found.tpr_shift["float"].values())


def test_a_student_in_a_scale_of_its_own_differs_by_nothing() -> None:
    teacher, _, sources = events(0.0)
    other = {name: 3.0 * s + 1.0 for name, s in teacher.items()}
    found = teaching.taught({"teacher": teacher, "float": other}, sources, RATES, 2760, resamplings=20, seed=1)
    assert found.auc["float"]["a"] == found.auc["teacher"]["a"]
    assert found.tpr["float"] == found.tpr["teacher"]


def test_noise_costs_and_pairing_makes_the_difference_sharper_than_its_parts() -> None:
    teacher, _, sources = events(0.3)
    found = compared(0.3)
    for name in ("a", "b"):
        shift, own = found.auc_shift["quantized"][name], found.auc["teacher"][name]
        assert shift.value < 0
        assert shift.high - shift.value < own.high - own.value
        area = roc.auc(teacher["background"], teacher[name], sources)
        assert own.value == area.value
        parts = [found.tpr[who]["rate_1000_khz"][name].value for who in ("quantized", "teacher")]
        assert found.tpr_shift["quantized"]["rate_1000_khz"][name].value == parts[0] - parts[1]
