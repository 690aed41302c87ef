"""The network as one SVG picture: a box a layer, a row a depth, bit widths written in and shown as bars."""

from __future__ import annotations

import math
from html import escape

from trigger_ml.report.data import GraphSummary, Layer

WIDTH, BOX, GAP = 360, 62, 22

Place = tuple[float, float, float]
"""Centre, top and width of a box."""


def draw(graph: GraphSummary) -> str:
    """The picture as SVG text, 360 units wide; colours come from the page's ``currentColor`` and style sheet."""
    rows = _rows(graph)
    place: dict[str, Place] = {}
    for depth, row in enumerate(rows):
        below = sorted(row, key=lambda layer: sum(place[i][0] for i in layer.inputs) / max(len(layer.inputs), 1))
        for i, layer in enumerate(below):
            place[layer.name] = (WIDTH / len(row) * (i + 0.5), GAP / 2 + depth * (BOX + GAP), WIDTH / len(row) - 8)
    sizes = {layer.name: shape(layer.shape) for layer in graph.layers}
    edges = [_edge(place[i], place[layer.name]) for layer in graph.layers for i in layer.inputs]
    boxes = [_box(layer, place[layer.name], " + ".join(sizes[i] for i in layer.inputs)) for layer in graph.layers]
    return (
        f'<svg class="network" viewBox="0 0 {WIDTH} {len(rows) * (BOX + GAP)}" role="img" '
        'aria-label="the network, layer by layer">' + "".join(edges + boxes) + "</svg>"
    )


def _rows(graph: GraphSummary) -> list[list[Layer]]:
    depth: dict[str, int] = {}
    for layer in graph.layers:
        depth[layer.name] = max((depth[i] + 1 for i in layer.inputs), default=0)
    rows: list[list[Layer]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for layer in graph.layers:
        rows[depth[layer.name]].append(layer)
    return rows


def _edge(start: Place, end: Place) -> str:
    x0, y0, x1, y1 = start[0], start[1] + BOX, end[0], end[1]
    bend = GAP * 0.6 if y1 - y0 <= GAP else (y1 - y0) * 0.5
    return (
        f'<path d="M{x0:.1f} {y0:.1f}C{x0:.1f} {y0 + bend:.1f} {x1:.1f} {y1 - bend:.1f} {x1:.1f} {y1:.1f}" '
        'fill="none" stroke="currentColor" stroke-opacity=".45" stroke-width="1.5"/>'
    )


def _box(layer: Layer, where: Place, fed: str) -> str:
    x, y, width = where
    left, narrow = x - width / 2, width < WIDTH / 2
    what = f"{layer.op} {fed} → {shape(layer.shape)}" if fed else f"{layer.op} {shape(layer.shape)}"
    lines = (what, *_narrow_lines(layer)) if narrow else _wide_lines(layer)
    parts = [
        f'<rect x="{left:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BOX}" rx="6" class="box"/>',
        _text(left + 8, y + 17, 12, _cut(layer.name, int(width / 8.5) if narrow else 22), ' font-weight="600"'),
        *(_text(left + 8, y + 31 + 12 * i, 10, line) for i, line in enumerate(lines)),
        "" if narrow else _text(left + width - 8, y + 17, 11, what, ' text-anchor="end"'),
        _bar(layer, left, y, width),
    ]
    return "".join(parts)


def _text(x: float, y: float, size: int, content: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="currentColor"{more}>{escape(content)}</text>'


def _cut(name: str, length: int) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"


def _wide_lines(layer: Layer) -> tuple[str, ...]:
    dead = f", {layer.dead} of {math.prod(layer.shape)} always 0" if layer.dead else ""
    cost = "" if layer.ebops is None else f", {layer.ebops:,} EBOPs"
    result = f"{'' if layer.op == 'Input' else 'result '}{span(layer.bits)} bit{dead}{cost}"
    if not layer.weights_all:
        return (result,)
    return (f"weights {span(layer.weight_bits)} bit, {layer.weights:,} of {layer.weights_all:,} non-zero", result)


def _narrow_lines(layer: Layer) -> tuple[str, ...]:
    weights = f"w {span(layer.weight_bits)}, " if layer.weights_all else ""
    return (f"{weights}{'' if layer.op == 'Input' else 'result '}{span(layer.bits)} bit",)


def _bar(layer: Layer, left: float, y: float, width: float) -> str:
    """From the narrowest to the widest result on a scale of 0 to 24 bits."""
    scale = (width - 16) / 24
    low, high = min(layer.bits[0], 24), min(layer.bits[1], 24)
    start = max(low - 1, 0)
    return (
        f'<rect x="{left + 8:.1f}" y="{y + BOX - 9:.1f}" width="{width - 16:.1f}" height="3" rx="1.5" class="scale"/>'
        f'<rect x="{left + 8 + start * scale:.1f}" y="{y + BOX - 9:.1f}" width="{max(high - start, 0) * scale:.1f}" '
        'height="3" rx="1.5" class="range"/>'
    )


def shape(dimensions: tuple[int, ...]) -> str:
    """``(3, 4)`` as "3 × 4", a scalar as "1"."""
    return " × ".join(str(n) for n in dimensions) or "1"


def span(bits: tuple[int, int]) -> str:
    """``(2, 9)`` as "2–9", ``(5, 5)`` as "5"."""
    return str(bits[0]) if bits[0] == bits[1] else f"{bits[0]}–{bits[1]}"
