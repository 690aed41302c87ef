"""The leading jet of Z+jet collisions twice: of all visible particles, and of what the detector leaves of them.

As in the sample of OmniFold (A. Andreassen et al., arXiv:1911.09107, 10.5281/zenodo.3548091): the Z is stable and
above 200 GeV, jets are anti-kt with R = 0.4, and the hardest one above 10 GeV is kept at each level, so the two need
not be the same jet. The detector is that of ``jet_particles.py``; its jets are not calibrated (their median response is
0.995, half of its central 68 % are 2.6 %). Momenta are massless at both levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_ml.samples.collide import Collider, stable
from trigger_ml.samples.detector import Particles
from trigger_ml.samples.jet_features import SYMMETRY, clustered, kt_axes
from trigger_ml.samples.jet_making import cluster
from trigger_ml.samples.jet_particles import INVISIBLE, Candidates, measure
from trigger_ml.samples.jet_processes import Window

Z_PT = 200.0
"""GeV."""

RADIUS = 0.4
WINDOW = Window((150.0, np.inf), (10.0, np.inf), 2.5, matched=False)

BATCH = 200
_Z_BOSON = 23

Z_JET = (
    "WeakBosonAndParton:qqbar2gmZg = on",
    "WeakBosonAndParton:qg2gmZq = on",
    "WeakZ0:gmZmode = 2",
    "23:mayDecay = off",
    "PhaseSpace:pTHatMin = 180.",
)
PRIORS: dict[str, tuple[str, ...]] = {
    "data": Z_JET,
    "simulation": (
        *Z_JET,
        "TimeShower:alphaSvalue = 0.118",
        "StringZ:aLund = 0.3",
        "StringZ:bLund = 0.8",
        "StringPT:sigma = 0.304",
    ),
}
"""Data: Pythia's default, Monash (alphaS 0.1365). Simulation: less radiation, and the strings of the older tune 4C."""

Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Leading:
    """The hardest jet of each collision: its collision, ``(jets, 4)`` pT in GeV, y, phi, mass, and constituents."""

    event: NDArray[np.int64]
    jet: NDArray[np.float64]
    constituents: NDArray[np.float32]
    count: NDArray[np.int32]

    def rows(self, chosen: NDArray[np.int64]) -> Leading:
        """Some of them, by index."""
        return Leading(self.event[chosen], self.jet[chosen], self.constituents[chosen], self.count[chosen])


def make_pairs(prior: str, collisions: int, seed: int) -> Arrays:
    """The pairs among some collisions, in the arrays of OmniFold's files: ``gen_jets``, ``sim_jets`` and so on.

    Args:
        prior: one of :data:`PRIORS`.
        collisions: that are generated; about two of three have a Z above 200 GeV.
        seed: of generator and detector, 1...900,000,000.

    Raises:
        ToolMissing: without Pythia or FastJet (extra ``datagen``).
        SampleError: if Pythia refuses a setting.
    """
    collider, rng = Collider(PRIORS[prior], seed), np.random.default_rng(seed)
    found: list[Arrays] = []
    for start in range(0, collisions, BATCH):
        found.append(_batch(stable(collider.records(min(BATCH, collisions - start)).prt), rng))
    return {key: np.concatenate([each[key] for each in found]) for key in found[0]}


def _batch(particles: Particles, rng: np.random.Generator) -> Arrays:
    pid, event = np.abs(particles.pid), particles.event
    pt = np.hypot(particles.px, particles.py) + 1e-9
    boson = np.zeros(len(particles.counts))
    np.maximum.at(boson, event[pid == _Z_BOSON], pt[pid == _Z_BOSON])
    seen = ~np.isin(pid, (*INVISIBLE, _Z_BOSON)) & (boson > Z_PT)[event]
    eta, phi = np.arcsinh(particles.pz / pt), np.arctan2(particles.py, particles.px)
    visible = Particles(
        np.bincount(event[seen], minlength=len(boson)),
        *(getattr(particles, name)[seen] for name in ("pid", "px", "py", "pz")),
    )
    gen = _leading(Candidates(event[seen], pt[seen], eta[seen], phi[seen]), len(boson))
    sim = _leading(measure(visible, rng), len(boson))
    _, of_gen, of_sim = np.intersect1d(gen.event, sim.event, return_indices=True)
    levels = {"gen": shapes(gen.rows(of_gen)), "sim": shapes(sim.rows(of_sim))}
    return {f"{level}_{key}": value for level, arrays in levels.items() for key, value in arrays.items()}


def _leading(what: Candidates, events: int) -> Leading:
    jets = cluster(what, events, WINDOW, RADIUS)
    order = np.lexsort((-jets["jet"][:, 0], jets["event"]))
    first = order[np.unique(jets["event"][order], return_index=True)[1]]
    pt, eta, phi, mass = jets["jet"][first].astype(np.float64).T
    y = np.arcsinh(pt * np.sinh(eta) / np.hypot(pt, mass))
    momentum = np.stack([pt, y, phi, mass], -1)
    return Leading(jets["event"][first].astype(np.int64), momentum, jets["constituents"][first], jets["count"][first])


def shapes(jets: Leading) -> Arrays:
    """``jets``, ``mults``, ``widths``, ``tau2s``, ``sdms`` and ``zgs`` of each jet, as OmniFold's files define them.

    Width and 2-subjettiness (about winner-take-all axes of exclusive kt jets) are means of angles weighted with pT, in
    units of the radius. Soft drop has z 0.1 and beta 0 (arXiv:1402.2657); a jet of which nothing passes has mass and
    momentum sharing 0.
    """
    pt = jets.constituents[..., 0].astype(np.float64)
    z = pt / pt.sum(1, keepdims=True)
    width = (z * np.hypot(jets.constituents[..., 1], jets.constituents[..., 2])).sum(1) / RADIUS
    mass, sharing = _soft_drop(jets.constituents)
    found = {
        "jets": jets.jet,
        "mults": jets.count,
        "widths": width,
        "tau2s": _two(jets.constituents, z),
        "sdms": mass,
        "zgs": sharing,
    }
    return {key: np.asarray(value, np.float32) for key, value in found.items()}


def _two(constituents: NDArray[np.float32], z: NDArray[np.float64]) -> NDArray[np.float64]:
    found = np.zeros(len(constituents))
    enough = (constituents[..., 0] > 0).sum(1) > 2
    chosen = constituents[enough].astype(np.float64)
    eta, phi = kt_axes(chosen, 2)
    theta = np.hypot(chosen[:, :, None, 1] - eta[:, None], chosen[:, :, None, 2] - phi[:, None]).min(2)
    found[enough] = (z[enough] * theta).sum(1) / RADIUS
    return found


def _soft_drop(constituents: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Groomed mass in GeV and momentum sharing."""
    import awkward as ak

    sequence = clustered(constituents.astype(np.float64), "cambridge_algorithm", "E_scheme")
    found = sequence.exclusive_jets_softdrop_grooming(njets=1, beta=0, symmetry_cut=SYMMETRY, R0=RADIUS)
    mass, sharing = (ak.to_numpy(found[name]).astype(np.float64) for name in ("msoftdrop", "symmetrysoftdrop"))
    passed = sharing >= SYMMETRY
    return np.where(passed, np.maximum(mass, 0), 0), np.where(passed, sharing, 0)
