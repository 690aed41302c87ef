"""Files of events as others write them: L1 NanoAOD, ADC2021, our layout, plain HDF5, Parquet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from trigger_ml.samples import layout
from trigger_ml.samples.features import FEATURES, KINDS
from trigger_ml.samples.l1_parquet import COLUMNS

STEMS = {"met": "EtSum", "eg": "EG", "mu": "Mu", "jet": "Jet"}

Object = tuple[float, float, float, int]
"""pT, eta, phi, bunch crossing; hardware integers or physical."""

Event = dict[str, list[Object]]


def events(count: int, seed: int = 1) -> np.ndarray:
    """Hardware integers (count, 57), each kind in falling order of pT."""
    rng = np.random.default_rng(seed)
    x = np.zeros((count, 19, 3), np.int16)
    slot = 0
    for kind in KINDS:
        pt = -np.sort(-np.minimum(rng.exponential(12.0, (count, kind.slots)).astype(int), kind.pt_hi), axis=1)
        x[:, slot : slot + kind.slots, 0] = pt
        x[:, slot : slot + kind.slots, 1] = rng.integers(-kind.eta_hi, kind.eta_hi, pt.shape, endpoint=True)
        x[:, slot : slot + kind.slots, 2] = rng.integers(0, kind.phi_steps, pt.shape)
        slot += kind.slots
    return (x * (x[..., :1] > 0)).reshape(count, 57)


def nano_events(x: np.ndarray, seed: int = 2) -> list[Event]:
    """The same events as CMS would store them: shuffled, with objects of other crossings, muon codes from 1."""
    rng, found = np.random.default_rng(seed), []
    for row in x.reshape(len(x), 19, 3).tolist():
        event, slot = {}, 0
        for kind in KINDS:
            own = [(pt + (kind.name == "mu"), eta, phi, 0) for pt, eta, phi in row[slot : slot + kind.slots] if pt]
            other = [(int(rng.integers(1, 400)), 1, 1, int(b)) for b in rng.choice([-2, -1, 1, 2], rng.integers(0, 3))]
            both = own + other
            # Equal momenta stay in the order of the row: only then the order is defined.
            order = np.lexsort((np.arange(len(both)), rng.random(len(both))))
            mixed = [both[i] for i in order]
            ties = {pt: iter([o for o in both if o[0] == pt]) for pt in {o[0] for o in both}}
            event[kind.name] = [next(ties[o[0]]) for o in mixed]
            slot += kind.slots
        found.append(event)
    return found


def branches(found: list[Event], hardware: bool = True, prefix: str = "L1") -> dict[str, dict[str, Any]]:
    """Collection -> jagged branches."""
    import awkward as ak

    made: dict[str, dict[str, Any]] = {}
    for kind, stem in STEMS.items():
        counts = [len(event[kind]) for event in found]
        flat = np.array([o for event in found for o in event[kind]], float).reshape(-1, 4)
        at = "AtVtx" if kind == "mu" else ""
        names = ("hwPt", f"hwEta{at}", f"hwPhi{at}") if hardware else ("pt", f"eta{at}", f"phi{at}")
        number = np.int16 if hardware else np.float32
        columns = {name: flat[:, i].astype(number) for i, name in enumerate(names)} | {
            "bx": flat[:, 3].astype(np.int16)
        }
        if kind == "met":
            columns.pop(names[1])
            columns["etSumType"] = np.full(len(flat), 2, np.int32)
        made[f"{prefix}{stem}"] = {name: ak.unflatten(values, counts) for name, values in columns.items()}
    return made


def write_nano(path: Path, collections: dict[str, dict[str, Any]], basket: int = 1000, ids: bool = True) -> Path:
    """A tree ``Events`` with a basket of each branch for every ``basket`` events."""
    import awkward as ak
    import uproot

    arrays = {name: ak.zip(columns) for name, columns in collections.items()}
    count = len(next(iter(arrays.values())))
    if ids:
        number = np.arange(count)
        arrays |= {"run": np.full(count, 380_001, np.uint32), "luminosityBlock": (number // 7).astype(np.uint32)}
        arrays |= {"event": (number + 2**40).astype(np.uint64)}
    with uproot.recreate(path, compression=uproot.ZLIB(1)) as file:
        types = {n: a.type.content if isinstance(a, ak.Array) else a.dtype for n, a in arrays.items()}
        tree = file.mktree("Events", types)
        for start in range(0, count, basket):
            tree.extend({name: a[start : start + basket] for name, a in arrays.items()})
    return path


def write_hdf5(
    path: Path, datasets: dict[str, np.ndarray], attrs: dict[str, Any] | None = None, **options: Any
) -> Path:
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs.update(attrs or {})
        for name, data in datasets.items():
            file.create_dataset(name, data=data, **options)
    return path


def write_objects(path: Path, x: np.ndarray, drop: str = "", version: int = layout.VERSION) -> Path:
    """Our layout: six parts, background first."""
    groups = ("background", "signals/b", "signals/a")
    names = [f"{group}/{part}" for group in groups for part in layout.PARTS]
    parts = dict(zip(names, np.array_split(x, len(names)), strict=True))
    parts.pop(drop, None)
    attrs = {"layout": layout.LAYOUT, "version": version, "variant": "zero_bias"}
    return write_hdf5(path, parts, attrs, compression="gzip")


def write_parquet(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path, **options)
    return path


def write_public(
    path: Path, found: list[Event], change: Callable[[dict[str, Any]], None] | None = None, group: int | None = None
) -> Path:
    """Events in the layout of CMS's public data: only objects of the crossing itself; extra columns as there."""
    import pyarrow as pa

    made: dict[str, Any] = {}
    for kind in KINDS:
        own = [[o for o in event[kind.name] if o[3] == 0] for event in found]
        if kind.name in ("eg", "jet"):
            own = [sorted(event, key=lambda o: -o[0]) for event in own]
        for i, column in enumerate(COLUMNS[kind.name]):
            if column:
                made[column] = pa.array([[int(o[i]) for o in event] for event in own], pa.list_(pa.int16()))
    number = np.arange(len(found))
    made |= {"run": np.full(len(found), 398_183, np.uint32), "lumi": (number // 7).astype(np.uint32)}
    made |= {"event": (number + 2**40).astype(np.uint64)}
    made |= {"L1bit": np.ones(len(found), bool), "order": np.arange(len(found)), "label": np.zeros(len(found), int)}
    if change:
        change(made)
    return write_parquet(path, made, row_group_size=group)


def lists(x: np.ndarray) -> Any:
    """A column of fixed-size lists."""
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), x.shape[1])


def named(x: np.ndarray) -> dict[str, np.ndarray]:
    """A column for each feature."""
    return {feature.name: x[:, i] for i, feature in enumerate(FEATURES)}


def pa_lists(rows: list[list[int]]) -> Any:
    """A column of lists of any length."""
    import pyarrow as pa

    return pa.array(rows, pa.list_(pa.int16()))
