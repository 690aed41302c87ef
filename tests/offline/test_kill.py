"""A row that is killed at any moment, on any number of cores, ends in the numbers of one that was not."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.offline.inputs import fitting
from trigger_ml import tools

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs_train,
    pytest.mark.needs_onnx,
    pytest.mark.skipif(tools.find("g++") is None, reason="needs g++"),
]

SPEC = """
name = "small"
title = "a small one"
trainings = 2
[sample]
name = "{sample}"
events = 400
[network]
hidden = 16
blocks = 1
[objective]
name = "{objective}"
iterations = 1
[sampler]
steps = 3
[train]
epochs = 12
batch = 100
"""
MEASURED_TIMES = ("micros", "date")

ROWS = [("gaussians", "classifier"), ("gaussians", "omnifold"), ("gaussians", "flow_matching"), ("mixture", "score_vp")]


def _command(folder: Path, workers: int) -> list[str]:
    run = [sys.executable, "-m", "trigger_ml", "offline", "run", str(folder), "--out", str(folder / "out")]
    return [*run, "--workers", str(workers)]


def _numbers(folder: Path) -> dict[str, object]:
    found = {}
    for file in sorted(folder.glob("*.json")):
        content = json.loads(file.read_text())["content"]
        found[file.name] = {k: v for k, v in content.items() if k not in MEASURED_TIMES}
    return found


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("sample", "objective"), ROWS)
def test_killed_and_started_again(sample, objective, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
        (folder / "spec.toml").write_text(fitting(SPEC.format(sample=sample, objective=objective)))
    start = time.monotonic()
    subprocess.run(_command(whole, 1), check=True, capture_output=True)
    took, kills = time.monotonic() - start, 0
    for share in (0.35, 0.5, 0.2):
        process = subprocess.Popen(_command(killed, 2), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(share * took)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            time.sleep(1)  # its workers end on their own
            kills += 1
    subprocess.run(_command(killed, 2), check=True, capture_output=True)
    assert kills > 0
    assert _numbers(killed) == _numbers(whole)
    assert len(_numbers(whole)) == 5
