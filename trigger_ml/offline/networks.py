"""Networks from a few numbers, with one switch for which layers have low bits."""

from __future__ import annotations

from typing import Literal

from trigger_ml.offline.edges import Plane
from trigger_ml.offline.layers import (
    Activation,
    Add,
    Attention,
    ChannelAttention,
    Concat,
    Edges,
    Linear,
    Mode,
    Modulate,
    Network,
    Node,
    Norm,
    Pool,
    Port,
    Standardize,
    Take,
    TimeEmbedding,
)

Precision = Literal["none", "int8", "central", "no-embedding-no-last", "all"]
PRECISIONS: tuple[Precision, ...] = ("none", "int8", "central", "no-embedding-no-last", "all")
Role = Literal["embedding", "outer", "central", "last"]

FREQUENCIES = 8


def mode_of(precision: Precision, role: Role, low: Mode) -> Mode:
    """The mode of a linear layer.

    none: float. int8: every layer with bytes. central: only layers inside the network, none of its first or last block
    (two blocks have no inside, one has nothing else).
    no-embedding-no-last: all but the layers that take inputs in and the one that gives the output. all: every layer.
    """
    if precision == "none":
        return "float"
    if precision == "int8":
        return "int8"
    chosen: dict[str, tuple[Role, ...]] = {
        "central": ("central",),
        "no-embedding-no-last": ("central", "outer"),
        "all": ("embedding", "outer", "central", "last"),
    }
    return low if role in chosen[precision] else "float"


class Stack:
    """Collects layers; names follow from their number.

    Attributes:
        nodes: so far.
        precision: the switch.
        low: mode of low-bit layers.
    """

    def __init__(self, precision: Precision, low: Mode) -> None:
        self.nodes: list[Node] = []
        self.precision, self.low = precision, low

    def put(self, op: object, *inputs: str) -> str:
        """A layer; its name."""
        name = f"{type(op).__name__.lower()}{len(self.nodes)}"
        self.nodes.append(Node(name, op, inputs))  # type: ignore[arg-type]
        return name

    def linear(self, units: int, role: Role, x: str) -> str:
        """A linear layer in the mode of its role; its name."""
        return self.put(Linear(units, mode_of(self.precision, role, self.low)), x)

    def taken_in(self, hidden: int, ports: list[Port]) -> str:
        """Every port embedded and added up; a port named ``time`` through its embedding."""
        parts = []
        for port in ports:
            timed = port.name == "time"
            x = self.put(TimeEmbedding(FREQUENCIES) if timed else Standardize(), port.name)
            parts.append(self.linear(hidden, "embedding", x))
        return parts[0] if len(parts) == 1 else self.put(Add(), *parts)


def residual_mlp(
    inputs: int,
    outputs: int,
    hidden: int,
    blocks: int,
    precision: Precision = "none",
    low: Mode = "ternary",
    condition: int = 0,
    timed: bool = False,
) -> Network:
    """``h + linear(silu(linear(norm(h))))``, ``blocks`` times, between an embedding and a last layer.

    Ports: ``x``; ``time`` ``(1,)``, of batch 1 or that of x; ``condition``. The inputs are standardized first.
    """
    ports = [Port("x", (inputs,))]
    ports += [Port("time", (1,))] if timed else []
    ports += [Port("condition", (condition,))] if condition else []
    s = Stack(precision, low)
    h = s.taken_in(hidden, ports)
    for i in range(blocks):
        role: Role = "central" if 0 < i < blocks - 1 or blocks == 1 else "outer"
        y = s.put(Activation("silu"), s.linear(hidden, role, s.put(Norm(), h)))
        h = s.put(Add(), h, s.linear(hidden, role, y))
    s.linear(outputs, "last", s.put(Norm(), h))
    return Network(tuple(ports), tuple(s.nodes))


def plain_mlp(inputs: int, outputs: int, hidden: int, depth: int, mode: Mode) -> Network:
    """Linear layers of one mode with ReLU between: every value of it is exact in every runtime."""
    nodes, before = [], "x"
    for i in range(depth):
        nodes.append(Node(f"linear{i}", Linear(hidden if i < depth - 1 else outputs, mode), (before,)))
        before = f"linear{i}"
        if i < depth - 1:
            nodes.append(Node(f"relu{i}", Activation("relu"), (before,)))
            before = f"relu{i}"
    return Network((Port("x", (inputs,)),), tuple(nodes))


def deep_sets(
    items: int,
    features: int,
    outputs: int,
    hidden: int,
    blocks: int = 3,
    precision: Precision = "none",
    low: Mode = "ternary",
) -> Network:
    """A network of each item, their masked mean, a network of that (arXiv:1703.06114). Ports ``x`` and ``mask``.

    ``blocks`` layers of each item, the embedding among them.
    """
    s = Stack(precision, low)
    h = s.linear(hidden, "embedding", s.put(Standardize(), "x"))
    for _ in range(blocks - 1):
        h = s.linear(hidden, "central", s.put(Activation("silu"), h))
    h = s.put(Pool(), h, "mask")
    h = s.put(Activation("silu"), s.linear(hidden, "outer", h))
    s.linear(outputs, "last", h)
    return Network((Port("x", (items, features)), Port("mask", (items, 1))), tuple(s.nodes))


