"""The pages that list every key of a spec: ``docs/spec.md``, and ``docs/offline-spec.md`` of an offline row's."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from trigger_ml.fields import Limits
from trigger_ml.offline import spec as offline
from trigger_ml.spec import SECTIONS, Spec, required

_PREFACE = """# The spec

One TOML file says all that a run depends on. A key or table that isn't listed here is refused.
This page is made from `trigger_ml/spec.py` by `make docs`; a test keeps the two together.
"""


_OFFLINE = """# The spec of an offline row

One TOML file says all that an [offline row](offline.md) depends on. A key or table that isn't listed here is refused.
This page is made from `trigger_ml/offline/spec.py` by `make docs`; a test keeps the two together.
"""


def reference() -> str:
    """The table of every key, its default and its meaning, in Markdown: the text of ``docs/spec.md``."""
    return _page(_PREFACE, Spec, SECTIONS)


def offline_reference() -> str:
    """The same of an offline row: the text of ``docs/offline-spec.md``."""
    return _page(_OFFLINE, offline.Row, offline.SECTIONS)


def _page(preface: str, top: type[Any], sections: Mapping[str, type[Any]]) -> str:
    lines = [preface]
    for title, section in (("", top), *sections.items()):
        lines += [f"## `[{title}]`" if title else "## Top level", "", *_rows(section, sections), ""]
    return "\n".join(lines).rstrip() + "\n"


def _rows(section: type[Any], sections: Mapping[str, type[Any]]) -> list[str]:
    rows = [inspect.cleandoc(str(section.__doc__)), "", "| key | values | default | meaning |", "|---|---|---|---|"]
    hints = typing.get_type_hints(section)
    for field in dataclasses.fields(section):
        if field.name not in sections:
            default = "required" if field.name in required(section) else f"`{_toml(field.default)}`"
            values = _values(hints[field.name], field.metadata["limits"])
            rows.append(f"| `{field.name}` | {values} | {default} | {field.metadata['doc']} |")
    return rows


def _values(hint: Any, limits: Limits) -> str:
    """What a field accepts, in words."""
    parts = [part for part in typing.get_args(hint) if part is not type(None)]
    if typing.get_origin(hint) is Literal:
        return ", ".join(f"`{_toml(value)}`" for value in parts)
    if isinstance(hint, types.UnionType):
        return _values(parts[0], limits)
    if typing.get_origin(hint) is tuple:
        return f"list of {_values(parts[0], limits)}"
    if hint in (int, float):
        found = "integer" if hint is int else "number"
        found += f", {'above' if limits.open_low else 'from'} {limits.low:,.12g}" if math.isfinite(limits.low) else ""
        return found + (f" to {limits.high:,.12g}" if math.isfinite(limits.high) else "")
    return {bool: "`true`, `false`", str: "text"}.get(hint, str(hint))


def _toml(value: Any) -> str:
    if value is None:
        return "none"
    return json.dumps(value)
