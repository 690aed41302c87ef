"""The integer graph: named nodes in topological order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from trigger_ml.ir import ops

Meta = Mapping[str, str | int | float]


@dataclass(frozen=True, eq=False)
class Node:
    """One operation: a unique name and the names of its inputs."""

    name: str
    op: ops.Op
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Graph:
    """A trigger network as integers.

    Attributes:
        nodes: in topological order.
        outputs: names of the nodes whose tensors leave the graph.
        meta: what the graph is: strings and numbers that enter the file and the digest, and mean nothing to an engine.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    meta: Meta = field(default_factory=dict)

    @cached_property
    def by_name(self) -> dict[str, Node]:
        """Name -> node."""
        return {n.name: n for n in self.nodes}

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The ports, in order."""
        return tuple(n for n in self.nodes if isinstance(n.op, ops.Input))

    def consumers(self, name: str) -> tuple[Node, ...]:
        """The nodes that read ``name``."""
        return tuple(n for n in self.nodes if name in n.inputs)

    def with_meta(self, **entries: str | int | float) -> Graph:
        """The same graph with some entries of ``meta`` set."""
        return replace(self, meta={**self.meta, **entries})
