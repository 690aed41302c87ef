"""The page that lists every key of a spec: ``docs/spec.md``."""

from __future__ import annotations

import dataclasses
import inspect
import json
from typing import Any

from trigger_ml.spec import SECTIONS, Spec, required

_PREFACE = """# The spec

One TOML file says all that a run depends on. A key or table that isn't listed here is refused.
This page is made from `trigger_ml/spec.py` by `make docs`; a test keeps the two together.
"""


def reference() -> str:
    """The table of every key, its default and its meaning, in Markdown: the text of ``docs/spec.md``."""
    lines = [_PREFACE]
    for title, section in (("", Spec), *SECTIONS.items()):
        lines += [f"## `[{title}]`" if title else "## Top level", "", *_rows(section), ""]
    return "\n".join(lines).rstrip() + "\n"


def _rows(section: type[Any]) -> list[str]:
    rows = [inspect.cleandoc(str(section.__doc__)), "", "| key | default | meaning |", "|---|---|---|"]
    for field in dataclasses.fields(section):
        if field.name not in SECTIONS:
            default = "required" if field.name in required(section) else f"`{_toml(field.default)}`"
            rows.append(f"| `{field.name}` | {default} | {field.metadata['doc']} |")
    return rows


def _toml(value: Any) -> str:
    if value is None:
        return "none"
    return json.dumps(value)
