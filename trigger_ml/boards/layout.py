"""Link layouts: which bits of which 64-bit word (link and frame) hold which element of which port.

A layout is a small TOML file. An event is one packet on every link, ``frames_per_bx * tmux`` frames after the last::

    version = 1
    frames_per_bx = 9    # words a link carries in a bunch crossing
    tmux = 1             # bunch crossings from one event to the next

    [input]
    x = [[0, 0, 0, 13], [0, 0, 13, 13], []]    # of each element: link, frame, lowest bit, bits; [] if it is always 0

    [output]
    score = [[0, 0, 0, 18]]
    decision = [[0, 0, 18, 1]]

An element may get more bits than it has: its sign, or zeros, fill them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trigger_ml.backends.rtl.ports import Port, input_ports, output_ports
from trigger_ml.boards.frames import LAST_LINK, MAX_FRAMES
from trigger_ml.errors import SpecError
from trigger_ml.fields import Limits, settle, show, toml
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.io import digest

WORD = 64
VERSION = 1
KEYS = ("version", "graph_digest", "frames_per_bx", "tmux", "input", "output")


@dataclass(frozen=True)
class Place:
    """Where an element stands: ``bits`` of the word of a link and frame, from bit ``lsb`` upward."""

    link: int
    frame: int
    lsb: int
    bits: int


Places = Mapping[str, tuple[Place | None, ...]]
"""Port -> the place of each element in C order; None for one that is always zero."""


@dataclass(frozen=True, eq=False)
class Layout:
    """A link layout.

    Attributes:
        frames_per_bx: words that a link carries in a bunch crossing.
        tmux: bunch crossings from one event to the next.
        input: places of the elements of the graph's inputs.
        output: places of the elements of the graph's outputs.
        graph_digest: of the graph that it was made for; empty if it is for any that fits.
    """

    frames_per_bx: int
    tmux: int
    input: Places
    output: Places
    graph_digest: str = ""

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            SpecError: a place beyond its word, packet or the link numbers, or on another's bits; an empty side.
        """
        if not 1 <= self.period <= MAX_FRAMES:
            raise SpecError(f"frames_per_bx * tmux is {self.period}: it must be 1 to {MAX_FRAMES}")
        for side in ("input", "output"):
            self._check(side, getattr(self, side))

    def _check(self, side: str, ports: Places) -> None:
        taken: dict[tuple[int, int, int], str] = {}
        for port, places in ports.items():
            for j, p in enumerate(places):
                where = f"[{side}] {port}[{j}]"
                if p is None:
                    continue
                if not 0 <= p.link <= LAST_LINK:
                    raise SpecError(f"{where} is on link {p.link}: links have numbers from 0 to {LAST_LINK}")
                if not 0 <= p.frame < self.period:
                    raise SpecError(f"{where} is in frame {p.frame}: a packet has {self.period} (frames_per_bx * tmux)")
                if p.lsb < 0 or p.bits < 1 or p.lsb + p.bits > WORD:
                    raise SpecError(f"{where} takes bits {p.lsb} to {p.lsb + p.bits - 1}: a word has bits 0 to 63")
                for bit in range(p.lsb, p.lsb + p.bits):
                    other = taken.setdefault((p.link, p.frame, bit), where)
                    if other != where:
                        raise SpecError(
                            f"{where} and {other} both take bit {bit} of link {p.link}, frame {p.frame}: "
                            "give each its own"
                        )
        if not taken:
            raise SpecError(f"[{side}] holds no element: give the places of every port")

    @property
    def period(self) -> int:
        """Frames from one event to the next."""
        return self.frames_per_bx * self.tmux

    @property
    def events_per_file(self) -> int:
        """Events that a file has room for."""
        return MAX_FRAMES // self.period

    def packets(self, side: str) -> dict[int, int]:
        """Link -> words of a packet, in ascending order of the links."""
        lengths: dict[int, int] = {}
        for places in getattr(self, side).values():
            for p in places:
                if p is not None:
                    lengths[p.link] = max(lengths.get(p.link, 0), p.frame + 1)
        return dict(sorted(lengths.items()))

    def fits(self, graph: Graph) -> None:
        """Hold it against a graph.

        Raises:
            SpecError: it was made for another graph, or a port or element is missing, superfluous or has too few bits.
        """
        if self.graph_digest not in ("", digest(graph)):
            raise SpecError(f"the layout is for graph {self.graph_digest[:12]}, this is {digest(graph)[:12]}")
        for side, ports in (("input", input_ports(graph)), ("output", output_ports(graph))):
            places: Places = getattr(self, side)
            known = [p.node for p in ports]
            for name in places:
                if name not in known:
                    raise SpecError(f"[{side}] {name}: there is no such port; the graph has {', '.join(known)}")
            for port in ports:
                _fits(side, port, places.get(port.node))


