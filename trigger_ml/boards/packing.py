"""From hardware integers to the words of the links, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.backends.rtl.ports import Port, input_ports, output_ports
from trigger_ml.boards.frames import Frames, frames
from trigger_ml.boards.layout import Layout, Place
from trigger_ml.errors import SampleError
from trigger_ml.ir.graph import Graph

Feed = Mapping[str, NDArray[Any]]


def pack(graph: Graph, layout: Layout, side: str, values: Feed, name: str) -> list[Frames]:
    """Files' contents that hold events, as many in each as it has room for.

    As CMSSW's writer does it, each link's first packet in a file bears the flag of an orbit's start, and frames between
    packets are not valid.

    Args:
        graph: says how wide each element is.
        layout: that fits it.
        side: ``input`` or ``output``.
        values: integers ``(events, *shape)`` of each port of that side.
        name: for the files that hold one.

    Raises:
        SpecError: the layout does not fit the graph.
        SampleError: an integer needs more bits than its element has.
    """
    layout.fits(graph)
    lengths = layout.packets(side)
    links = tuple(lengths)
    count = len(next(iter(values.values())))
    words = np.zeros((count, layout.period, len(links)), np.uint64)
    for port in _ports(graph, side):
        flat = np.asarray(values[port.node], np.int64).reshape(count, len(port.elements))
        _check(port, flat, "event")
        for p, column in zip(getattr(layout, side)[port.node], flat.T, strict=True):
            if p is not None:
                raw = column.astype(np.uint64) & _mask(p.bits)
                words[:, p.frame, links.index(p.link)] |= raw << np.uint64(p.lsb)
    inside = np.arange(layout.period)[:, None]
    length = np.array([lengths[n] for n in links])
    once = {"valid": inside < length, "start": (inside == 0) & (length > 0), "end": inside == length - 1}
    made = []
    for first in range(0, count, layout.events_per_file):
        part = words[first : first + layout.events_per_file]
        flags = {key: np.tile(flag, (len(part), 1)) for key, flag in once.items()}
        flags["orbit"] = flags["start"] & (np.arange(len(part) * layout.period)[:, None] == 0)
        made.append(frames(name, links, part.reshape(-1, len(links)), **flags))
    return made


def unpack(graph: Graph, layout: Layout, side: str, files: Sequence[Frames]) -> dict[str, NDArray[np.int64]]:
    """The inverse of :func:`pack`: integers ``(events, *shape)`` of each port.

    Raises:
        SpecError: the layout does not fit the graph.
        SampleError: a link is missing, frames are left over, a word that must hold an element is not valid, or an
            integer is not one of its element's.
    """
    layout.fits(graph)
    lengths = layout.packets(side)
    parts = []
    for k, content in enumerate(files):
        for link in lengths:
            if link not in content.links:
                raise SampleError(f"file {k} holds no link {link}, which the layout's [{side}] needs")
        if len(content.words) % layout.period:
            raise SampleError(
                f"file {k} has {len(content.words)} frames: with this layout an event takes {layout.period}"
            )
        at = [content.links.index(n) for n in lengths]
        valid = content.valid[:, at].reshape(-1, layout.period, len(at))
        for i, (link, length) in enumerate(lengths.items()):
            missing = np.argwhere(~valid[:, :length, i])
            if len(missing):
                event, frame = (int(z) for z in missing[0])
                raise SampleError(f"file {k}, link {link}, frame {event * layout.period + frame} is not valid")
        parts.append(content.words[:, at].reshape(-1, layout.period, len(at)))
    words = np.concatenate(parts) if parts else np.zeros((0, layout.period, len(lengths)), np.uint64)
    out = {}
    for port in _ports(graph, side):
        columns = [
            _element(words, p, list(lengths), f.signed)
            for p, f in zip(getattr(layout, side)[port.node], port.elements, strict=True)
        ]
        flat = np.stack(columns, axis=1) if columns else np.zeros((len(words), 0), np.int64)
        _check(port, flat, "event")
        out[port.node] = flat.reshape(len(words), *port.shape)
    return out


def _ports(graph: Graph, side: str) -> tuple[Port, ...]:
    return input_ports(graph) if side == "input" else output_ports(graph)


def _mask(bits: int) -> np.uint64:
    return np.uint64((1 << bits) - 1)


def _element(words: NDArray[np.uint64], p: Place | None, links: Sequence[int], signed: bool) -> NDArray[np.int64]:
    if p is None:
        return np.zeros(len(words), np.int64)
    raw = (words[:, p.frame, links.index(p.link)] >> np.uint64(p.lsb)) & _mask(p.bits)
    spare = np.uint64(64 - p.bits)
    if signed:
        return (raw << spare).astype(np.int64) >> spare.astype(np.int64)
    return raw.astype(np.int64)


def _check(port: Port, flat: NDArray[np.int64], what: str) -> None:
    lo = np.array([f.lo for f in port.elements], np.int64)
    hi = np.array([f.hi for f in port.elements], np.int64)
    wrong = np.argwhere((flat < lo) | (flat > hi))
    if len(wrong):
        e, j = (int(z) for z in wrong[0])
        raise SampleError(
            f"{what} {e}: element {j} of {port.node} is {flat[e, j]}, outside its range {lo[j]} ... {hi[j]}"
        )
