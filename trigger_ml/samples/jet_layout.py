"""The HDF5 file of a set of jets, verified when read: a group for each class, whose rows are train, validation, test.

A group holds int16 ``constituents`` (jets, 96), ``features`` (jets, 16), ``taus`` (jets, 15), ``jet`` (jets, 3), and
int32 ``event`` (jets,); its attribute ``parts`` (3,) counts the jets of each part. Attributes ``layout``, ``version``,
``set`` and ``provenance`` (JSON) are at the root.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact
from trigger_ml.errors import SampleError
from trigger_ml.samples.jet_scales import ANGLE_HI, DEPTH, FEATURE_SCALES, PT_HI, TAU_SCALES
from trigger_ml.samples.jet_views import Jets

LAYOUT = "trigger_ml.jets"
VERSION = 1
COLUMNS = {"constituents": 3 * DEPTH, "features": len(FEATURE_SCALES), "taus": len(TAU_SCALES), "jet": 3}
_REMAKE = "get it again, or make it with `trigger-ml sample`"


def write(path: Path, name: str, classes: Mapping[str, Jets], provenance: artifact.Json) -> None:
    """Write a set, whole or not at all; the bytes depend on the content only. Columns are stored apart."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with h5py.File(part, "w") as file:
            said = artifact.canonical_json(provenance).decode()
            file.attrs.update({"layout": LAYOUT, "version": VERSION, "set": name, "provenance": said})
            for kind in sorted(classes):
                group = file.create_group(kind, track_order=False)
                group.attrs["parts"] = np.array(classes[kind].parts, np.int64)
                for key, array in arrays(classes[kind]).items():
                    _dataset(group, key, array)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def arrays(jets: Jets) -> dict[str, NDArray]:
    """The datasets of a group."""
    table = {key: getattr(jets, key).reshape(len(jets.event), -1) for key in COLUMNS}
    return {**table, "event": jets.event.astype(np.int32)}


def _dataset(group: Any, name: str, array: NDArray) -> None:
    chunk = (max(len(array), 1), 1)[: array.ndim]
    group.create_dataset(
        name, data=array, chunks=chunk, compression="gzip", compression_opts=9, shuffle=True, track_times=False
    )


def ours(path: Path) -> bool:
    """Whether a file is in this layout, or in none that could be another's (missing or not HDF5)."""
    import h5py

    if path.is_dir():
        return False
    try:
        with h5py.File(path, "r") as file:
            return "layout" in file.attrs
    except OSError:
        return True


def read(path: Path, name: str, kinds: tuple[str, ...]) -> dict[str, Jets]:
    """Read and verify the classes ``kinds`` of a set.

    Raises:
        SampleError: if the file is missing, truncated, of another layout or set, or holds impossible values.
    """
    import h5py

    if not path.is_file():
        raise SampleError(f"{path} is missing: {_REMAKE}")
    try:
        with h5py.File(path, "r") as file:
            _check_header(file, path, name)
            return {kind: _class(file, kind, path) for kind in kinds}
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise SampleError(f"{path} is not a whole HDF5 sample ({reason}): {_REMAKE}") from None


def provenance(path: Path) -> artifact.Json:
    """What a set was made of: settings, their digest, collisions generated.

    Raises:
        SampleError: if the file is not a whole one.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return artifact.parse_json(str(file.attrs["provenance"]).encode(), str(path))
    except (OSError, KeyError) as error:
        raise SampleError(f"{path} is not a whole HDF5 sample ({error}): {_REMAKE}") from None


def _check_header(file: Any, path: Path, name: str) -> None:
    layout, version = file.attrs.get("layout"), file.attrs.get("version")
    if layout != LAYOUT or version != VERSION:
        raise SampleError(f"{path} has the layout {layout} {version}, not {LAYOUT} {VERSION}: {_REMAKE}")
    if file.attrs.get("set") != name:
        raise SampleError(f'{path} holds the set "{file.attrs.get("set")}", not "{name}": correct the spec')


def _class(file: Any, kind: str, path: Path) -> Jets:
    if kind not in file:
        raise SampleError(f"{path} has no jets of the class {kind}: {_REMAKE}")
    group = file[kind]
    content = {key: _array(group, key, path) for key in (*COLUMNS, "event")}
    parts = tuple(int(n) for n in group.attrs["parts"])
    number = len(content["event"])
    if len(parts) != 3 or min(parts) < 1 or sum(parts) != number:
        raise SampleError(f"{path}: {kind} has {number} jets, but parts of {parts}: {_REMAKE}")
    _check_values(content, kind, path)
    content["constituents"] = content["constituents"].reshape(number, DEPTH, 3)
    return Jets(**content, parts=parts)


def _array(group: Any, key: str, path: Path) -> NDArray:
    where, number = f"{path}: {group.name[1:]}/{key}", len(group["event"])
    if key not in group:
        raise SampleError(f"{where} is missing: {_REMAKE}")
    data, kind = group[key], np.dtype("int32" if key == "event" else "int16")
    shape = (number,) if key == "event" else (number, COLUMNS[key])
    if data.dtype != kind or data.shape != shape:
        raise SampleError(f"{where} is {data.dtype} {data.shape}, not {kind} {shape}: {_REMAKE}")
    return np.asarray(data[...])


def _check_values(content: Mapping[str, NDArray], kind: str, path: Path) -> None:
    for key, scales in (("features", FEATURE_SCALES), ("taus", TAU_SCALES)):
        lo, hi = (np.array([getattr(scale, end) for scale in scales.values()]) for end in ("lo", "hi"))
        bad = np.flatnonzero((content[key] < lo).any(0) | (content[key] > hi).any(0))
        if len(bad):
            column = tuple(scales)[bad[0]]
            raise SampleError(f"{path}: {kind}/{key} leaves its range in {column}: {_REMAKE}")
    pt, *angles = np.moveaxis(content["constituents"].reshape(-1, DEPTH, 3), -1, 0)
    if pt.min() < 0 or pt.max() > PT_HI or max(int(np.abs(a).max()) for a in angles) > ANGLE_HI:
        raise SampleError(f"{path}: {kind}/constituents leave their range: {_REMAKE}")
    if np.any(np.diff(pt, axis=1) > 0) or np.any((pt == 0) & ((angles[0] != 0) | (angles[1] != 0))):
        raise SampleError(f"{path}: {kind}/constituents are not by falling pT, zeros last: {_REMAKE}")
