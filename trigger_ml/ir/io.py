"""The graph's file: ``qgraph.json`` for the structure, ``qgraph.npz`` beside it for the arrays.

``docs/ir.md`` is the normative description. The digest covers the meaning (structure, arrays, meta), not the files'
bytes. Files of older versions are upgraded when read; a file of a later version is refused.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from trigger_ml import artifact
from trigger_ml.errors import ArtifactError, GraphError
from trigger_ml.fixed import Formats, Overflow, Rounding
from trigger_ml.ir import ops
from trigger_ml.ir.graph import Graph, Node
from trigger_ml.ir.verify import verify

KIND = "qgraph"
VERSION = 1
FILE = "qgraph.json"


def digest(graph: Graph) -> str:
    """The graph's sha256 (hexadecimal): what every artifact made from it carries."""
    return artifact.content_digest(KIND, VERSION, *_encode(graph))


def save(graph: Graph, folder: Path) -> str:
    """Write ``qgraph.json`` and ``qgraph.npz`` into ``folder`` and return the digest."""
    return artifact.save(folder / FILE, KIND, VERSION, *_encode(graph))


def load(folder: Path) -> Graph:
    """Read and verify a graph.

    Raises:
        ArtifactError: files missing, damaged, changed, of another kind or a later version.
        GraphError: a graph that is not well formed.
    """
    found = artifact.load(folder / FILE, KIND, VERSION)
    try:
        graph = _decode(found.content, found.arrays)
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise ArtifactError(f"{folder / FILE} is damaged ({type(e).__name__}: {e}): convert the model again") from e
    verify(graph)
    return graph


def _encode(graph: Graph) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    arrays: dict[str, np.ndarray] = {}
    nodes = []
    for node in graph.nodes:
        entry: dict[str, Any] = {"name": node.name, "op": type(node.op).__name__, "inputs": list(node.inputs)}
        for f in dataclasses.fields(node.op):
            value = getattr(node.op, f.name)
            if isinstance(value, np.ndarray):
                arrays[f"{node.name}.{f.name}"] = value
            elif isinstance(value, Formats):
                if value.single is not None:
                    entry[f.name] = [int(value.signed), int(value.width), int(value.frac)]
                else:
                    stack = np.stack([value.signed, value.width, value.frac]).astype(np.int16)
                    arrays[f"{node.name}.{f.name}"] = stack
            elif isinstance(value, (Rounding, Overflow)):
                entry[f.name] = value.value
            else:
                entry[f.name] = value
        nodes.append(entry)
    return {"nodes": nodes, "outputs": list(graph.outputs), "meta": dict(graph.meta)}, arrays


def _decode(head: dict[str, Any], arrays: dict[str, np.ndarray]) -> Graph:
    left = dict(arrays)
    nodes = []
    for entry in head["nodes"]:
        entry = dict(entry)
        name, kind, inputs = entry.pop("name"), entry.pop("op"), tuple(entry.pop("inputs"))
        if kind not in ops.BY_NAME:
            raise GraphError(f"node {name!r} has the unknown operation {kind!r}: known are {', '.join(ops.BY_NAME)}")
        made: dict[str, Any] = {}
        for f in dataclasses.fields(ops.BY_NAME[kind]):
            key = f"{name}.{f.name}"
            value = left.pop(key) if key in left else entry.pop(f.name)
            made[f.name] = _field(str(f.type), value)
        if entry:
            raise GraphError(f"node {name!r} ({kind}) has the unknown fields {sorted(entry)}")
        nodes.append(Node(name, ops.BY_NAME[kind](**made), inputs))
    if left:
        raise GraphError(f"the arrays {sorted(left)} belong to no node")
    return Graph(tuple(nodes), tuple(head["outputs"]), dict(head["meta"]))


def _field(annotation: str, value: Any) -> Any:
    """A field's value from its JSON or npz form, by the field's annotation."""
    match annotation:
        case "Formats":
            signed, width, frac = value
            return Formats.of(signed, width, frac)
        case "IntArray":
            return ops.integers(value)
        case "Rounding":
            return Rounding(value)
        case "Overflow":
            return Overflow(value)
        case "int":
            return int(value)
        case "bool":
            return bool(value)
        case "tuple[int, ...]":
            return tuple(int(v) for v in value)
        case "tuple[tuple[int, int], ...]":
            return tuple((int(a), int(b)) for a, b in value)
        case _:
            return str(value)
