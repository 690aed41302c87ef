"""A reality check of quark and gluon jets: our Pythia against a file of an experiment's simulation, same definitions.

``uproot-issue96.root`` of ``scikit-hep-testdata`` 0.3.0 (BSD-3; extra ``testdata``) holds 13,607 dijet events in MeV:
for each of two jets its momentum, the matched parton's id, the charged multiplicity and up to six tracks. Its
provenance is not documented; sizes suggest anti-kt, R = 0.4, of the ATLAS simulation. Which tracks were counted is
not said either, so ours are counted with several thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SampleError, ToolMissing
from trigger_ml.physics import roc
from trigger_ml.samples.collide import Collider, stable
from trigger_ml.samples.detector import Particles
from trigger_ml.samples.jet_making import cluster, turned
from trigger_ml.samples.jet_particles import CHARGED, INVISIBLE, Candidates
from trigger_ml.samples.jet_processes import GLUONS, QUARKS, Window

FILE = "uproot-issue96.root"
LEADING = 6
"""Tracks that enter the width: as many as the file has."""

PT_RANGE = (500.0, 750.0)
"""GeV; both samples are cut to it."""

RADIUS, ETA = 0.4, 2.1
TRACK_ETA, TRACK_EFFICIENCY = 2.5, 0.93
THRESHOLDS = (0.5, 1.0, 2.0)
"""GeV: pT above which our charged particles are counted."""

_LIGHT, _GLUON = (1, 2, 3), 21
_BATCH = 200


@dataclass(frozen=True)
class TrackJets:
    """Jets seen by their tracks.

    Attributes:
        multiplicity: threshold in GeV (0 where the file doesn't say) -> (jets,) charged multiplicity.
        width: (jets,) mean distance of the six leading tracks from the jet's axis, weighted by their pT.
        pt: (jets,) GeV.
        event: (jets,) the collision of each.
    """

    multiplicity: dict[float, NDArray[np.integer]]
    width: NDArray[np.float64]
    pt: NDArray[np.float64]
    event: NDArray[np.integer]

    def take(self, which: NDArray[np.bool_]) -> TrackJets:
        """Some of them."""
        counts = {threshold: count[which] for threshold, count in self.multiplicity.items()}
        return TrackJets(counts, self.width[which], self.pt[which], self.event[which])


@dataclass(frozen=True)
class Separation:
    """How well one quantity tells gluon from quark jets in one sample.

    Attributes:
        sample: ``file`` or ``pythia``.
        quantity: ``multiplicity`` or ``width``.
        threshold: of the counted particles' pT in GeV; 0 where the file doesn't say.
        jets: quark and gluon jets behind it.
        mean: of quark and of gluon jets.
        auc: gluon above quark.
        error: of ``auc``, one standard deviation (DeLong).
    """

    sample: str
    quantity: str
    threshold: float
    jets: tuple[int, int]
    mean: tuple[float, float]
    auc: float
    error: float


def quark_gluon_check(events: int = 4000, seed: int = 1, path: Path | None = None) -> tuple[Separation, ...]:
    """AUC of charged multiplicity and track width in the file and in our own Pythia; their difference is the shift.

    Args:
        events: collisions generated of quarks, and as many of gluons.
        seed: of these.
        path: the file; None: the one in the installed package.

    Raises:
        ToolMissing: without the extras ``testdata``, ``emulate`` or ``datagen``.
        SampleError: if the file is another one.
    """
    rows = _separations("file", *read(packaged() if path is None else path))
    return (*rows, *_separations("pythia", *(simulate(lines, events, seed) for lines in (QUARKS, GLUONS))))


def shift(rows: tuple[Separation, ...], quantity: str, threshold: float = 0.0) -> tuple[float, float]:
    """AUC in our Pythia less that in the file, and its error.

    Args:
        rows: of :func:`quark_gluon_check`.
        quantity: ``multiplicity`` or ``width``.
        threshold: at which ours is counted, in GeV; one of :data:`THRESHOLDS` for the multiplicity, 0 for the width.

    Raises:
        SampleError: if there is no such row.
    """
    theirs = [row for row in rows if (row.sample, row.quantity) == ("file", quantity)]
    ours = [row for row in rows if (row.sample, row.quantity, row.threshold) == ("pythia", quantity, threshold)]
    if not theirs or not ours:
        raise SampleError(f"no separation of {quantity} at {threshold:g} GeV: give one of the rows' quantities")
    return ours[0].auc - theirs[0].auc, float(np.hypot(ours[0].error, theirs[0].error))


def packaged() -> Path:
    """The file in the installed package; nothing is downloaded.

    Raises:
        ToolMissing: if the package isn't installed, or has no such file.
    """
    from importlib.util import find_spec

    found = find_spec("skhep_testdata")
    path = None if found is None or found.origin is None else Path(found.origin).parent / "data" / FILE
    if path is None or not path.is_file():
        raise ToolMissing(f"{FILE} is not installed: pip install 'trigger_ml[testdata]'")
    return path


def read(path: Path) -> tuple[TrackJets, TrackJets]:
    """Light-quark and gluon jets of the file within :data:`PT_RANGE`; no others, none without tracks.

    Raises:
        ToolMissing: without uproot (extra ``emulate``).
        SampleError: if the file is missing, truncated or another one.
    """
    try:
        import uproot
    except ImportError:
        raise ToolMissing("uproot is not installed: pip install 'trigger_ml[emulate]'") from None
    names = [f"jet{i}{what}" for i in (1, 2) for what in ("P4", "ID", "ChgMult", "TrksP4")]
    try:
        with uproot.open(path) as file:
            table = file["tree"].arrays(names)
    except (OSError, KeyError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise SampleError(f"{path} can't be read as {FILE} ({reason}): give that file") from None
    parts = [_one_of_two(table, f"jet{i}") for i in (1, 2)]
    jets = TrackJets(
        {0.0: np.concatenate([part.multiplicity[0.0] for _, part in parts])},
        *(np.concatenate([getattr(part, name) for _, part in parts]) for name in ("width", "pt", "event")),
    )
    kind = np.concatenate([k for k, _ in parts])
    good = (jets.pt > PT_RANGE[0]) & (jets.pt < PT_RANGE[1]) & np.isfinite(jets.width)
    return jets.take(good & np.isin(kind, _LIGHT)), jets.take(good & (kind == _GLUON))


def _one_of_two(table: Any, name: str) -> tuple[NDArray[np.int64], TrackJets]:
    import awkward as ak

    pt, eta, phi = _directions(*(ak.to_numpy(table[f"{name}P4"].fP[axis]) for axis in ("fX", "fY", "fZ")))
    tracks = table[f"{name}TrksP4"].fP
    number = ak.to_numpy(ak.num(tracks))
    jet = np.repeat(np.arange(len(number)), number)
    track = _directions(*(ak.to_numpy(ak.flatten(tracks[axis])) for axis in ("fX", "fY", "fZ")))
    width = _width(track[0], np.hypot(track[1] - eta[jet], turned(track[2] - phi[jet])), jet, len(pt))
    count = ak.to_numpy(table[f"{name}ChgMult"])
    kind = ak.to_numpy(table[f"{name}ID"]).astype(np.int64)
    return kind, TrackJets({0.0: count}, width, pt / 1000, np.arange(len(pt)))


def _directions(
    px: NDArray[np.floating], py: NDArray[np.floating], pz: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    pt = np.hypot(px, py) + 1e-9
    return pt, np.arcsinh(pz / pt), np.arctan2(py, px)


def _width(pt: NDArray, distance: NDArray, jet: NDArray[np.integer], jets: int) -> NDArray[np.float64]:
    """pT-weighted mean distance; NaN for a jet without tracks."""
    weight = np.bincount(jet, pt, jets)
    return np.where(weight > 0, np.bincount(jet, pt * distance, jets) / np.where(weight > 0, weight, 1), np.nan)


def simulate(lines: tuple[str, ...], events: int, seed: int) -> TrackJets:
    """Our jets with the file's definitions: anti-kt of R = 0.4 of all visible particles, charged ones as tracks.

    Tracks are charged particles of abs(eta) < 2.5 in the jet, 93 % of them found, momenta exact. No detector else.

    Raises:
        ToolMissing: without Pythia or FastJet (extra ``datagen``).
    """
    low, high = PT_RANGE
    limits = (f"PhaseSpace:pTHatMin = {low * 0.85}", f"PhaseSpace:pTHatMax = {high * 1.25}")
    collider, rng = Collider((*lines, *limits), seed), np.random.default_rng(seed)
    window = Window((low, high), PT_RANGE, ETA, matched=False)
    batches = []
    for start in range(0, events, _BATCH):
        particles = stable(collider.records(min(_BATCH, events - start)).prt)
        batches.append(_tracked(particles, window, start, rng))
    return TrackJets(
        {t: np.concatenate([b.multiplicity[t] for b in batches]) for t in THRESHOLDS},
        *(np.concatenate([getattr(b, name) for b in batches]) for name in ("width", "pt", "event")),
    )


def _tracked(particles: Particles, window: Window, first: int, rng: np.random.Generator) -> TrackJets:
    pt, eta, phi = _directions(particles.px, particles.py, particles.pz)
    pid, event = np.abs(particles.pid), particles.event
    seen = ~np.isin(pid, INVISIBLE)
    jets = cluster(Candidates(event[seen], pt[seen], eta[seen], phi[seen]), len(particles.counts), window, RADIUS)
    track = np.isin(pid, CHARGED) & (np.abs(eta) < TRACK_ETA) & (rng.random(len(pt)) < TRACK_EFFICIENCY)
    counts: dict[float, list[int]] = {threshold: [] for threshold in THRESHOLDS}
    width = np.full(len(jets["event"]), np.nan)
    starts = np.concatenate([[0], np.cumsum(particles.counts)])
    for i, (jet, number) in enumerate(zip(jets["jet"].astype(np.float64), jets["event"], strict=True)):
        mine = np.arange(starts[number], starts[number + 1])
        mine = mine[track[mine]]
        distance = np.hypot(eta[mine] - jet[1], turned(phi[mine] - jet[2]))
        mine, distance = mine[distance < RADIUS], distance[distance < RADIUS]
        for threshold in THRESHOLDS:
            counts[threshold].append(int((pt[mine] > threshold).sum()))
        lead = np.argsort(-pt[mine])[:LEADING]
        if len(lead):
            width[i] = np.average(distance[lead], weights=pt[mine][lead])
    found = TrackJets(
        {threshold: np.array(count, np.int64) for threshold, count in counts.items()},
        width,
        jets["jet"][:, 0].astype(np.float64),
        jets["event"].astype(np.int64) + first,
    )
    return found.take(np.isfinite(width))


def _separations(sample: str, quarks: TrackJets, gluons: TrackJets) -> tuple[Separation, ...]:
    rows: list[tuple[str, float, NDArray, NDArray]] = [
        ("multiplicity", t, quarks.multiplicity[t], gluons.multiplicity[t]) for t in quarks.multiplicity
    ]
    rows.append(("width", 0.0, quarks.width, gluons.width))
    out = []
    for quantity, threshold, below, above in rows:
        area = roc.auc(below, above, quarks.event)
        means, sizes = (float(below.mean()), float(above.mean())), (len(below), len(above))
        out.append(Separation(sample, quantity, threshold, sizes, means, area.value, area.error))
    return tuple(out)
