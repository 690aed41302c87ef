"""Electron and photon showers in the voxels of ``showers/detector.py``, or those of a file of the CaloChallenge.

Given: log10 of the incident energy in GeV and the kind, 0 for an electron and 1 for a photon (half of each). Truth: the
energies of layers, then the share of each voxel in its layer, as ``showers/shares.py`` states them, all brought to mean
0 and deviation 1. Events of data are those of the simulation: there is nothing else that they could be.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact
from trigger_ml.errors import SpecError
from trigger_ml.offline.metrics import Number, bootstrapped, wasserstein
from trigger_ml.offline.showers import detector, files, fractions, shares
from trigger_ml.offline.showers.binning import Binning
from trigger_ml.offline.showers.detector import SMALLEST, Showers
from trigger_ml.offline.showers.gflash import parametrised
from trigger_ml.offline.showers.metrics import FEWEST, compared, distances, separations
from trigger_ml.offline.showers.observables import observables
from trigger_ml.offline.sources.source import Events, Parts, Scale, Source, shared

if TYPE_CHECKING:
    from rich.console import Console

    from trigger_ml.offline.events import Wanted

Floats = NDArray[np.floating]
Single = NDArray[np.float32]

PILOT = 4000
PHOTON = "photon"
TIMED = 500

Generator = Callable[[Floats, NDArray[np.bool_], np.random.Generator], Showers]
"""From incident energies in MeV and which are photons to showers."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """Showers to the numbers of a model and back.

    Attributes:
        binning: of the voxels.
        smallest: energy in MeV that is read.
        scale: brings the numbers to order 1.
    """

    binning: Binning
    smallest: float
    scale: Scale

    @staticmethod
    def like(showers: Showers, binning: Binning, smallest: float) -> Numbers:
        """With the scale of these showers."""
        raw = _raw(showers, binning, smallest, np.random.default_rng(0))
        return Numbers(binning, smallest, Scale.of(raw))

    def events(self, showers: Showers, photons: NDArray[np.bool_], rng: np.random.Generator) -> Events:
        """Events with truth and what is given; ``rng`` fills voxels that read nothing."""
        truth = self.scale.down(_raw(showers, self.binning, self.smallest, rng))
        given = np.stack([np.log10(showers.incident / 1000), photons], axis=1)
        return Events(truth, given.astype(np.float32))

    def showers(self, truth: Single, given: Single) -> Showers:
        """Back to energies in MeV."""
        incident = 1000 * 10 ** given[:, 0].astype(np.float64)
        raw = self.scale.up(truth)
        layers = len(self.binning.filled)
        seen = shares.seen(raw[:, :layers], incident)
        return Showers(incident, shares.voxels(raw[:, layers:], seen, self.binning, self.smallest))

    def view(self, truth: Single, given: Single) -> Mapping[str, Single]:
        """What plots show: response, energy and width of layers, sparsity."""
        found = observables(self.showers(truth, given), self.binning)
        shown = {"E_tot / E_inc": found.response[:, 0]}
        for i, layer in enumerate(self.binning.filled):
            shown[f"log10 E / MeV in layer {layer.name}"] = np.log10(np.maximum(found.layers[:, i], 1))
        middle = len(self.binning.filled) // 2
        name = self.binning.filled[middle].name
        shown[f"centre in eta / mm in layer {name}"] = found.eta[:, middle]
        shown[f"width in eta / mm in layer {name}"] = found.width_eta[:, middle]
        shown["sparsity"] = found.sparsity.mean(1)
        return {key: values.astype(np.float32) for key, values in shown.items()}


class _Places(TypedDict):
    """Which numbers lead, and the grid of the others."""

    leading: int
    grid: tuple[int, ...] | None
    around: tuple[int, ...]


def source() -> Source:
    """Showers of the cascade; those of GFlash are measured beside a model's, as a generator to compare with."""
    pilot, photons = _made(np.random.default_rng(0), PILOT, detector.simulated)
    numbers = Numbers.like(pilot, detector.binning("electron"), SMALLEST)

    def draw(rng: np.random.Generator, count: int) -> Events:
        return numbers.events(*_made(rng, count, detector.simulated), rng)

    def parts(count: int, seed: int) -> Parts:
        _enough(count)
        training, test = (draw(np.random.default_rng([seed, i]), count) for i in (0, 2))
        return Parts(training, training, test, test)

    def gflash(test: Showers, given: Single, seed: int) -> Mapping[str, Number]:
        made = parametrised(test.incident, given[:, 1] > 0, np.random.default_rng([seed, 50]))
        return _named(compared(made, test, numbers.binning, seed), "GFlash")

    measures = _measures(numbers, gflash)
    cached = functools.lru_cache(maxsize=4)(parts)
    on = _on(numbers.binning)
    return Source(cached, view=numbers.view, measures=measures, micros=_micros, **on)


