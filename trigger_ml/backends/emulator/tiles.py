"""A few outputs of a matrix product together: weights in tables, zeros skipped where they are many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

DENSE = 0.85
"""A tile with more of its words in use is a loop over a table of weights; a sparser one is straight code."""


@dataclass(frozen=True, eq=False)
class Tile:
    """What one tile multiplies.

    Attributes:
        name: unique in the file.
        lanes: of the sums.
        pairs: whether a word holds two int16.
        row: C++ of a word's vector, with ``{}`` for the row and ``{}`` for the vector's index.
        rows: row of each word.
        weights: ``(words, outputs, 2)``; the second of the two is zero unless ``pairs``.
        bias: of each output.
        finish: C++ that takes the sums ``t[...]`` of vector ``e``.
    """

    name: str
    lanes: str
    pairs: bool
    row: str
    rows: list[int]
    weights: Any
    bias: list[int]
    finish: str

    def at(self, row: object, e: str) -> str:
        """A word's vector."""
        first, rest = self.row.split("{}", 1)
        middle, end = rest.split("{}", 1)
        return f"{first}{row}{middle}{e}{end}"

    @property
    def values(self) -> Any:
        """Weights as they stand in the table ``(words, outputs)``."""
        if not self.weights.size:
            return np.zeros((0, len(self.bias)), np.int64)
        if not self.pairs:
            return self.weights[:, :, 0]
        low, high = self.weights[:, :, 0] & 0xFFFF, self.weights[:, :, 1] & 0xFFFF
        return (low | high << 16).astype(np.uint32).view(np.int32).reshape(low.shape).astype(np.int64)

    @property
    def dense(self) -> bool:
        """Whether it is a loop."""
        v, r = self.values, self.rows
        return len(r) > 2 and bool((v != 0).mean() > DENSE) and r == list(range(r[0], r[0] + len(r)))

    def tables(self) -> list[str]:
        """Declarations of the weights."""
        v = self.values
        kind = "int32_t" if self.lanes == "V" else "int64_t"
        flat = ", ".join(literal(w) for w in v.reshape(-1) if self.dense or w) or "0"
        return [f"static const {kind} w_{self.name}[] = {{{flat}}};"]


def literal(value: int) -> str:
    """An integer in C++."""
    return f"{int(value)}LL" if abs(int(value)) >> 31 else str(int(value))


def tile_code(tile: Tile) -> list[str]:
    """The loop over a block's vectors, two at a time."""
    step = "{1} = mac({1}, x{0}, k);" if tile.pairs else "{1} += x{0} * k;"
    n, lanes = len(tile.bias), tile.lanes
    # The compiler must not see the weights, or it makes a whole vector of each: the table stays in the cache.
    lines = [f'  {{ auto *w = w_{tile.name}; asm("" : "+r"(w));', "  for (int i = 0; i < BV; i += 2) {"]
    sums = ", ".join(f"a{j} = splat<{lanes}>({b}LL), b{j} = a{j}" for j, b in enumerate(tile.bias))
    lines.append(f"    {lanes} {sums};")
    values = tile.values
    if tile.dense:
        lines.append(f"    for (int r = 0; r < {len(tile.rows)}; r++) {{")
        here = f"{tile.rows[0]} + r"
        lines.append(f"      const {lanes} x0 = {tile.at(here, 'i')}, x1 = {tile.at(here, 'i + 1')};")
        both = step.format(0, "a{0}") + " " + step.format(1, "b{0}")
        lines += [f"      {{ const {lanes} k = splat<{lanes}>(w[r*{n} + {j}]); {both.format(j)} }}" for j in range(n)]
        lines.append("    }")
    else:
        used = 0
        for row, ws in zip(tile.rows, values, strict=True):
            if not ws.any():
                continue
            line = f"    {{ const {lanes} x0 = {tile.at(row, 'i')}, x1 = {tile.at(row, 'i + 1')}; {lanes} k;"
            for j, weight in enumerate(ws):
                if weight:
                    line += f" k = splat<{lanes}>(w[{used}]); {step.format(0, f'a{j}')} {step.format(1, f'b{j}')}"
                    used += 1
            lines.append(line + " }")
    for offset, letter in enumerate("ab"):
        sums = ", ".join(f"{letter}{j}" for j in range(n))
        lines.append(f"    {{ const int e = i + {offset}; const {lanes} t[] = {{{sums}}}; {tile.finish} }}")
    return [*lines, "  } }"]
