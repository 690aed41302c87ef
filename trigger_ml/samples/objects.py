"""From towers and muons to trigger objects: pileup density, e/gamma, jets, missing transverse energy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import ToolMissing
from trigger_ml.samples.detector import ETA, ETA_CENTRE, ETA_EDGES, ETA_WIDTH, PHI, TOWER, Floats, Ints, Leptons
from trigger_ml.samples.features import KINDS, OBJECTS

EG_PT, EG_SEED, EG_RINGS = 5.0, 2.0, 30  # GeV, GeV, rings each side: abs(eta) < 2.61
JET_PT, JET_ETA, JET_RADIUS = 15.0, 4.7, 0.4
MET_RINGS = 36  # abs(eta) < 3.13
_PHI_CENTRE = (np.arange(PHI) + 0.5) * 2 * np.pi / PHI
_GROUP = 4  # towers: a region is 4 x 4
_OFFSET = {"met": 0, "eg": 1, "mu": 5, "jet": 9}


@dataclass(frozen=True)
class Towers:
    """Digitised towers of a batch, (events, ETA, PHI) transverse energies in GeV, and their pileup density.

    Attributes:
        em: electromagnetic part.
        had: hadronic part.
        density: (events, ETA) pileup transverse energy per tower, from :func:`pileup_density`.
    """

    em: Floats
    had: Floats
    density: Floats


def pileup_density(total: Floats) -> Floats:
    """Pileup transverse energy per tower in each eta ring, (events, ETA).

    The median over the 36 regions of 4 x 4 towers at the same abs(eta) (18 in phi, both sides), divided by 16: a jet
    fills a few of the 36 and doesn't move it.
    """
    n = len(total)
    regions = total.reshape(n, ETA // _GROUP, _GROUP, PHI // _GROUP, _GROUP).sum((2, 4))
    half = ETA // _GROUP // 2
    both = np.concatenate([regions[:, half:], regions[:, half - 1 :: -1]], 2)
    median = np.median(both, 2) / _GROUP**2
    return np.repeat(np.concatenate([median[:, ::-1], median], 1), _GROUP, 1).astype(np.float32)


def build(towers: Towers, muons: Leptons, rng: np.random.Generator) -> NDArray[np.float64]:
    """Objects (events, 19, 3): pT in GeV, eta, phi in rad; each kind sorted by falling pT, empty slots zero.

    Muons carry no isolation (as in the Phase-1 trigger); a jet that is mostly a listed e/gamma is not listed again.
    """
    out = np.zeros((len(towers.em), OBJECTS, 3))
    out[:, 0] = missing_et(towers, muons)
    eg = electrons_photons(towers, rng)
    _fill(out, "eg", eg)
    _fill(out, "mu", muons)
    _fill(out, "jet", _not_eg(jets(towers), out[:, 1:5]))
    return out


def missing_et(towers: Towers, muons: Leptons) -> NDArray[np.float64]:
    """Missing transverse energy from towers within abs(eta) 3.13 and muons, (events, 3) with eta 0."""
    middle = slice(ETA // 2 - MET_RINGS, ETA // 2 + MET_RINGS)
    columns = (towers.em[:, middle] + towers.had[:, middle]).sum(1, dtype=np.float64)
    n = len(columns)
    x = -columns @ np.cos(_PHI_CENTRE) - np.bincount(muons.event, muons.pt * np.cos(muons.phi), n)
    y = -columns @ np.sin(_PHI_CENTRE) - np.bincount(muons.event, muons.pt * np.sin(muons.phi), n)
    return np.stack([np.hypot(x, y), np.zeros(n), np.arctan2(y, x)], -1)


def electrons_photons(towers: Towers, rng: np.random.Generator) -> Leptons:
    """Local maxima of electromagnetic transverse energy that are narrow, little hadronic and isolated.

    pT is the 3 x 3 electromagnetic sum; hadronic in 3 x 3 below 1 GeV + 5 %; the 7 x 7 ring around, less pileup, below
    2 GeV + 20 %. The position is uniform inside the central tower.
    """
    lo, hi = ETA // 2 - EG_RINGS, ETA // 2 + EG_RINGS
    event, ring, column = np.nonzero(towers.em[:, lo:hi] >= EG_SEED)
    ring = ring + lo
    step = np.arange(-3, 4)
    index = (event[:, None, None], (ring[:, None] + step)[:, :, None], ((column[:, None] + step) % PHI)[:, None, :])
    em, had = towers.em[index], towers.had[index]
    before = np.zeros((3, 3), bool)
    before[0, :], before[1, 0] = True, True  # ties go to the first in ring, then phi
    near, seed = em[:, 2:5, 2:5], em[:, 3:4, 3:4]
    rivals = np.where(before, near >= seed, near > seed)
    rivals[:, 1, 1] = False
    pt, hadronic = near.sum((1, 2)), had[:, 2:5, 2:5].sum((1, 2))
    ambient = em.sum((1, 2)) + had.sum((1, 2)) - pt - hadronic - 40 * towers.density[event, ring]
    keep = ~rivals.any((1, 2)) & (pt >= EG_PT) & (hadronic < 1 + 0.05 * pt) & (ambient < 2 + 0.2 * pt)
    eta = ETA_CENTRE[ring] + rng.uniform(-0.5, 0.5, len(ring)) * TOWER
    phi = _PHI_CENTRE[column] + rng.uniform(-0.5, 0.5, len(ring)) * 2 * np.pi / PHI
    return Leptons(event, pt, eta.astype(np.float32), phi.astype(np.float32)).take(keep)


def isolated(muons: Leptons, towers: Towers) -> NDArray[np.bool_]:
    """Muons whose 7 x 7 towers, less pileup, hold below 45 % of their pT."""
    ring = np.clip(np.searchsorted(ETA_EDGES, muons.eta) - 1, 3, ETA - 4)
    column = np.floor(muons.phi / (2 * np.pi) * PHI).astype(np.int64)
    step = np.arange(-3, 4)
    index = (
        muons.event[:, None, None],
        (ring[:, None] + step)[:, :, None],
        ((column[:, None] + step) % PHI)[:, None, :],
    )
    ambient = (towers.em[index] + towers.had[index]).sum((1, 2)) - 49 * towers.density[muons.event, ring]
    return ambient < 0.45 * muons.pt


def jets(towers: Towers) -> Leptons:
    """Anti-kt jets (R = 0.4, FastJet) of towers, less the pileup density times the jet's area."""
    try:
        import awkward as ak
        import fastjet
    except ImportError:
        raise ToolMissing("fastjet is not installed: pip install 'trigger_ml[datagen]'") from None

    total = towers.em + towers.had
    event, ring, column = np.nonzero(total)
    et, eta, phi = total[event, ring, column].astype(np.float64), ETA_CENTRE[ring], _PHI_CENTRE[column]
    momenta = {"px": et * np.cos(phi), "py": et * np.sin(phi), "pz": et * np.sinh(eta), "E": et * np.cosh(eta)}
    counts = np.bincount(event, minlength=len(total))
    batch = ak.unflatten(ak.zip(momenta, with_name="Momentum4D"), counts)
    fastjet._swig.ClusterSequence.set_fastjet_banner_stream(None)  # else it is printed once in each worker
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, JET_RADIUS)
    found = fastjet.ClusterSequence(batch, definition).inclusive_jets(min_pt=JET_PT - 5)
    of = np.repeat(np.arange(len(total)), ak.to_numpy(ak.num(found)))
    px, py, pz = (ak.to_numpy(ak.flatten(found[axis])) for axis in ("px", "py", "pz"))
    raw = np.hypot(px, py)
    jet_eta, jet_phi = np.arcsinh(pz / raw), np.arctan2(py, px)
    at = np.clip(np.searchsorted(ETA_EDGES, jet_eta) - 1, 0, ETA - 1)
    area = np.pi * JET_RADIUS**2 / (ETA_WIDTH[at] * 2 * np.pi / PHI)
    pt = raw - towers.density[of, at] * area
    keep = (pt >= JET_PT) & (np.abs(jet_eta) < JET_ETA)
    return Leptons(of, pt.astype(np.float32), jet_eta.astype(np.float32), jet_phi.astype(np.float32)).take(keep)


