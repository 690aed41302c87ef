"""Jets from collisions: cluster what the trigger sees, keep the jets of a window, match tops."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SampleError, ToolMissing
from trigger_ml.samples.collide import Collider, stable
from trigger_ml.samples.detector import Ints
from trigger_ml.samples.jet_particles import Candidates, measure
from trigger_ml.samples.jet_processes import RADIUS, JetSet, Window

BATCH = 100
"""Collisions asked of Pythia at once; fewer for a few jets."""

KEPT = 160
"""Constituents kept of each jet, leading first; the few jets with more lose their softest."""

_MAX_FAILURES = 50
"""Batches in a row without a jet before the maker gives up."""


def make_jets(jets: JetSet, name: str, sizes: tuple[int, ...], rng: np.random.Generator) -> dict[str, NDArray]:
    """Jets of one class: ``sizes`` of them for each part; no collision gives jets to two parts.

    Returns:
        ``constituents`` (jets, KEPT, 3) float32: pT in GeV, eta and phi relative to the jet's axis, by falling pT,
        zeros behind the last; ``count`` (jets,) int32 constituents; ``jet`` (jets, 4) float32: pT in GeV, eta, phi,
        mass in GeV; ``event`` (jets,) int32 number of the jet's collision; ``generated`` (1,) collisions made.

    Raises:
        ToolMissing: without Pythia or FastJet.
        SampleError: if Pythia refuses a setting, or no jet comes.
    """
    collider = Collider(jets.lines(name), int(rng.integers(1, 900_000_000)))
    found: list[dict[str, NDArray]] = []
    number = generated = empty = 0
    size = min(BATCH, max(20, sum(sizes)))
    while number < sum(sizes) + 3 * len(sizes):
        record = collider.records(size).prt
        batch = cluster(measure(stable(record), rng), size, jets.window)
        if jets.window.matched and name == "top":
            batch = {key: value[_holds_a_top(record, batch)] for key, value in batch.items()}
        batch["event"] = (batch["event"] + generated).astype(np.int32)
        generated += size
        number += len(batch["event"])
        empty = 0 if len(batch["event"]) else empty + 1
        if empty > _MAX_FAILURES:
            raise SampleError(f"{name}: {empty * size} collisions gave no jet in the window: widen it")
        found.append(batch)
    joined = {key: np.concatenate([batch[key] for batch in found]) for key in found[0]}
    which = _apart(joined["event"], sizes)
    return {**{key: value[which] for key, value in joined.items()}, "generated": np.array([generated])}


def _apart(event: Ints, sizes: tuple[int, ...]) -> Ints:
    """Positions of jets for parts of these sizes, such that no two parts share an event; ``event`` rises."""
    which, start = [], 0
    for size in sizes:
        which.append(np.arange(start, start + size))
        start += size
        while 0 < start < len(event) and event[start] == event[start - 1]:
            start += 1
    return np.concatenate(which)


def cluster(what: Candidates, events: int, window: Window, radius: float = RADIUS) -> dict[str, NDArray]:
    """Anti-kt jets in the window: what :func:`make_jets` returns, ``event`` counted from 0, unmatched."""
    ak, fastjet = _libraries()
    counts = np.bincount(what.event, minlength=events)
    particles = ak.unflatten(momenta(what.pt, what.eta, what.phi), counts)
    sequence = fastjet.ClusterSequence(particles, fastjet.JetDefinition(fastjet.antikt_algorithm, radius))
    low, high = window.pt
    found, inside = sequence.inclusive_jets(min_pt=low), sequence.constituents(min_pt=low)
    pt = np.hypot(found.px, found.py)
    keep = (pt < high) & (abs(np.arcsinh(found.pz / pt)) < window.eta)
    event = np.repeat(np.arange(events), ak.to_numpy(ak.sum(keep, axis=1)))
    axes, inside = ak.flatten(found[keep]), ak.flatten(inside[keep], axis=1)
    px, py, pz, energy = (ak.to_numpy(axes[axis]).astype(np.float64) for axis in ("px", "py", "pz", "E"))
    jet_pt = np.hypot(px, py)
    eta, phi = np.arcsinh(pz / jet_pt), np.arctan2(py, px)
    mass = np.sqrt(np.maximum(0, energy**2 - jet_pt**2 - pz**2))
    constituents, count = _padded(inside, eta, phi)
    jet = np.stack([jet_pt, eta, phi, mass], -1).astype(np.float32)
    return {"constituents": constituents, "count": count, "jet": jet, "event": event.astype(np.int32)}


def _padded(inside: Any, eta: NDArray[np.float64], phi: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
    """Constituents (jets, KEPT, 3), relative to their axes, by falling pT; and how many there were."""
    import awkward as ak

    number = ak.to_numpy(ak.num(inside)).astype(np.int32)
    jet = np.repeat(np.arange(len(number)), number)
    px, py, pz = (ak.to_numpy(ak.flatten(inside[axis])).astype(np.float64) for axis in ("px", "py", "pz"))
    pt = np.hypot(px, py)
    order = np.lexsort((-pt, jet))
    values = np.stack([pt, np.arcsinh(pz / pt) - eta[jet], turned(np.arctan2(py, px) - phi[jet])], -1)[order]
    rank = np.arange(len(jet)) - np.repeat(np.cumsum(number) - number, number)
    out = np.zeros((len(number), KEPT, 3), np.float32)
    kept = rank < KEPT
    out[jet[kept], rank[kept]] = values[kept]
    return out, number


def _holds_a_top(record: Any, batch: dict[str, NDArray]) -> NDArray[np.bool_]:
    """Jets that have all three quarks of one hadronic top decay within the radius of their axis."""
    import awkward as ak

    quark = record[(record.status == -23) & (abs(record.id) <= 5)]
    mother = record.id[quark.mother1]
    from_top = (abs(mother) == 6) | (abs(mother) == 24)
    quark, sign = quark[from_top], np.sign(mother[from_top])
    holds = np.zeros(len(batch["event"]), np.bool_)
    for charge in (-1, 1):
        mine = quark[sign == charge]
        if not ak.all(ak.num(mine) == 3):
            raise SampleError("a top pair did not decay to three quarks each: correct the settings of the class top")
        px, py, pz = (ak.to_numpy(mine.p[axis])[batch["event"]] for axis in ("px", "py", "pz"))
        eta, phi = np.arcsinh(pz / np.hypot(px, py)), np.arctan2(py, px)
        axis = batch["jet"][:, None, 1:3]
        holds |= np.all(np.hypot(eta - axis[..., 0], turned(phi - axis[..., 1])) < RADIUS, axis=1)
    return holds


def turned(phi: NDArray[np.floating]) -> NDArray[np.floating]:
    """Angles brought into [-pi, pi)."""
    return (phi + np.pi) % (2 * np.pi) - np.pi


def momenta(pt: Any, eta: Any, phi: Any) -> Any:
    """Massless four-momenta for FastJet (awkward, flat or jagged as given)."""
    ak, _ = _libraries()
    fields = {"px": pt * np.cos(phi), "py": pt * np.sin(phi), "pz": pt * np.sinh(eta), "E": pt * np.cosh(eta)}
    return ak.zip(fields, with_name="Momentum4D")


def _libraries() -> tuple[Any, Any]:
    """The packages awkward and FastJet, with the behaviours that FastJet's interface needs."""
    try:
        import awkward
        import fastjet
        import vector
    except ImportError:
        raise ToolMissing("fastjet is not installed: pip install 'trigger_ml[datagen]'") from None
    vector.register_awkward()
    return awkward, fastjet
