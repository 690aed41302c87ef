"""The HDF5 file of an ``l1_objects`` sample: one int16 dataset for each process and part, verified when read.

``background/{train,validation,test}`` and ``signals/<name>/{...}`` are (events, 57); ``background/source`` is
(test events,). Attributes ``layout``, ``version``, ``variant``, ``pileup`` and ``provenance`` (JSON) are at the root.
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
from trigger_ml.samples.dataset import Sample, Split
from trigger_ml.samples.features import COLUMN, FEATURES, INPUT_FORMAT, OBJECTS

LAYOUT = "trigger_ml.l1_objects"
VERSION = 1
PARTS = ("train", "validation", "test")
ALL = "all"
"""The only part of a background for rates."""

_OBJECTS_NOTE = "Pythia 8 with a parametric detector of our own, not tuned to CMS or ATLAS data."
VARIANTS = {
    "zero_bias": "Bunch crossings with Poisson(20) non-diffractive collisions, as a trigger sees them without any "
    f"selection; {_OBJECTS_NOTE}",
    "adc2021_like": "W, bb, Z and top events (59.2, 33.8, 6.7, 0.3 %) with an isolated electron or muon above 23 GeV "
    "and Poisson(20) pileup; the hard collision has no underlying event of its own; rates in kHz mean nothing here; "
    f"{_OBJECTS_NOTE}",
}
"""Variant -> the sentences that stand beside every figure made from it."""

_REMAKE = "get it again, or make it with `trigger-ml sample`"


def write(path: Path, variant: str, pileup: float, arrays: Mapping[str, NDArray], provenance: artifact.Json) -> None:
    """Write a sample, whole or not at all; the bytes depend on the content only.

    Columns are stored apart (chunks of one column), which compresses them about twice as well as rows.
    """
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with h5py.File(part, "w") as file:
            file.attrs.update(
                {
                    "layout": LAYOUT,
                    "version": VERSION,
                    "variant": variant,
                    "pileup": float(pileup),
                    "provenance": artifact.canonical_json(provenance).decode(),
                }
            )
            for name in sorted(arrays):
                array = arrays[name]
                chunk = (max(len(array), 1), 1)[: array.ndim]
                file.create_dataset(
                    name,
                    data=array,
                    chunks=chunk,
                    compression="gzip",
                    compression_opts=9,
                    shuffle=True,
                    track_times=False,
                )
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read(path: Path, variant: str) -> Sample:
    """Read and verify a sample.

    Raises:
        SampleError: if the file is missing, truncated, of another layout or variant, or holds impossible values.
    """
    import h5py

    if not path.is_file():
        raise SampleError(f"{path} is missing: {_REMAKE}")
    try:
        with h5py.File(path, "r") as file:
            _check_header(file, path, variant)
            arrays = {name: _array(file, name, path) for name in _names(file, path)}
            pileup = float(file.attrs["pileup"])
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise SampleError(f"{path} is not a whole HDF5 sample ({_short(error)}): {_REMAKE}") from None
    for name, array in arrays.items():
        _check_values(array, name, path)
    source = arrays.pop("background/source").astype(np.int64)
    if len(source) != len(arrays["background/test"]):
        raise SampleError(f"{path}: background/source and background/test differ in length: {_REMAKE}")
    splits = {
        group: Split(*(arrays[f"{group}/{part}"] for part in PARTS))
        for group in sorted({name.rpartition("/")[0] for name in arrays})
    }
    background = splits.pop("background")
    digest = artifact.digest_arrays({**arrays, "background/source": source})
    return Sample(
        name="l1_objects",
        variant=variant,
        digest=digest,
        features=FEATURES,
        input_format=INPUT_FORMAT,
        background=background,
        signals={group.removeprefix("signals/"): split for group, split in splits.items()},
        gives_rates=variant == "zero_bias",
        pileup=pileup,
        source=_sources(source, background.test if variant == "zero_bias" else None),
        notes=VARIANTS[variant],
        shape=(OBJECTS, 3),
    )


def provenance(path: Path) -> artifact.Json:
    """What a sample was made of: settings, their digest, collisions generated."""
    import json

    import h5py

    try:
        with h5py.File(path, "r") as file:
            return json.loads(str(file.attrs["provenance"]))
    except (OSError, KeyError, ValueError) as error:
        raise SampleError(f"{path} is not a whole HDF5 sample ({_short(error)}): {_REMAKE}") from None


def _sources(stored: NDArray[np.int64], events: NDArray | None) -> NDArray[np.int64]:
    """The collision that each event counts for, from the stored number of its most active one.

    An event whose leading collision was generated for it alone (stored -1) gets a number of its own. Muons come first:
    soft collisions with one are few, so each is in many zero-bias ``events``. pT and abs(eta) of a muon survive the
    rotation and mirroring of its collision, and events whose leading muons share both count as one, at worst too
    cautiously.
    """
    fresh = stored < 0
    out = stored.copy()
    out[fresh] = stored.max(initial=0) + 1 + np.arange(int(fresh.sum()))
    if events is not None:
        pt, eta = (events[:, COLUMN[f"mu0_{quantity}"]].astype(np.int64) for quantity in ("pt", "eta"))
        muon = pt > 0
        out[muon] = out.max(initial=0) + 1 + pt[muon] * 1000 + np.abs(eta[muon])
    return out


def _check_header(file: Any, path: Path, variant: str) -> None:
    layout, version = file.attrs.get("layout"), file.attrs.get("version")
    if layout != LAYOUT or version != VERSION:
        raise SampleError(f"{path} has the layout {layout} {version}, not {LAYOUT} {VERSION}: {_REMAKE}")
    if file.attrs.get("variant") != variant:
        raise SampleError(f'{path} holds the variant "{file.attrs.get("variant")}", not "{variant}": correct the spec')


def _names(file: Any, path: Path) -> list[str]:
    signals = [f"signals/{name}" for name in file.get("signals", {})]
    if not signals:
        raise SampleError(f"{path} has no signals: {_REMAKE}")
    names = [f"{group}/{part}" for group in ("background", *signals) for part in PARTS] + ["background/source"]
    for name in names:
        if name not in file:
            raise SampleError(f"{path} has no dataset {name}: {_REMAKE}")
    return names


def _array(file: Any, name: str, path: Path) -> NDArray:
    data = file[name]
    source = name == "background/source"
    kind, shape = ("int32", "(events,)") if source else ("int16", f"(events, {len(FEATURES)})")
    if data.dtype != np.dtype(kind):
        raise SampleError(f"{path}: {name} is {data.dtype}, not {kind}: {_REMAKE}")
    if data.ndim != (1 if source else 2) or (not source and data.shape[1] != len(FEATURES)) or data.shape[0] == 0:
        raise SampleError(f"{path}: {name} has the shape {data.shape}, not {shape}: {_REMAKE}")
    return np.asarray(data[...])


def _check_values(array: NDArray, name: str, path: Path) -> None:
    if array.ndim == 1:
        return
    lo, hi = (np.array([getattr(feature, end) for feature in FEATURES]) for end in ("lo", "hi"))
    bad = np.flatnonzero((array < lo).any(0) | (array > hi).any(0))
    if len(bad):
        feature = FEATURES[bad[0]]
        raise SampleError(f"{path}: {name} leaves {feature.lo}...{feature.hi} in {feature.name}: {_REMAKE}")
    objects = array.reshape(len(array), -1, 3)
    if np.any((objects[..., 0] == 0) & (objects[..., 1:] != 0).any(-1)):
        raise SampleError(f"{path}: {name} has an empty slot with an eta or phi: {_REMAKE}")


def _short(error: Exception) -> str:
    """The first line of an error's text, without its final stop."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
