"""The benchmark of lowerings: what it says is checked here, what it measures only in kind."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from trigger_ml import cli, tools
from trigger_ml.offline import benchmark
from trigger_ml.offline.onnx import model as models
from trigger_ml.offline.onnx.writer import LOWERINGS

pytestmark = [pytest.mark.needs_onnx, pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")]


def test_rows_from_the_command_line(monkeypatch, capsys):
    small = benchmark.ternary(Console(stderr=True, quiet=True), ((64, 3),), (32, (2,)), rounds=1)
    monkeypatch.setattr(benchmark, "ternary", lambda console: small)
    assert cli.main(["bench", "ternary", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(r["network"], r["lowering"]) for r in rows] == [(n, k) for n in ("linear", "sampler") for k in LOWERINGS]
    assert all(r["exact"] and r["time_ratio"] > 0 for r in rows)
    assert {r["lowering"]: r["size_ratio"] for r in rows[:4]} == {"float": 1, "int8": 4, "int2": 16, "ternary": 16}
    assert cli.main(["bench", "ternary"]) == 0
    assert "time ratio" in capsys.readouterr().out


def test_another_answer_is_shown(monkeypatch):
    right = models.evaluate
    monkeypatch.setattr(models, "evaluate", lambda session, feed: right(session, feed) + 1)
    rows = benchmark.ternary(Console(stderr=True, quiet=True), ((64, 3),), (32, ()), rounds=1)
    assert not any(row.exact for row in rows)
