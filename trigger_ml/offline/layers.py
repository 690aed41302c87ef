"""A network as a frozen list of layers: what the trained form, the deploy form and the ONNX writer all read.

Every tensor is float32 with the batch on its first axis; shapes here leave that axis out. A port whose batch may be 1
beside a larger one (a time that all rows share) broadcasts as numpy does.

A linear layer of low-bit mode computes ``(integers @ codes * top) * scale + bias``: its input row is brought to the
integers ``round_half_even(x * (127 / top))`` with ``top = max(|x|, 1e-5)`` of that row, its weights are small integer
codes times one scale (BitNet b1.58, arXiv:2402.17764; ``quantize.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import GraphError

Mode = Literal["float", "ternary", "binary", "int8"]
Shape = tuple[int, ...]
Weights = Mapping[str, NDArray[np.float32]]
"""Float weights by ``<node>.<part>``."""

TOP = 127
"""Largest magnitude of a quantized activation."""

SMALLEST = np.float32(1e-5)
"""Least ``top`` of a row."""

NORM_EPSILON = 1e-5

MASKED = -1e9
"""Added to the score of an item that isn't there."""


@dataclass(frozen=True)
class Linear:
    """A matrix and a bias on the last axis; parts ``kernel`` ``(in, units)`` and ``bias`` ``(units,)``."""

    units: int
    mode: Mode = "float"


@dataclass(frozen=True)
class Activation:
    """A function of each element; none whose last bit depends on the place in a batch, as ONNX Runtime's softplus."""

    kind: Literal["relu", "silu", "tanh", "sigmoid"]


@dataclass(frozen=True)
class Norm:
    """Layer normalisation of the last axis with trained ``scale`` and ``shift`` (arXiv:1607.06450)."""


@dataclass(frozen=True)
class Add:
    """Sum of its inputs."""


@dataclass(frozen=True)
class Modulate:
    """``x * (1 + a) + b`` of inputs x, a, b: adaptive normalisation's last step (arXiv:2212.09748)."""


@dataclass(frozen=True)
class Concat:
    """Inputs side by side on the last axis; all of the same batch."""


@dataclass(frozen=True)
class Take:
    """Elements ``start`` to ``stop`` of the last axis."""

    start: int
    stop: int


@dataclass(frozen=True)
class Standardize:
    """``x * scale + shift`` with constants, parts ``scale`` and ``shift``, that no gradient moves."""


@dataclass(frozen=True)
class Scale:
    """Every element times one number."""

    factor: float


@dataclass(frozen=True)
class TimeEmbedding:
    """cos and sin of ``2 pi f t`` for ``f = 2**-1 ... `` in factors of two, of a time in 0 ... 1."""

    frequencies: int

    @property
    def angles(self) -> NDArray[np.float32]:
        """Angular frequencies, ``(frequencies,)``."""
        return np.asarray(np.pi * 2.0 ** np.arange(self.frequencies), np.float32)


@dataclass(frozen=True)
class Pool:
    """Mean over the items of ``(items, features)``; a second input may be a mask ``(items, 1)`` of 0 and 1.

    Of ``(items, neighbours, features)``, without a mask, over the neighbours.
    """


@dataclass(frozen=True)
class Attention:
    """Softmax attention of q, k, v ``(items, features)``; a mask ``(items, 1)`` may follow (arXiv:1706.03762)."""

    heads: int


@dataclass(frozen=True)
class ChannelAttention:
    """Softmax attention of q, k, v ``(items, features)`` between features, with a mask ``(items, 1)``.

    Each feature is mixed from all, by the sum of its q times their k over the items that are there, over the root of
    the number of all (M. He, D. Wang, arXiv:2307.04723, without what they add to the scores).
    """


@dataclass(frozen=True)
class Edges:
    """From an item to the ``count`` nearest others: ``(items, count, 2 * features)``, its own features and differences.

    Inputs are the features ``(items, features)``, the places by which nearness is told ``(items, dimensions)``, on a
    grid of ``step``, and the mask ``(items, 1)`` (``edges.py``; Y. Wang et al., arXiv:1801.07829).
    """

    count: int
    step: float


