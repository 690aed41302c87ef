"""Make files of jet pairs: seeded chunks that stay in ``folder/chunks``, so that a broken-off run goes on.

A chunk is a function of the prior, its number and the seed alone, so a larger file begins with the smaller one's pairs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact
from trigger_ml.errors import ArtifactError, SampleError
from trigger_ml.samples import jet_pairs, processes
from trigger_ml.work import shown, work

if TYPE_CHECKING:
    from rich.console import Console

CHUNK = 2000
"""Collisions."""

PHYSICS = 1
"""Raised whenever detector or jets change what is made: old chunks are then not reused."""

KEPT_BITS = {"jets": 10, "mults": 23, "widths": 10, "tau2s": 10, "sdms": 10, "zgs": 10}
"""Bits behind the leading one that the files keep: 10 are a precision of one in 2,000."""

STAGE = "jet pairs"


@dataclass(frozen=True)
class Settings:
    """What files are made of.

    Attributes:
        collisions: of each prior, in whole thousands of which two make a chunk, or fewer than a chunk.
        seed: of everything.
    """

    collisions: int
    seed: int

    @property
    def chunk(self) -> int:
        """Collisions of a chunk."""
        return min(self.collisions, CHUNK)

    def digest(self) -> str:
        """sha256 over what determines a chunk, so not over their number."""
        lines = {name: list(each) for name, each in jet_pairs.PRIORS.items()}
        content = {"seed": self.seed, "physics": PHYSICS, "chunk": self.chunk, "lines": lines}
        return artifact.digest_json({**content, "common": list(processes.COMMON)})


@dataclass(frozen=True)
class Job:
    """One chunk of one prior."""

    settings: Settings
    folder: Path
    prior: str
    index: int

    @property
    def path(self) -> Path:
        """Where the finished chunk is."""
        return self.folder / "chunks" / self.settings.digest()[:16] / f"{self.prior}-{self.index}.npz"

    @property
    def seed(self) -> int:
        """Of generator and detector, 1...900,000,000."""
        text = f"{self.settings.digest()}/{self.prior}-{self.index}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % 900_000_000 + 1


def make(settings: Settings, folder: Path, console: Console | None = None, workers: int = 1) -> dict[str, Path]:
    """Make what is missing and write ``folder/data.npz`` and ``folder/simulation.npz``; prior -> file.

    Args:
        settings: of both files.
        folder: for them and their chunks.
        console: shows the finished chunks; None shows nothing.
        workers: processes.

    Raises:
        ToolMissing: without Pythia or FastJet (extra ``datagen``).
        SampleError: if the settings are impossible.
        ArtifactError: if another process works in the folder.
    """
    if settings.collisions < 1 or settings.collisions % settings.chunk or settings.seed < 0:
        raise SampleError(
            f"{settings.collisions} collisions with seed {settings.seed} can't be made: give fewer than {CHUNK} or a "
            f"multiple of it, and a seed from 0"
        )
    with artifact.exclusive(folder):
        every = [
            Job(settings, folder, prior, index)
            for index in range(settings.collisions // settings.chunk)
            for prior in jet_pairs.PRIORS
        ]
        missing = [job for job in every if not _finished(job.path)]
        with shown(console, {STAGE: STAGE}) as progress:
            work(run, missing, len(every) - len(missing), STAGE, progress, workers)
        return _collect(every, folder)


def run(job: Job) -> None:
    """Make one chunk and write it, whole or not at all."""
    artifact.write_npz(job.path, jet_pairs.make_pairs(job.prior, job.settings.chunk, job.seed))


def _collect(every: list[Job], folder: Path) -> dict[str, Path]:
    found = {}
    for prior in jet_pairs.PRIORS:
        chunks = [artifact.read_npz(job.path) for job in every if job.prior == prior]
        joined = {key: np.concatenate([chunk[key] for chunk in chunks]) for key in chunks[0]}
        found[prior] = folder / f"{prior}.npz"
        artifact.write_npz(found[prior], {k: shortened(v, KEPT_BITS[k[4:]]) for k, v in joined.items()})
    return found


def _finished(path: Path) -> bool:
    try:
        artifact.read_npz(path)
    except ArtifactError:
        return False
    return True


def shortened(values: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """Values rounded to nearest (ties to even) with ``bits`` bits behind the leading one, which compress well."""
    mantissa, exponent = np.frexp(values.astype(np.float64))
    return np.ldexp(np.rint(np.ldexp(mantissa, bits + 1)), exponent - bits - 1).astype(np.float32)
