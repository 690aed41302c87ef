"""One table of several methods: the numbers that they share, method by method, at every precision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from trigger_ml.errors import SpecError
from trigger_ml.offline.table import TAKEN, beside


def compared(lines: Sequence[dict[str, Any]], rows: str) -> list[dict[str, Any]]:
    """The lines of :func:`trigger_ml.offline.table.table`, metric by metric, precisions side by side.

    Shown are metrics that at least two of the rows have.

    Args:
        lines: of all rows.
        rows: a pattern of names, as ``un*``.

    Raises:
        SpecError: if no two rows that were run fit.
    """
    chosen = [line for line in lines if fnmatchcase(line["row"], rows)]
    having: dict[str, set[str]] = defaultdict(set)
    for line in chosen:
        having[line["metric"]].add(line["row"])
    shared = [line for line in chosen if len(having[line["metric"]]) > 1]
    if not shared:
        known = ", ".join(sorted({line["row"] for line in lines})) or "none"
        raise SpecError(f"no two rows that fit {rows!r} share a number: run some first, there are numbers of {known}")
    names = [*dict.fromkeys(line["metric"] for line in shared), *TAKEN]
    found = sorted(beside(shared), key=lambda each: (names.index(each["metric"]), each["row"]))
    return [{"metric": each["metric"], **{k: v for k, v in each.items() if k != "metric"}} for each in found]
