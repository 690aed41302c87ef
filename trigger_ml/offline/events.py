"""Which sources there are, and files of their events.

A source that can write has ``write(path, wanted, console)``, which returns the files by what they hold, ``KINDS``, the
kinds of events that it can make, and ``CHUNKED``: whether several processes can make them.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from trigger_ml.errors import SpecError
from trigger_ml.offline import sources

if TYPE_CHECKING:
    from rich.console import Console


def names() -> tuple[str, ...]:
    """Of all sources."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(sources.__path__) if m.name != "source"))


def module(name: str) -> ModuleType:
    """The module of a source.

    Raises:
        SpecError: there is none of this name.
    """
    if name not in names():
        raise SpecError(f"there is no source {name!r}: available are {', '.join(names())}")
    return importlib.import_module(f"{sources.__name__}.{name}")


@dataclass(frozen=True)
class Wanted:
    """What is to be made.

    Attributes:
        count: events, or what the source makes them from, e.g. collisions; at least 1.
        seed: the only source of randomness.
        kind: one of the source's.
        workers: processes, where the source can use several.
    """

    count: int
    seed: int
    kind: str = ""
    workers: int = 1


def write(name: str, path: Path, wanted: Wanted, console: Console | None = None) -> dict[str, Path]:
    """Make events of a source and write them in the layout that it reads, whole or not at all.

    Args:
        name: of the source.
        path: the file or the folder, as the source says.
        wanted: how many and which; an empty kind is the source's first.
        console: for progress.

    Returns:
        The files, by what they hold.

    Raises:
        SpecError: there is no such source or kind, or the source can't write, or not with several processes.
    """
    found = module(name)
    if not hasattr(found, "write"):
        able = [each for each in names() if hasattr(module(each), "write")]
        raise SpecError(f"the source {name} writes no files: those that do are {', '.join(able)}")
    kind = wanted.kind or found.KINDS[0]
    if kind not in found.KINDS:
        raise SpecError(f"the source {name} has no kind {kind!r}: take one of {', '.join(found.KINDS)}")
    if wanted.workers > 1 and not found.CHUNKED:
        raise SpecError(f"the source {name} makes its events in one process: leave --workers out")
    made: dict[str, Path] = found.write(path, replace(wanted, kind=kind), console)
    return made
