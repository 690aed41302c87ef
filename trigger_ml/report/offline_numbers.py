"""What was kept of offline rows, as text: numbers with errors, sizes, times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trigger_ml.offline import table

FLOAT = "none"

Content = Mapping[str, Any]


@dataclass(frozen=True)
class RowResult:
    """A row and what was kept of it.

    Attributes:
        name: of its folder.
        title: for people.
        what: network, objective and sample in words.
        results: precision -> what ``trigger-ml offline run`` kept.
    """

    name: str
    title: str
    what: str
    results: Mapping[str, Content]


def label(precision: str) -> str:
    """A precision in words."""
    return {"none": "float", "no-embedding-no-last": "all but first and last"}.get(precision, precision)


def headline(row: RowResult) -> str | None:
    """The name of the number that sums a row up."""
    return table.headline(next(iter(row.results.values()))["metrics"])


def number(n: Mapping[str, Any] | None) -> str:
    """A value, its error and, in brackets, the scatter of trainings where there are several."""
    if n is None:
        return "–"
    digits = _digits(max(n["error"], n["scatter"] or 0))
    text = f"{n['value']:.{digits}f} ± {n['error']:.{digits}f}"
    return text if n["scatter"] is None else f"{text} ({n['scatter']:.{digits}f})"


def _digits(error: float) -> int:
    """Decimals that show two digits of an error."""
    return next((d for d in range(6) if error * 10**d >= 9.5), 6) if error > 0 else 4


def smaller(row: RowResult, content: Content) -> float:
    """How many times larger the linear weights are in float."""
    return table.costs(content, row.results.get(FLOAT)).smaller


def time_ratio(row: RowResult, content: Content) -> str:
    """CPU time over that of the float network."""
    found = table.costs(content, row.results.get(FLOAT)).time
    return "–" if found is None else f"{found:.2f}"


def speed(content: Content) -> str:
    """The truth simulator's CPU time over the model's."""
    one, truth = table.fastest(content), content["micros"].get(table.SIMULATOR)
    return "–" if not one or truth is None else f"{truth / one:.3g}"
