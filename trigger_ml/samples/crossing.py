"""One chunk of bunch crossings of one process: hard collision, pileup, detector, objects, filter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_ml.samples import objects
from trigger_ml.samples.collide import BATCH, Collider
from trigger_ml.samples.detector import ETA, PHI, Deposits, Ints, Leptons, add, electrons, measure, respond
from trigger_ml.samples.features import encode
from trigger_ml.samples.pileup import FRESH, TRAIN_SHARE, Pool, dominant, draw, offsets, select, stack
from trigger_ml.samples.processes import HARD, Leg, legs
from trigger_ml.samples.regions import regions

LEPTON_PT = 23.0
"""GeV; adc2021_like keeps events with an isolated electron or muon above it."""
_TRUE_ELECTRON_PT = 18.0
_DENSE = 250
"""Crossings whose towers are held in memory at once."""


@dataclass(frozen=True)
class Overlay:
    """Where pileup comes from, and what is done about it.

    Attributes:
        pool: of soft collisions.
        lo: first of the pool's collisions that are drawn.
        hi: the one behind the last.
        mean: number of collisions in a crossing.
        hard: generates those too hard for the pool.
        subtract: take the pileup density off jets, and off what surrounds e/gamma and muons.
    """

    pool: Pool
    lo: int
    hi: int
    mean: float
    hard: Collider
    subtract: bool = True


@dataclass(frozen=True)
class Crossings:
    """Measured crossings.

    Attributes:
        objects: in physical units, (events, 19, 3).
        regions: (events, 18, 14), see :mod:`trigger_ml.samples.regions`.
        lepton: whether each passes the lepton filter.
        source: the pool's number of the most active collision; ``FRESH`` if that was generated for this event alone,
            as it is in every event with a hard process.
    """

    objects: NDArray[np.float64]
    regions: NDArray[np.uint16]
    lepton: NDArray[np.bool_]
    source: Ints

    def take(self, keep: Ints) -> Crossings:
        """Some of them."""
        return Crossings(self.objects[keep], self.regions[keep], self.lepton[keep], self.source[keep])


def make_chunk(
    variant: str, process: str, part: str, size: int, pool: Pool, pileup: float, rng: np.random.Generator
) -> dict[str, NDArray]:
    """``size`` events: ``hw`` (size, 57) hardware integers, ``regions`` (size, 18, 14) and ``source`` (size,).

    ``tried`` is the number of collisions generated for them. ``part`` says which of the pool they draw from: ``all``,
    or one side of the border between training and test.
    """
    border = int(pool.deposits.collisions * TRAIN_SHARE)
    lo, hi = (0 if part == "all" else border, pool.deposits.collisions)
    if part in ("train", "validation"):
        lo, hi = 0, border
    overlay = Overlay(pool, lo, hi, pileup, Collider(HARD, _seed(rng)))
    parts, tried = [], 0
    hard_processes = legs(variant, process)
    if not hard_processes:
        parts = [cross(None, None, n, overlay, rng) for n in _split(size)]
    for leg, count in zip(hard_processes, _shares(hard_processes, size), strict=True):
        made, generated = _leg(leg, count, variant == "adc2021_like", overlay, rng)
        parts += made
        tried += generated
    hw = encode(np.concatenate([part.objects for part in parts]))
    source = np.concatenate([part.source for part in parts])
    order = rng.permutation(size)
    regional = np.concatenate([part.regions for part in parts])
    return {
        "hw": hw[order],
        "regions": regional[order],
        "source": source[order].astype(np.int32),
        "tried": np.array([tried]),
    }


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1, 900_000_000))


def _split(size: int) -> list[int]:
    return [min(_DENSE, size - start) for start in range(0, size, _DENSE)]


def _shares(hard: tuple[Leg, ...], size: int) -> list[int]:
    """Events of each leg: rounded cumulative shares, so that they add up to ``size``."""
    if not hard:
        return []
    edges = np.rint(np.cumsum([0.0, *(leg.share for leg in hard)]) / sum(leg.share for leg in hard) * size)
    return np.diff(edges).astype(int).tolist()


def _leg(
    leg: Leg, count: int, filtered: bool, overlay: Overlay, rng: np.random.Generator
) -> tuple[list[Crossings], int]:
    """``count`` events of one hard process, and the collisions generated for them."""
    if count == 0:
        return [], 0
    collider, made, have, tried = Collider(leg.lines, _seed(rng)), [], 0, 0
    while have < count:
        ask = BATCH if filtered else min(_DENSE, count - have)
        particles = collider.particles(ask)
        deposits = respond(particles, rng)
        truth = electrons(particles, _TRUE_ELECTRON_PT) if filtered else None
        chosen = np.arange(ask)
        if truth is not None:
            muon = deposits.muons.event[deposits.muons.pt > LEPTON_PT]
            chosen = np.union1d(truth.event, muon)
            kept = np.isin(truth.event, chosen)
            truth = Leptons(np.searchsorted(chosen, truth.event), truth.pt, truth.eta, truth.phi).take(kept)
        hard = select(deposits, *offsets(deposits), chosen, np.arange(len(chosen)))
        crossings = cross(hard, truth, len(chosen), overlay, rng)
        keep = np.flatnonzero(crossings.lepton | (not filtered))[: count - have]
        tried += ask
        have += len(keep)
        made.append(crossings.take(keep))
    return made, tried


def cross(
    collision: Deposits | None, truth: Leptons | None, events: int, overlay: Overlay, rng: np.random.Generator
) -> Crossings:
    """Overlay pileup on ``events`` crossings, measure, build objects.

    Args:
        collision: the hard collision of each crossing, or None for zero bias.
        truth: its true electrons, for the lepton filter.
        events: number of crossings.
        overlay: the pileup.
        rng: the chunk's generator.
    """
    fraction = overlay.pool.hard_fraction
    soft, event, number = draw(overlay.pool, overlay.lo, overlay.hi, events, overlay.mean * (1 - fraction), rng)
    hard_event = np.repeat(np.arange(events), rng.poisson(overlay.mean * fraction, events))
    fresh = respond(overlay.hard.particles(len(hard_event)), rng)
    hard = select(fresh, *offsets(fresh), np.arange(len(hard_event)), hard_event)
    source = dominant(
        events,
        np.concatenate([event, hard_event]),
        np.concatenate([overlay.pool.activity[number], fresh.activity()]),
        np.concatenate([number, np.full(len(hard_event), FRESH)]),
    )
    if collision is not None:
        source = np.full(events, FRESH)
    total = stack([part for part in (collision, soft, hard) if part is not None], events)
    key = total.event * (ETA * PHI) + total.cell
    shape = (events, ETA, PHI)
    em, had = (add(key, weight, events * ETA * PHI).reshape(shape) for weight in (total.em, total.had))
    em32, had32 = measure(em, had, rng)
    density = objects.pileup_density(em32 + had32)
    towers = objects.Towers(em32, had32, density if overlay.subtract else np.zeros_like(density))
    built = objects.build(towers, total.muons, rng)
    return Crossings(built, regions(em32 + had32), _has_lepton(built, total.muons, towers, truth), source)


def _has_lepton(
    built: NDArray[np.float64], muons: Leptons, towers: objects.Towers, truth: Leptons | None
) -> NDArray[np.bool_]:
    """Events with an isolated muon, or an e/gamma within 0.2 of a true electron, above ``LEPTON_PT``."""
    out = np.zeros(len(built), bool)
    if truth is None:
        return out
    muon = muons.take(muons.pt > LEPTON_PT)
    out[muon.event[objects.isolated(muon, towers)]] = True
    eg = built[truth.event, 1:5]
    near = objects.distance(truth.eta[:, None], truth.phi[:, None], eg[..., 1], eg[..., 2]) < 0.2
    out[truth.event[(near & (eg[..., 0] > LEPTON_PT)).any(1)]] = True
    return out
