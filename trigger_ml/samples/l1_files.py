"""Files of others as a sample: ``[sample] path`` is a TOML file that names them (``given.py``).

Variant ``objects``: the 57 inputs of ``l1_objects`` from CMS L1 NanoAOD, CMS's public Level-1 data (Parquet) or ADC2021
files. Variant ``regions``: the 252 inputs of ``calo_regions`` from CICADA's files. The content of a file, not its name,
says which it is. Events are taken to be independent of each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact
from trigger_ml.errors import SampleError
from trigger_ml.samples import adc2021, cicada, given, l1_nano, l1_parquet, layout
from trigger_ml.samples.contents import OBJECTS, REGIONS, Contents
from trigger_ml.samples.dataset import Sample, Split
from trigger_ml.samples.given import PARTS, Given, Process
from trigger_ml.samples.maker import SHARES

CONTENTS = {"objects": OBJECTS, "regions": REGIONS}
VARIANTS = tuple(CONTENTS)

_HDF5, _ROOT, _PARQUET = b"\x89HDF\r\n\x1a\n", b"root", b"PAR1"
"""How files begin."""


def load(variant: str, path: Path | None = None) -> Sample:
    """Read all files that a TOML file names, and cut them into parts.

    Raises:
        SampleError: if the variant is unknown, the TOML file not valid, or a file missing, malformed or out of range.
        ToolMissing: uproot or pyarrow is not installed (extra ``emulate``).
    """
    if variant not in CONTENTS:
        raise SampleError(f'there is no variant "{variant}": available are {", ".join(VARIANTS)}')
    if path is None:
        raise SampleError("no files are shipped with l1_files: give [sample] path, a TOML file that names some")
    said, contents = given.read(path), CONTENTS[variant]
    background = _split(said.background, "background", said, contents)
    signals = {name: _split(process, f"signals/{name}", said, contents) for name, process in said.signals.items()}
    arrays = {f"background/{part}": getattr(background, part) for part in PARTS}
    arrays |= {f"signals/{name}/{part}": getattr(split, part) for name, split in signals.items() for part in PARTS}
    said_too = {"pileup": said.pileup, "gives_rates": said.gives_rates, "notes": said.notes}
    return Sample(
        name="l1_files",
        variant=variant,
        digest=artifact.digest_json({**said_too, "events": artifact.digest_arrays(arrays)}),
        features=contents.features,
        input_format=contents.input_format,
        background=background,
        signals=signals,
        gives_rates=said.gives_rates,
        pileup=said.pileup,
        source=np.arange(len(background.test)),
        notes=said.notes,
        shape=contents.shape,
    )


def parts_of(events: int, seed: int, process: str) -> NDArray[np.int8]:
    """The part (0, 1, 2: train, validation, test) of each event, from a hash of seed, process and event number.

    An event keeps its part when others are added behind it. Shares are those of our own samples. The hash is the
    finalizer of SplitMix64 (G. Steele, D. Lea, C. Flood, OOPSLA 2014).
    """
    key = int.from_bytes(hashlib.sha256(f"{seed}/{process}".encode()).digest()[:8], "little")
    z = np.arange(1, events + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    uniform = (z ^ (z >> np.uint64(31))) / 2.0**64
    edges = np.cumsum(SHARES[process == "background"])[:2]
    return np.searchsorted(edges, uniform, side="right").astype(np.int8)


def _split(process: Process, name: str, said: Given, contents: Contents) -> Split:
    if process.files:
        x = _events(process.files, said, contents)
        part = parts_of(len(x), said.seed, name)
        parts = [x[part == i] for i in range(len(PARTS))]
    else:
        parts = [_events(getattr(process, which), said, contents) for which in PARTS]
    for which, events in zip(PARTS, parts, strict=True):
        if len(events) == 0:
            raise SampleError(f"the files of {name} leave no event for the part {which}: give larger ones")
    return Split(*parts)


def _events(files: tuple[Path, ...], said: Given, contents: Contents) -> NDArray[np.int16]:
    blocks: list[NDArray[np.int16]] = []
    left = said.limit
    for file in files:
        x = _reader(file, said.prefix, contents)(left)
        layout.check_values(x, str(file), contents)
        blocks.append(x)
        if left is not None:
            left -= len(x)
            if left <= 0:
                break
    return np.concatenate(blocks)


def _reader(path: Path, prefix: str, contents: Contents) -> Callable[[int | None], NDArray[np.int16]]:
    """What reads so many events of a file."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise SampleError(f"{path} can't be read ({error.strerror}): check the path and its permissions") from None
    if contents is REGIONS:
        return lambda stop: cicada.read(path, 0, stop)
    if head == _HDF5:
        return lambda stop: adc2021.read(path, 0, stop)
    if head.startswith(_ROOT):
        return lambda stop: l1_nano.read(path, prefix, stop)
    if head.startswith(_PARQUET):
        return lambda stop: l1_parquet.read(path, stop)
    raise SampleError(f"{path} begins like no HDF5, ROOT or Parquet file: give a file of events")
