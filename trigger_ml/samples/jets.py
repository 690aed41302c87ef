"""Jets for taggers: top against light jets at 600 GeV, and q, g, W, Z, top at 1 TeV, each as several kinds of input.

A variant is ``<use>_<view>``: the use says which jets are background and signal, the view what a network gets of them
(``jet_views.VIEWS``). ``docs/samples.md`` tells how the jets are made, what they look like and what they leave out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact
from trigger_ml.errors import SampleError
from trigger_ml.samples import jet_blocks, jet_layout, jet_maker, jet_public
from trigger_ml.samples.dataset import Sample, Split
from trigger_ml.samples.jet_maker import Settings
from trigger_ml.samples.jet_views import VIEWS, Hardware, Jets, View
from trigger_ml.work import shown

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["USES", "VARIANTS", "Settings", "default_path", "load", "make", "settings"]

JETS = {"top_600": 26_000, "jets_1tev": 12_000}
"""Jets of each class in the committed sets."""

SEED = 1
_NOTE = (
    "13 TeV Pythia 8 without pileup, tracks and cells of a particle flow of our own, not tuned to data; not comparable "
    "with published taggers' figures on other jets; rates in kHz mean nothing here."
)
_PUBLIC = "Jets of a public file in our hardware integers; rates in kHz mean nothing here."


@dataclass(frozen=True)
class Use:
    """Which jets of a set are what.

    Attributes:
        jets: the set, one of ``jet_processes.SETS``.
        background: classes, mixed in equal parts.
        signals: classes.
        notes: what stands beside every figure.
    """

    jets: str
    background: tuple[str, ...]
    signals: tuple[str, ...]
    notes: str


USES = {
    "top_600": Use(
        "top_600", ("qcd",), ("top",), f"Light-quark and gluon jets, and matched tops, of 550 to 650 GeV; {_NOTE}"
    ),
    "jets_1tev": Use(
        "jets_1tev", ("q", "g"), ("W", "Z", "top"), f"Quarks and gluons half and half, W, Z, top, 1 TeV; {_NOTE}"
    ),
    "five_1tev": Use(
        "jets_1tev", ("q",), ("g", "W", "Z", "top"), f"Background light quarks, signals g, W, Z, top, 1 TeV; {_NOTE}"
    ),
    "qg_1tev": Use("jets_1tev", ("q",), ("g",), f"Light-quark jets, signal gluon jets, 1 TeV; {_NOTE}"),
}

VARIANTS = tuple(f"{use}_{view}" for use in USES for view in VIEWS)


def default_path(variant: str) -> Path:
    """The committed set of a variant."""
    use, _ = _parse(variant)
    return Path(__file__).parent / "data" / f"{use.jets}.h5"


def load(variant: str, path: Path | None = None) -> Sample:
    """Read and verify jets and derive the variant's view; the committed ones unless ``path`` names others.

    Args:
        variant: one of :data:`VARIANTS`.
        path: a set made by :func:`make`, or a file or folder in one of the public layouts of ``jet_public``.

    Raises:
        SampleError: if the variant is unknown, or the file is missing, truncated, malformed or out of range.
        ToolMissing: if features of a public file have to be computed, without the extra ``datagen``.
    """
    use, view = _parse(variant)
    kinds = (*use.background, *use.signals)
    if path is None or jet_layout.ours(path):
        return _sample(variant, jet_layout.read(path or default_path(variant), use.jets, kinds), use.notes)
    classes = jet_blocks.collect(jet_public.blocks(path), kinds, view.needs, path)
    return _sample(variant, classes, _PUBLIC)


def settings(variant: str, jets: int | None = None, seed: int = SEED) -> Settings:
    """How the set of a variant is made, with so many jets of each class; None: as many as the committed one has.

    Raises:
        SampleError: if the variant is unknown.
    """
    use, _ = _parse(variant)
    return Settings(use.jets, JETS[use.jets] if jets is None else jets, seed)


def make(
    variant: str,
    folder: Path,
    jets: int | None = None,
    seed: int = SEED,
    workers: int = 1,
    console: Console | None = None,
    pileup: float = 0.0,
    scheduler: str | None = None,
) -> Path:
    """Generate the set of a variant with Pythia and FastJet into ``folder``; a broken-off run goes on where it was.

    Args:
        variant: one of :data:`VARIANTS`; those of one set make the same file.
        folder: for the file and its finished chunks.
        jets: of each class; None: as many as the committed set has.
        seed: of everything.
        workers: processes.
        console: shows the finished chunks; None shows nothing.
        pileup: 0; jets have none.
        scheduler: address of a Dask scheduler instead of processes here.

    Raises:
        ToolMissing: without the extra ``datagen``.
        SampleError: if the variant is unknown or the numbers impossible.
        ArtifactError: if another process works in the folder.
    """
    chosen = settings(variant, jets, seed)
    if pileup != 0:
        raise SampleError(f"pileup is {pileup:g}, but jets are made without: leave it out")
    with shown(console, {stage: f"{chosen.name} {stage}" for stage in jet_maker.STAGES}) as progress:
        return jet_maker.make(chosen, folder, workers, progress, scheduler)


def _parse(variant: str) -> tuple[Use, View]:
    use, _, view = variant.rpartition("_")
    if variant not in VARIANTS:
        raise SampleError(f'there is no variant "{variant}": available are {", ".join(VARIANTS)}')
    return USES[use], VIEWS[view]


def _sample(variant: str, classes: dict[str, Jets], notes: str) -> Sample:
    use, view = _parse(variant)
    parts = {kind: _parts(view.of(jets), jets) for kind, jets in classes.items()}
    mixed = [_interleaved([parts[kind][i] for kind in use.background]) for i in range(3)]
    events = [_parts(classes[kind].event, classes[kind])[2] for kind in use.background]
    source = _interleaved([n * len(events) + i for i, n in enumerate(e.astype(np.int64) for e in events)])
    content = {f"{kind}/{key}": array for kind in classes for key, array in jet_layout.arrays(classes[kind]).items()}
    sizes = {f"{kind}/parts": np.array(jets.parts) for kind, jets in classes.items()}
    return Sample(
        name="jets",
        variant=variant,
        digest=artifact.digest_arrays({**content, **sizes, f"variant/{variant}": np.zeros(0)}),
        features=view.columns,
        input_format=view.input_format,
        background=Split(*mixed),
        signals={kind: Split(*parts[kind]) for kind in use.signals},
        gives_rates=False,
        pileup=0.0,
        source=source,
        notes=notes,
        shape=view.shape,
    )


def _parts(values: NDArray, jets: Jets) -> list[Hardware]:
    return np.split(values, np.cumsum(jets.parts)[:-1])


def _interleaved(arrays: list[NDArray]) -> NDArray:
    """Rows of equally many arrays' in turn, as far as the shortest goes."""
    length = min(len(array) for array in arrays)
    return np.stack([array[:length] for array in arrays], 1).reshape(-1, *arrays[0].shape[1:])
