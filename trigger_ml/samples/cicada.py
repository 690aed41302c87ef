"""The file layout of CICADA, CMS's calorimeter anomaly trigger: read into hardware integers, and write.

``CaloRegions`` is (events, 18, 14), phi then eta, transverse energies of regions in units of 0.5 GeV, whole numbers
0...1023 of any type (its training program stores floating point). (events, 18, 14, 1) and (events, 252), which it
reshapes, are read too. ``AcceptanceFlag``, which its signal files have beside it, says whether a generated jet is above
30 GeV in abs(eta) 2.4; it is not needed, and not written. From ``generator.py`` and ``convert-root-to-h5.py`` of
github.com/Princeton-AD/cicada, commits 76df852 and 6d38f61.

CMS's first region in phi is centred on phi 0, ours begins there: a turn by 10 degrees, which no crossing can tell.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trigger_ml.errors import SampleError
from trigger_ml.samples import layout
from trigger_ml.samples.regions import REGION_ETA, REGION_MAX, REGION_PHI

KEY = "CaloRegions"
COLUMNS = REGION_PHI * REGION_ETA
SHAPES = ((REGION_PHI, REGION_ETA), (REGION_PHI, REGION_ETA, 1), (COLUMNS,))
"""Of an event in the file."""

_BLOCK = 50_000
_ADVICE = "get the file again, or correct the program that wrote it"


def read(path: Path, start: int = 0, stop: int | None = None) -> NDArray[np.int16]:
    """Events ``start`` to ``stop``, (events, 252) in the order of ``regions.FEATURES``.

    Raises:
        SampleError: if the file is missing, truncated, not HDF5, of another layout, or holds anything but whole
            numbers 0...1023.
    """
    with layout.opened(path, _ADVICE) as file:
        data = regions(file, path)
        end = len(data) if stop is None else min(stop, len(data))
        if not 0 <= start < end:
            raise SampleError(f"{path} has {len(data)} events, none between {start} and {stop}: correct the range")
        blocks = [(i, min(i + _BLOCK, end)) for i in range(start, end, _BLOCK)]
        return np.concatenate([_events(data[i:j], i, path) for i, j in blocks])


def write(path: Path, events: ArrayLike, dtype: str = "float32") -> None:
    """Write regions in CICADA's layout, whole or not at all.

    Args:
        path: of the file.
        events: integers 0...1023, (events, 252) or (events, 18, 14).
        dtype: of the numbers in the file, ``float32`` or ``uint16``.

    Raises:
        SampleError: if they are of another shape, out of range or not whole.
    """
    values = np.asarray(events)
    if dtype not in ("float32", "uint16"):
        raise SampleError(f"CICADA's regions can't be written as {dtype}: ask for float32 or uint16")
    if values.ndim < 2 or values.shape[1:] not in SHAPES or len(values) == 0:
        raise SampleError(
            f"regions have the shape {values.shape}, not (events, {REGION_PHI}, {REGION_ETA}): correct it"
        )
    whole = _events(values, 0, path).reshape(-1, REGION_PHI, REGION_ETA).astype(dtype)
    with layout.creating(path) as file:
        file.create_dataset(KEY, data=whole, chunks=True, compression="gzip", shuffle=True, track_times=False)


def regions(file: Any, path: Path) -> Any:
    """The dataset of the regions in an open file.

    Raises:
        SampleError: if the file has another layout, or no event.
    """
    if KEY not in file or not hasattr(file[KEY], "dtype"):
        raise SampleError(f"{path} has no dataset {KEY}: it is not a file of CICADA, give one that is")
    data = file[KEY]
    if data.dtype.kind not in "fiu":
        raise SampleError(f"{path}: {KEY} is {data.dtype}, not numbers: {_ADVICE}")
    if data.ndim < 2 or data.shape[1:] not in SHAPES:
        raise SampleError(f"{path}: {KEY} has the shape {data.shape}, not (events, 18, 14): {_ADVICE}")
    if len(data) == 0:
        raise SampleError(f"{path} holds no event: {_ADVICE}")
    return data


def _events(rows: NDArray[Any], first: int, path: Path) -> NDArray[np.int16]:
    values = np.asarray(rows).reshape(len(rows), COLUMNS)
    with np.errstate(invalid="ignore"):
        bad = ~((values >= 0) & (values <= REGION_MAX) & (values == np.floor(values)))
    if bad.any():
        event, column = np.argwhere(bad)[0]
        phi, eta = divmod(int(column), REGION_ETA)
        raise SampleError(
            f"{path}: event {first + event}, region phi {phi} eta {eta} is {values[event, column]}, "
            f"not a whole number 0...{REGION_MAX}: {_ADVICE}"
        )
    return values.astype(np.int16)