@dataclass(frozen=True)
class Spline:
    """Each element through a rational-quadratic spline of its own (``spline.py``): inputs values, raw numbers."""

    bins: int
    bound: float


@dataclass(frozen=True)
class Reshape:
    """The same elements in another shape of a row."""

    shape: Shape


@dataclass(frozen=True)
class Cells:
    """Some items' features side by side: item i of the result has those of the items ``index[i]``; -1 stands for zeros.

    Neighbourhoods of a grid so become a convolution's input, blocks of cells one cell, a cell several.
    """

    index: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Place:
    """A trained vector for each item is added; part ``place`` ``(items, features)``."""


Op = (
    Linear | Scale | Activation | Norm | Add | Modulate | Concat | Take | Standardize | TimeEmbedding | Pool | Attention
    | ChannelAttention | Edges | Spline | Reshape | Cells | Place
)  # fmt: skip


@dataclass(frozen=True)
class Node:
    """A layer: its name, what it does, and the nodes or ports that it reads."""

    name: str
    op: Op
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Port:
    """An input of the network: its name and the shape of one row."""

    name: str
    shape: Shape


@dataclass(frozen=True)
class Network:
    """Layers in an order in which each reads earlier ones; the last is the output.

    Raises:
        GraphError: when made of layers that don't fit; the sentence names the layer.
    """

    ports: tuple[Port, ...]
    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        if not self.nodes:
            raise GraphError("a network needs at least one layer")
        names = [p.name for p in self.ports] + [n.name for n in self.nodes]
        double = next((name for name in names if names.count(name) > 1), None)
        if double is not None:
            raise GraphError(f"two ports or layers are named {double!r}: give each a name of its own")
        _ = self.shapes

    @property
    def output(self) -> str:
        """Name of the last layer."""
        return self.nodes[-1].name

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """Shape of each port's and layer's row."""
        known: dict[str, Shape] = {p.name: p.shape for p in self.ports}
        for node in self.nodes:
            missing = next((i for i in node.inputs if i not in known), None)
            if missing is not None:
                raise GraphError(f"layer {node.name!r} reads {missing!r}, which no earlier layer gives")
            known[node.name] = _shape(node, [known[i] for i in node.inputs])
        return known

    @cached_property
    def parts(self) -> Mapping[str, Shape]:
        """Shape of every weight by ``<node>.<part>``."""
        found: dict[str, Shape] = {}
        for node in self.nodes:
            width = self.shapes[node.inputs[0]][-1]
            if isinstance(node.op, Linear):
                found |= {f"{node.name}.kernel": (width, node.op.units), f"{node.name}.bias": (node.op.units,)}
            elif isinstance(node.op, (Norm, Standardize)):
                found |= {f"{node.name}.scale": (width,), f"{node.name}.shift": (width,)}
            elif isinstance(node.op, Place):
                found[f"{node.name}.place"] = self.shapes[node.inputs[0]]
        return found

    @property
    def linears(self) -> tuple[Node, ...]:
        """The linear layers."""
        return tuple(n for n in self.nodes if isinstance(n.op, Linear))

    def check(self, weights: Weights) -> None:
        """Refuse weights that are missing, of another shape or not finite.

        Raises:
            GraphError: naming the weight.
        """
        for name, shape in self.parts.items():
            if name not in weights:
                raise GraphError(f"the weight {name!r} is missing")
            if weights[name].shape != shape:
                raise GraphError(f"the weight {name!r} has shape {weights[name].shape}, the network needs {shape}")
            if not np.isfinite(weights[name]).all():
                raise GraphError(f"the weight {name!r} is not finite: train again with a lower learning rate")


ARITY: Mapping[type, tuple[int, ...]] = {
    Add: (),
    Concat: (),
    Modulate: (3,),
    Pool: (1, 2),
    Attention: (3, 4),
    ChannelAttention: (4,),
    Edges: (3,),
    Spline: (2,),
}
"""Possible numbers of inputs of an operation, none for two or more; 1 where it is not listed."""