def beside(path: Path) -> tuple[Path, ...]:
    """What is read beside a file of events, if it is there."""
    return (path.with_suffix(files.BINNING),)


def read(path: Path) -> Source:
    """Showers of a file; its binning file, if there is one beside it, says what the voxels are and what was shot.

    Raises:
        SampleError: one of them can't be read, or they don't fit together.
    """
    binning = files.binning_of(path, detector.binning("electron"))
    showers = files.read(path, binning)
    some = showers.voxels[showers.voxels > 0]
    numbers = Numbers.like(showers, binning, float(some.min()) if len(some) else SMALLEST)
    photons = np.full(len(showers), binning.particle == PHOTON)
    events = numbers.events(showers, photons, np.random.default_rng(1))
    halves = shared(events, events, str(path))

    def parts(count: int, seed: int) -> Parts:
        _enough(count)
        found = halves(count, seed)
        return Parts(found.simulation, found.simulation, found.test, found.test)

    return Source(parts, view=numbers.view, measures=_measures(numbers, lambda *_: {}), **_on(binning))


KINDS = ("electron", PHOTON, "gflash_electron", "gflash_photon")
"""What can be shot for a file, into the cascade or into GFlash."""


CHUNKED = False


def write(path: Path, wanted: Wanted, console: Console | None = None) -> dict[str, Path]:
    """Showers of one kind in a file, with its binning file beside it; nothing is shown meanwhile.

    Raises:
        ToolMissing: without numba, for GFlash without scipy.
    """
    rng = np.random.default_rng(wanted.seed)
    particle = wanted.kind.removeprefix("gflash_")
    generator = detector.simulated if particle == wanted.kind else parametrised
    showers = generator(detector.energies(rng, wanted.count), np.full(wanted.count, particle == PHOTON), rng)
    files.write(path, showers, detector.binning(particle))
    return {"showers": path}


def _measures(
    numbers: Numbers, others: Callable[[Showers, Single, int], Mapping[str, Number]]
) -> Callable[[Single, Events, Events, int], Mapping[str, Number]]:
    """The CaloChallenge's numbers; beside them those of a second true sample, without classifiers, and of others.

    What stands beside is the same at every precision and is measured once.
    """
    known: dict[str, Mapping[str, Number]] = {}
    layers = len(numbers.binning.filled)

    def of_layers(found: Single, wanted: Single, seed: int) -> Number:
        return bootstrapped(wasserstein, (found[:, :layers], wanted[:, :layers]), seed)

    def measures(truth: Single, test: Events, second: Events, seed: int) -> Mapping[str, Number]:
        wanted = numbers.showers(test.truth, test.reco)
        key = artifact.digest_arrays({"test": test.truth, "second": second.truth, "seed": np.array(seed)})
        if key not in known:
            true = numbers.showers(second.truth, second.reco)
            floor = separations(true, wanted, numbers.binning, seed) | distances(true, wanted, numbers.binning, seed)
            floor["wasserstein of layers"] = of_layers(second.truth, test.truth, seed)
            known[key] = _named(floor, "truth") | dict(others(wanted, test.reco, seed))
        found = compared(numbers.showers(truth, test.reco), wanted, numbers.binning, seed)
        found["wasserstein of layers"] = of_layers(truth, test.truth, seed)
        made, aim, also = (numbers.scale.up(x)[:, :layers] for x in (truth, test.truth, second.truth))
        return found | dict(fractions.numbers(made, aim, also, test.reco[:, :1], seed)) | dict(known[key])

    return measures


def _on(binning: Binning) -> _Places:
    """Energies of layers lead; voxels are on a grid of layers, angles, which close in a circle, and rings."""
    layers = binning.filled
    same = len({(layer.angles, layer.rings) for layer in layers}) == 1
    grid = (len(layers), layers[0].angles, layers[0].rings) if same else None
    return {"leading": len(layers), "grid": grid, "around": (1,) if same else ()}


def _enough(count: int) -> None:
    if count < FEWEST:
        raise SpecError(f"[sample] events is {count}: showers are compared by histograms, give {FEWEST} or more")


def _named(found: Mapping[str, Number], of: str) -> dict[str, Number]:
    return {f"{name} of {of}": number for name, number in found.items()}


def _made(rng: np.random.Generator, count: int, generator: Generator) -> tuple[Showers, NDArray[np.bool_]]:
    photons = rng.random(count) < 0.5
    return generator(detector.energies(rng, count), photons, rng), photons


def _raw(showers: Showers, binning: Binning, smallest: float, rng: np.random.Generator) -> Floats:
    layers = shares.totals(binning.sums(showers.voxels), showers.incident)
    return np.concatenate([layers, shares.shape(showers.voxels, binning, smallest, rng)], axis=1)


def _micros() -> float:
    rng = np.random.default_rng(0)
    _made(rng, 2, detector.simulated)
    start = time.process_time()
    _made(rng, TIMED, detector.simulated)
    return 1e6 * (time.process_time() - start) / TIMED
