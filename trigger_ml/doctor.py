"""What this machine can do: programs and packages, their versions, what they enable; and what a spec can name."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from trigger_ml import plugins, tools


@dataclass(frozen=True)
class Finding:
    """One row of the check-up.

    Attributes:
        name: the program or package.
        kind: ``program`` or ``package``.
        version: what was found; None if nothing was; empty if it prints no version.
        tested: the version that this release was tested with; None where any will do.
        enables: what works only with it.
        get: how to get it.
    """

    name: str
    kind: str
    version: str | None
    tested: str | None
    enables: str
    get: str


def examine() -> tuple[Finding, ...]:
    """Look for every program and package that trigger_ml can use; nothing heavy is imported."""
    pins = _pins()
    rows = [Finding("python", "program", platform.python_version(), None, "everything", "3.11 or 3.12")]
    for program in tools.PROGRAMS:
        found = tools.find(program.name) is not None
        version = (tools.version(program.name) or "") if found else None
        rows.append(Finding(program.name, "program", version, None, program.enables, program.get))
    for package in tools.PACKAGES:
        version = tools.package_version(package.name)
        get = f"pip install 'trigger_ml[{package.extra}]'"
        rows.append(Finding(package.name, "package", version, pins.get(package.name), package.enables, get))
    return (*rows, _qkeras())


def _qkeras() -> Finding:
    """QKeras is kept apart from the packages that pip lists."""
    from trigger_ml.frontends.qkeras import package

    found = package.VERSION if package.folder().is_dir() else None
    get = "fetched when it is first needed; it needs trigger_ml[train]"
    return Finding("qkeras-v3", "package", found, package.VERSION, "training with uniform bits", get)


def catalogue(models: Path) -> Mapping[str, tuple[str, ...]]:
    """What can be named in a spec, and the models in the folder ``models``."""
    specs = sorted(models.glob("*/spec.toml")) if models.is_dir() else []
    return {
        **{kind: plugins.names(kind) for kind in plugins.KINDS},
        "models": tuple(spec.parent.name for spec in specs),
    }


def _pins() -> dict[str, str]:
    """Package -> the exact version that an extra of this package asks for."""
    try:
        requirements = metadata.requires("trigger_ml") or []
    except metadata.PackageNotFoundError:
        return {}
    found = (re.match(r"([A-Za-z0-9._-]+)\s*==\s*([^;\s]+)", text) for text in requirements)
    return {match[1]: match[2] for match in found if match}