def _shape(node: Node, inputs: list[Shape]) -> Shape:
    wanted = ARITY.get(type(node.op), (1,))
    if len(inputs) not in wanted if wanted else len(inputs) < 2:
        takes = " or ".join(map(str, wanted)) or "two or more"
        raise GraphError(f"layer {node.name!r} has {len(inputs)} inputs, it takes {takes}")
    first = inputs[0]
    match node.op:
        case Linear(units=units):
            return (*first[:-1], units)
        case TimeEmbedding(frequencies=count):
            if first != (1,):
                raise GraphError(f"layer {node.name!r} reads shape {first}: a time has shape (1,)")
            return (2 * count,)
        case Take(start=start, stop=stop):
            if not 0 <= start < stop <= first[-1]:
                raise GraphError(f"layer {node.name!r} takes {start} to {stop} of {first[-1]} elements")
            return (*first[:-1], stop - start)
        case Concat():
            if any(s[:-1] != first[:-1] for s in inputs):
                raise GraphError(f"layer {node.name!r} sets shapes {inputs} side by side: only the last may differ")
            return (*first[:-1], sum(s[-1] for s in inputs))
        case Pool() | Attention() | ChannelAttention():
            return _of_items(node, inputs)
        case Edges(count=count, step=step):
            return _of_edges(node.name, inputs, count, step)
        case Spline() | Reshape() | Cells() | Place():
            return _of_elements(node, inputs)
        case Add() | Modulate():
            try:
                return np.broadcast_shapes(*inputs)
            except ValueError:
                raise GraphError(f"layer {node.name!r} joins shapes {inputs}, which don't fit") from None
        case _:
            return first


def _of_items(node: Node, inputs: list[Shape]) -> Shape:
    """The shape of what looks at several items, with or without a mask as last input."""
    masked = len(inputs) in (2, 4)
    data, masks = (inputs[:-1], inputs[-1:]) if masked else (inputs, [])
    first = data[0]
    if len(first) == 3 and inputs == [first]:
        return first[0], first[2]
    if len(first) != 2 or any(s != first for s in data) or any(mask != (first[0], 1) for mask in masks):
        raise GraphError(f"layer {node.name!r}: shapes {data} and masks {masks} don't fit")
    if isinstance(node.op, Attention) and first[1] % node.op.heads:
        raise GraphError(f"layer {node.name!r}: {first[1]} features don't divide into {node.op.heads} heads")
    return first[1:] if isinstance(node.op, Pool) else first


def _of_edges(name: str, inputs: list[Shape], count: int, step: float) -> Shape:
    """The shape of edges from items to others."""
    first, place, mask = inputs
    if len(first) != 2 or len(place) != 2 or place[0] != first[0] or mask != (first[0], 1):
        raise GraphError(f"layer {name!r}: features {first}, places {place} and mask {mask} don't fit")
    if not 1 <= count < first[0]:
        raise GraphError(f"layer {name!r} looks for {count} neighbours: an item has {first[0] - 1} others")
    if not step > 0:
        raise GraphError(f"layer {name!r} has a grid of steps of {step}: they must be above 0")
    return first[0], count, 2 * first[1]


def _of_elements(node: Node, inputs: list[Shape]) -> Shape:
    """The shape of what treats elements or items by their number."""
    first = inputs[0]
    match node.op:
        case Spline(bins=bins):
            if len(first) != 1 or inputs[1] != (first[0] * (3 * bins - 1),):
                raise GraphError(f"layer {node.name!r}: splines of {bins} bins for {first} can't read {inputs[1]}")
        case Reshape(shape=shape):
            if np.prod(first) != np.prod(shape):
                raise GraphError(f"layer {node.name!r} can't bring shape {first} to {shape}: the sizes differ")
            return shape
        case Cells(index=index):
            taps = {len(row) for row in index}
            if len(first) != 2 or len(taps) != 1 or any(not -1 <= i < first[0] for row in index for i in row):
                raise GraphError(f"layer {node.name!r}: its index has uneven rows, or points to no item of {first}")
            return len(index), taps.pop() * first[1]
        case _:
            if len(first) != 2:
                raise GraphError(f"layer {node.name!r} reads shape {first}: it takes items with features")
    return first
