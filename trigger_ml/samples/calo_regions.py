"""Calorimeter regions of simulated 13 TeV collisions: 18 x 14 transverse energies of 10 bits an event.

The crossings are made as those of ``l1_objects`` are, by the same maker, but are others (their own seed). Regions see
no muons. ``docs/samples.md`` tells how they are made and what they look like.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trigger_ml.errors import SampleError
from trigger_ml.samples import layout, processes, production
from trigger_ml.samples.contents import REGIONS
from trigger_ml.samples.dataset import Sample
from trigger_ml.samples.maker import Settings
from trigger_ml.samples.regions import FEATURES, INPUT_FORMAT

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "FEATURES", "INPUT_FORMAT", "VARIANTS", "Settings",
    "default_path", "load", "make", "make_background", "settings",
]  # fmt: skip

VARIANTS = tuple(REGIONS.notes)
EVENTS = {"zero_bias": 60_000}
"""Background events of the committed sample; each signal has a twentieth."""

SIGNALS = (*processes.SIGNALS, "ttbar")
"""Those of ``l1_objects``, and pairs of tops, which fill the calorimeter."""

POOL = 40_000
PILEUP = production.PILEUP
SEED = 3


def default_path(variant: str) -> Path:
    """The committed sample."""
    return Path(__file__).parent / "data" / f"{variant}{REGIONS.suffix}.h5"


def load(variant: str, path: Path | None = None) -> Sample:
    """Read and verify a sample; the committed one unless ``path`` names another.

    Raises:
        SampleError: if the variant is unknown, or the file is missing, truncated, malformed or out of range.
    """
    _known(variant)
    return layout.read(default_path(variant) if path is None else path, variant, REGIONS)


def settings(variant: str, events: int | None = None, seed: int = SEED, pileup: float = PILEUP) -> Settings:
    """How a sample of so many background events is made; a smaller one has a smaller pool.

    Raises:
        SampleError: if the variant is unknown.
    """
    _known(variant)
    count = EVENTS[variant] if events is None else events
    pool = max(POOL * min(count, EVENTS[variant]) // EVENTS[variant], 10)
    return Settings(variant, count, count // 20, pool, pileup, seed, SIGNALS)


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
    """Generate a sample into ``folder/<variant>_regions.h5``, as ``l1_objects.make`` does.

    The objects of the same crossings come to stand beside it.
    """
    return production.make(settings(variant, events, seed, pileup), folder, workers, console, scheduler)[REGIONS.sample]


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
    """Generate a background for rates into ``folder/<variant>_regions_background.h5``; see ``l1_objects``."""
    _known(variant)
    chosen = production.background(variant, events, seed, pileup)
    return production.make(chosen, folder, workers, console, scheduler)[REGIONS.sample]


def _known(variant: str) -> None:
    if variant not in VARIANTS:
        raise SampleError(f'there is no variant "{variant}": available are {", ".join(VARIANTS)}')
