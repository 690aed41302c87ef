"""Names of the elements of an output, where a graph has them: the classes of a tagger.

They stand in the graph's ``meta``, as one text, and mean nothing to an engine: see ``docs/ir.md``.
"""

from __future__ import annotations

from collections.abc import Sequence

from trigger_ml.ir.graph import Graph

META, SEPARATOR = "classes", ", "
LOGITS, WINNER = "logits", "winner"
"""The outputs that have an element for each class."""


def entry(classes: Sequence[str]) -> dict[str, str]:
    """What :func:`classes` reads, an entry of ``meta``."""
    return {META: SEPARATOR.join(classes)}


def classes(graph: Graph) -> tuple[str, ...]:
    """The classes in the order of the elements; empty for a graph without."""
    return tuple(str(graph.meta[META]).split(SEPARATOR)) if META in graph.meta else ()


def columns(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Output -> names of its elements; only outputs whose elements have names."""
    named = classes(graph)
    return {output: named for output in (LOGITS, WINNER) if named and output in graph.outputs}
