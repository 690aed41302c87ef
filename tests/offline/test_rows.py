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


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("un03_few", "on zjets, 1,000 events to train, up to 8,400 to test, 200 epochs; residual network"),
        (
            "gc03_attention",
            "up to 15,000 to test, 30 epochs, 200 epochs of the first stage; transformer network",
        ),
    ],
)
def test_words_tell_the_events_and_epochs_of_the_training(name, words):
    assert words in table.in_words(load(MODELS / name))
