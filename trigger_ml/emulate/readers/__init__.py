"""Readers of event files: the file is the registration, its content and not its name says which one reads it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import cast

from trigger_ml.emulate.events import Reader, Source, Wanted
from trigger_ml.errors import SampleError
from trigger_ml.samples import layout
from trigger_ml.samples.cicada import KEY as CICADA
from trigger_ml.samples.l1_parquet import NAMES as PUBLIC

HDF5, ROOT, PARQUET = b"\x89HDF\r\n\x1a\n", b"root", b"PAR1"
"""How files begin."""


def survey(path: Path, wanted: Wanted) -> Source:
    """Find the reader of a file and let it look at the layout.

    Raises:
        SampleError: it is missing, of no known kind, damaged, or has another layout.
        ToolMissing: the package that reads it is not installed.
    """
    return find(_kind(path)).survey(path, wanted)


def find(name: str) -> Reader:
    """A reader by the name of its module."""
    return cast(Reader, importlib.import_module(f"trigger_ml.emulate.readers.{name}"))


def _kind(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except FileNotFoundError:
        raise SampleError(f"{path} does not exist: correct the path") from None
    except OSError as error:
        raise SampleError(f"{path} can't be read ({error.strerror}): check the path and its permissions") from None
    if head == HDF5:
        return _hdf5_kind(path)
    if head.startswith(ROOT):
        return "l1_nano"
    if head.startswith(PARQUET):
        return _parquet_kind(path)
    what = "is empty" if not head else "begins like no HDF5, ROOT or Parquet file"
    raise SampleError(f"{path} {what}: give a file of events")


def _hdf5_kind(path: Path) -> str:
    from trigger_ml.emulate.readers.hdf5 import opened

    with opened(path) as file:
        if file.attrs.get("layout") == layout.LAYOUT:
            return "l1_objects"
        if CICADA in file:
            return "cicada"
        return "adc2021" if "Particles" in file else "hdf5"


def _parquet_kind(path: Path) -> str:
    from trigger_ml.emulate.readers import parquet

    return "l1_parquet" if set(PUBLIC) <= set(parquet.columns(path)) else "parquet"
