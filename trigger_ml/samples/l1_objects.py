"""Level-1 trigger objects of simulated 13 TeV collisions: 57 hardware integers an event, two variants.

``zero_bias``: what the trigger sees. ``adc2021_like``: after a lepton filter, as in the ADC2021 challenge.
``docs/samples.md`` tells how they are made, what they look like and what they leave out.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trigger_ml.errors import SampleError
from trigger_ml.samples import layout, production
from trigger_ml.samples.contents import OBJECTS
from trigger_ml.samples.dataset import Sample
from trigger_ml.samples.features import FEATURES, INPUT_FORMAT, physical
from trigger_ml.samples.maker import Settings

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "FEATURES", "INPUT_FORMAT", "VARIANTS", "Settings",
    "default_path", "load", "make", "make_background", "physical", "settings",
]  # fmt: skip

VARIANTS = tuple(OBJECTS.notes)
EVENTS = {"zero_bias": 400_000, "adc2021_like": 100_000}
"""Background events of the committed samples; each signal has a twentieth."""

POOL = 150_000
PILEUP = production.PILEUP
SEED = 1


def default_path(variant: str) -> Path:
    """The committed sample."""
    return Path(__file__).parent / "data" / f"{variant}.h5"


def load(variant: str, path: Path | None = None) -> Sample:
    """Read and verify a sample; the committed one unless ``path`` names another.

    Raises:
        SampleError: if the variant is unknown, or the file is missing, truncated, malformed or out of range.
    """
    _known(variant)
    return layout.read(default_path(variant) if path is None else path, variant)


def settings(variant: str, events: int | None = None, seed: int = SEED, pileup: float = PILEUP) -> Settings:
    """How a sample of so many background events is made; a smaller one has a smaller pool.

    Raises:
        SampleError: if the variant is unknown.
    """
    _known(variant)
    count = EVENTS[variant] if events is None else events
    pool = max(POOL * min(count, EVENTS[variant]) // EVENTS[variant], 10)
    return Settings(variant, count, count // 20, pool, pileup, seed)


def make(
    variant: str,
    folder: Path,
    events: int | None = None,
    seed: int = SEED,
    workers: int = 1,
    console: Console | None = None,
    pileup: float = PILEUP,
    scheduler: str | None = None,
) -> Path:
    """Generate a sample with Pythia and FastJet into ``folder/<variant>.h5``; a broken-off run goes on where it was.

    The regions of the same zero-bias crossings come to stand beside it (``calo_regions``).

    Args:
        variant: one of :data:`VARIANTS`.
        folder: for the file and its finished chunks.
        events: background events; each signal gets a twentieth. None: as many as the committed sample has.
        seed: of everything.
        workers: processes.
        console: shows the finished chunks of pool and events; None shows nothing.
        pileup: mean number of overlaid collisions.
        scheduler: address of a Dask scheduler instead of processes here.

    Raises:
        ToolMissing: without the extra ``datagen``.
        SampleError: if the variant is unknown or the numbers impossible.
        ArtifactError: if another process works in the folder.
    """
    return production.make(settings(variant, events, seed, pileup), folder, workers, console, scheduler)[OBJECTS.sample]


def make_background(
    variant: str,
    folder: Path,
    events: int,
    seed: int = production.BACKGROUND_SEED,
    workers: int = 1,
    console: Console | None = None,
    pileup: float = PILEUP,
    scheduler: str | None = None,
) -> Path:
    """Generate a background for rates into ``folder/<variant>_background.h5``, as :func:`make` does a sample.

    ``rate_background.read`` reads it. The regions of the same crossings come to stand beside it.
    """
    chosen = production.background(variant, events, seed, pileup)
    return production.make(chosen, folder, workers, console, scheduler)[OBJECTS.sample]


def _known(variant: str) -> None:
    if variant not in VARIANTS:
        raise SampleError(f'there is no variant "{variant}": available are {", ".join(VARIANTS)}')
