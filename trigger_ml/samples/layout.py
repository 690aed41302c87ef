"""Our HDF5 files of samples in three parts, verified when read.

A sample has ``background/{train,validation,test}`` and ``signals/<name>/{...}``, int16 (events, features), and
``background/source``, int32 (test events,). Attributes ``layout``, ``version``, ``variant``, ``pileup`` and
``provenance`` (JSON) are at the root. A background for rates alone is in ``rate_background.py``.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact
from trigger_ml.errors import SampleError
from trigger_ml.samples.contents import OBJECTS, RATES, Contents
from trigger_ml.samples.dataset import Sample, Split
from trigger_ml.samples.features import COLUMN

LAYOUT = OBJECTS.layout
VERSION = 1
PARTS = ("train", "validation", "test")
ALL = "all"
"""The only part of a background for rates, where the three would be."""

REMAKE = "get it again, or make it with `trigger-ml sample`"


def write(
    path: Path,
    variant: str,
    pileup: float,
    arrays: Mapping[str, NDArray],
    provenance: artifact.Json,
    contents: Contents = OBJECTS,
) -> None:
    """Write a sample, whole or not at all; the bytes depend on the content only.

    Columns are stored apart (chunks of one column), which compresses them about twice as well as rows.
    """
    with creating(path) as file:
        file.attrs.update(header(contents, variant, pileup, provenance))
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


@contextlib.contextmanager
def creating(path: Path) -> Iterator[Any]:
    """A new HDF5 file that takes its name when the block ends well, and is gone if it doesn't."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with h5py.File(part, "w") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def opened(path: Path, advice: str = REMAKE) -> Iterator[Any]:
    """A file, open for reading; what HDF5 can't read becomes one sentence that ends with the advice.

    Raises:
        SampleError: if the file is missing, truncated or not HDF5.
    """
    import h5py

    if not path.is_file():
        raise SampleError(f"{path} is missing: {advice}")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise SampleError(f"{path} is not a whole HDF5 sample ({reason}): {advice}") from None


def header(contents: Contents, variant: str, pileup: float, provenance: artifact.Json) -> dict[str, Any]:
    """Attributes at the root of a file."""
    return {
        "layout": contents.layout,
        "version": VERSION,
        "variant": variant,
        "pileup": float(pileup),
        "provenance": artifact.canonical_json(provenance).decode(),
    }


def read(path: Path, variant: str, contents: Contents = OBJECTS) -> Sample:
    """Read and verify a sample.

    Raises:
        SampleError: if the file is missing, truncated, of another layout or variant, or holds impossible values.
    """
    with opened(path) as file:
        _check_header(file, path, variant, contents)
        arrays = {name: np.asarray(dataset(file, name, path, contents)[...]) for name in _names(file, path)}
        pileup = pileup_of(file, path)
    for name, array in arrays.items():
        if array.ndim == 2:
            check_values(array, f"{path}: {name}", contents)
    source = arrays.pop("background/source").astype(np.int64)
    if len(source) != len(arrays["background/test"]):
        raise SampleError(f"{path}: background/source and background/test differ in length: {REMAKE}")
    splits = {
        group: Split(*(arrays[f"{group}/{part}"] for part in PARTS))
        for group in sorted({name.rpartition("/")[0] for name in arrays})
    }
    background = splits.pop("background")
    muons = leading_muon(background.test) if contents.objects and variant == RATES else None
    return Sample(
        name=contents.sample,
        variant=variant,
        digest=artifact.digest_arrays({**arrays, "background/source": source}),
        features=contents.features,
        input_format=contents.input_format,
        background=background,
        signals={group.removeprefix("signals/"): split for group, split in splits.items()},
        gives_rates=variant == RATES,
        pileup=pileup,
        source=sources(source, muons),
        notes=contents.note(variant, pileup),
        shape=contents.shape,
    )


def provenance(path: Path) -> artifact.Json:
    """What a file was made of: settings, their digest, collisions generated."""
    with opened(path) as file:
        return json.loads(str(file.attrs["provenance"]))


def leading_muon(events: NDArray) -> NDArray[np.int64]:
    """A number above 0 for each event with a muon, the same for equal pT and abs(eta) of the leading one; else 0."""
    pt, eta = (events[:, COLUMN[f"mu0_{quantity}"]].astype(np.int64) for quantity in ("pt", "eta"))
    return np.where(pt > 0, pt * 1000 + np.abs(eta), 0)


