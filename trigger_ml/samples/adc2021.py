"""The public file layout of the ADC2021 challenge: read into hardware integers, and write.

``Particles`` is float (events, 19, 4): pT in GeV, eta, phi in rad, class. Row 0 is the missing transverse energy (class
1, eta 0), rows 1-4 electrons (2), 5-8 muons (3), 9-18 jets (4); empty rows are all zero. ``Particles_Names`` and
``Particles_Classes`` label the last axis and the classes. Zenodo records 5046389 (background), 5046446, 5055454,
5061633, 5061688 (signals).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trigger_ml.errors import SampleError
from trigger_ml.samples.features import KINDS, OBJECTS, encode

NAMES = ("Pt", "Eta", "Phi", "Class")
CLASSES = ("MET_class_1", "Four_Ele_class_2", "Four_Mu_class_3", "Ten_Jet_class_4")

_CLASS = np.repeat(np.arange(1, 5), [kind.slots for kind in KINDS])
_KIND = np.repeat([kind.name for kind in KINDS], [kind.slots for kind in KINDS])
_ETA_MAX = 10.0
_BLOCK = 100_000
_ADVICE = "get the file again, or correct the program that wrote it"


def read(path: Path, start: int = 0, stop: int | None = None) -> NDArray[np.int16]:
    """Events ``start`` to ``stop`` as hardware integers (events, 57), in the order of ``features.FEATURES``.

    pT and eta round to nearest and saturate at the field's width; an object whose pT rounds to 0 leaves an empty slot.
    Each kind is brought into falling order of pT, empty slots last, should the file have another.

    Raises:
        SampleError: if the file is missing, truncated, not HDF5, of another layout, or holds impossible values.
    """
    import h5py

    if not path.is_file():
        raise SampleError(f"{path} is missing: download it, or correct the path")
    try:
        with h5py.File(path, "r") as file:
            data = particles(file, path)
            end = len(data) if stop is None else min(stop, len(data))
            if not 0 <= start < end:
                raise SampleError(f"{path} has {len(data)} events, none between {start} and {stop}: correct the range")
            blocks = [(i, min(i + _BLOCK, end)) for i in range(start, end, _BLOCK)]
            return np.concatenate([_events(data[i:j], i, path) for i, j in blocks])
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        reason = (str(error).splitlines() or ["unreadable"])[0].rstrip(".")
        raise SampleError(f"{path} is not a whole HDF5 file ({reason}): {_ADVICE}") from None


def write(path: Path, objects: ArrayLike) -> None:
    """Write objects (events, 19, 3), pT in GeV, eta, phi in rad, in the public layout, whole or not at all."""
    import h5py

    values = np.asarray(objects, np.float64)
    live = (values[..., 0] > 0) | (_CLASS == 1)
    rows = np.concatenate([values, np.broadcast_to(_CLASS[:, None], (*values.shape[:-1], 1))], -1) * live[..., None]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with h5py.File(part, "w") as file:
            file.create_dataset("Particles", data=rows, compression="gzip", track_times=False)
            file.create_dataset("Particles_Names", data=np.array(NAMES, "S"), track_times=False)
            file.create_dataset("Particles_Classes", data=np.array(CLASSES, "S"), track_times=False)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def particles(file: Any, path: Path) -> Any:
    """The dataset of the objects in an open file.

    Raises:
        SampleError: if the file has another layout, or no event.
    """
    for key in ("Particles", "Particles_Names", "Particles_Classes"):
        if key not in file or not hasattr(file[key], "dtype"):
            raise SampleError(f"{path} has no dataset {key}: it is not an ADC2021 file, give one that is")
    data = file["Particles"]
    if data.dtype.kind != "f":
        raise SampleError(f"{path}: Particles is {data.dtype}, not floating point: {_ADVICE}")
    if data.ndim != 3 or data.shape[1:] != (OBJECTS, 4):
        raise SampleError(f"{path}: Particles has the shape {data.shape}, not (events, {OBJECTS}, 4): {_ADVICE}")
    if len(data) == 0:
        raise SampleError(f"{path} holds no event: {_ADVICE}")
    return data


def _events(rows: NDArray[np.floating], first: int, path: Path) -> NDArray[np.int16]:
    values = np.asarray(rows, np.float64)
    finite = np.isfinite(values)
    _refuse(~np.all(finite, -1), "is NaN or infinite", first, path)
    pt, eta, phi, cls = np.moveaxis(values, -1, 0)
    _refuse(pt < 0, "has a negative pT", first, path)
    _refuse(np.abs(eta) > _ETA_MAX, f"has abs(eta) above {_ETA_MAX:g}", first, path)
    _refuse(np.abs(phi) > 2 * np.pi + 1e-6, "has phi outside -2 pi...2 pi", first, path)
    met = _CLASS == 1
    empty = cls == 0
    _refuse((cls != _CLASS) & ~(empty & ~met), "has the class of another row", first, path)
    _refuse(empty & np.any(values[..., :3] != 0, -1), "has class 0 (empty) but isn't zero", first, path)
    _refuse(met & (eta != 0), "has an eta", first, path)
    order = np.lexsort((-pt, np.broadcast_to(_CLASS, pt.shape)), axis=-1)
    return encode(np.take_along_axis(values[..., :3], order[..., None], 1))


def _refuse(bad: NDArray[np.bool_], what: str, first: int, path: Path) -> None:
    """Raise for the first object that is True in ``bad`` (events, 19)."""
    if bad.any():
        event, row = np.argwhere(bad)[0]
        raise SampleError(f"{path}: event {first + event}, row {row} ({_KIND[row]}) {what}: {_ADVICE}")
