"""Make a sample from Pythia: seeded chunks, in any number of processes, resumable.

A chunk is a function of the settings, its process, part and number alone, so the sample doesn't depend on the number of
workers, on their order, or on being interrupted. Finished chunks stay in ``folder/chunks`` and are not made again.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact
from trigger_ml.errors import ArtifactError, SampleError
from trigger_ml.samples import crossing, layout, pileup, processes, rate_background
from trigger_ml.samples.contents import EVERY, OBJECTS, RATES, Contents
from trigger_ml.work import Progress, work

CHUNK = 2000
STAGES = ("pool", "events")
SHARES = {True: (0.4, 0.1, 0.5), False: (0.1, 0.1, 0.8)}
"""Parts of the background (True) and of a signal: large test parts, for rates need events."""

PHYSICS = 1
"""Raised whenever detector, objects or processes change what is made: old chunks are then not reused."""


@dataclass(frozen=True)
class Settings:
    """What a sample is made of.

    Attributes:
        variant: ``zero_bias`` or ``adc2021_like``.
        background: background events.
        signal: events of each signal; 0: a background for rates, without parts, drawn from the whole pool.
        pool: soft collisions in the pool.
        pileup: mean number of non-diffractive collisions overlaid on a crossing.
        seed: of everything.
        signals: names of the signals, of ``processes.KNOWN``.
    """

    variant: str
    background: int
    signal: int
    pool: int
    pileup: float
    seed: int
    signals: tuple[str, ...] = tuple(processes.SIGNALS)

    def digest(self) -> str:
        """sha256 over the settings and the processes' Pythia lines, which name the signals."""
        lines = {p: [list(leg.lines) for leg in processes.legs(self.variant, p)] for p in self.processes()}
        content = {**asdict(self), "physics": PHYSICS, "chunk": CHUNK, "lines": lines}
        del content["signals"]
        return artifact.digest_json(content)

    def pool_digest(self) -> str:
        """sha256 over what determines the pool, which variants share."""
        content = [self.pool, self.seed, PHYSICS, pileup.POOL_CHUNK, list(processes.SOFT), list(processes.COMMON)]
        return artifact.digest_json({"pool": content})

    def processes(self) -> tuple[str, ...]:
        """Background, then signals, if there are any."""
        return (processes.BACKGROUND, *(self.signals if self.signal else ()))

    def parts(self) -> tuple[str, ...]:
        """Names of the parts; ``all`` stands alone where there is nothing to train on."""
        return layout.PARTS if self.signal else (layout.ALL,)

    def sizes(self, process: str) -> tuple[int, ...]:
        """Events of each part."""
        background = process == processes.BACKGROUND
        if not self.signal:
            return (self.background,)
        total = self.background if background else self.signal
        edges = np.rint(np.cumsum((0.0, *SHARES[background])) * total).astype(int)
        return tuple(np.diff(edges).tolist())


@dataclass(frozen=True)
class Job:
    """One chunk to make: of the pool if ``process`` is ``pool``, else of a part of a process."""

    settings: Settings
    folder: Path
    process: str
    part: str
    index: int
    size: int

    @property
    def path(self) -> Path:
        """Where the finished chunk is."""
        digest = self.settings.pool_digest() if self.process == "pool" else self.settings.digest()
        return self.folder / "chunks" / digest[:16] / f"{self.process}-{self.part}-{self.index}.npz"

    def generator(self) -> np.random.Generator:
        """Seeded by settings, process, part and index."""
        text = f"{self.path.parent.name}/{self.path.name}"
        return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))


def pool_jobs(settings: Settings, folder: Path) -> list[Job]:
    """Chunks of the pool."""
    return [Job(settings, folder, "pool", "all", i, n) for i, n in _chunks(settings.pool, pileup.POOL_CHUNK)]


def event_jobs(settings: Settings, folder: Path) -> list[Job]:
    """Chunks of all processes; those of equal number come together, so that a broken-off run has some of everything."""
    jobs = [
        Job(settings, folder, process, part, i, n)
        for process in settings.processes()
        for part, size in zip(settings.parts(), settings.sizes(process), strict=True)
        for i, n in _chunks(size, CHUNK)
    ]
    return sorted(jobs, key=lambda job: job.index)


def _chunks(size: int, step: int) -> Iterator[tuple[int, int]]:
    return ((i, min(step, size - start)) for i, start in enumerate(range(0, size, step)))


def make(
    settings: Settings,
    folder: Path,
    workers: int = 1,
    progress: Progress | None = None,
    scheduler: str | None = None,
) -> dict[str, Path]:
    """Make what is missing and write the files of :func:`collect`.

    Raises:
        ToolMissing: without Pythia or FastJet (extra ``datagen``).
        SampleError: if the settings are impossible.
        ArtifactError: if another process works in the folder.
    """
    _check(settings, workers)
    with artifact.exclusive(folder):
        for stage, jobs in zip(STAGES, (pool_jobs(settings, folder), event_jobs(settings, folder)), strict=True):
            missing = [job for job in jobs if not _finished(job)]
            work(run, missing, len(jobs) - len(missing), stage, progress, workers, scheduler)
        return collect(settings, folder)


