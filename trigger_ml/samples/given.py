"""Files of others as a sample: one strict TOML file says which are background and which are signals.

::

    pileup = 57
    gives_rates = true
    notes = "CMS zero bias of 2025 and simulated signals, 10.5281/zenodo.21787779."

    [background]
    files = ["data/ZB_run396102/train-*.parquet"]

    [signals.ggH-suep-decay]
    files = ["data/ggH-suep-decay/*.parquet"]

Paths are relative to the TOML file. A process gives ``files``, which are cut into parts by a seeded hash of each
event's number, or ``train``, ``validation`` and ``test`` files. ``seed`` (1), ``limit`` (events of a process that are
read; of a part, where parts are given) and ``prefix`` (``L1``, of the branches of NanoAOD) may be left out.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trigger_ml.errors import SampleError, SpecError
from trigger_ml.fields import Limits, settle, show

PARTS = ("train", "validation", "test")
BACKGROUND = "background"
"""What no signal may be called: taggers of several classes call their first one so."""

_NAME = "[A-Za-z0-9_.+-]+"
_TOP = ("pileup", "gives_rates", "notes", "seed", "limit", "prefix", "background", "signals")


@dataclass(frozen=True)
class Process:
    """The files of a background or signal: ``files`` to be cut into parts, or else those of each part."""

    files: tuple[Path, ...] = ()
    train: tuple[Path, ...] = ()
    validation: tuple[Path, ...] = ()
    test: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Given:
    """What a TOML file says.

    Attributes:
        pileup: mean number of collisions in a crossing.
        gives_rates: True only where the background is what a trigger sees.
        notes: one or two sentences that stand beside every figure made from it.
        background: its files.
        signals: name -> files.
        seed: of the parts.
        limit: most events that are read of a process, or of a part; None: all.
        prefix: of the branches of NanoAOD.
    """

    pileup: float
    gives_rates: bool
    notes: str
    background: Process
    signals: Mapping[str, Process]
    seed: int = 1
    limit: int | None = None
    prefix: str = "L1"


def read(path: Path) -> Given:
    """Read a TOML file and find the files that it names.

    Raises:
        SampleError: it is missing, not TOML, a key or value is not valid, or a file is not there.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SampleError(f"{path} can't be read ({error.strerror}): give a TOML file of samples") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SampleError(f"{path} is not TOML ({error}): correct it") from None
    try:
        return _given(table, path.parent)
    except SpecError as error:
        raise SampleError(f"{path}: {error}") from None


def _given(table: dict[str, Any], folder: Path) -> Given:
    _known(table, _TOP, "the top level")
    for key in ("pileup", "gives_rates", "notes", "background", "signals"):
        if key not in table:
            raise SpecError(f"{key} is missing: add it")
    rates, signals = table["gives_rates"], table["signals"]
    if not isinstance(rates, bool):
        raise SpecError(f"gives_rates is {show(rates)}: it must be true or false")
    if not isinstance(signals, dict) or not signals:
        raise SpecError(f"signals is {show(signals)}: it must hold a table for each signal, [signals.NAME]")
    for name in signals:
        if name == BACKGROUND or not re.fullmatch(_NAME, name):
            raise SpecError(
                f"[signals] names one {show(name)}: use letters, digits and _ . + - only, and not {BACKGROUND}, a "
                "class of its own"
            )
    prefix = settle(table.get("prefix", "L1"), str, Limits(pattern="[A-Za-z0-9]+"), "prefix")
    return Given(
        pileup=settle(table["pileup"], float, Limits(0, 1000), "pileup"),
        gives_rates=rates,
        notes=settle(table["notes"], str, Limits(pattern=r"\S.*"), "notes"),
        background=_process(table["background"], folder, "[background]"),
        signals={name: _process(signal, folder, f"[signals.{name}]") for name, signal in sorted(signals.items())},
        seed=settle(table.get("seed", 1), int, Limits(0, 2**31 - 1), "seed"),
        limit=settle(table.get("limit"), int | None, Limits(10, 10**9), "limit"),
        prefix=prefix,
    )


def _process(table: Any, folder: Path, where: str) -> Process:
    if not isinstance(table, dict):
        raise SpecError(f"{where} is {show(table)}: it must be a table")
    names = tuple(field.name for field in dataclasses.fields(Process))
    _known(table, names, where)
    if set(table) not in ({"files"}, set(PARTS)):
        raise SpecError(f"{where} has {', '.join(table) or 'nothing'}: give files, or else {', '.join(PARTS)}")
    found = {key: _files(value, folder, f"{where} {key}") for key, value in table.items()}
    every = [file for files in found.values() for file in files]
    twice = next((file for file in every if every.count(file) > 1), None)
    if twice is not None:
        raise SpecError(f"{where} names {twice} twice: take one out")
    return Process(**found)


def _files(patterns: Any, folder: Path, where: str) -> tuple[Path, ...]:
    """The files of some names or patterns, those of a pattern sorted."""
    if not isinstance(patterns, list) or not patterns or not all(isinstance(p, str) and p for p in patterns):
        raise SpecError(f"{where} is {show(patterns)}: it must be a list of paths or patterns in quotes")
    found: list[Path] = []
    for pattern in patterns:
        base, rest = (Path("/"), pattern.lstrip("/")) if pattern.startswith("/") else (folder, pattern)
        try:
            here = sorted(file for file in base.glob(rest) if file.is_file())
        except (ValueError, IndexError):  # "a**b", "."
            raise SpecError(f"{where}: {show(pattern)} is no path or pattern of a file: correct it") from None
        if not here:
            raise SpecError(f"{where}: there is no file {pattern}: correct it (paths are relative to the TOML file)")
        found += here
    return tuple(found)


def _known(table: dict[str, Any], names: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in names:
            raise SpecError(f"unknown key {show(key)} in {where}: it takes {', '.join(names)}")
