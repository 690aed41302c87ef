"""Make jets from Pythia: seeded chunks, in any number of processes, resumable.

A chunk is a function of the set, its class, its number and the seed alone, so a larger sample begins with the smaller
one's chunks, and none depends on workers, their order, or interruptions. Finished chunks stay in ``folder/chunks``.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact
from trigger_ml.errors import ArtifactError, SampleError
from trigger_ml.samples import jet_features, jet_layout, jet_making, jet_processes, processes
from trigger_ml.samples.jet_scales import FEATURE_SCALES, TAU_SCALES, encode_constituents, encode_jet, encode_table
from trigger_ml.samples.jet_views import Jets
from trigger_ml.work import Progress, work

CHUNK = 1000
SHARES = (0.6, 0.1, 0.3)
"""Train, validation and test part of each chunk, so of each class."""

STAGES = ("jets", "features")

PHYSICS = 1
"""Raised whenever detector, jets or processes change what is made: old chunks are then not reused."""


@dataclass(frozen=True)
class Settings:
    """What a sample is made of.

    Attributes:
        name: of the set, one of ``jet_processes.SETS``.
        jets: of each class: whole thousands, or fewer than a thousand.
        seed: of everything.
    """

    name: str
    jets: int
    seed: int

    def digest(self) -> str:
        """sha256 over what determines a chunk, so not over their number."""
        jets = jet_processes.SETS[self.name]
        content = {
            "name": self.name,
            "seed": self.seed,
            "physics": PHYSICS,
            "chunk": min(self.jets, CHUNK),
            "window": asdict(jets.window),
            "radius": jet_processes.RADIUS,
            "kept": jet_making.KEPT,
            "lines": {name: list(jets.lines(name)) for name in jets.classes},
            "common": list(processes.COMMON),
        }
        return artifact.digest_json(content)


@dataclass(frozen=True)
class Job:
    """One chunk of one class; the number of its jets follows from the settings."""

    settings: Settings
    folder: Path
    stage: str
    kind: str
    index: int

    @property
    def path(self) -> Path:
        """Where the finished chunk is."""
        return self._file(self.stage)

    @property
    def jets(self) -> Path:
        """Where the jets are that features are computed from."""
        return self._file("jets")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Jets of each part."""
        edges = np.rint(np.cumsum((0.0, *SHARES)) * min(self.settings.jets, CHUNK)).astype(int)
        return tuple(np.diff(edges).tolist())

    def generator(self) -> np.random.Generator:
        """Seeded by settings, class and index."""
        text = f"{self.settings.digest()}/{self.kind}-{self.index}"
        return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))

    def _file(self, stage: str) -> Path:
        name = f"{stage}-{self.kind}-{self.index}.npz"
        return self.folder / "chunks" / self.settings.digest()[:16] / name


def jobs(settings: Settings, folder: Path, stage: str) -> list[Job]:
    """Chunks of all classes; those of equal number come together, so that a broken-off run has some of everything."""
    count = max(settings.jets // CHUNK, 1)
    classes = jet_processes.SETS[settings.name].classes
    return [Job(settings, folder, stage, kind, index) for index in range(count) for kind in classes]


def run(job: Job) -> None:
    """Make one chunk and write it, whole or not at all."""
    if job.stage == "jets":
        jets = jet_processes.SETS[job.settings.name]
        artifact.write_npz(job.path, jet_making.make_jets(jets, job.kind, job.sizes, job.generator()))
    else:
        made = artifact.read_npz(job.jets)
        artifact.write_npz(job.path, jet_features.of_jets(made["constituents"], made["count"]))


def _finished(job: Job) -> bool:
    """True if the chunk is on disk, whole, and of the right size."""
    try:
        chunk = artifact.read_npz(job.path)
    except ArtifactError:
        return False
    first = chunk["count" if job.stage == "jets" else "features"]
    return len(first) == sum(job.sizes)


def make(
    settings: Settings,
    folder: Path,
    workers: int = 1,
    progress: Progress | None = None,
    scheduler: str | None = None,
) -> Path:
    """Make what is missing and write ``folder/<set>.h5``.

    Raises:
        ToolMissing: without Pythia, FastJet or numba (extra ``datagen``).
        SampleError: if the settings are impossible.
        ArtifactError: if another process works in the folder.
    """
    _check(settings, workers)
    with artifact.exclusive(folder):
        for stage in STAGES:
            every = jobs(settings, folder, stage)
            missing = [job for job in every if not _finished(job)]
            work(run, missing, len(every) - len(missing), stage, progress, workers, scheduler)
        return collect(settings, folder)


def collect(settings: Settings, folder: Path) -> Path:
    """Write ``folder/<set>.h5`` from finished chunks."""
    path = folder / f"{settings.name}.h5"
    classes, generated = {}, {}
    for kind in jet_processes.SETS[settings.name].classes:
        made = [job for job in jobs(settings, folder, "jets") if job.kind == kind]
        classes[kind], generated[kind] = _class(made)
    provenance = {
        "settings": asdict(settings),
        "settings_digest": settings.digest(),
        "physics": PHYSICS,
        "collisions_generated": generated,
    }
    jet_layout.write(path, settings.name, classes, provenance)
    return path


def _class(made: list[Job]) -> tuple[Jets, int]:
    """The jets of one class, all chunks' first parts first, and the collisions they took."""
    pieces: tuple[list[dict[str, NDArray]], ...] = ([], [], [])
    first = 0
    for job in made:
        chunk = artifact.read_npz(job.jets)
        derived = artifact.read_npz(replace(job, stage="features").path)
        hardware: dict[str, NDArray] = {
            "constituents": encode_constituents(chunk["constituents"]),
            "features": encode_table(derived["features"], FEATURE_SCALES),
            "taus": encode_table(derived["taus"], TAU_SCALES),
            "jet": encode_jet(chunk["jet"]),
            "event": chunk["event"].astype(np.int32) + first,
        }
        first += int(chunk["generated"][0])
        edges = np.cumsum((0, *job.sizes))
        for part in range(len(SHARES)):
            pieces[part].append({key: value[edges[part] : edges[part + 1]] for key, value in hardware.items()})
    parts = [sum(len(piece["event"]) for piece in part) for part in pieces]
    flat = [piece for part in pieces for piece in part]
    columns = {key: np.concatenate([piece[key] for piece in flat]) for key in flat[0]}
    return Jets(**columns, parts=(parts[0], parts[1], parts[2])), first


def _check(settings: Settings, workers: int) -> None:
    if settings.name not in jet_processes.SETS:
        raise SampleError(f'there is no set "{settings.name}": available are {", ".join(jet_processes.SETS)}')
    if settings.jets < 10 or (settings.jets > CHUNK and settings.jets % CHUNK):
        raise SampleError(f"jets of a class are 10 to {CHUNK} or whole thousands, not {settings.jets}: correct it")
    if settings.seed < 0 or workers < 1:
        raise SampleError("the seed is not negative and workers at least 1: correct them")
