"""What pileup does to objects and regions: multiplicities, jet response and e/gamma efficiency, measured on truth.

The same seeded hard collisions are overlaid with each mean pileup in turn, with and without subtraction of its density.
Needs the extras ``datagen`` and ``report`` (for intervals).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_ml.physics.intervals import Estimate, binomial
from trigger_ml.samples import objects
from trigger_ml.samples.collide import Collider
from trigger_ml.samples.crossing import Crossings, Overlay, cross
from trigger_ml.samples.detector import Deposits, Leptons, Particles, electrons, respond
from trigger_ml.samples.pileup import Pool, assemble, make_pool_chunk, offsets, select
from trigger_ml.samples.processes import BACKGROUND, HARD, legs

POOL = 25_000
"""Soft collisions: as many as 500 crossings of mean pileup 50 draw. The errors leave out that crossings share them, and
are too small by at most sqrt(1 + drawn / POOL): 1.4 there, 1.2 for 500 crossings of mean pileup 20."""

BATCH = 250
"""Crossings whose towers are held in memory at once."""

JETS, ELECTRONS = "LQ_to_btau", "A_to_4l"
"""The processes whose true jets and electrons are compared."""

PROCESSES = (BACKGROUND, ELECTRONS, JETS, "h0_to_tautau", "ttbar")
JET_EDGES = (20.0, 30.0, 50.0, 80.0, 150.0)
ELECTRON_EDGES = (6.0, 10.0, 15.0, 20.0, 40.0)
"""Bins of true pT in GeV."""

MATCH = {"jet": 0.3, "eg": 0.2}
"""Largest distance in the eta-phi plane between a true object and the one found for it."""

FEWEST = 10
"""Objects found in a bin, below which no response is given."""

_JET_ETA, _ELECTRON_ETA, _APART = 4.3, 2.4, 0.6
_INVISIBLE = (12, 13, 14, 16)
_SLOTS = {"met": slice(0, 1), "eg": slice(1, 5), "mu": slice(5, 9), "jet": slice(9, 19)}


@dataclass(frozen=True)
class Point:
    """One condition: mean number of overlaid collisions, and whether their density is subtracted."""

    mean: float
    subtract: bool = True


POINTS = (Point(0), Point(20), Point(20, False), Point(50), Point(50, False))


@dataclass(frozen=True)
class Truth:
    """Hard collisions before the detector: what they deposit, true jets and true electrons."""

    deposits: Deposits
    jets: Leptons
    electrons: Leptons


@dataclass(frozen=True)
class Bin:
    """True objects of one range of pT.

    Attributes:
        low, high: of true pT, in GeV.
        found: share of them with an object of the trigger within :data:`MATCH`, Clopper-Pearson interval.
        response: median of found over true pT, with its error; NaN if fewer than :data:`FEWEST` were found.
        width: half the central 68 % of that ratio, with its error.
    """

    low: float
    high: float
    found: Estimate
    response: Estimate
    width: Estimate


@dataclass(frozen=True)
class Study:
    """What came out, for each process and condition.

    Attributes:
        events: crossings of each.
        means: process, point -> quantity (``met``, ``eg``, ``mu``, ``jet``, ``ht``, ``region``, ``occupancy``) -> mean
            with its standard error; MET, HT and the mean region in GeV, occupancy as a share of regions above zero.
        jets: point -> bins of :data:`JET_EDGES`, from :data:`JETS`.
        electrons: point -> bins of :data:`ELECTRON_EDGES`, from :data:`ELECTRONS`.
    """

    events: int
    means: Mapping[tuple[str, Point], Mapping[str, Estimate]]
    jets: Mapping[Point, tuple[Bin, ...]]
    electrons: Mapping[Point, tuple[Bin, ...]]


def study(
    events: int,
    seed: int,
    points: tuple[Point, ...] = POINTS,
    pool_size: int = POOL,
    told: Callable[[str], None] | None = None,
) -> Study:
    """Measure all processes in all conditions.

    Args:
        events: crossings of each.
        seed: of everything.
        points: conditions.
        pool_size: soft collisions to draw pileup from.
        told: called with the name of each process when it is done.

    Raises:
        ToolMissing: without Pythia, FastJet or scipy.
    """
    pool = assemble([make_pool_chunk(pool_size, np.random.default_rng((seed, 0)))])
    means, jets, found = {}, {}, {}
    for number, process in enumerate(PROCESSES):
        truth = _truth(process, events, seed + number)
        for point in points:
            made = list(_crossings(truth, events, pool, point, seed + number))
            means[process, point] = summary(made)
            if process == JETS and truth is not None:
                jets[point] = compare(truth.jets, _objects(made, "jet"), JET_EDGES, MATCH["jet"])
            if process == ELECTRONS and truth is not None:
                found[point] = compare(truth.electrons, _objects(made, "eg"), ELECTRON_EDGES, MATCH["eg"])
        if told is not None:
            told(process)
    return Study(events, means, jets, found)


def _truth(process: str, events: int, seed: int) -> Truth | None:
    legs_of = legs("zero_bias", process)
    if not legs_of:
        return None
    particles = Collider(legs_of[0].lines, seed).particles(events)
    deposits = respond(particles, np.random.default_rng((seed, 1)))
    true = electrons(particles, 3.0)
    return Truth(deposits, true_jets(particles, true), isolated_electrons(true))


def _crossings(truth: Truth | None, events: int, pool: Pool, point: Point, seed: int) -> Iterator[Crossings]:
    """Crossings of one condition; the same pileup whether it is subtracted or not."""
    rng = np.random.default_rng((seed, 2))
    overlay = Overlay(pool, 0, pool.deposits.collisions, point.mean, Collider(HARD, seed), point.subtract)
    for start in range(0, events, BATCH):
        count = min(BATCH, events - start)
        hard = None
        if truth is not None:
            hard = select(truth.deposits, *offsets(truth.deposits), start + np.arange(count), np.arange(count))
        batch = np.random.default_rng(rng.integers(2**63))
        yield cross(hard, None, count, overlay, batch)


def true_jets(particles: Particles, true_electrons: Leptons) -> Leptons:
    """Anti-kt jets (R = 0.4) of all stable particles but neutrinos and muons, above 15 GeV, abs(eta) < 4.3.

    Those of which an electron is more than half are left out: the trigger lists them as e/gamma.
    """
    import awkward as ak
    import fastjet

    seen = ~np.isin(np.abs(particles.pid), _INVISIBLE)
    px, py, pz = particles.px[seen], particles.py[seen], particles.pz[seen]
    momenta = {"px": px, "py": py, "pz": pz, "E": np.sqrt(px**2 + py**2 + pz**2)}
    counts = np.bincount(particles.event[seen], minlength=len(particles.counts))
    batch = ak.unflatten(ak.zip(momenta, with_name="Momentum4D"), counts)
    fastjet._swig.ClusterSequence.set_fastjet_banner_stream(None)
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, objects.JET_RADIUS)
    jets = fastjet.ClusterSequence(batch, definition).inclusive_jets(min_pt=15.0)
    event = np.repeat(np.arange(len(counts)), ak.to_numpy(ak.num(jets)))
    x, y, z = (ak.to_numpy(ak.flatten(jets[axis])) for axis in ("px", "py", "pz"))
    pt = np.hypot(x, y)
    made = Leptons(event, *(v.astype(np.float32) for v in (pt, np.arcsinh(z / pt), np.arctan2(y, x))))
    return made.take((np.abs(made.eta) < _JET_ETA) & ~_mostly(made, true_electrons))


def _mostly(jets: Leptons, other: Leptons) -> NDArray[np.bool_]:
    """Jets with one of the others inside that has more than half of their pT."""
    out = np.zeros(len(jets.pt), bool)
    for i, (event, pt, eta, phi) in enumerate(zip(jets.event, jets.pt, jets.eta, jets.phi, strict=True)):
        inside = slice(*np.searchsorted(other.event, (event, event + 1)))
        near = objects.distance(other.eta[inside], other.phi[inside], eta, phi) < objects.JET_RADIUS
        out[i] = bool((other.pt[inside][near] > 0.5 * pt).any())
    return out


def isolated_electrons(true: Leptons) -> Leptons:
    """True electrons within abs(eta) 2.4 that have no other above 3 GeV within 0.6 (both at the calorimeter)."""
    alone = np.ones(len(true.pt), bool)
    for i, (event, eta, phi) in enumerate(zip(true.event, true.eta, true.phi, strict=True)):
        inside = slice(*np.searchsorted(true.event, (event, event + 1)))
        alone[i] = np.count_nonzero(objects.distance(true.eta[inside], true.phi[inside], eta, phi) < _APART) == 1
    return true.take(alone & (np.abs(true.eta) < _ELECTRON_ETA))


def _objects(made: list[Crossings], kind: str) -> NDArray[np.float64]:
    return np.concatenate([part.objects[:, _SLOTS[kind]] for part in made])


def summary(made: list[Crossings]) -> dict[str, Estimate]:
    """Means over crossings with their standard errors; see :class:`Study`."""
    pt = np.concatenate([part.objects[..., 0] for part in made])
    regions = np.concatenate([part.regions for part in made]).reshape(len(pt), -1)
    values = {"met": pt[:, 0], "ht": pt[:, _SLOTS["jet"]].sum(1)}
    values |= {kind: np.count_nonzero(pt[:, _SLOTS[kind]], axis=1) for kind in ("eg", "mu", "jet")}
    values |= {"region": regions.mean(1) / 2, "occupancy": (regions > 0).mean(1)}
    return {
        name: Estimate.symmetric(x.mean(), np.std(x, ddof=1) / np.sqrt(len(x))) for name, x in sorted(values.items())
    }


def compare(true: Leptons, found: NDArray[np.float64], edges: tuple[float, ...], reach: float) -> tuple[Bin, ...]:
    """Efficiency and response in bins of true pT.

    Args:
        true: true objects, by event.
        found: (events, slots, 3) objects of the trigger, pT in GeV, eta, phi; empty slots zero.
        edges: of the bins, in GeV.
        reach: largest distance of a match; the nearest counts.
    """
    candidates = found[true.event]
    away = objects.distance(candidates[..., 1], candidates[..., 2], true.eta[:, None], true.phi[:, None])
    away[candidates[..., 0] == 0] = np.inf
    nearest = away.argmin(1)
    ratio = candidates[np.arange(len(away)), nearest, 0] / true.pt
    hit = away.min(1, initial=np.inf) < reach
    bins = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        here = (true.pt >= low) & (true.pt < high)
        passed, total = int((hit & here).sum()), int(here.sum())
        ends = binomial(passed, total)
        share = Estimate(passed / max(total, 1), float(ends[0]), float(ends[1]))
        bins.append(Bin(low, high, share, *_spread(ratio[hit & here])))
    return tuple(bins)


def _spread(ratio: NDArray[np.float64]) -> tuple[Estimate, Estimate]:
    """Median and half the central 68 %; errors from 200 resamplings."""
    if len(ratio) < FEWEST:
        nothing = Estimate(np.nan, np.nan, np.nan)
        return nothing, nothing
    resampled = np.random.default_rng(len(ratio)).choice(ratio, (200, len(ratio)))
    low, median, high = np.quantile(np.concatenate([ratio[None], resampled]), (0.16, 0.5, 0.84), axis=1)
    width = (high - low) / 2
    return (
        Estimate.symmetric(median[0], np.std(median[1:], ddof=1)),
        Estimate.symmetric(width[0], np.std(width[1:], ddof=1)),
    )
