"""The benchmark compares before it measures, and counts what it says it counts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from trigger_ml import bench, cli, tools
from trigger_ml.errors import ArtifactError
from trigger_ml.fuzz import random_events
from trigger_ml.ir.interpret import interpret

console = Console(stderr=True)


@pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")
def test_rows_of_the_engines_that_are_asked_for(monkeypatch, capsys):
    slow = lambda graph, folder: lambda feed, passes: (interpret(graph, feed), 1.0)  # noqa: E731
    monkeypatch.setattr(bench, "ENGINES", {"golden": bench._golden, "hls4ml": slow, "cpp": bench._cpp})
    assert cli.main(["bench", "emulation", "--only", "dense", "--json"]) == 0
    rows = {row["engine"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(rows) == {"golden", "hls4ml", "cpp"}
    assert all(row["equal"] and row["model"] == "dense" for row in rows.values())
    assert rows["cpp"]["ratio_to_hls4ml"] == pytest.approx(rows["cpp"]["events_per_s"] / rows["hls4ml"]["events_per_s"])


@pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")
def test_an_engine_that_differs_is_shown(monkeypatch, tmp_path):
    def wrong(graph, folder):
        def run(feed, passes):
            answers = interpret(graph, feed)
            answers[graph.outputs[0]][-1] += 1
            return answers, 1.0

        return run

    monkeypatch.setattr(bench, "ENGINES", {"hls4ml": wrong, "cpp": bench._cpp})
    rows = bench.emulation(["dense"], tmp_path, console, rounds=1)
    assert [row.equal for row in rows] == [False, True]


def test_products_with_zero_weights_do_not_count():
    assert bench.multiply_adds(bench.dense()) == 64 * 64 + 64 * 32 + 32 * 16 + 16
    assert 9 * 7 * 16 * 0.9 < bench.multiply_adds(bench.calorimeter()) - 252 * 16 * 0.9 < 9 * 7 * 16 + 252 * 2


@pytest.mark.parametrize("name", list(bench.OWN))
def test_the_networks_of_the_bench_say_something(name):
    graph = bench.OWN[name]()
    scores = interpret(graph, random_events(graph, 2000, 1))[graph.outputs[0]]
    assert len(np.unique(scores)) > 20


def test_unknown_names_are_refused(tmp_path, capsys):
    with pytest.raises(ArtifactError, match="holds no frozen graph"):
        bench.emulation(["nothing"], Path(tmp_path), console)
    assert cli.main(["bench", "nonsense"]) == 3
    assert "there is no benchmark 'nonsense'" in capsys.readouterr().err