def _fits(side: str, port: Port, places: Sequence[Place | None] | None) -> None:
    if places is None:
        raise SpecError(f"[{side}] {port.node} is missing: give the places of its {len(port.elements)} elements")
    if len(places) != len(port.elements):
        raise SpecError(f"[{side}] {port.node} has {len(places)} places for {len(port.elements)} elements")
    for j, (p, f) in enumerate(zip(places, port.elements, strict=True)):
        if (p.bits if p else 0) < f.width:
            raise SpecError(f"[{side}] {port.node}[{j}] has {p.bits if p else 0} bits: it needs {f.width}")


def default(graph: Graph, frames_per_bx: int = 9, tmux: int = 1) -> Layout:
    """Elements packed in order, at their port's widths, none across two words; a link's packet filled, then the next.

    Raises:
        SpecError: the numbers are out of range, or there are more words than links carry.
    """
    if frames_per_bx < 1 or tmux < 1:
        raise SpecError(f"{frames_per_bx} frames a crossing and tmux {tmux}: both must be 1 or more")
    inputs, outputs = (_packed(ports, frames_per_bx * tmux) for ports in (input_ports(graph), output_ports(graph)))
    return Layout(frames_per_bx, tmux, inputs, outputs, digest(graph))


def _packed(ports: Sequence[Port], period: int) -> dict[str, tuple[Place | None, ...]]:
    made: dict[str, tuple[Place | None, ...]] = {}
    word, lsb = 0, 0
    for port in ports:
        places: list[Place | None] = []
        for f in port.elements:
            if lsb + f.width > WORD:
                word, lsb = word + 1, 0
            places.append(Place(word // period, word % period, lsb, f.width) if f.width else None)
            lsb += f.width
        made[port.node] = tuple(places)
    if not any(p for places in made.values() for p in places):  # all dead: one bit, so that there is a word at all
        first = ports[0]
        made[first.node] = (Place(0, 0, 0, 1), *made[first.node][1:])
    return made


def to_toml(layout: Layout) -> str:
    """The text of a layout file."""
    lines = ["# Which bits of which word hold which element: see the layouts in the guide of trigger_ml."]
    lines += [f"version = {VERSION}"]
    if layout.graph_digest:
        lines.append(f'graph_digest = "{layout.graph_digest}"')
    lines += [f"frames_per_bx = {layout.frames_per_bx}", f"tmux = {layout.tmux}"]
    for side in ("input", "output"):
        lines += ["", f"[{side}] # of each element: link, frame, lowest bit, bits"]
        for port, places in getattr(layout, side).items():
            rows = [f"[{p.link}, {p.frame}, {p.lsb}, {p.bits}]" if p else "[]" for p in places]
            lines += [f"{port} = [", *(f"    {row}," for row in rows), "]"]
    return "\n".join([*lines, ""])


def load(path: Path) -> Layout:
    """Read a layout file.

    Raises:
        SpecError: it is missing, isn't TOML, or a key or value is not valid.
    """
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise SpecError(f"{path} is not UTF-8 text: give a layout file") from None
    except OSError as error:
        raise SpecError(f"{path} can't be read ({error.strerror}): give a layout file") from None
    try:
        return parse(text)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None


def parse(text: str) -> Layout:
    """Read the text of a layout file.

    Raises:
        SpecError: it isn't TOML, or a key or value is not valid.
    """
    table = toml(text)
    for key in table:
        if key not in KEYS:
            raise SpecError(f"unknown key {show(key)}: a layout takes {', '.join(KEYS)}")
    for key in ("version", "frames_per_bx", "tmux", "input", "output"):
        if key not in table:
            raise SpecError(f"{key} is missing: a layout needs version, frames_per_bx, tmux, input and output")
    version = settle(table["version"], int, Limits(1), "version")
    if version > VERSION:
        raise SpecError(f"version is {version}: this trigger_ml reads up to {VERSION}, use a later one")
    known = settle(table.get("graph_digest", ""), str, Limits(pattern="([0-9a-f]{64})?"), "graph_digest")
    rate, tmux = (settle(table[k], int, Limits(1, MAX_FRAMES), k) for k in ("frames_per_bx", "tmux"))
    return Layout(rate, tmux, _side(table["input"], "input"), _side(table["output"], "output"), known)


def _side(table: Any, side: str) -> dict[str, tuple[Place | None, ...]]:
    if not isinstance(table, dict):
        raise SpecError(f"{side} is {show(table)}: it must be a table, [{side}]")
    return {port: _places(rows, f"[{side}] {port}") for port, rows in table.items()}


def _places(rows: Any, where: str) -> tuple[Place | None, ...]:
    if not isinstance(rows, list):
        raise SpecError(f"{where} is {show(rows)}: it must be a list of [link, frame, lsb, bits]")
    made: list[Place | None] = []
    for j, row in enumerate(rows):
        if row == []:
            made.append(None)
            continue
        made.append(Place(*settle(row, tuple[int, ...], Limits(0, 10**6, length=(4, 4)), f"{where}[{j}]")))
    return tuple(made)
