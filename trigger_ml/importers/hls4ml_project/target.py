"""The device and the clock of a project, from its Tcl scripts: read as text, never run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trigger_ml.errors import SpecError
from trigger_ml.spec import Target

SCRIPTS = ("project.tcl", "build_prj.tcl")
"""Where hls4ml writes them, newer versions first."""

PATTERNS = {
    "part": r"^\s*set(?:\s+part|_part)\s+[\"{]?([^\s\"{}$]+)[\"}]?\s*$",
    "clock_ns": r"^\s*(?:set\s+clock_period|create_clock\s+-period)\s+\"?([0-9.eE+-]+)\"?(?:\s.*)?$",
    "hls_backend": r"^\s*set\s+backend\s+\"?(vitis|vivado)\"?\s*$",
}
"""Key of ``[target]`` -> the line that says it."""

CASTS: dict[str, Callable[[str], Any]] = {"part": str.lower, "clock_ns": float, "hls_backend": str.capitalize}

MAX_TEXT = 1 << 20


def target_of(project: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The keys of ``[target]`` that a project says, and a remark for each of part and clock that it does not.

    Args:
        project: the project's folder.
    """
    texts = [t for name in SCRIPTS if (t := _text(project / name))]
    found: dict[str, Any] = {}
    remarks = []
    for key, pattern in PATTERNS.items():
        said = next((m[1] for t in texts if (m := re.search(pattern, t, re.MULTILINE | re.IGNORECASE))), None)
        if said is None:
            if key != "hls_backend":
                remarks.append(f"The project says no {key}: [target] {key} is the default, {getattr(Target(), key)}.")
            continue
        try:
            value = CASTS[key](said)
            found[key] = getattr(Target(**{key: value}), key)
        except (SpecError, ValueError):
            default = getattr(Target(), key)
            remarks.append(
                f"The project's {key} {said[:60]!r} is none of a spec: [target] {key} is the default, {default}."
            )
    return found, tuple(remarks)


def _text(path: Path) -> str:
    """The text of a script; empty if there is none, it is a link, or it is too long to be one."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_TEXT:
            return ""
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
