"""What every strict TOML file here is read with: fields that check themselves, one clear sentence for each failure."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import re
import tomllib
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from trigger_ml.errors import SpecError


@dataclass(frozen=True)
class Limits:
    """What a field accepts.

    Attributes:
        low: smallest number, of a list each number.
        high: largest number.
        open_low: True if ``low`` itself is refused.
        length: fewest and most items of a list.
        pattern: regular expression that a whole text matches; empty for any text.
    """

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    length: tuple[int, int] = (1, 64)
    pattern: str = ""


def limited(
    doc: str,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    default: Any = dataclasses.MISSING,
    open_low: bool = False,
    length: tuple[int, int] = (1, 64),
    pattern: str = "",
) -> Any:
    """A dataclass field with its meaning and its :class:`Limits`; required if it has no default."""
    limits = Limits(low, high, open_low, length, pattern)
    return dataclasses.field(default=default, metadata={"doc": doc, "limits": limits})


def toml(text: str) -> dict[str, Any]:
    """The table that a TOML text holds.

    Raises:
        SpecError: if it isn't TOML.
    """
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SpecError(f"not TOML: {error}") from None


def hint(name: str, valid: Iterable[str]) -> str:
    """``did you mean "..."? `` for a name that is nearly a valid one, else nothing."""
    close = difflib.get_close_matches(name, tuple(valid), n=1)
    return f'did you mean "{close[0]}"? ' if close else ""


def settle(value: Any, hint: Any, limits: Limits, where: str) -> Any:
    """``value`` in the exact type of ``hint``: a list becomes a tuple, 5 becomes 5.0 where a float is meant.

    Args:
        value: as read from TOML, or as given in Python.
        hint: int, float, bool, str, a tuple of one of them, a ``Literal`` of texts, or one of these ``| None``.
        limits: what is accepted.
        where: the name in the error, e.g. ``[target] clock_ns``.

    Raises:
        SpecError: if the type is another or a limit is broken.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        return None if value is None else settle(value, arguments[0], limits, where)
    if origin is Literal:
        if value not in arguments:
            raise SpecError(f"{where} is {show(value)}: it must be one of {', '.join(arguments)}")
        return value
    if origin is tuple:
        return _settle_list(value, arguments[0], limits, where)
    if hint is str:
        return _settle_text(value, limits, where)
    if hint is bool:
        if not isinstance(value, bool):
            raise SpecError(f"{where} is {show(value)}: it must be true or false")
        return value
    return _settle_number(value, hint, limits, where)


def _settle_list(value: Any, item: Any, limits: Limits, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise SpecError(f"{where} is {show(value)}: it must be a list of {_KIND[item]}s")
    low, high = limits.length
    if not low <= len(value) <= high:
        span = f"{low}" if low == high else f"{low} to {high}"
        raise SpecError(f"{where} must have {span} values, not {len(value)}")
    return tuple(_settle_number(number, item, limits, f"{where}[{i}]") for i, number in enumerate(value))


def _settle_text(value: Any, limits: Limits, where: str) -> str:
    if not isinstance(value, str):
        raise SpecError(f"{where} is {show(value)}: it must be a text in quotes")
    if limits.pattern and not re.fullmatch(limits.pattern, value):
        raise SpecError(f"{where} is {show(value)}: it must match {limits.pattern}")
    return value


def _settle_number(value: Any, hint: Any, limits: Limits, where: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or (hint is int and isinstance(value, float)):
        raise SpecError(f"{where} is {show(value)}: it must be {_ARTICLE[hint]} {_KIND[hint]}")
    if not math.isfinite(value):
        raise SpecError(f"{where} is {value}: it must be finite")
    if value < limits.low or (limits.open_low and value == limits.low):
        relation = "above" if limits.open_low else "at least"
        raise SpecError(f"{where} is {value}: it must be {relation} {limits.low:g}")
    if value > limits.high:
        raise SpecError(f"{where} is {value}: it must be at most {limits.high:.10g}")
    return float(value) if hint is float else value


_KIND = {int: "whole number", float: "number"}
_ARTICLE = {int: "a", float: "a"}


def show(value: Any) -> str:
    """A value as it stands in TOML, shortened to 60 characters."""
    text = json.dumps(value) if isinstance(value, (str, bool)) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
