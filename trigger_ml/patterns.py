"""The verb ``patterns``: a run's events as files that boards play and record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trigger_ml import artifact
from trigger_ml import validate as gate
from trigger_ml.boards import formats, layout
from trigger_ml.boards import patterns as boards
from trigger_ml.errors import ArtifactError, SpecError
from trigger_ml.ir.interpret import interpret
from trigger_ml.ir.io import digest
from trigger_ml.workspace import open_run

if TYPE_CHECKING:
    from rich.console import Console


def patterns(
    where: Path, console: Console, out: Path, to: Path, name: str, given: Path | None, events: int
) -> Mapping[str, Any]:
    """Write the pattern files of a run into the folder ``to``.

    Args:
        where: the run, its spec or its model.
        console: for messages.
        out: where run folders are.
        to: the folder; it must be new, empty, or hold patterns already.
        name: of the format.
        given: a layout file; None: :func:`trigger_ml.boards.layout.default`.
        events: the first of the run's vectors: corners, the sample's test events if it reads such, random ones.

    Raises:
        SpecError: an unknown format, no events, or a layout that is malformed or does not fit.
        ArtifactError: the folder holds something else.
    """
    formats.find(name)
    if events < 1:
        raise SpecError(f"{events} events: give 1 or more")
    if to.exists() and (not to.is_dir() or (any(to.iterdir()) and not (to / boards.INDEX).exists())):
        raise ArtifactError(f"{to} holds something else than patterns: give a new or an empty folder")
    ws = open_run(where, out, console)
    graph = ws.graph
    plan = layout.load(given) if given else layout.default(graph)
    feed = gate.vectors(graph, ws.vectors(graph), events, ws.spec.seed)
    made = boards.files(graph, plan, feed, interpret(graph, feed), [name], ws.spec.name)
    with artifact.atomic_folder(to) as part:
        for file, content in made.items():
            artifact.atomic_write(part / file, content)
    console.print(f"patterns: {to} ({len(made)} files, {events} events)", highlight=False)
    return {"folder": str(to), "graph_digest": digest(graph), "events": events, "files": sorted(made)}