def _not_eg(found: Leptons, eg: NDArray[np.float64]) -> Leptons:
    """Jets without those within 0.4 of an e/gamma that has more than half of their pT."""
    other = eg[found.event]
    far = distance(found.eta[:, None], found.phi[:, None], other[..., 1], other[..., 2]) > JET_RADIUS
    return found.take(np.all(far | (other[..., 0] < 0.5 * found.pt[:, None]), 1))


def distance(
    eta: NDArray[np.floating],
    phi: NDArray[np.floating],
    other_eta: NDArray[np.floating],
    other_phi: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Distance in the eta-phi plane."""
    turn = np.mod(phi - other_phi + np.pi, 2 * np.pi) - np.pi
    return np.hypot(eta - other_eta, turn)


def _fill(out: NDArray[np.float64], kind: str, found: Leptons) -> None:
    """Write the leading objects of one kind into their slots."""
    slots = next(k.slots for k in KINDS if k.name == kind)
    order = np.lexsort((-found.pt, found.event))
    event = found.event[order]
    rank: Ints = np.arange(len(event)) - np.searchsorted(event, np.arange(len(out)))[event]
    keep = rank < slots
    values = np.stack([found.pt, found.eta, found.phi], -1)[order]
    out[event[keep], _OFFSET[kind] + rank[keep]] = values[keep]
