"""Our own sample files (``samples/layout.py``): background, then the signals by name; train, validation, test of each.

A background for rates has one part, ``background/all``. ``--dataset`` takes one process (``background``,
``signals/A_to_4l``) or one part of it (``background/test``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from trigger_ml.emulate.events import Block, Source, Wanted
from trigger_ml.emulate.readers.hdf5 import ADVICE, described, fits, opened, rows
from trigger_ml.errors import SampleError
from trigger_ml.samples import layout
from trigger_ml.samples.features import FEATURES


def survey(path: Path, wanted: Wanted) -> Source:
    """The parts to read; see the module."""
    if wanted.elements != len(FEATURES):
        raise SampleError(f"{path} holds events of {len(FEATURES)} integers, the model reads {wanted.elements}")
    with opened(path) as file:
        if file.attrs.get("version") != layout.VERSION:
            raise SampleError(
                f"{path} has version {file.attrs.get('version')} of {layout.LAYOUT}, not {layout.VERSION}: {ADVICE}"
            )
        groups = ["background", *(f"signals/{name}" for name in sorted(file.get("signals", {})))]
        rates = f"background/{layout.ALL}" in file
        names = [f"{group}/{part}" for group in groups for part in ((layout.ALL,) if rates else layout.PARTS)]
        missing = [name for name in names if name not in file]
        if missing:
            raise SampleError(f"{path} has no dataset {missing[0]}: {ADVICE}")
        if wanted.dataset is not None:
            asked = wanted.dataset.strip("/")
            names = [name for name in names if name == asked or name.startswith(f"{asked}/")]
            if not names:
                raise SampleError(f"{path} has no {asked!r}: --dataset takes {', '.join(groups)} or one part of these")
        for name in names:
            if not fits(file[name], len(FEATURES)):
                shown = f"{file[name].dtype} {file[name].shape}" if hasattr(file[name], "dtype") else "a group"
                raise SampleError(f"{path}: {name} is {shown}, not integers (events, {len(FEATURES)}): {ADVICE}")
        return described(path, "l1_objects", [(name, file[name]) for name in names])


def read(source: Source, start: int, stop: int) -> Iterator[Block]:
    """Events as they stand in the file, each integer in the range of its feature."""
    lo, hi = (np.array([getattr(f, end) for f in FEATURES], np.int16) for end in ("lo", "hi"))
    for x in rows(source, start, stop):
        bad = (x < lo) | (x > hi)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            feature = FEATURES[column]
            raise SampleError(
                f"{source.path}: event {start + row} has {feature.name} {x[row, column]}, "
                f"outside {feature.lo}...{feature.hi}: {ADVICE}"
            )
        yield Block(x, {})
        start += len(x)
