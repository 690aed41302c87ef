"""Which program did something: the sources of this package that count, and their digest."""

from __future__ import annotations

import functools
from pathlib import Path

from trigger_ml import artifact

COMPILED = (".pyc", ".pyo", ".so", ".o")
UNCOUNTED = ("__pycache__", "data")


@functools.cache
def code(*parts: str) -> str:
    """sha256 over the sources of some parts of this package: another program may give another answer.

    Args:
        parts: modules or folders in ``trigger_ml``, e.g. ``frontends``, ``fixed.py``; empty: all of it.
    """
    root = Path(__file__).parent
    return artifact.digest_json({name: artifact.digest_bytes((root / name).read_bytes()) for name in sources(*parts)})


def sources(*parts: str) -> list[str]:
    """The files of some parts of this package, relative to it: all that is neither compiled nor data.

    Data has a digest of its own, the sample's.
    """
    root, found = Path(__file__).parent, []
    for part in parts:
        files = [root / part] if (root / part).is_file() else sorted((root / part).rglob("*"))
        inside = (f.relative_to(root) for f in files if f.is_file() and f.suffix not in COMPILED)
        found += [f.as_posix() for f in inside if not any(p in UNCOUNTED or p.startswith(".") for p in f.parts)]
    return found
