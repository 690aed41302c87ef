"""Which sources there are, and files of their events.

A source that can write has ``write(path, count, seed, kind)`` and ``KINDS``, the kinds of events that it can make.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

from trigger_ml.errors import SpecError
from trigger_ml.offline import sources


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


def write(name: str, path: Path, count: int, seed: int, kind: str = "") -> None:
    """Make events of a source and write them, whole or not at all.

    Args:
        name: of the source.
        path: of the file.
        count: of events.
        seed: the only source of randomness.
        kind: one of the source's; empty: its first.

    Raises:
        SpecError: there is no such source or kind, or the source can't write.
    """
    found = module(name)
    if not hasattr(found, "write"):
        able = [each for each in names() if hasattr(module(each), "write")]
        raise SpecError(f"the source {name} writes no files: those that do are {', '.join(able)}")
    kind = kind or found.KINDS[0]
    if kind not in found.KINDS:
        raise SpecError(f"the source {name} has no kind {kind!r}: take one of {', '.join(found.KINDS)}")
    found.write(path, count, seed, kind)
