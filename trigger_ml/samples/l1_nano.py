"""CMS L1 NanoAOD: trigger objects of the tree ``Events``, selected, ordered and scaled as ``features.py`` says.

Objects of bunch crossing 0 are taken, in falling order of pT (equal ones as stored), as many as there are slots; MET is
the sum of type 2. Hardware integers are read where the file has them, else the physical quantities, which are encoded.
CMS counts a muon's pT code from 1 (pT = (hwPt - 1) * 0.5 GeV), this format from 0, so 1 is subtracted; all other
scales are the same. pT and eta saturate at the field's width, phi wraps. Another prefix, ``L1Emul``, reads the twins of
that name. The branches are those of ``PhysicsTools/NanoAOD/python/l1trig_cff.py`` in CMSSW, whose reduced form (central
NanoAOD) has physical quantities only and leaves out soft objects: such files are read, with a remark that says so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import tools
from trigger_ml.errors import SampleError
from trigger_ml.samples.features import KINDS, Kind
from trigger_ml.samples.slots import ADVICE, Objects, rows

TREE = "Events"
PREFIX = "L1"
BLOCK = 32_768
"""Events decoded at a time, about."""

PIECE = 48 << 20
"""Bytes of the branches that are read at once, unpacked: a basket is unpacked whole whatever part of it is wanted."""

COLLECTIONS = {"met": "EtSum", "eg": "EG", "mu": "Mu", "jet": "Jet"}
MISSING_ET = 2
"""``l1t::EtSum::kMissingEt``."""

CHOICES = {
    "met": (("hwPt", "", "hwPhi"), ("pt", "", "phi")),
    "eg": (("hwPt", "hwEta", "hwPhi"), ("pt", "eta", "phi")),
    "mu": (("hwPt", "hwEtaAtVtx", "hwPhiAtVtx"), ("pt", "etaAtVtx", "phiAtVtx"), ("pt", "eta", "phi")),
    "jet": (("hwPt", "hwEta", "hwPhi"), ("pt", "eta", "phi")),
}
"""Branches of pT, eta and phi by kind of object, the best first; MET has no eta. Names with hw are of integers."""


@dataclass(frozen=True)
class Branches:
    """The branches of one kind of object that are read.

    Attributes:
        kind: of object.
        pt, eta, phi: of full names; eta is empty for MET.
        bx: the bunch crossing.
        type: of the sum; empty but for MET.
    """

    kind: Kind
    pt: str
    eta: str
    phi: str
    bx: str
    type: str

    @property
    def hardware(self) -> bool:
        """True if pT, eta and phi are hardware integers."""
        return self.pt.endswith("hwPt")

    def names(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(name for name in (self.pt, self.eta, self.phi, self.bx, self.type) if name)


@dataclass(frozen=True)
class Layout:
    """What a file was found to hold.

    Attributes:
        branches: one entry for each of ``features.KINDS``.
        events: how many.
        edges: event numbers, from 0 to the last, at which a basket of some branch begins.
        others: True if all other branches that were asked for are there, one integer an event.
        remark: what a user of the events should know, one sentence; empty if there is nothing.
    """

    branches: tuple[Branches, ...]
    events: int
    edges: tuple[int, ...]
    others: bool
    remark: str

    def names(self) -> tuple[str, ...]:
        """All branches that are read."""
        return tuple(name for branches in self.branches for name in branches.names())


def look(path: Path, prefix: str = PREFIX, others: Sequence[str] = ()) -> Layout:
    """Look at the layout of a file, not at its events.

    Raises:
        SampleError: it is missing, damaged, or has another layout.
        ToolMissing: uproot is not installed.
    """
    with _tree(path) as tree:
        kinds = {name: _types(tree, path, name) for name in _every(prefix) if name in tree}
        branches = tuple(_choose(kind, prefix, kinds, path) for kind in KINDS)
        there = all(name in tree and _whole(_types(tree, path, name)) for name in others)
        names = [name for b in branches for name in b.names()]
        with _reading(path):
            count, edges = int(tree.num_entries), [int(e) for e in tree.common_entry_offsets(filter_name=names)]
    if count and (not edges or edges[0] != 0 or edges[-1] != count or sorted(set(edges)) != edges):
        raise SampleError(f"{path}: the baskets of {TREE} don't hold its {count} events: {ADVICE}")
    return Layout(branches, count, tuple(edges) if count else (0,), there, _remark(branches))


def chosen(path: Path, prefix: str, names: Sequence[str]) -> tuple[Branches, ...]:
    """The branches of a file that was looked at, from their names alone."""
    known = dict.fromkeys(names, "")
    return tuple(_choose(kind, prefix, known, path) for kind in KINDS)


def read(path: Path, prefix: str = PREFIX, stop: int | None = None) -> NDArray[np.int16]:
    """The events of a file, or the first ``stop`` of them, as hardware integers (events, 57).

    Raises:
        SampleError: it is missing, damaged, of another layout, without events, or holds impossible objects.
        ToolMissing: uproot is not installed.
    """
    found = look(path, prefix)
    end = found.events if stop is None else min(stop, found.events)
    if end == 0:
        raise SampleError(f"{path} holds no event: {ADVICE}")

    def cuts(weight: float) -> list[int]:
        return [*range(0, end, max(int(PIECE / max(weight, 1.0)), 1)), end]

    return np.concatenate([x for x, _ in blocks(path, found.branches, cuts)])


def blocks(
    path: Path,
    branches: Sequence[Branches],
    cuts: Callable[[float], Sequence[int]],
    others: Sequence[str] = (),
    block: int = BLOCK,
) -> Iterator[tuple[NDArray[np.int16], dict[str, NDArray[Any]]]]:
    """Events as hardware integers, with the values of other branches.

    Args:
        path: of the file.
        branches: that are read.
        cuts: event numbers between which a piece is read at once, from the bytes that an event takes unpacked.
        others: branches of one number an event.
        block: events decoded at a time.

    Raises:
        SampleError: the file is damaged, or holds impossible objects.
    """
    names = [name for b in branches for name in b.names()]
    wanted = [*names, *others]
    with _tree(path) as tree:
        with _reading(path):
            events = max(int(tree.num_entries), 1)
            weight = sum(int(tree[name].uncompressed_bytes) for name in wanted) / events
        at = cuts(weight)
        for a, b in zip(at, at[1:], strict=False):
            with _reading(path, f" in events {a} to {b}"):
                arrays = tree.arrays(wanted, entry_start=a, entry_stop=b, library="ak")
            for c in range(0, b - a, block):
                with _reading(path, f" in events {a} to {b}"):
                    part = arrays[c : c + block]
                    columns = {name: _flat(part[name]) for name in names}
                    rest = {name: np.asarray(part[name]) for name in others}
                count = min(block, b - a - c)
                if any(len(counts) != count for counts, _ in columns.values()):
                    raise SampleError(f"{path}: fewer events than {b - a} from event {a} on: {ADVICE}")
                yield rows([_selected(b_, columns, count, path, a + c) for b_ in branches], count), rest


def _remark(chosen: Sequence[Branches]) -> str:
    soft = [branches.pt.rpartition("_")[0] for branches in chosen if not branches.hardware]
    far = "" if chosen[2].eta.endswith("AtVtx") else "; muons have eta and phi at the muon system, not at the vertex"
    if not soft:
        return ""
    return (
        f"no hardware integers of {', '.join(soft)}: central NanoAOD, which has none, leaves out e/gamma below 10 GeV, "
        f"jets below 30 GeV and muons below 3 GeV or of low quality, so its scores are not those of the trigger{far}"
    )


# -- from branches to objects -----------------------------------------------------------------------------------------

Column = tuple[NDArray[np.int64], NDArray[Any]]
"""Number of objects in each event, and the values of all of them."""


def _selected(branches: Branches, columns: dict[str, Column], count: int, path: Path, first: int) -> Objects:
    """The objects of bunch crossing 0."""
    counts, bx = columns[branches.bx]
    for name in branches.names():
        if not np.array_equal(columns[name][0], counts):
            raise SampleError(f"{path}: {name} and {branches.bx} have different numbers of objects: {ADVICE}")
    keep = bx == 0
    if branches.type:
        keep &= columns[branches.type][1] == MISSING_ET
    event = np.repeat(np.arange(count), counts)[keep]
    names = (branches.pt, branches.eta, branches.phi)
    number = np.int64 if branches.hardware else np.float64
    values = np.stack([columns[n][1][keep].astype(number) if n else np.zeros(len(event), number) for n in names], -1)
    found = Objects(branches.kind, event, values, branches.hardware)
    found.check(branches.pt, path, first)
    if branches.hardware and branches.kind.name == "mu":
        values[:, 0] -= 1
    if branches.type:
        number_of = np.bincount(event[values[:, 0] > 0], minlength=count)
        if number_of.max(initial=0) > 1:
            at = first + int(np.argmax(number_of > 1))
            raise SampleError(f"{path}: event {at} has two sums of type {MISSING_ET} in bunch crossing 0: {ADVICE}")
    return found


# -- the file ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _tree(path: Path) -> Iterator[Any]:
    uproot = tools.package("uproot")
    source = uproot.source.file.MultithreadedFileSource  # not mapped into memory, which would count as used
    with contextlib.ExitStack() as stack:
        with _reading(path):
            options = {"handler": source, "num_workers": 1, "array_cache": None, "object_cache": None}
            file = stack.enter_context(uproot.open(path, **options))
            end, size = int(file.file.fEND), path.stat().st_size
            classes = file.classnames(recursive=False, cycle=False)
        if end > size:
            raise SampleError(f"{path} is truncated: it has {size} of {end} bytes; {ADVICE}")
        if classes.get(TREE) != "TTree":
            shown = ", ".join(f"{name} ({kind})" for name, kind in list(classes.items())[:5]) or "nothing"
            raise SampleError(f"{path} has no TTree {TREE} but {shown}: give a NanoAOD file")
        with _reading(path):
            tree = file[TREE]
        yield tree


@contextlib.contextmanager
def _reading(path: Path, where: str = "") -> Iterator[None]:
    """Calls into uproot alone: what it raises on a damaged file is of any type, from AssertionError to zlib.error."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise SampleError(f"{path} is not a whole ROOT file{where} ({reason[:120].rstrip('.:')}): {ADVICE}") from None


