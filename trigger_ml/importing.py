"""The verb ``import``: a model that exists already becomes a model's folder, from which everything else runs.

The folder holds the graph, a spec of the family ``imported``, ``imported.json`` and a card: what was read, and what it
was held against. Nothing is written unless the graph and the model's own program agree on every event.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from trigger_ml import artifact, plugins, spec
from trigger_ml.errors import ImportRefused
from trigger_ml.importers.imported import Imported
from trigger_ml.ir import io, ops
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.graph import Graph
from trigger_ml.workspace import SPEC

if TYPE_CHECKING:
    from rich.console import Console

EVENTS = 2000
SEED = 1
RECORD = "imported.json"


def bring_in(
    model: Path,
    to: Path,
    console: Console,
    kind: str | None = None,
    events: int = EVENTS,
    name: str | None = None,
) -> Mapping[str, Any]:
    """Read a model, compare it with its own program, and write a model's folder.

    Args:
        model: a file or folder that some importer knows.
        to: the folder to write; it must be new, empty, or an earlier import.
        console: for progress.
        kind: module in ``trigger_ml/importers``; None: the one that recognises the model.
        events: random and corner inputs of the comparison.
        name: of the model; by default the folder's.

    Raises:
        ImportRefused: no importer knows it, it can't be read exactly, or ``to`` holds something else.
        Mismatch: the graph and the model's own program differ.
        SpecError: the name is not one.
    """
    if not model.exists():
        raise ImportRefused(f"{model} does not exist: give a model's file or folder")
    if to.exists() and not (to / RECORD).is_file() and (not to.is_dir() or any(to.iterdir())):
        raise ImportRefused(f"{to} holds something else than an imported model: give a new folder")
    kind, importer = _importer(model, kind)
    called = name or re.sub(r"[^a-z0-9]+", "_", to.resolve().name.lower()).strip("_")
    try:
        with console.status(f"{kind}: reading {model.name} and comparing {events} events ..."):
            found: Imported = importer.read(model, events, SEED)
    except ImportRefused as error:
        raise ImportRefused(f"{model}: {error}") from None
    graph = found.graph.with_meta(name=called)
    text = spec_text(called, graph, found.target)
    spec.parse(text)
    said = {"kind": kind, "origin": found.origin, "oracle": found.oracle, "events": found.events}
    with artifact.atomic_folder(to) as part:
        digest = io.save(graph, part)
        artifact.write_json(part / RECORD, {**said, "remarks": list(found.remarks)})
        artifact.atomic_write(part / SPEC, text)
        artifact.atomic_write(part / "card.md", card(called, graph, found))
    for remark in found.remarks:
        console.print(remark, style="yellow", markup=False, highlight=False)
    console.print(f"{to}: {found.origin}; {events} events equal to {found.oracle}", markup=False, highlight=False)
    return {"model": str(to), "graph_digest": digest, **said, "remarks": list(found.remarks)}


def _importer(model: Path, kind: str | None) -> tuple[str, ModuleType]:
    names = plugins.names("importers")
    if kind is not None:
        return kind, plugins.find("importers", kind)
    for name in names:
        module = plugins.find("importers", name)
        if module.recognises(model):
            return name, module
    raise ImportRefused(f"{model} is no kind of model that is known: give --as with one of {', '.join(names)}")


def spec_text(name: str, graph: Graph, target: Mapping[str, Any] | None = None) -> str:
    """The spec of an imported model; the events of ``l1_objects`` are used if they fit its input.

    Args:
        name: of the model.
        graph: its integers.
        target: keys of ``[target]`` that the model says.
    """
    fits = reads_l1_objects(graph)
    sample = (
        "# The model reads 57 integers, as the events of this sample are. Is that what they mean to it? Else: none.\n"
        '[sample]\nname = "l1_objects"\nvariant = "zero_bias"\n'
        if fits
        else f'[sample]\nname = "{spec.NO_EVENTS}"\n'
    )
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in (target or {}).items())
    device = f"\n[target]\n{lines}" if lines else ""
    return f'name = "{name}"\nseed = {SEED}\n\n{sample}\n[model]\nfamily = "{spec.IMPORTED}"\n{device}'


def reads_l1_objects(graph: Graph) -> bool:
    """Whether the only port takes every event of the sample ``l1_objects``."""
    from trigger_ml.samples.l1_objects import FEATURES

    ports = graph.inputs
    if len(ports) != 1 or not isinstance(ports[0].op, ops.Input) or ports[0].op.shape != (len(FEATURES),):
        return False
    t = bounds(graph)[ports[0].name]
    low, high = (np.array([getattr(f, end) for f in FEATURES]) for end in ("lo", "hi"))
    return bool(np.all(t.lo <= low) and np.all(t.hi >= high))


def card(name: str, graph: Graph, found: Imported) -> str:
    """The model's card: what it is, and how far that was checked."""
    known = bounds(graph)
    ports = [f"| input `{n.name}` | {_shape(known[n.name].shape)} | `{known[n.name].fixed!r}` |" for n in graph.inputs]
    ends = [f"| output `{o}` | {_shape(known[o].shape)} | `{known[o].fixed!r}` |" for o in graph.outputs]
    remarks = "".join(f"- {remark}\n" for remark in found.remarks)
    lines = "\n".join([*ports, *ends])
    return (
        f"# {name}: imported\n\nRead from: {found.origin}. Nothing was trained here.\n\n"
        f"Held against {found.oracle}: {found.events:,} random and corner inputs, every output number equal (`==`).\n\n"
        f"| port | shape | format that holds every element |\n|---|---|---|\n{lines}\n\n"
        f"{remarks}{chr(10) if remarks else ''}"
        f"The graph has {len(graph.nodes)} nodes. `trigger-ml run` on this folder builds it, compares every engine\n"
        f"with it and estimates its cost.\n\nGraph `{io.digest(graph)[:16]}`.\n"
    )


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
