"""The words of the test benches: hexadecimal, one a clock, as files and as integers.

The benches are part of the project, for simulators that read the hardware language itself: in the folder where one runs
it reads ``<port>.hex``, an event a line, and writes ``<port>.out`` after every clock edge. Where there is
``<port>.expected``, also an event a line, it compares, and fails at the first event that differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact
from trigger_ml.backends.rtl.ports import Port, input_ports, output_ports, pack
from trigger_ml.backends.rtl.project import description
from trigger_ml.backends.rtl.stream import QUIET
from trigger_ml.errors import Mismatch
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import check_inputs

EVENTS = 300
"""Events among the words that a project bears: all that the interpreted simulators play in seconds."""


def hex_lines(words: NDArray[np.uint8]) -> str:
    """Packed words as text, the highest digit first."""
    return "".join(word[::-1].tobytes().hex() + "\n" for word in words)


def from_hex(text: str, port: Port, engine: str) -> NDArray[np.uint8]:
    """The inverse of :func:`hex_lines`; words before the pipeline has filled may be undefined, and read as zero.

    Raises:
        Mismatch: an undefined word later.
    """
    lines = text.split()
    words = np.zeros((len(lines), port.bytes), np.uint8)
    for clock, line in enumerate(lines):
        try:
            words[clock] = np.frombuffer(bytes.fromhex(line.zfill(2 * port.bytes)), np.uint8)[::-1]
        except ValueError:
            if clock >= QUIET // 2:
                raise Mismatch(f"{engine}: output {port.name!r} is undefined in clock {clock}: {line}") from None
    return words


def write_vectors(
    folder: Path, graph: Graph, inputs: Mapping[str, NDArray[np.int64]], outputs: Mapping[str, NDArray[np.int64]]
) -> None:
    """Give a built project its words, ``tb/<port>.hex`` and ``tb/<port>.expected``, of the first :data:`EVENTS` events.

    Args:
        folder: the project.
        graph: that it was built from.
        inputs: hardware integers ``(events, *shape)`` by input.
        outputs: the golden model's integers ``(events, *shape)`` by output.

    Raises:
        Mismatch: the project is of another graph.
    """
    description(folder, graph)
    feed = check_inputs(graph, inputs)
    for p in input_ports(graph):
        artifact.atomic_write(folder / "tb" / f"{p.name}.hex", hex_lines(pack(p, feed[p.node][:EVENTS])))
    for p in output_ports(graph):
        artifact.atomic_write(folder / "tb" / f"{p.name}.expected", hex_lines(pack(p, outputs[p.node][:EVENTS])))


ABOUT = (
    "in the folder where it runs it reads <port>.hex, an event a line, one a clock,",
    "and writes <port>.out after every clock edge. Where there is <port>.expected, an event a line, it compares, and",
    "ends with an error at the first event that differs.",
)
"""What both benches say of themselves."""

EVENT = "tb_clock - (TB_LATENCY - 1)"
"""The number of the event whose answer stands at the outputs, in either language."""
