"""Building a graph node by node."""

from __future__ import annotations

from numpy.typing import ArrayLike

from trigger_ml.errors import GraphError
from trigger_ml.fixed import Fixed, Formats, Overflow, Rounding
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import Tensor, bounds
from trigger_ml.ir.graph import Graph, Meta, Node
from trigger_ml.ir.verify import verify


class Builder:
    """Builds a graph node by node; each method returns the new node's name.

    >>> b = Builder()
    >>> x = b.input((3,), Fixed(True, 8, 0))
    >>> y = b.requant(b.affine(x, [[1], [2], [-1]], [0], 0), Fixed(True, 8, 0), "RND", "SAT")
    >>> [n.name for n in b.graph(y).nodes]
    ['input', 'affine', 'requant']
    """

    def __init__(self) -> None:
        """An empty graph."""
        self._nodes: list[Node] = []
        self._names: set[str] = set()

    def add(self, op: ops.Op, *inputs: str, name: str | None = None) -> str:
        """Append any operation under ``name``, by default its class's name with a number where that is taken."""
        if name is None:
            stem = type(op).__name__.lower()
            name, k = stem, 1
            while name in self._names:
                name, k = f"{stem}_{k}", k + 1
        if name in self._names:
            raise GraphError(f"two nodes are named {name!r}: give each its own name")
        self._names.add(name)
        self._nodes.append(Node(name, op, inputs))
        return name

    def graph(self, *outputs: str, meta: Meta | None = None) -> Graph:
        """The finished graph, verified."""
        g = Graph(tuple(self._nodes), tuple(outputs), dict(meta or {}))
        verify(g)
        return g

    def known(self, name: str) -> Tensor:
        """Shape, grid and interval of a node built so far."""
        return bounds(Graph(tuple(self._nodes), ()))[name]

    def input(self, shape: tuple[int, ...], formats: Fixed | Formats, name: str | None = None) -> str:
        """A port."""
        return self.add(ops.Input(tuple(shape), _formats(formats)), name=name)

    def requant(
        self,
        a: str,
        formats: Fixed | Formats,
        rounding: str | Rounding,
        overflow: str | Overflow,
        name: str | None = None,
    ) -> str:
        """Round and fit; the modes by name, ``"RND"``, ``"SAT"``."""
        return self.add(ops.Requant(_formats(formats), Rounding(rounding), Overflow(overflow)), a, name=name)

    def table(self, a: str, values: ArrayLike, first: int, frac: int, name: str | None = None) -> str:
        """A look-up."""
        return self.add(ops.Table(ops.integers(values), int(first), int(frac)), a, name=name)

    def affine(self, a: str, w: ArrayLike, b: ArrayLike, frac: int, name: str | None = None) -> str:
        """A dense layer."""
        return self.add(ops.Affine(ops.integers(w), ops.integers(b), int(frac)), a, name=name)

    def conv(
        self,
        a: str,
        w: ArrayLike,
        b: ArrayLike,
        frac: int,
        strides: tuple[int, ...],
        padding: tuple[tuple[int, int], ...],
        name: str | None = None,
    ) -> str:
        """A convolution."""
        return self.add(
            ops.Conv(ops.integers(w), ops.integers(b), int(frac), tuple(strides), tuple(padding)), a, name=name
        )

    def reduce(self, a: str, how: str, axis: int, name: str | None = None) -> str:
        """A sum or maximum over one axis."""
        return self.add(ops.Reduce("sum" if how == "sum" else "max", int(axis)), a, name=name)


def _formats(formats: Fixed | Formats) -> Formats:
    return Formats.uniform(formats) if isinstance(formats, Fixed) else formats
