"""The leading jet of Z+jet collisions as particles and as a detector sees it: six numbers at both levels.

They are OmniFold's (A. Andreassen et al., arXiv:1911.09107): mass, width, multiplicity, groomed mass, momentum sharing,
2- over 1-subjettiness. Data is Pythia's default tune, simulation one with less radiation and other strings
(``trigger_ml/samples/jet_pairs.py``). Networks see logarithms of the masses and the width, and the logit of
z_g between its ends; the multiplicity is spread over its step; all are brought to mean 0 and deviation 1 by the
simulation's truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trigger_ml.offline import omnifold_files
from trigger_ml.offline.omnifold_files import JetPairs, Level
from trigger_ml.offline.sources.source import Events, Scale, Source, shared
from trigger_ml.samples import jet_pairs, jet_pairs_maker

if TYPE_CHECKING:
    from rich.console import Console

    from trigger_ml.offline.events import Wanted

Floats = NDArray[np.floating]

SHIPPED = Path(jet_pairs.__file__).parent / "data" / "zjets"

LIGHTEST, NARROWEST, SMALLEST = 1.0, 1e-3, -14.0
"""GeV of a mass, a width and a logarithm of rho: what is below counts as it."""

CUT, HALF, EDGE = 0.1, 0.5, 0.005
"""Of z_g: soft drop's cut, the largest, and by how much both are moved out, so that its logit is finite."""

FAILED = float(np.log(EDGE / (HALF - CUT + EDGE))) - 0.5
"""Logit of z_g below which nothing has passed soft drop; such jets stand anywhere in a unit's width below."""


def numbers(level: Level, seed: int) -> NDArray[np.float64]:
    """``(pairs, 6)``: log of mass, log of width, multiplicity, log of rho = (groomed mass / pT)^2, logit z_g, tau_21.

    ``seed`` fixes by how much each multiplicity is moved, from -1/2 to 1/2, and where failed jets stand.
    """
    pt, mass = level.jets[:, 0], level.jets[:, 3]
    rho = 2 * np.log(np.maximum(level.sdms, 1e-9) / pt)
    share = np.clip(level.zgs, CUT, HALF)
    logit = np.log((share - CUT + EDGE) / (HALF - share + EDGE))
    rng = np.random.default_rng(seed)
    spread, low, lower = rng.random((3, len(pt)))
    return np.stack(
        [
            np.log(np.maximum(mass, LIGHTEST)),
            np.log(np.maximum(level.widths, NARROWEST)),
            level.mults + spread - 0.5,
            np.where(rho > SMALLEST, rho, SMALLEST - low),
            np.where(level.zgs > 0, logit, FAILED - lower),
            np.where(level.widths > 0, level.tau2s / np.maximum(level.widths, 1e-9), 0),
        ],
        -1,
    )


def view(truth: Floats, scale: Scale) -> Mapping[str, NDArray[np.float32]]:
    """Each observable in its unit, multiplicities spread; ``scale`` is the one they were brought down by."""
    mass, width, count, rho, logit, ratio = np.asarray(scale.up(truth), np.float32).T
    odds = np.exp(np.clip(logit, -20, 20))
    share = CUT + (odds * (HALF - CUT + EDGE) - EDGE) / (1 + odds)
    return {
        "mass [GeV]": np.exp(np.minimum(mass, 10)),
        "width": np.exp(np.minimum(width, 3)),
        "multiplicity": count,
        "ln rho": np.maximum(rho, SMALLEST),
        "z_g": np.where(logit > FAILED, np.clip(share, CUT, HALF), 0),
        "tau_21": ratio,
    }


def events(pairs: JetPairs, scale: Scale, seed: int) -> Events:
    """All pairs as complete events."""
    truth, reco = (numbers(level, seed + i) for i, level in enumerate((pairs.gen, pairs.sim)))
    return Events(scale.down(truth), scale.down(reco))


def scale_of(simulation: JetPairs) -> Scale:
    """That of the truth."""
    return Scale.of(numbers(simulation.gen, 0))


def read(path: Path) -> Source:
    """The pairs of a folder with ``simulation*.npz`` and ``data*.npz`` in OmniFold's layout.

    Raises:
        SpecError: if a file is missing, damaged or of another layout.
    """
    simulation, data = omnifold_files.read(path)
    scale = scale_of(simulation)
    parts = shared(events(simulation, scale, 0), events(data, scale, 10), str(path))
    return Source(parts, view=lambda truth, reco: view(truth, scale), unfolds=True)


KINDS = ("pairs",)
CHUNKED = True


def write(path: Path, wanted: Wanted, console: Console | None = None) -> dict[str, Path]:
    """Pairs of both tunes in a folder, ``data.npz`` and ``simulation.npz``; about 0.7 a collision. Resumable.

    Args:
        path: the folder.
        wanted: ``count`` is of the collisions for each of the two.
        console: for progress.

    Raises:
        ToolMissing: without Pythia or FastJet (extra ``datagen``).
        SampleError: if the number of collisions is impossible.
        ArtifactError: if another process works in the folder.
    """
    return jet_pairs_maker.make(jet_pairs_maker.Settings(wanted.count, wanted.seed), path, console, wanted.workers)


def source() -> Source:
    """The pairs that are shipped."""
    return read(SHIPPED)