def file_name(settings: Settings, contents: Contents) -> str:
    """``zero_bias.h5``, ``zero_bias_regions.h5``, ``zero_bias_background.h5`` ..."""
    return f"{settings.variant}{contents.suffix}{'' if settings.signal else '_background'}.h5"


def collect(settings: Settings, folder: Path) -> dict[str, Path]:
    """Write a file of objects and one of regions from finished chunks; sample name -> file.

    A background for rates goes from chunk to file, never all of it in memory.
    """
    made = {}
    for contents in EVERY:
        if settings.variant in contents.notes:
            path = folder / file_name(settings, contents)
            _collect_sample(settings, folder, path, contents)
            made[contents.sample] = path
    return made


def _collect_sample(settings: Settings, folder: Path, path: Path, contents: Contents) -> None:
    if not settings.signal:
        jobs = event_jobs(settings, folder)
        blocks = (_events(artifact.read_npz(job.path), contents) for job in jobs)
        about = _provenance(settings, folder, {processes.BACKGROUND: 0})
        rate_background.write(path, settings.variant, settings.pileup, settings.background, blocks, about, contents)
        return
    arrays: dict[str, NDArray] = {}
    tried: dict[str, int] = {}
    for process in settings.processes():
        group = process if process == processes.BACKGROUND else f"signals/{process}"
        for part in layout.PARTS:
            events, sources = [], []
            for job in event_jobs(settings, folder):
                if (job.process, job.part) == (process, part):
                    chunk = artifact.read_npz(job.path)
                    tried[process] = tried.get(process, 0) + int(chunk["tried"][0])
                    x, source = _events(chunk, contents)
                    events.append(x)
                    sources.append(source)
            arrays[f"{group}/{part}"] = np.concatenate(events)
            if (process, part) == (processes.BACKGROUND, "test"):
                arrays["background/source"] = np.concatenate(sources)
    about = _provenance(settings, folder, tried)
    layout.write(path, settings.variant, settings.pileup, arrays, about, contents)


def _events(chunk: dict[str, NDArray], contents: Contents) -> tuple[NDArray[np.int16], NDArray[np.int32]]:
    """Events of a finished chunk, one row each, and their sources."""
    x = chunk[contents.chunk]
    return x.reshape(len(x), -1).astype(np.int16), chunk["source"]


def _provenance(settings: Settings, folder: Path, tried: dict[str, int]) -> artifact.Json:
    counts = sum(artifact.read_npz(job.path)["generated"].astype(np.int64) for job in pool_jobs(settings, folder))
    fraction, error = pileup.hard_fraction(*np.asarray(counts).tolist())
    return {
        "settings": {**asdict(settings), "signals": settings.processes()[1:]},
        "settings_digest": settings.digest(),
        "physics": PHYSICS,
        "collisions_generated": tried,
        "hard_fraction": fraction,
        "hard_fraction_error": error,
    }


def _check(settings: Settings, workers: int) -> None:
    if settings.variant not in OBJECTS.notes:
        raise SampleError(f'there is no variant "{settings.variant}": available are {", ".join(OBJECTS.notes)}')
    if not settings.signal and settings.variant != RATES:
        raise SampleError(f"rates mean nothing for {settings.variant}: ask for signals too, or for {RATES}")
    if not set(settings.signals) <= set(processes.KNOWN):
        raise SampleError(f"signals are {', '.join(processes.KNOWN)}, not {', '.join(settings.signals)}: correct them")
    if settings.background < 10 or 0 < settings.signal < 10 or settings.pool < 10:
        raise SampleError("a sample needs at least 10 background, signal (or none) and pool events: ask for more")
    if settings.pileup < 0 or settings.seed < 0 or workers < 1:
        raise SampleError("pileup and seed are not negative and workers at least 1: correct them")


def _finished(job: Job) -> bool:
    """True if the chunk is on disk, whole, and of the right size."""
    try:
        chunk = artifact.read_npz(job.path)
    except ArtifactError:
        return False
    return bool(
        len(chunk["hw"]) == len(chunk.get("regions", ())) == job.size
        if "hw" in chunk
        else chunk["generated"][0] == job.size
    )


def run(job: Job) -> None:
    """Make one chunk and write it, whole or not at all."""
    if job.process == "pool":
        arrays = pileup.make_pool_chunk(job.size, job.generator())
    else:
        s = job.settings
        pool = _pool(s, job.folder)
        arrays = crossing.make_chunk(s.variant, job.process, job.part, job.size, pool, s.pileup, job.generator())
    artifact.write_npz(job.path, arrays)


@functools.lru_cache(maxsize=1)
def _pool(settings: Settings, folder: Path) -> pileup.Pool:
    return pileup.assemble([artifact.read_npz(job.path) for job in pool_jobs(settings, folder)])
