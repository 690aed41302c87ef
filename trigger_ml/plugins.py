"""Modules found by name: the file is the registration.

``find("backends", "verilog")`` is the module ``trigger_ml/backends/verilog.py``. A package outside this one adds a name
with an entry point in the group ``trigger_ml.backends``; names of this package can't be replaced.
"""

from __future__ import annotations

import re
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType

from trigger_ml.errors import SpecError
from trigger_ml.fields import hint

KINDS: dict[str, str] = {
    "samples": "load",
    "families": "float_score",
    "frontends": "freeze",
    "backends": "simulate",
    "estimators": "estimate",
    "importers": "recognises",
}
"""Kind of plugin -> the function that makes a module one; the package may hold other modules beside them."""


def names(kind: str) -> tuple[str, ...]:
    """Names of one kind of plugin, sorted; nothing is imported.

    Raises:
        SpecError: if there is no such kind.
    """
    return tuple(sorted({*_own(kind), *(entry.name for entry in _entry_points(kind))}))


def find(kind: str, name: str) -> ModuleType:
    """The module of one kind (a key of :data:`KINDS`) and name.

    Raises:
        SpecError: if there is none; the sentence lists what is available.
    """
    own = _own(kind)
    if name in own:
        return import_module(f"trigger_ml.{kind}.{name}")
    for entry in _entry_points(kind):
        if entry.name == name:
            module = entry.load()
            if not isinstance(module, ModuleType):
                raise SpecError(f"the entry point {name} of trigger_ml.{kind} gives {module!r}: it must name a module")
            return module
    available = names(kind)
    listed = ", ".join(available) or "none"
    raise SpecError(f'there is no "{name}" among the {kind}: {hint(name, available)}available are {listed}')


def _own(kind: str) -> tuple[str, ...]:
    """The modules and packages in ``trigger_ml/<kind>`` that hold the kind's function."""
    if kind not in KINDS:
        raise SpecError(f'there is no kind of plugin "{kind}": the kinds are {", ".join(KINDS)}')
    folder = Path(__file__).parent / kind
    sources = [*folder.glob("[a-z]*.py"), *folder.glob("[a-z]*/__init__.py")]
    return tuple(_name(source) for source in sources if _defines(source, KINDS[kind]))


def _name(source: Path) -> str:
    return source.parent.name if source.name == "__init__.py" else source.stem


def _defines(source: Path, function: str) -> bool:
    """True if the text of ``source`` defines ``function`` at module level, or imports it."""
    pattern = rf"^(def {function}\(|from .* import .*\b{function}\b|    {function},$)"
    return re.search(pattern, source.read_text("utf-8"), re.MULTILINE) is not None


def _entry_points(kind: str) -> tuple[metadata.EntryPoint, ...]:
    return tuple(metadata.entry_points(group=f"trigger_ml.{kind}"))