def sources(stored: NDArray[np.integer], muons: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """The collision that each event counts for, from the stored number of its most active one.

    An event whose leading collision was generated for it alone (stored -1) gets a number of its own. Muons come first,
    where events show them (:func:`leading_muon`): soft collisions with one are few, so each is in many zero-bias
    events. pT and abs(eta) of a muon survive the rotation and mirroring of its collision, and events whose leading
    muons share both count as one, at worst too cautiously.
    """
    fresh = stored < 0
    out: NDArray[np.int64] = stored.astype(np.int64)
    out[fresh] = out.max(initial=0) + 1 + np.arange(int(fresh.sum()))
    if muons is not None:
        found = muons > 0
        out[found] = out.max(initial=0) + 1 + muons[found]
    return out


# -- what a file must be ----------------------------------------------------------------------------------------------


def _check_header(file: Any, path: Path, variant: str, contents: Contents) -> None:
    layout, version = file.attrs.get("layout"), file.attrs.get("version")
    if layout != contents.layout or version != VERSION:
        raise SampleError(f"{path} has the layout {layout} {version}, not {contents.layout} {VERSION}: {REMAKE}")
    if file.attrs.get("variant") != variant:
        raise SampleError(f'{path} holds the variant "{file.attrs.get("variant")}", not "{variant}": correct the spec')


def pileup_of(file: Any, path: Path) -> float:
    """The mean number of overlaid collisions that a file states.

    Raises:
        SampleError: if it is none.
    """
    pileup = float(file.attrs["pileup"])
    if not (np.isfinite(pileup) and pileup >= 0):
        raise SampleError(
            f"{path}: the attribute pileup is {pileup:g}: it must be the mean number of overlaid collisions"
        )
    return pileup


def _names(file: Any, path: Path) -> list[str]:
    if f"background/{ALL}" in file:
        raise SampleError(f"{path} is a background for rates, without parts to train on: give a sample with signals")
    signals = [f"signals/{name}" for name in file.get("signals", {})]
    if not signals:
        raise SampleError(f"{path} has no signals: {REMAKE}")
    return [f"{group}/{part}" for group in ("background", *signals) for part in PARTS] + ["background/source"]


def dataset(file: Any, name: str, path: Path, contents: Contents) -> Any:
    """A dataset of an open file, of the right type and shape and not empty.

    Raises:
        SampleError: if it is missing or another.
    """
    if name not in file:
        raise SampleError(f"{path} has no dataset {name}: {REMAKE}")
    data = file[name]
    source, columns = name == "background/source", len(contents.features)
    kind, shape = ("int32", "(events,)") if source else ("int16", f"(events, {columns})")
    if data.dtype != np.dtype(kind):
        raise SampleError(f"{path}: {name} is {data.dtype}, not {kind}: {REMAKE}")
    if data.ndim != (1 if source else 2) or (not source and data.shape[1] != columns) or data.shape[0] == 0:
        raise SampleError(f"{path}: {name} has the shape {data.shape}, not {shape}: {REMAKE}")
    return data


def check_values(array: NDArray, where: str, contents: Contents, first: int = 0) -> None:
    """Refuse integers outside the range of their feature, and objects without pT that have an angle.

    Args:
        array: ``(events, features)``.
        where: they are from, for the sentence.
        contents: the features.
        first: number of the first event there.

    Raises:
        SampleError: naming ``where``, the event and the feature.
    """
    lo, hi = (np.array([getattr(f, end) for f in contents.features], array.dtype) for end in ("lo", "hi"))
    wrong = (array < lo) | (array > hi)
    if wrong.any():
        event, column = np.argwhere(wrong)[0]
        feature = contents.features[column]
        raise SampleError(
            f"{where}, event {first + event}: {feature.name} is {array[event, column]}, "
            f"allowed {feature.lo}...{feature.hi}: {REMAKE}"
        )
    if contents.objects:
        objects = array.reshape(len(array), -1, 3)
        odd = ((objects[..., 0] == 0) & (objects[..., 1:] != 0).any(-1)).any(1)
        if odd.any():
            raise SampleError(f"{where}, event {first + odd.argmax()}: an empty slot has an eta or phi: {REMAKE}")
