"""Pattern files of events: what a board is fed and what it must answer, with the layout that says where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trigger_ml import artifact
from trigger_ml.boards import formats, packing
from trigger_ml.boards.layout import Layout, to_toml
from trigger_ml.boards.packing import Feed
from trigger_ml.errors import ArtifactError
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.io import digest

INDEX, LAYOUT = "patterns.json", "layout.toml"
KIND, VERSION = "trigger_ml.patterns", 1
SIDES = ("input", "output")


def files(
    graph: Graph, layout: Layout, inputs: Feed, outputs: Feed, names: Sequence[str], title: str
) -> dict[str, bytes]:
    """The files by name: ``emp2/input_0.txt``, ``emp2/output_0.txt`` ..., ``layout.toml`` and an index.

    Args:
        graph: the model; its digest stands in the index, in the layout and in every format with room for a name.
        layout: that fits it.
        inputs: integers ``(events, *shape)`` by input.
        outputs: the same events' integers by output.
        names: of the formats.
        title: what the words are, beside the digest.

    Raises:
        SpecError: an unknown format, or a layout that does not fit.
    """
    found: dict[str, bytes] = {LAYOUT: to_toml(layout).encode()}
    for side, values in zip(SIDES, (inputs, outputs), strict=True):
        packed = packing.pack(graph, layout, side, values, f"{title} {digest(graph)}")
        for name in names:
            kind = formats.find(name)
            for k, content in enumerate(packed):
                found[f"{name}/{side}_{k}.txt"] = kind.write(content).encode()
    index = {
        "kind": KIND,
        "version": VERSION,
        "graph_digest": digest(graph),
        "events": len(next(iter(inputs.values()))),
        "files": {name: artifact.digest_bytes(content) for name, content in found.items()},
    }
    return {**found, INDEX: artifact.canonical_json(index)}


def read(graph: Graph, layout: Layout, content: Mapping[str, bytes], name: str) -> tuple[Feed, Feed]:
    """Inputs and outputs by port from the files of one format, the inverse of :func:`files`.

    Raises:
        ArtifactError: a file is missing or malformed.
        SampleError: the words are not those of the layout.
    """
    kind, sides = formats.find(name), []
    for side in SIDES:
        numbers = [k for k in range(len(content)) if f"{name}/{side}_{k}.txt" in content]
        gap = next((k for k in range(max(numbers, default=0) + 1) if k not in numbers), None)
        if gap is not None:
            raise ArtifactError(f"{name}/{side}_{gap}.txt is missing: write the patterns again")
        texts = [f"{name}/{side}_{k}.txt" for k in numbers]
        sides.append(packing.unpack(graph, layout, side, [kind.read(content[n], n) for n in texts]))
    return sides[0], sides[1]