def particle_transformer(
    items: int,
    features: int,
    outputs: int,
    hidden: int,
    blocks: int,
    heads: int,
    precision: Precision = "none",
    low: Mode = "ternary",
) -> Network:
    """Attention and a two-layer network in each block, before a masked mean over the items (arXiv:1706.03762).

    Ports: ``x`` ``(items, features)`` and ``mask`` ``(items, 1)``. Whatever is masked, and the order, change nothing.
    """
    s = Stack(precision, low)
    h = s.linear(hidden, "embedding", s.put(Standardize(), "x"))
    for i in range(blocks):
        role: Role = "central" if 0 < i < blocks - 1 or blocks == 1 else "outer"
        h = attention_block(s, h, None, hidden, Attention(heads), role, "mask")
    y = s.linear(hidden, "outer", s.put(Pool(), s.put(Norm(), h), "mask"))
    s.linear(outputs, "last", s.put(Activation("silu"), y))
    return Network((Port("x", (items, features)), Port("mask", (items, 1))), tuple(s.nodes))


def dual_attention(
    items: int,
    features: int,
    outputs: int,
    hidden: int,
    blocks: int,
    heads: int,
    neighbours: int,
    plane: Plane,
    precision: Precision = "none",
    low: Mode = "ternary",
) -> Network:
    """Edges to near items, then attention between items and between features in turn (P-DAT, arXiv:2307.04723).

    The front is one edge convolution (arXiv:1801.07829, arXiv:1902.08570): three layers with ReLU see an item's
    features and what a neighbour's differ by, and the mean over its neighbours is taken. ``blocks`` attention blocks
    follow, the first between items. What the front and every block gave goes side by side into the head.

    The front's layers are embeddings and the head's are last layers: the precision ``no-embedding-no-last`` is that of
    P-DAT-Bit, low bits in the attention blocks alone (BitHEP, arXiv:2504.03387).

    Ports: ``x`` ``(items, features)``, of which ``plane`` says where places stand, and ``mask`` ``(items, 1)``.
    """
    s = Stack(precision, low)
    place = s.put(Take(plane.first, plane.first + 2), "x")
    h = s.put(Edges(neighbours, plane.step), s.put(Standardize(), "x"), place, "mask")
    for _ in range(3):
        h = s.put(Activation("relu"), s.linear(hidden, "embedding", h))
    seen = [s.put(Pool(), h)]
    for i in range(blocks):
        role: Role = "central" if 0 < i < blocks - 1 or blocks == 1 else "outer"
        mix = ChannelAttention() if i % 2 else Attention(heads)
        seen.append(attention_block(s, seen[-1], None, hidden, mix, role, "mask", inner=hidden))
    h = s.put(Activation("silu"), s.linear(hidden, "last", s.put(Norm(), s.put(Concat(), *seen))))
    y = s.put(Activation("silu"), s.linear(hidden, "last", s.put(Pool(), h, "mask")))
    s.linear(outputs, "last", y)
    return Network((Port("x", (items, features)), Port("mask", (items, 1))), tuple(s.nodes))


def attention_block(
    s: Stack,
    h: str,
    c: str | None,
    hidden: int,
    mix: Attention | ChannelAttention,
    role: Role,
    *mask: str,
    inner: int = 0,
) -> str:
    """Attention and a two-layer network of each item.

    Args:
        s: takes the layers.
        h: items ``(items, hidden)``.
        c: what conditions both by adaptive normalisation, ``(1, hidden)``, if anything.
        hidden: width.
        mix: the attention.
        role: of its linear layers; the one that makes the modulation is an embedding.
        mask: of the items, if any.
        inner: width between the two layers, 0: twice as wide as the block.
    """
    m = None if c is None else s.linear(6 * hidden, "embedding", c)
    parts = [] if m is None else [s.put(Take(j * hidden, (j + 1) * hidden), m) for j in range(6)]

    def seen(first: int) -> str:
        normal = s.put(Norm(), h)
        return s.put(Modulate(), normal, parts[first], parts[first + 1]) if parts else normal

    def joined(y: str, gate: int) -> str:
        return s.put(Modulate(), y, parts[gate], h) if parts else s.put(Add(), h, y)

    y = seen(0)
    q, k, v = (s.linear(hidden, role, y) for _ in range(3))
    h = joined(s.linear(hidden, role, s.put(mix, q, k, v, *mask)), 2)
    y = s.put(Activation("silu"), s.linear(inner or 2 * hidden, role, seen(3)))
    return joined(s.linear(hidden, role, y), 5)
