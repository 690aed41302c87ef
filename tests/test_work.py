"""Missing chunks are made once each, wherever that is, and progress counts those that were there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from trigger_ml.errors import SampleError, ToolFailed
from trigger_ml.work import work


@dataclass(frozen=True)
class Job:
    """A file to write."""

    path: Path


def write(job: Job) -> None:
    with job.path.open("a") as file:
        file.write("made\n")


def _made(tmp_path: Path, **how: object) -> list[tuple[str, int, int]]:
    told: list[tuple[str, int, int]] = []
    jobs = [Job(tmp_path / f"{i}.txt") for i in range(5)]
    work(write, jobs, 2, "events", lambda *step: told.append(step), **how)  # type: ignore[arg-type]
    assert [job.path.read_text() for job in jobs] == ["made\n"] * 5
    return told


@pytest.mark.parametrize("workers", [1, 2])
def test_every_chunk_is_made_once(tmp_path, workers):
    assert _made(tmp_path, workers=workers) == [("events", n, 7) for n in range(2, 8)]


@pytest.mark.needs_emulate
def test_by_the_workers_of_a_scheduler(tmp_path):
    import distributed

    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None, local_directory=tmp_path / "dask"
    ) as cluster:
        assert _made(tmp_path, scheduler=cluster.scheduler_address) == [("events", n, 7) for n in range(2, 8)]


@pytest.mark.needs_emulate
def test_a_scheduler_that_is_not_there_and_two_ways_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("trigger_ml.scheduling.CONNECT_S", 0.5)
    with pytest.raises(ToolFailed, match="no Dask scheduler answers at tcp://127.0.0.1:1"):
        _made(tmp_path, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(SampleError, match="give one of them"):
        _made(tmp_path, workers=2, scheduler="tcp://127.0.0.1:1")
