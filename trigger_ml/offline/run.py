"""Rows of the offline table: train at every precision, prove the lowerings equal, measure, keep the numbers."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trigger_ml import artifact
from trigger_ml.errors import Mismatch, SpecError
from trigger_ml.offline import sources
from trigger_ml.offline.networks import PRECISIONS, Precision
from trigger_ml.offline.spec import Row, load
from trigger_ml.offline.table import KIND, VERSION, kept
from trigger_ml.offline.tasks import TASKS, Measured
from trigger_ml.offline.training import Place

if TYPE_CHECKING:
    from rich.console import Console

    from trigger_ml.offline.sources.source import Source


def run(where: Path, console: Console, out: Path) -> Mapping[str, Any]:
    """Do a row at every precision; numbers go to ``<precision>.json`` beside the spec, models and states to ``out``.

    A precision whose spec has not changed is not done again.

    Raises:
        SpecError: the spec.
        ToolMissing: without the extra offline.
        Mismatch: a lowering gives other bits than the golden one; its numbers are kept.
    """
    from trigger_ml.frontends import session

    row = load(where)
    home = where if where.is_dir() else where.parent
    source = _source(row.sample.name)
    done: dict[str, Any] = {}
    for precision in PRECISIONS:
        path = home / f"{precision}.json"
        done[precision] = kept(path, row)
        if done[precision] is None:
            session.start()
            place = Place(row, out / f"offline_{row.name}" / precision, precision.replace("-", "_"), console)
            with artifact.exclusive(place.folder):
                content = _content(row, precision, TASKS[row.objective.name](place, source, precision))
            artifact.save(path, KIND, VERSION, content)
            done[precision] = content
        console.print(f"{row.name}, {precision}: {_sentence(done[precision])}", highlight=False)
    wrong = {p: c["differing"] for p, c in done.items() if c["differing"]}
    if wrong:
        raise Mismatch(f"{row.name}: these differ from the golden model: {wrong}")
    return {"row": row.name, "precisions": done}


def _content(row: Row, precision: Precision, measured: Measured) -> dict[str, Any]:
    metrics = {k: {"value": n.value, "error": n.error} for k, n in measured.metrics.items()}
    return {
        "row": row.name,
        "spec": row.digest(),
        "precision": precision,
        "metrics": metrics,
        "differing": list(measured.differing),
        "compared": measured.compared,
        "kernel_bytes": dict(measured.kernel_bytes),
    }


def _source(name: str) -> Source:
    known = [m.name for m in pkgutil.iter_modules(sources.__path__) if m.name != "source"]
    if name not in known:
        raise SpecError(f"there is no source {name!r}: available are {', '.join(sorted(known))}")
    made: Source = importlib.import_module(f"{sources.__name__}.{name}").source()
    return made


def _sentence(content: Mapping[str, Any]) -> str:
    numbers = ", ".join(f"{k} {n['value']:.4g} +- {n['error']:.2g}" for k, n in content["metrics"].items())
    return f"{numbers}; {'every lowering equal' if not content['differing'] else 'LOWERINGS DIFFER'}"
