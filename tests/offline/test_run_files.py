"""Numbers belong to the events that they were made from: another file under the same name, and a row is done again."""

from __future__ import annotations

import pytest
from rich.console import Console

from trigger_ml.errors import SpecError
from trigger_ml.frontends import session
from trigger_ml.offline import run
from trigger_ml.offline.metrics import Number
from trigger_ml.offline.sources import quark_gluon
from trigger_ml.offline.sources.source import Source
from trigger_ml.offline.tasks.measured import Measured

SPEC = """
name = "small"
title = "a small one"
[sample]
name = "quark_gluon"
file = "jets.txt"
[objective]
name = "classifier"
"""


def test_a_row_of_another_file_is_done_again(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "start", lambda: None)
    monkeypatch.setattr(run, "PRECISIONS", ("all",))
    monkeypatch.setattr(quark_gluon, "read", lambda path: Source(lambda count, seed: None))
    done = []

    def task(objective):
        def measure(place, source, precision):
            done.append(place.folder)
            return Measured({"auc": Number(len(done), 0.1)}, (), 1, {"float": 1, "int8": 1})

        return measure

    monkeypatch.setattr(run, "task", task)
    (tmp_path / "spec.toml").write_text(SPEC)

    def value():
        found = run.run(tmp_path, Console(quiet=True), tmp_path / "out")
        return found["precisions"]["all"]["metrics"]["auc"]["value"]

    for text, wanted in (("first", 1), ("first", 1), ("second", 2), ("first", 1)):
        (tmp_path / "jets.txt").write_text(text)
        assert value() == wanted
    assert len(set(done)) == 2


def test_a_source_without_files(tmp_path):
    (tmp_path / "spec.toml").write_text(SPEC.replace("quark_gluon", "mixture"))
    with pytest.raises(SpecError, match="the source mixture reads no files: take the key out"):
        run.run(tmp_path, Console(quiet=True), tmp_path / "out")
