"""Showers in files laid out as those of the CaloChallenge (C. Krause et al., arXiv:2410.21611).

An HDF5 file holds ``incident_energies`` ``(events, 1)`` and ``showers`` ``(events, voxels)``, both in MeV. A binning
file of the same name with the suffix ``.xml`` says what the voxels are and which particles were shot.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SampleError
from trigger_ml.offline.showers import binning as binnings
from trigger_ml.offline.showers import detector
from trigger_ml.offline.showers.binning import Binning
from trigger_ml.offline.showers.detector import Showers

ENERGIES, VOXELS = "incident_energies", "showers"
BINNING = ".xml"
"""Suffix of the binning file beside a file."""

LARGEST = 1 << 30
"""Numbers of a dataset."""

_ADVICE = "get the file again, or correct the program that wrote it"


def write(path: Path, showers: Showers, binning: Binning) -> None:
    """Write the file and, beside it, its binning file; float32, compressed; the same content gives the same bytes."""
    import h5py

    _fits(showers.voxels.shape[1], binning, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with h5py.File(part, "w") as file:
            for name, array in ((ENERGIES, showers.incident[:, None]), (VOXELS, showers.voxels)):
                file.create_dataset(name, data=array.astype(np.float32), compression="gzip", track_times=False)
        binnings.write(path.with_suffix(BINNING), binning)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read(path: Path, binning: Binning) -> Showers:
    """Read the file.

    Raises:
        SampleError: it is missing, truncated, of another layout or binning, or holds impossible energies.
    """
    import h5py

    _there(path)
    try:
        with h5py.File(path, "r") as file:
            incident, voxels = (_numbers(file, name, path) for name in (ENERGIES, VOXELS))
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise SampleError(f"{path} is not a whole HDF5 file ({reason}): {_ADVICE}") from None
    if incident.shape != (len(voxels), 1):
        raise SampleError(f"{path}: {ENERGIES} has shape {incident.shape}, it must be ({len(voxels)}, 1): {_ADVICE}")
    _fits(voxels.shape[1], binning, path)
    try:
        return Showers(incident[:, 0], voxels)
    except SampleError as error:
        raise SampleError(f"{path}: {error}") from None


def both(found: Path, wanted: Path) -> tuple[Showers, Showers, Binning]:
    """Two files of the same binning: that of the binning file beside ``wanted``, or of ``detector.py`` without one.

    Raises:
        SampleError: one can't be read, or they have other voxels or particles.
    """
    _there(found)
    _there(wanted)
    binning = binning_of(wanted, detector.binning("electron"))
    if binning_of(found, binning) != binning:
        raise SampleError(f"{found} and {wanted} have binning files that differ: give showers of one kind and binning")
    return read(found, binning), read(wanted, binning), binning


def binning_of(path: Path, otherwise: Binning) -> Binning:
    """What the binning file beside ``path`` says, or ``otherwise`` if there is none.

    Raises:
        SampleError: that file can't be read, or holds several particles.
    """
    beside = path.with_suffix(BINNING)
    return binnings.read(beside) if beside.exists() else otherwise


def _there(path: Path) -> None:
    if not path.is_file():
        raise SampleError(f"{path} is missing: give an HDF5 file with {ENERGIES} and {VOXELS}")


def _numbers(file: Any, name: str, path: Path) -> NDArray[np.floating]:
    import h5py

    data = file.get(name)
    if not isinstance(data, h5py.Dataset):
        raise SampleError(f"{path} has no dataset {name}: it must hold {ENERGIES} and {VOXELS}, in MeV")
    if data.ndim != 2 or data.dtype.kind != "f":
        raise SampleError(f"{path}: {name} is {data.dtype} of shape {data.shape}, it must be two-dimensional floats")
    if data.size > LARGEST:
        raise SampleError(f"{path}: {name} has {data.size} numbers, at most {LARGEST} are read: split the file")
    whole = np.prod([-(-n // c) for n, c in zip(data.shape, data.chunks, strict=True)]) if data.chunks else 1
    if data.size and (data.id.get_num_chunks() < whole if data.chunks else not data.id.get_storage_size()):
        raise SampleError(f"{path}: {name} has parts that were never written, which would read as zeros: {_ADVICE}")
    found: NDArray[np.floating] = data[()]
    return found


def _fits(voxels: int, binning: Binning, path: Path) -> None:
    if voxels != binning.voxels:
        raise SampleError(
            f"{path} has {voxels} voxels, the binning {binning.voxels}: put its binning file beside it, as "
            f"{path.with_suffix(BINNING).name}"
        )
