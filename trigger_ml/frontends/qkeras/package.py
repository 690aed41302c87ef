"""QKeras in a folder of its own, out of the way of HGQ2.

Two distributions own the import name ``qkeras``: QKeras itself, and HGQ2, which ships a thin package of that name.
Installed side by side they overwrite each other. So ``qkeras-v3`` is kept in a folder of this environment that is on no
search path, filled by pip on first use, and loaded from there.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

from trigger_ml import tools
from trigger_ml.errors import ToolFailed, ToolMissing

VERSION = "1.2.1"
"""The version of qkeras-v3 whose rounding was tested against the integer graph."""

TIMEOUT_S = 300.0


def folder() -> Path:
    """Where this environment keeps qkeras-v3; the user's cache if the environment is read-only."""
    share = Path(sys.prefix) / "share"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = share if os.access(share if share.exists() else share.parent, os.W_OK) else cache
    return place / "trigger_ml" / f"qkeras-v3-{VERSION}"


def install(place: Path) -> None:
    """Fill ``place`` with qkeras-v3, whole or not at all; nothing happens if it is there.

    Raises:
        ToolMissing: if pip can't get it.
    """
    if (place / "qkeras" / "__init__.py").is_file():
        return
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    package = f"qkeras-v3=={VERSION}"
    try:
        argv = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(part), package]
        tools.run(argv, cwd=part, timeout_s=TIMEOUT_S)
        for other in part.iterdir():
            if other.is_dir() and other.name != "qkeras" and other.suffix != ".dist-info":
                shutil.rmtree(other)  # the wheel carries its tests and examples as top-level packages
        part.replace(place)
    except (ToolFailed, OSError) as error:
        if (place / "qkeras" / "__init__.py").is_file():
            return  # another process was faster
        raise ToolMissing(
            f"the frontend qkeras needs {package} in {place}, and pip could not get it: connect to a package index and "
            f"train again ({error})"
        ) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def load() -> ModuleType:
    """Import qkeras-v3 from its folder, installing it there first if need be.

    Raises:
        ToolMissing: if it can't be installed, or another package has taken the name in this process.
    """
    place = folder()
    known = sys.modules.get("qkeras")
    if known is not None:
        if Path(known.__file__ or "").is_relative_to(place):
            return known
        raise ToolMissing(
            f"another package named qkeras ({known.__file__}) is already loaded: train with QKeras in a fresh process"
        )
    install(place)
    source = place / "qkeras" / "__init__.py"
    found = importlib.util.spec_from_file_location("qkeras", source, submodule_search_locations=[str(source.parent)])
    if found is None or found.loader is None:
        raise ToolMissing(f"{source} can't be loaded: remove {place} and train again")
    module = importlib.util.module_from_spec(found)
    sys.modules["qkeras"] = module
    try:
        found.loader.exec_module(module)
    except BaseException:
        for name in [n for n in sys.modules if n == "qkeras" or n.startswith("qkeras.")]:
            del sys.modules[name]
        raise
    return module
