"""What a model's folder keeps of a training, so that everything behind it runs without a training framework."""

from __future__ import annotations

from pathlib import Path

from trigger_ml import artifact
from trigger_ml.errors import ArtifactError
from trigger_ml.frontends import taught
from trigger_ml.ir import io
from trigger_ml.ir.graph import Graph
from trigger_ml.workspace import Workspace

NEEDED = (io.FILE, "qgraph.npz", "float.npz", "training.json")
"""The graph, its float twin, and what is said of the training."""


def files(folder: Path) -> tuple[str, ...]:
    """What there is to keep: the teacher too where a score was distilled and it was kept."""
    return (*NEEDED, taught.FILE) if (folder / taught.FILE).exists() else NEEDED


def digest(folder: Path) -> str:
    """Of all that is kept.

    Raises:
        ArtifactError: something is missing.
    """
    missing = next((name for name in NEEDED if not (folder / name).is_file()), None)
    if missing is not None:
        raise ArtifactError(f"{folder} has no frozen graph ({missing} is missing): run without --frozen, which trains")
    return artifact.digest_json({name: artifact.digest_path(folder / name) for name in files(folder)})


def named(graph: Graph, name: str) -> Graph:
    """A graph with the spec's name, which its modules, files and boards then share; the name is part of the digest."""
    return graph if graph.meta.get("name") == name else graph.with_meta(name=name)


def latest(ws: Workspace) -> Graph | None:
    """The run's graph, else the model's frozen one under the run's name; None if there is neither."""
    home = next((f for f in (ws.folder / "graph", ws.model) if (f / io.FILE).exists()), None)
    return None if home is None else named(io.load(home), ws.spec.name)


def freeze(ws: Workspace) -> None:
    """Copy the converted graph and the float networks beside the spec, where ``--frozen`` finds them."""
    for name in files(ws.folder / "graph"):
        artifact.atomic_write(ws.model / name, (ws.folder / "graph" / name).read_bytes())


def thaw(ws: Workspace) -> None:
    """The other way round: the model's frozen graph becomes the run's, with the name that the spec gives."""
    graph = named(io.load(ws.model), ws.spec.name)
    with artifact.atomic_folder(ws.folder / "graph") as part:
        io.save(graph, part)
        for name in files(ws.model)[2:]:
            artifact.atomic_write(part / name, (ws.model / name).read_bytes())
