"""Pileup: a pool of soft collisions, binned once and drawn again and again, and fresh hard collisions on top.

A pool alone would repeat its few hard collisions in many crossings and fake the tail of every spectrum. So the pool
keeps only non-diffractive collisions whose hardest scattering is below ``HARD_PT_HAT``; those above are generated
afresh (``HardQCD:all``) and used once, at the fraction of collisions that the same soft simulation finds above it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_ml.samples.collide import BATCH, Collider
from trigger_ml.samples.detector import ETA, PHI, Deposits, Ints, Leptons, respond
from trigger_ml.samples.processes import HARD_PT_HAT, SOFT

POOL_CHUNK = 5000
TRAIN_SHARE = 0.4
"""Share of the pool that train and validation crossings draw from; test crossings draw from the rest."""

FRESH = -1
"""``source`` of a crossing whose leading collision was generated for it alone."""


@dataclass(frozen=True)
class Pool:
    """Soft collisions.

    Attributes:
        deposits: of all of them.
        entry: first tower entry of each collision, and the end.
        muon: first muon of each collision, and the end.
        activity: :meth:`Deposits.activity` of each.
        generated: collisions generated; those not kept were hard.
    """

    deposits: Deposits
    entry: Ints
    muon: Ints
    activity: NDArray[np.float64]
    generated: int

    @property
    def hard_fraction(self) -> float:
        """Fraction of non-diffractive collisions with a scattering above ``HARD_PT_HAT``."""
        return hard_fraction(self.deposits.collisions, self.generated)[0]


def hard_fraction(kept: int, generated: int) -> tuple[float, float]:
    """Fraction of non-diffractive collisions with a scattering above ``HARD_PT_HAT``, and its standard deviation.

    Args:
        kept: soft collisions in the pool.
        generated: collisions generated for them; those not kept were hard.
    """
    fraction = 1 - kept / generated
    return fraction, float(np.sqrt(fraction * (1 - fraction) / generated))


def make_pool_chunk(size: int, rng: np.random.Generator) -> dict[str, NDArray]:
    """Generate until ``size`` soft collisions are kept; arrays for :func:`assemble`."""
    collider = Collider(SOFT, int(rng.integers(1, 900_000_000)))
    kept, generated, have = [], 0, 0
    while have < size:
        particles, pt_hat = collider.next(BATCH)
        soft = np.flatnonzero(pt_hat < HARD_PT_HAT)[: size - have]
        generated += BATCH if have + len(soft) < size else int(soft[-1]) + 1
        deposits = respond(particles, rng)
        kept.append(select(deposits, *offsets(deposits), soft, have + np.arange(len(soft))))
        have += len(soft)
    total = stack(kept, size)
    return {**_arrays(total), "generated": np.array([size, generated])}


def assemble(chunks: list[dict[str, NDArray]]) -> Pool:
    """One pool of chunks made by :func:`make_pool_chunk`, in order."""
    size = sum(int(chunk["generated"][0]) for chunk in chunks)
    parts, start = [], 0
    for chunk in chunks:
        count = int(chunk["generated"][0])
        parts.append(_deposits(chunk, count, start))
        start += count
    deposits = stack(parts, size)
    entry, muon = offsets(deposits)
    return Pool(deposits, entry, muon, deposits.activity(), sum(int(chunk["generated"][1]) for chunk in chunks))


def _arrays(d: Deposits) -> dict[str, NDArray]:
    m = d.muons
    return {
        "event": d.event.astype(np.int32), "cell": d.cell, "em": d.em, "had": d.had,
        "mu_event": m.event.astype(np.int32), "mu_pt": m.pt, "mu_eta": m.eta, "mu_phi": m.phi,
    }  # fmt: skip


def _deposits(a: dict[str, NDArray], count: int, start: int) -> Deposits:
    muons = Leptons(a["mu_event"].astype(np.int64) + start, a["mu_pt"], a["mu_eta"], a["mu_phi"])
    return Deposits(count, a["event"].astype(np.int64) + start, a["cell"], a["em"], a["had"], muons)


def offsets(d: Deposits) -> tuple[Ints, Ints]:
    """First tower entry and first muon of each collision, and the ends: both of length collisions + 1."""
    edges = np.arange(d.collisions + 1)
    return np.searchsorted(d.event, edges), np.searchsorted(d.muons.event, edges)


def _ranges(offset: Ints, chosen: Ints) -> tuple[Ints, Ints]:
    """Indices of all entries of the chosen collisions, and how many each has."""
    lengths = offset[chosen + 1] - offset[chosen]
    ends = np.cumsum(lengths)
    return np.repeat(offset[chosen] - (ends - lengths), lengths) + np.arange(ends[-1] if len(ends) else 0), lengths


def select(d: Deposits, entry: Ints, muon: Ints, chosen: Ints, event: Ints) -> Deposits:
    """Some collisions (repeats allowed), each becoming part of the given event."""
    at, lengths = _ranges(entry, chosen)
    mu_at, mu_lengths = _ranges(muon, chosen)
    muons = Leptons(np.repeat(event, mu_lengths), d.muons.pt[mu_at], d.muons.eta[mu_at], d.muons.phi[mu_at])
    return Deposits(d.collisions, np.repeat(event, lengths), d.cell[at], d.em[at], d.had[at], muons)


def stack(parts: list[Deposits], collisions: int) -> Deposits:
    """Several sets of deposits as one; not sorted unless the parts follow each other."""
    return Deposits(
        collisions,
        event=np.concatenate([part.event for part in parts]),
        cell=np.concatenate([part.cell for part in parts]),
        em=np.concatenate([part.em for part in parts]),
        had=np.concatenate([part.had for part in parts]),
        muons=Leptons(
            event=np.concatenate([part.muons.event for part in parts]),
            pt=np.concatenate([part.muons.pt for part in parts]),
            eta=np.concatenate([part.muons.eta for part in parts]),
            phi=np.concatenate([part.muons.phi for part in parts]),
        ),
    )


def draw(
    pool: Pool, lo: int, hi: int, events: int, mean: float, rng: np.random.Generator
) -> tuple[Deposits, Ints, Ints]:
    """Soft collisions of each event, Poisson(``mean``), from the pool's ``lo ... hi``.

    Each is rotated by a random number of towers in phi and mirrored in eta half of the time.

    Returns:
        Their deposits, and event and pool number of each collision drawn.
    """
    event = np.repeat(np.arange(events), rng.poisson(mean, events))
    chosen = rng.integers(lo, hi, len(event))
    turn, mirror = rng.integers(0, PHI, len(event)), rng.random(len(event)) < 0.5
    drawn = np.arange(len(event))
    plain = select(pool.deposits, pool.entry, pool.muon, chosen, drawn)
    ring, column = np.divmod(plain.cell.astype(np.int64), PHI)
    ring = np.where(mirror[plain.event], ETA - 1 - ring, ring)
    cell = (ring * PHI + (column + turn[plain.event]) % PHI).astype(np.uint16)
    m = plain.muons
    eta = np.where(mirror[m.event], -m.eta, m.eta)
    phi = (m.phi + turn[m.event] * (2 * np.pi / PHI)).astype(np.float32)
    muons = Leptons(event[m.event], m.pt, eta, phi)
    return Deposits(events, event[plain.event], cell, plain.em, plain.had, muons), event, chosen


def dominant(events: int, event: Ints, activity: NDArray[np.float64], identity: Ints) -> Ints:
    """The identity of the most active collision of each event; :data:`FRESH` where there is none."""
    order = np.lexsort((activity, event))
    out: Ints = np.full(events, FRESH, np.int64)
    out[event[order]] = identity[order]
    return out
