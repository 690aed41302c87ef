"""The ports of the generated modules: one vector for each graph input and output, its elements packed without gaps.

Element 0 (C order) stands at the low end. Each element has its own width, the format of the graph's input or the
narrowest that holds the output's proved interval; a dead element takes no bits. ``ports.json`` says all of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.backends.rtl.reserved import taken
from trigger_ml.fixed import Fixed
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.graph import Graph

BLOCK = 16384


@dataclass(frozen=True, eq=False)
class Port:
    """A vector of packed elements.

    Attributes:
        node: the graph's name of it.
        name: its name in the hardware languages.
        shape: of the tensor.
        elements: each element's format, in C order.
    """

    node: str
    name: str
    shape: tuple[int, ...]
    elements: tuple[Fixed, ...]

    @property
    def offsets(self) -> tuple[int, ...]:
        """The lowest bit of each element."""
        return tuple(np.cumsum([0, *(f.width for f in self.elements)])[:-1].tolist())

    @property
    def width(self) -> int:
        """Bits of the vector; 1, unused, where all elements are dead."""
        return max(sum(f.width for f in self.elements), 1)

    @property
    def bytes(self) -> int:
        """Bytes that hold the vector."""
        return (self.width + 7) // 8

    def describe(self) -> dict[str, Any]:
        """The entry of ``ports.json``."""
        elements = [
            {
                "lsb": at if f.width else None,
                "msb": at + f.width - 1 if f.width else None,
                "signed": f.signed,
                "frac": f.frac,
            }
            for at, f in zip(self.offsets, self.elements, strict=True)
        ]
        about = {"node": self.node, "name": self.name, "shape": list(self.shape), "width": self.width}
        return {**about, "elements": elements}


def legal(name: str, suffix: str, others: Collection[str] = ()) -> str:
    """A graph's name as one that all the languages take: single underscores, and ``suffix`` on what is taken."""
    plain = re.sub("_+", "_", name).strip("_")
    known = {other.lower() for other in others}
    while taken(plain) or plain.lower() in known:
        plain += suffix
    return plain


def input_ports(graph: Graph) -> tuple[Port, ...]:
    """The graph's inputs."""
    made: list[Port] = []
    for node in graph.inputs:
        op: Any = node.op
        frac = bounds(graph)[node.name].frac
        each = [np.broadcast_to(z, op.shape).flat for z in (op.formats.signed, op.formats.width)]
        elements = tuple(Fixed(bool(s), int(w), frac) for s, w in zip(*each, strict=True))
        made.append(Port(node.name, legal(node.name, "_port", [p.name for p in made]), op.shape, elements))
    return tuple(made)


def output_ports(graph: Graph) -> tuple[Port, ...]:
    """The graph's outputs."""
    known, names, made = bounds(graph), [p.name for p in input_ports(graph)], []
    for o in graph.outputs:
        names.append(legal(o, "_port", names))
        made.append(Port(o, names[-1], known[o].shape, tuple(known[o].element_formats())))
    return tuple(made)


def pack(port: Port, values: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Integers ``(events, *shape)`` -> bytes ``(events, port.bytes)``, bit 0 of the vector in bit 0 of byte 0."""
    flat = values.reshape(len(values), -1)
    out = np.zeros((len(flat), port.bytes), np.uint8)
    for start in range(0, len(flat), BLOCK):
        part = flat[start : start + BLOCK]
        bits = np.zeros((len(part), port.bytes * 8), np.uint8)
        for at, f, column in zip(port.offsets, port.elements, part.T, strict=True):
            bits[:, at : at + f.width] = (column[:, None] >> np.arange(f.width)) & 1
        out[start : start + BLOCK] = np.packbits(bits, axis=1, bitorder="little")
    return out


def unpack(port: Port, data: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The inverse of :func:`pack`."""
    out = np.zeros((len(data), len(port.elements)), np.int64)
    for start in range(0, len(data), BLOCK):
        bits = np.unpackbits(data[start : start + BLOCK], axis=1, bitorder="little").astype(np.int64)
        for index, (at, f) in enumerate(zip(port.offsets, port.elements, strict=True)):
            value = bits[:, at : at + f.width] @ (np.int64(1) << np.arange(f.width))
            if f.signed:
                value -= (value >> (f.width - 1)) << f.width
            out[start : start + BLOCK, index] = value
    return out.reshape(len(data), *port.shape)
