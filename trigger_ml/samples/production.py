"""Productions as a user asks for them: their settings, and their progress on a console."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trigger_ml import plugins
from trigger_ml.errors import SpecError
from trigger_ml.samples import maker
from trigger_ml.samples.maker import Settings
from trigger_ml.work import shown

if TYPE_CHECKING:
    from rich.console import Console

PILEUP = 20.0
"""Mean number of non-diffractive collisions in a crossing, where nothing else is asked."""

BACKGROUND_SEED = 2
"""Another than that of the samples, so that a network trained on one has seen nothing of a background for rates."""

POOL_SHARE, POOL_MIN, POOL_MAX = 0.15, 20_000, 600_000
"""Soft collisions in the pool of a background for rates, for each of its events; at least, for the share of hard
collisions is measured while they are made (20,000: to 6 %); at most, for the memory of a worker (300,000: 1.8 GB)."""


def background(variant: str, events: int, seed: int = BACKGROUND_SEED, pileup: float = PILEUP) -> Settings:
    """How a background for rates is made: no parts, no signals, drawn from the whole pool."""
    pool = min(max(round(events * POOL_SHARE), POOL_MIN), POOL_MAX)
    return Settings(variant, events, 0, pool, pileup, seed)


def make(
    settings: Settings,
    folder: Path,
    workers: int = 1,
    console: Console | None = None,
    scheduler: str | None = None,
) -> dict[str, Path]:
    """Make all files of a production; sample name -> file. A console shows the finished chunks.

    Raises:
        ToolMissing: without the extra ``datagen``.
        SampleError: if the numbers are impossible, or workers and a scheduler are given.
        ToolFailed: the scheduler can't be reached.
        ArtifactError: if another process works in the folder.
    """
    with shown(console, {stage: f"{settings.variant} {stage}" for stage in maker.STAGES}) as progress:
        return maker.make(settings, folder, workers, progress, scheduler)


@dataclass(frozen=True)
class Order:
    """New events to be made.

    Attributes:
        folder: for the files and the finished chunks.
        rates: events of a background for rates; None: a sample with signals, of its usual size.
        seed: of everything; None: the spec's for a sample, :data:`BACKGROUND_SEED` for a background.
        pileup: mean number of overlaid collisions; None: as many as the sample usually has.
        workers: processes.
        scheduler: address of a Dask scheduler instead of processes here.
    """

    folder: Path
    rates: int | None = None
    seed: int | None = None
    pileup: float | None = None
    workers: int = 1
    scheduler: str | None = None

    def fulfil(self, sample: str, variant: str, seed: int, console: Console) -> Path:
        """Make them; returns the file.

        Args:
            sample: module in ``trigger_ml/samples``.
            variant: of that sample.
            seed: of a sample, where the order names none.
            console: for progress.

        Raises:
            SpecError: if that sample is not one that can be made.
        """
        module = plugins.find("samples", sample)
        if not hasattr(module, "make" if self.rates is None else "make_background"):
            what = "not made" if self.rates is None else "not made as a background for rates"
            raise SpecError(f"events of {sample} are {what}: leave --make out, or name another sample in the spec")
        options: dict[str, Any] = {} if self.pileup is None else {"pileup": self.pileup}
        options |= {"workers": self.workers, "console": console, "scheduler": self.scheduler}
        chosen = seed if self.rates is None and self.seed is None else self.seed
        if chosen is not None:
            options["seed"] = chosen
        if self.rates is None:
            return Path(module.make(variant, self.folder, **options))
        return Path(module.make_background(variant, self.folder, self.rates, **options))
