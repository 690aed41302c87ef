"""Chunks of work that write files: done here, by processes here, or by the workers of a Dask scheduler."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from typing import TYPE_CHECKING, Protocol, TypeVar

from trigger_ml import scheduling
from trigger_ml.errors import SampleError, ToolFailed

if TYPE_CHECKING:
    from rich.console import Console

WATCHED_S = 0.2
"""Seconds between two looks of a process at whether its parent lives."""

Job = TypeVar("Job")


class Progress(Protocol):
    """Told of every finished chunk."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` chunks of a stage are there."""


def work(
    do: Callable[[Job], None],
    missing: Sequence[Job],
    there: int,
    stage: str,
    progress: Progress | None,
    workers: int = 1,
    scheduler: str | None = None,
) -> None:
    """Do chunks.

    Args:
        do: does one and writes what comes of it, whole or not at all.
        missing: chunks to do, in any order.
        there: how many are done already.
        stage: what the work is called.
        progress: is told of every finished chunk.
        workers: processes here.
        scheduler: address of a Dask scheduler instead, whose workers see the same folder.

    Raises:
        SampleError: workers and a scheduler.
        ToolMissing: without ``distributed`` (extra ``emulate``), if there is a scheduler.
        ToolFailed: the scheduler can't be reached, or a process was killed.
    """
    if scheduler is not None and workers > 1:
        raise SampleError("--workers starts processes here and --scheduler uses those elsewhere: give one of them")
    done = there
    if progress is not None:
        progress(stage, done, there + len(missing))
    for _ in _made(do, missing, workers, scheduler):
        done += 1
        if progress is not None:
            progress(stage, done, there + len(missing))


@contextlib.contextmanager
def shown(console: Console | None, stages: Mapping[str, str]) -> Iterator[Progress | None]:
    """Finished chunks as bars on a console.

    Args:
        console: None shows nothing.
        stages: stage -> what its bar says.
    """
    if console is None:
        yield None
        return
    from rich import progress as rich

    columns = (rich.TextColumn("{task.description}"), rich.BarColumn(), rich.MofNCompleteColumn())
    with rich.Progress(*columns, rich.TimeRemainingColumn(), console=console) as bar:
        tasks = {stage: bar.add_task(label, total=None) for stage, label in stages.items()}
        yield lambda stage, done, total: bar.update(tasks[stage], completed=done, total=total)


def _made(do: Callable[[Job], None], missing: Sequence[Job], workers: int, scheduler: str | None) -> Iterator[None]:
    if scheduler is not None or workers == 1 or len(missing) < 2:
        yield from scheduling.results(do, missing, str, 1, scheduler)
        return
    from concurrent.futures.process import BrokenProcessPool

    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, _ends_with, (os.getpid(),)) as executor:
        futures: list[Future[None]] = [executor.submit(do, job) for job in missing]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise ToolFailed(
                "a process that did part of the work was killed, maybe for its memory: the same command goes on, with "
                "fewer --workers if need be"
            ) from None
        finally:
            executor.shutdown(cancel_futures=True)


def _ends_with(parent: int) -> None:
    """Let this process end soon after its parent, however that one was ended: nobody would wait for what it does."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCHED_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
