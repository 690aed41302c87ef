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


TAKEN = re.compile(
    r"abs|access|after|alias|alignas|alignof|all|always|and|architecture|array|asm|assert|assign|"
    r"attribute|auto|automatic|begin|bench|bind|bit|block|body|bool|break|buf|buffer|bus|byte|case|"
    r"casex|casez|catch|cell|char|checker|class|clk|clocking|component|concept|config|configuration|"
    r"const|constant|constexpr|constraint|context|continue|cover|deassign|decltype|default|defparam|delete|"
    r"design|disable|disconnect|dist|do|double|downto|dut|edge|else|elsif|end|entity|enum|event|exit|"
    r"expect|explicit|export|extends|extern|false|file|final|float|for|force|foreach|forever|fork|"
    r"friend|function|generate|generic|genvar|global|goto|group|guarded|if|ifdef|iff|ignore|import|"
    r"impure|in|include|inertial|initial|inline|inout|input|inside|instance|int|integer|interface|is|"
    r"join|label|let|library|linkage|literal|local|localparam|logic|long|longint|loop|main|map|mod|"
    r"module|mutable|namespace|nand|negedge|new|next|nexttime|noexcept|nor|not|null|nullptr|of|ok|on|"
    r"open|operator|or|others|out|output|override|package|packed|parameter|pipeline|play|port|posedge|"
    r"postponed|primitive|priority|private|procedure|process|program|property|protected|public|pull|"
    r"pulldown|pullup|pure|rand|randc|randcase|range|real|realtime|record|ref|reg|register|reject|"
    r"release|rem|repeat|report|requires|restrict|return|rol|ror|row|select|sequence|severity|shared|"
    r"short|shortint|signal|signed|sizeof|sla|sll|solve|specify|sra|srl|static|step|string|strong|"
    r"struct|subtype|super|supply|switch|table|tagged|task|template|then|this|throughout|throw|time|"
    r"timeprecision|timeunit|to|transport|tri|trireg|true|try|type|typedef|typeid|typename|unaffected|"
    r"union|unique|units|unsigned|until|untyped|use|using|variable|vector|virtual|void|volatile|wait|"
    r"wand|weak|when|while|wildcard|wire|with|within|wor|work|xnor|xor"
    r"|accept_on|always_comb|always_ff|always_latch|and_eq|assume|assume_guarantee|before|bins|"
    r"binsof|bitand|bitor|bufif0|bufif1|chandle|char16_t|char32_t|char8_t|cmos|co_await|"
    r"co_return|co_yield|compl|const_cast|consteval|constinit|covergroup|coverpoint|cross|"
    r"dynamic_cast|endcase|endchecker|endclass|endclocking|endconfig|endfunction|endgenerate|"
    r"endgroup|endinterface|endmodule|endpackage|endprimitive|endprogram|endproperty|endsequence|"
    r"endspecify|endtable|endtask|eventually|fairness|first_match|forkjoin|highz0|highz1|ifnone|"
    r"ignore_bins|illegal_bins|implements|implies|incdir|interconnect|intersect|join_any|join_none|"
    r"large|liblist|macromodule|matches|medium|modport|nettype|nmos|noshowcancelled|not_eq|notif0|"
    r"notif1|or_eq|pmos|pull0|pull1|pulsestyle_ondetect|pulsestyle_onevent|randsequence|rcmos|"
    r"reinterpret_cast|reject_on|restrict_guarantee|rnmos|rpmos|rtran|rtranif0|rtranif1|s_always|"
    r"s_eventually|s_nexttime|s_until|s_until_with|scalared|shortreal|showcancelled|small|soft|"
    r"specparam|static_assert|static_cast|strong0|strong1|supply0|supply1|sync_accept_on|"
    r"sync_reject_on|thread_local|tran|tranif0|tranif1|tri0|tri1|triand|trior|unique0|until_with|"
    r"uwire|var|vectored|vmode|vprop|vunit|wait_order|wchar_t|weak0|weak1|xor_eq"
    r"|(v|t|o|in|table|stage)[0-9]+(_(s?[0-9]+|t))?"
)
"""Words of Verilog, SystemVerilog, VHDL and C++, and the patterns of the names that the printers use themselves."""


def legal(name: str, suffix: str, others: Collection[str] = ()) -> str:
    """A graph's name as one that all the languages take: single underscores, and ``suffix`` on what is taken."""
    plain = re.sub("_+", "_", name).strip("_")
    while TAKEN.fullmatch(plain) or plain in others:
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
