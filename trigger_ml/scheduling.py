"""Where pieces of work run: in this process, in a Dask cluster of processes here, or behind a Dask scheduler elsewhere.

Only descriptions of pieces and what they return pass through the scheduler; workers read and write files themselves, so
those of a scheduler must see the same folders. Results come in any order. A worker that is lost costs the piece that it
had, which another one does again.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from trigger_ml import tools
from trigger_ml.errors import ToolFailed

WINDOW = 256
"""Pieces that the scheduler knows at a time."""

RETRIES = 2
CONNECT_S = 20.0

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def results(
    do: Callable[[Piece], Result],
    pieces: Sequence[Piece],
    named: Callable[[Piece], str],
    workers: int = 1,
    scheduler: str | None = None,
) -> Iterator[Result]:
    """What ``do`` gives for each piece.

    Args:
        do: a function of a module; pieces and results can be pickled.
        pieces: what to do.
        named: a piece in the words of an error.
        workers: processes on this machine; 1 is this one.
        scheduler: address of a Dask scheduler, which takes the place of ``workers``.

    Raises:
        ToolMissing: without the package ``distributed``, if it is needed.
        ToolFailed: the scheduler can't be reached, or one piece has killed worker after worker.
    """
    if scheduler is None and workers == 1 or not pieces:
        yield from map(do, pieces)
        return
    with _client(workers, scheduler) as client:
        yield from _distributed(do, pieces, named, client)


def _distributed(
    do: Callable[[Piece], Result], pieces: Sequence[Piece], named: Callable[[Piece], str], client: Any
) -> Iterator[Result]:
    distributed = tools.package("distributed")
    session, waiting = uuid.uuid4().hex[:8], iter(enumerate(pieces))
    submitted: dict[str, Piece] = {}

    def submit(number: int, piece: Piece) -> Any:
        key = f"trigger_ml-{session}-{number}"
        submitted[key] = piece
        return client.submit(do, piece, key=key, pure=False, retries=RETRIES)

    working = distributed.as_completed([submit(*each) for each in islice(waiting, WINDOW)])
    try:
        for future in working:
            piece = submitted.pop(future.key)
            try:
                yield future.result()
            except distributed.scheduler.KilledWorker:
                raise ToolFailed(
                    f"{named(piece)} has killed worker after worker: "
                    "look into the workers' logs, e.g. for the memory they have"
                ) from None
            except distributed.client.FutureCancelledError as error:
                raise ToolFailed(f"the scheduler gave up the work ({error}): start again to go on") from None
            for more in islice(waiting, 1):
                working.add(submit(*more))
    finally:
        with contextlib.suppress(Exception):  # the scheduler may be gone, which the first error has said already
            client.cancel(list(working.futures), force=True)


@contextlib.contextmanager
def _client(workers: int, scheduler: str | None) -> Iterator[Any]:
    distributed = tools.package("distributed")
    if scheduler is not None:
        try:
            client = distributed.Client(scheduler, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ToolFailed(f"no Dask scheduler answers at {scheduler} ({error}): start one, or correct it") from None
        with client, client.as_current():
            yield client
        return
    with _quiet(), tempfile.TemporaryDirectory(prefix="trigger_ml_") as scratch, contextlib.ExitStack() as stack:
        try:
            cluster = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address="127.0.0.1:0",
                    memory_limit=None,
                    local_directory=scratch,
                    silence_logs=logging.CRITICAL,
                )
            )
            client = stack.enter_context(distributed.Client(cluster, set_as_default=False))
            client.register_plugin(_deaf_to_interrupts(distributed))
        except (OSError, RuntimeError) as error:
            raise ToolFailed(f"{workers} Dask workers don't start here ({error}): try --workers 1") from None
        with client.as_current():
            yield client


def _deaf_to_interrupts(distributed: Any) -> Any:
    """Ctrl-C reaches the workers of a terminal as well: this process alone answers it, and ends them."""

    class Deaf(distributed.WorkerPlugin):  # type: ignore[misc]
        name = "deaf_to_interrupts"

        def setup(self, worker: Any) -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    return Deaf()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Our own cluster reports each connection and each worker that ends; errors reach the user as exceptions."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
