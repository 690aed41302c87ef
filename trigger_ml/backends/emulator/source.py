"""The C++ of one emulator: ``model.h`` with what the model is, ``kernel.inc`` with its arithmetic.

Each node becomes a function of one block of events. Elements that do the same on evenly spaced rows share a loop.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from trigger_ml.backends.emulator.expressions import (
    Element,
    Expr,
    concatenated,
    constant,
    element,
    fitted,
    formats,
    lifted,
)
from trigger_ml.backends.emulator.layout import Layout, Linear, linear
from trigger_ml.backends.emulator.tiles import Tile, literal, tile_code
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import pad
from trigger_ml.ir.graph import Graph, Node
from trigger_ml.ir.io import digest

KERNELS = ("portable", "avx2", "avx512")
"""Namespaces of the same arithmetic for different processors, each of which can do what the one before it does."""

TILE = 4
"""Outputs of a kernel computed together, each for two vectors of events: eight sums stay in registers."""

LOOP = 4
"""Fewest elements for which a loop is written instead of straight code."""


class Source:
    """Writes one emulator; :meth:`files` gives its sources."""

    def __init__(self, graph: Graph) -> None:
        """Lay out and write."""
        self.graph, self.plan = graph, Layout(graph)
        self.known = self.plan.known
        self.tables: list[str] = []
        self.functions: list[str] = []
        self.calls: list[str] = []
        self.rows: dict[str, int] = {}
        self.words: dict[str, int] = {}
        self.used = 0
        self.done: set[str] = set()
        for node in graph.nodes:
            if node.name not in self.done and node.name not in self.plan.moved and node.name not in self.plan.lazy:
                self._node(node)
        self.results = [self._result(o) for o in graph.outputs]

    # -- rows ---------------------------------------------------------------------------------------------------------

    def place(self, name: str, count: int, lanes: str) -> int:
        """Room for ``count`` rows, in vectors of V for each of a block's vectors; returns where."""
        at, self.used = self.used, self.used + count * (2 if lanes == "W" else 1)
        self.rows[name] = at
        return at

    def at(self, name: str, row: str | int, e: str = "e") -> str:
        """A vector of a row."""
        lanes = self.plan.stored(name) if name in self.known else name[0]
        base = f"s + {self.rows[name]}*BV"
        return f"{'((W*)(' + base + '))' if lanes == 'W' else '(' + base + ')'}[({row})*BV + {e}]"

    def read(self, name: str, j: int) -> Expr:
        """The expression of an element: its row, or the computation itself if it has none."""
        name, j = self.plan.origin(name, j)
        if name in self.plan.lazy and name not in self.done:
            return self.value(self.graph.by_name[name], j)
        return Expr("{}", ((name, j),), self.plan.stored(name))

    def value(self, node: Node, j: int) -> Expr:
        """An element computed from what the node reads, in lanes that hold the result."""
        parts, t = [self.known[i] for i in node.inputs], self.known[node.name]
        lanes = self.plan.lanes(node)
        if isinstance(node.op, ops.Concat):
            (name, i), shift = concatenated(node, parts, t)[j]
            x = self.read(name, i).to(lanes)
            return Expr(lifted(x.text, shift), x.reads, lanes)
        return element(node, j, parts, t, lanes, self.read, self._table(node))

    def _table(self, node: Node) -> str:
        if not isinstance(node.op, ops.Table):
            return ""
        name = f"table_{self.plan.ident[node.name]}"
        if not any(f" {name}[" in line for line in self.tables):
            small = int(np.abs(node.op.values).max(initial=0)) < 1 << 31
            kind = "int32_t" if small else "int64_t"
            self.tables.append(f"static const {kind} {name}[] = {{{_list(node.op.values)}}};")
        return name

    # -- nodes --------------------------------------------------------------------------------------------------------

    def _node(self, node: Node) -> None:
        t = self.known[node.name]
        if isinstance(node.op, ops.Input):
            self.place(node.name, t.lo.size, self.plan.stored(node.name))
        elif isinstance(node.op, (ops.Affine, ops.Conv)):
            self._linear(node)
        else:
            stored = self.plan.stored(node.name)
            pieces = [(self.value(node, j).to(stored), j) for j in range(t.lo.size)]
            self.place(node.name, t.lo.size, stored)
            self._assign(self.plan.ident[node.name], node.name, pieces)
        self.done.add(node.name)

    def _assign(self, function: str, target: str, pieces: Sequence[tuple[Expr, int]]) -> None:
        """A function that fills rows of ``target``: loops where neighbours do the same, straight code elsewhere."""
        loops, single = [], []
        for run in _runs(pieces):
            if len(run) < LOOP:
                single += [f"{self.at(target, j)} = {self._filled(x)};" for x, j in run]
                continue
            (x, j), (y, _) = run[0], run[1]
            steps = [b[1] - a[1] for a, b in zip(x.reads, y.reads, strict=True)]
            slots = [self.at(n, f"{i} + i*{d}" if d else i) for (n, i), d in zip(x.reads, steps, strict=True)]
            body = f"{self.at(target, f'{j} + i')} = {x.text.format(*slots)};"
            loops.append(f"  for (int i = 0; i < {len(run)}; i++) for (int e = 0; e < BV; e++) {body}")
        if single:
            loops.append("  for (int e = 0; e < BV; e++) {\n    " + "\n    ".join(single) + "\n  }")
        self._function(function, loops)

    def _filled(self, x: Expr) -> str:
        return x.text.format(*(self.at(n, i) for n, i in x.reads))

    def _function(self, name: str, lines: Sequence[str]) -> None:
        self.functions.append(f"static ROWS void {name}(V *s) {{\n" + "\n".join(lines) + "\n}")
        self.calls.append(f"  {name}(s);")

    # -- kernels ------------------------------------------------------------------------------------------------------

    def _linear(self, node: Node) -> None:
        a, t = self.known[node.inputs[0]], self.known[node.name]
        kernel, chain = linear(node, a), self.plan.chain(node)
        last = chain[-1] if chain else node
        pairs, lanes = self.plan.pairs(node), self.plan.lanes(node)
        single = len(kernel.base) == 1 and kernel.padded is None
        source, words = self._gather(node, kernel, single, pairs, lanes)
        heads = self._destination(last, t.shape[-1]) if single and lanes == "V" else None
        outputs = heads or list(range(t.shape[-1]))
        ends = {j: self._ending(node, chain, j, lanes) for j in outputs}
        if heads is None:
            self.place(last.name, t.lo.size, self.plan.stored(last.name))
        lines, bases = [], None
        if not single:
            bases = f"base_{self.plan.ident[node.name]}"
            self.tables.append(f"static const int {bases}[] = {{{_list(kernel.base)}}};")
            lines.append(f"  for (int p = 0; p < {len(kernel.base)}; p++) {{ const int b = {bases}[p];")
        row = self.at(source, "b + {}" if bases else "{}", "{}")
        for first in range(0, len(outputs), TILE):
            js = outputs[first : first + TILE]
            weights = [
                [[kernel.weights[k, j] if k is not None else 0 for k in (u, v)] for j in js] for _, u, v in words
            ]
            tile = Tile(
                f"{self.plan.ident[node.name]}_{first}", lanes, pairs, row, [w for w, _, _ in words],
                np.array(weights), [int(kernel.bias[j]) for j in js],
                self._stores(last, js, first, ends, heads is not None, bases is not None, t.shape[-1], lanes),
            )  # fmt: skip
            self.tables += tile.tables()
            lines += tile_code(tile)
        if bases:
            lines.append("  }")
        self._function(self.plan.ident[node.name], lines)
        self.done.update(n.name for n in chain)

    def _gather(
        self, node: Node, kernel: Linear, single: bool, pairs: bool, lanes: str
    ) -> tuple[str, list[tuple[int, int, int | None]]]:
        """Bring the kernel's inputs where it reads them: the rows' name, and for each word its row and its weights."""
        (name,) = node.inputs
        live = self.plan.live(node)
        if single and pairs:
            words = [(i, u, v) for i, (u, v) in enumerate(_couples(live))]
            target = f"V words of {node.name}"
            if target not in self.rows:
                source = int(kernel.base[0]) + kernel.offset
                pieces = []
                for i, u, v in words:
                    x = self.read(name, int(source[u])).to("V")
                    y = self.read(name, int(source[v])).to("V") if v is not None else Expr(constant(0, "V"), (), "V")
                    pieces.append((Expr(f"pack({x.text}, {y.text})", x.reads + y.reads, "V"), i))
                self.place(target, len(words), "V")
                self._assign(f"words_{self.plan.ident[node.name]}", target, pieces)
            return target, words
        count = self.known[name].lo.size
        origins = [self.plan.origin(name, j) for j in range(count)]
        if kernel.padded is not None:
            shape = self.known[name].shape
            index = pad(np.arange(1, count + 1).reshape(shape), kernel.padded).reshape(-1)
            zero = Expr(constant(0, "V"), (), "V").to(self.plan.stored(name))
            pieces = [(self.read(name, int(i) - 1) if i else zero, j) for j, i in enumerate(index)]
            name = self._copied(f"{self.plan.stored(name)} padded for {node.name}", pieces)
            count = len(pieces)
        elif single and not pairs:
            pieces = [
                (self.read(name, int(kernel.base[0] + kernel.offset[k])).to(lanes), i) for i, k in enumerate(live)
            ]
            name = self._copied(f"{lanes} inputs of {node.name}", pieces)
            return name, [(i, k, None) for i, k in enumerate(live)]
        elif origins != [(origins[0][0], origins[0][1] + j) for j in range(count)]:
            pieces = [(self.read(name, j), j) for j in range(count)]
            name = self._copied(f"{self.plan.stored(name)} copy for {node.name}", pieces)
        else:
            name, start = origins[0]
            if start:
                pieces = [(self.read(name, start + j), j) for j in range(count)]
                name = self._copied(f"{self.plan.stored(name)} part for {node.name}", pieces)
        offsets = [int(kernel.offset[k]) for k in live]
        if not pairs:
            if lanes == "W" and (name[0] if name not in self.known else self.plan.stored(name)) == "V":
                pieces = [(Expr("wide({})", ((name, j),), "W"), j) for j in range(count)]
                name = self._copied(f"W widened for {node.name}", pieces)
            return name, [(o, k, None) for o, k in zip(offsets, live, strict=True)]
        target = f"V pairs for {node.name}"
        pieces = [(Expr("pack({}, {})", ((name, j), (name, j + 1)), "V"), j) for j in range(count - 1)] + [
            (Expr(f"pack({{}}, {constant(0, 'V')})", ((name, count - 1),), "V"), count - 1)
        ]
        self._copied(target, pieces)
        words, k = [], 0
        while k < len(live):
            beside = k + 1 < len(live) and offsets[k + 1] == offsets[k] + 1
            words.append((offsets[k], live[k], live[k + 1] if beside else None))
            k += 2 if beside else 1
        return target, words

    def _copied(self, target: str, pieces: Sequence[tuple[Expr, int]]) -> str:
        self.place(target, len(pieces), target[0])
        self._assign(f"rows_{len(self.functions)}", target, pieces)
        return target

    def _destination(self, last: Node, channels: int) -> list[int] | None:
        """The outputs that the only reader, a kernel over pairs, wants, in its order; None without such a reader."""
        readers = self.plan.readers[last.name]
        if last.name in self.graph.outputs or len(readers) != 1 or not isinstance(readers[0].op, ops.Affine):
            return None
        (reader,) = readers
        if len(self.known[last.name].shape) != 1 or not self.plan.pairs(reader):
            return None
        live = self.plan.live(reader)
        self.place(f"V words of {reader.name}", (len(live) + 1) // 2, "V")
        return live

    def _ending(self, node: Node, chain: Sequence[Node], j: int, lanes: str) -> str:
        """What is done to output ``j``'s sum, ``{}``, before it is stored."""
        text, before = "{}", node
        for after in chain:
            a, t = self.known[before.name], self.known[after.name]
            if isinstance(after.op, ops.Relu):
                text = f"at_least({text}, 0)"
            elif isinstance(after.op, ops.Requant):
                lo, hi = (z.reshape(-1, t.shape[-1])[:, j] for z in (a.lo, a.hi))
                to = formats(after.op, t.shape)[j]
                text = fitted(text, lanes, int(lo.min()), int(hi.max()), after.op, to, a.frac)
            before = after
        return text

    def _stores(
        self, last: Node, js: Sequence[int], first: int, ends: dict[int, str], packed: bool, many: bool, channels: int,
        lanes: str,
    ) -> str:  # fmt: skip
        """C++ that finishes a tile's sums ``t[0]``, ``t[1]``, ... of vector ``e`` and stores them."""
        code = [f"{lanes} q{i} = {ends[j].replace('{}', f't[{i}]')};" for i, j in enumerate(js)]
        if packed:
            (reader,) = self.plan.readers[last.name]
            target = f"V words of {reader.name}"
            for i in range(0, len(js), 2):
                other = f"q{i + 1}" if i + 1 < len(js) else "V{}"
                code.append(f"{self.at(target, (first + i) // 2)} = pack(q{i}, {other});")
            return " ".join(code)
        narrow = lanes == "W" and self.plan.stored(last.name) == "V"
        for i, j in enumerate(js):
            row = f"p*{channels} + {j}" if many else j
            code.append(f"{self.at(last.name, row)} = {f'narrow(q{i})' if narrow else f'q{i}'};")
        return " ".join(code)

    # -- files --------------------------------------------------------------------------------------------------------

    def _result(self, name: str) -> str:
        """The rows that hold an output side by side; copied there if they don't."""
        count = self.known[name].lo.size
        origins = [self.plan.origin(name, j) for j in range(count)]
        if origins == [(origins[0][0], j) for j in range(count)]:
            return origins[0][0]
        pieces = [(self.read(name, j).to(self.plan.stored(name)), j) for j in range(count)]
        return self._copied(f"{self.plan.stored(name)} result {name}", pieces)

    def kernel(self) -> str:
        """``kernel.inc``."""
        check, loads, stores = [], [], []
        for p, node in enumerate(self.graph.inputs):
            t, lanes = self.known[node.name], self.plan.stored(node.name)
            where = f"({lanes} *)(s + {self.rows[node.name]}*BV)"
            loads.append(f"  load<{t.lo.size}>((const X *)in[{p}], {where});")
            check += _range_check(self, node, lanes)
        for p, (o, where) in enumerate(zip(self.graph.outputs, self.results, strict=True)):
            lanes = self.plan.stored(o)
            stores.append(f"  store<{self.known[o].lo.size}>(({lanes} *)(s + {self.rows[where]}*BV), out[{p}]);")
        return "\n".join([
            '#include "lanes.hpp"', "namespace MODEL_NAMESPACE::KERNEL {", "namespace {",
            *self.tables, *self.functions,
            "template <class X> static void fill(const void *const *in, V *s) {", *loads, "}", "}  // namespace",
            "bool block(const void *const *in, trigger_type type, int64_t *const *out, char *scratch) {",
            "  V *const s = (V *)scratch;",
            "  type == TRIGGER_INT16 ? fill<int16_t>(in, s) : type == TRIGGER_INT32 ? fill<int32_t>(in, s) "
            ": fill<int64_t>(in, s);",
            *check, *self.calls, *stores, "  return true;", "}", "}  // namespace MODEL_NAMESPACE::KERNEL", "",
        ])  # fmt: skip

    def block_events(self) -> int:
        """Events of a block: fewer where there are many rows, so that they stay in the cache."""
        return 64 if self.used <= 2000 else 32

    def header(self, name: str, events: int | None = None) -> str:
        """``model.h``: ports, names and sizes; ``events`` of a block, a multiple of 16, if not :meth:`block_events`."""
        lines = ["#pragma once", "#include <cstring>", '#include "trigger_emulator.h"']
        events = events or self.block_events()
        lines += [f"#define BLOCK_EVENTS {events}", f"#define SCRATCH_BYTES ({self.used}LL*{events * 4})"]
        lines += [f'#define MODEL_NAME "{name}"', f'#define MODEL_DIGEST "{digest(self.graph)}"']
        plain = re.sub(r"[^0-9A-Za-z]", "_", name)
        lines += [f"#define MODEL_SYMBOL trigger_emulator_{plain}"]
        lines += [f"#define MODEL_NAMESPACE trigger_{plain}_{digest(self.graph)[:16]}"]
        lines += [f"#define N_INPUTS {len(self.graph.inputs)}", f"#define N_OUTPUTS {len(self.graph.outputs)}"]
        lines.append("namespace {")
        for kind, names in (("IN", [n.name for n in self.graph.inputs]), ("OUT", self.graph.outputs)):
            rows = []
            for i, n in enumerate(names):
                t = self.known[n]
                for end, z in (("LO", t.lo), ("HI", t.hi)):
                    lines.append(f"constexpr int64_t {kind}{i}_{end}[] = {{{_list(z.reshape(-1))}}};")
                rows.append(f'{{"{n}", {t.lo.size}, {t.frac}, {kind}{i}_LO, {kind}{i}_HI}}')
            lines.append(f"constexpr trigger_port {kind}PUTS[] = {{{', '.join(rows)}}};")
        lines.append("}  // namespace")
        block = "bool block(const void *const *, trigger_type, int64_t *const *, char *);"
        lines += [f"namespace MODEL_NAMESPACE::{k} {{ {block} }}" for k in KERNELS]
        return "\n".join(lines) + "\n"


def _couples(items: Sequence[int]) -> list[tuple[int, int | None]]:
    padded: list[int | None] = [*items, None]
    return [(int(items[i]), padded[i + 1]) for i in range(0, len(items), 2)]


def _runs(pieces: Sequence[tuple[Expr, int]]) -> list[list[tuple[Expr, int]]]:
    """Maximal stretches of neighbours with one text whose reads advance by constant steps."""
    runs: list[list[tuple[Expr, int]]] = []
    steps: list[int] | None = None
    for piece in pieces:
        if runs and _alike(runs[-1][-1], piece):
            (x, _), (y, _) = runs[-1][-1], piece
            found = [b[1] - a[1] for a, b in zip(x.reads, y.reads, strict=True)]
            if len(runs[-1]) == 1 or found == steps:
                runs[-1].append(piece)
                steps = found
                continue
        runs.append([piece])
    return runs


def _alike(a: tuple[Expr, int], b: tuple[Expr, int]) -> bool:
    same: bool = a[0].text == b[0].text and [r[0] for r in a[0].reads] == [r[0] for r in b[0].reads]
    return same and b[1] == a[1] + 1


def _range_check(source: Source, node: Node, lanes: str) -> list[str]:
    """C++ that returns false if an input is outside its format; ranges are powers of two, so bits tell."""
    t: Any = source.known[node.name]
    groups: dict[tuple[bool, int], list[Element]] = {}
    for j, (lo, hi) in enumerate(zip(t.lo.flat, t.hi.flat, strict=True)):
        groups.setdefault((lo < 0, int(hi).bit_length()), []).append((node.name, j))
    zero = f"{lanes}{{}}"
    lines = ["  {", f"    {lanes} bad = {zero};", "    for (int e = 0; e < BV; e++) {"]
    for (signed, width), members in sorted(groups.items()):
        rows = [source.at(n, j) for n, j in members]
        sign = "31" if lanes == "V" else "63"
        terms = [f"({r} ^ ({r} >> {sign}))" for r in rows] if signed else rows
        lines.append(f"      bad |= ({' | '.join(terms)}) & ~splat<{lanes}>({(1 << width) - 1}LL);")
    return [*lines, "    }", "    if (any(bad)) return false;", "  }"]


def _list(values: Any) -> str:
    return ", ".join(literal(v) for v in values) or "0"
