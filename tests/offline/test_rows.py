"""The rows that are shipped: specs that can be read, numbers of these specs or none, nothing that differed."""

from __future__ import annotations

from pathlib import Path

import pytest

from trigger_ml.offline import table
from trigger_ml.offline.networks import PRECISIONS
from trigger_ml.offline.spec import load
from trigger_ml.offline.tasks.registry import task

MODELS = Path(__file__).parents[2] / "models" / "offline"


@pytest.mark.parametrize("folder", sorted(MODELS.glob("*")), ids=lambda p: p.name)
def test_a_row(folder):
    row = load(folder)
    assert row.name == folder.name
    assert callable(task(row.objective.name))
    files = {p.name for p in folder.iterdir()} - {"spec.toml"}
    assert files in (set(), {f"{p}.json" for p in PRECISIONS})


def test_the_table_of_the_shipped_rows():
    found = table.table(MODELS)
    assert {line["row"] for line in found} == {p.parent.name for p in MODELS.glob("*/none.json")}
    assert all(line["exact"] and line["error"] >= 0 for line in found)
    sizes = {line["smaller"] for line in found if line["precision"] == "all"}
    assert all(size > 5 for size in sizes)
