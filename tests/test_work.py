"""Missing chunks are made once each, wherever that is, and progress counts those that were there."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
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


def wait(job: Job) -> None:
    write(job)
    time.sleep(600)


def test_processes_end_with_their_parent(tmp_path):
    """Killed with no time to say so: what a process holds, as the lock of a folder, is free soon after."""
    jobs = [Job(tmp_path / f"{i}.txt") for i in range(2)]
    parent = multiprocessing.get_context("spawn").Process(target=work, args=(wait, jobs, 0, "x", None, 2))
    parent.start()
    _until(lambda: all(job.path.exists() for job in jobs))
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    os.kill(parent.pid, signal.SIGKILL)
    parent.join()
    _until(lambda: not any(_runs(child) for child in children))
    assert len(children) >= 2


def _until(done: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not done():
        assert time.monotonic() < limit
        time.sleep(0.05)


def _runs(pid: str) -> bool:
    """Whether it is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


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