def _types(tree: Any, path: Path, name: str) -> str:
    with _reading(path):
        return str(tree[name].typename)


def _whole(typename: str) -> bool:
    return "int" in typename or typename in ("char", "short", "long")


def _every(prefix: str) -> list[str]:
    """All branches that could be read."""
    names = [f"{prefix}{COLLECTIONS[k]}_{n}" for k, choices in CHOICES.items() for c in choices for n in c if n]
    return [*names, *(f"{prefix}{c}_bx" for c in COLLECTIONS.values()), f"{prefix}EtSum_etSumType"]


def _choose(kind: Kind, prefix: str, known: dict[str, str], path: Path) -> Branches:
    """The best of :data:`CHOICES` that the file has; ``known``: branch -> its type, empty once it was checked."""
    stem = f"{prefix}{COLLECTIONS[kind.name]}_"
    needed = [f"{stem}bx", *([f"{stem}etSumType"] if kind.name == "met" else [])]
    for pt, eta, phi in CHOICES[kind.name]:
        names = [f"{stem}{name}" for name in (pt, eta, phi) if name]
        if all(name in known for name in (*names, *needed)):
            for name in (*names, *needed):
                integer = name in needed or pt.startswith("hw")
                if known[name] and (not known[name].endswith("[]") or (integer and not _whole(known[name]))):
                    raise SampleError(f"{path}: branch {name} has the type {known[name]}: give a NanoAOD file")
            eta_name = f"{stem}{eta}" if eta else ""
            return Branches(kind, f"{stem}{pt}", eta_name, f"{stem}{phi}", needed[0], needed[-1] if needed[1:] else "")
    wanted = " or ".join("/".join(n for n in choice if n) for choice in CHOICES[kind.name])
    lacking = next((name for name in needed if name not in known), f"{stem}... ({wanted})")
    raise SampleError(f"{path}: {TREE} has no branch {lacking}: give a NanoAOD file with Level-1 objects, or --dataset")


def _flat(array: Any) -> Column:
    layout = tools.package("awkward").to_packed(array).layout
    offsets = np.asarray(layout.offsets.data, np.int64)
    return np.diff(offsets), np.asarray(layout.content.data)[offsets[0] : offsets[-1]]
