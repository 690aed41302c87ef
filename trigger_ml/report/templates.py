"""The templates of pages and what they may call."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trigger_ml.errors import ToolMissing
from trigger_ml.report import labels


def render(template: str, filters: Mapping[str, Callable[..., Any]], context: Mapping[str, Any]) -> str:
    """A template of this folder with filters of its own beside ``number`` and ``image``.

    Raises:
        ToolMissing: jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError:
        raise ToolMissing('the report page needs jinja2: pip install "trigger_ml[report]"') from None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({"number": labels.number, "image": _image, **filters})
    return environment.get_template(template).render(context)


def _image(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
