"""One table of methods: shared numbers only, each method once, in the order of the first."""

from __future__ import annotations

import pytest

from trigger_ml import cli
from trigger_ml.errors import SpecError
from trigger_ml.offline.comparison import compared
from trigger_ml.offline.table import TAKEN


def line(row: str, precision: str, metric: str, value: float) -> dict:
    number = {"value": value, "error": 0.5, "scatter": None}
    taken = {"smaller": 4.0, "fewer": 9.0, "time": 0.5, "date": "today"}
    return {"row": row, "precision": precision, "metric": metric, **taken, **number}


LINES = [
    line(row, precision, metric, value)
    for row, metrics in {"un1": ("b", "a", "alone"), "un2": ("b", "a"), "other": ("a",)}.items()
    for precision, value in (("none", 1.0), ("all", 2.0))
    for metric in metrics
]


def test_shared_numbers_by_metric():
    found = compared(LINES, "un*")
    assert [(each["metric"], each["row"]) for each in found] == [
        ("b", "un1"),
        ("b", "un2"),
        ("a", "un1"),
        ("a", "un2"),
        *((taken, row) for taken in TAKEN for row in ("un1", "un2")),
    ]
    assert found[0]["none"].startswith("1 ")
    assert found[0]["all"].startswith("2 ")
    assert found[0]["int8"] == ""


def test_rows_that_share_nothing_are_a_sentence(tmp_path, capsys):
    with pytest.raises(SpecError, match="'un1' share a number: .* other, un1, un2"):
        compared(LINES, "un1")
    assert cli.main(["offline", "compare", "--models", str(tmp_path)]) != 0
    assert "numbers of none" in capsys.readouterr().err
