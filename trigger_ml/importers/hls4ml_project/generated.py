"""Straight-line functions that hls4ml or this project generated: distributed arithmetic, wiring, casts of each element.

Every number in them is a linear form of the inputs. A cast that could change a value is kept where it is the last thing
that happens to an element, and refused in the middle.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trigger_ml.fixed import Overflow, Rounding
from trigger_ml.importers.hls4ml_project.ap_types import ApType, held
from trigger_ml.importers.hls4ml_project.constants import AP, number
from trigger_ml.importers.hls4ml_project.layer import Layer, Rule
from trigger_ml.importers.hls4ml_project.program import Generated
from trigger_ml.importers.hls4ml_project.tokens import Cursor, Token, refused, text_of
from trigger_ml.ir import ops

MAX_FORMS = 200_000
MAX_FRAC = 256
PLAIN = (Rounding.TRN, Overflow.WRAP)


@dataclass(frozen=True)
class Form:
    """``(constant + sum_i terms[i] * x_i) * 2**-frac`` of integers ``x_i``, and the casts that came after it."""

    terms: tuple[tuple[int, int], ...]
    constant: int
    frac: int
    casts: tuple[ApType, ...] = ()

    def on(self, frac: int) -> Form:
        """The same on a finer grid."""
        k = 2 ** (frac - self.frac)
        return Form(tuple((i, c * k) for i, c in self.terms), self.constant * k, frac)

    def coarsest(self) -> Form:
        """The same on the coarsest grid that holds it for all integers ``x_i``."""
        every = [abs(c) for _, c in self.terms] + [abs(self.constant)]
        zeros = min(((c & -c).bit_length() - 1 for c in every if c), default=0)
        terms = tuple((i, c >> zeros) for i, c in self.terms)
        return Form(terms, self.constant >> zeros, self.frac - zeros, self.casts)


def _sum(a: Form, b: Form, sign: int) -> Form:
    frac = max(a.frac, b.frac)
    a, b = a.on(frac), b.on(frac)
    terms = dict(a.terms)
    for i, c in b.terms:
        terms[i] = terms.get(i, 0) + sign * c
    kept = tuple(sorted((i, c) for i, c in terms.items() if c))
    return Form(kept, a.constant + sign * b.constant, frac).coarsest()


class _Reader:
    """The statements of one function."""

    def __init__(self, layer: Layer, code: Generated, inputs: Sequence[tuple[str, int, int]], output: str) -> None:
        """``inputs`` are names, first numbers and fraction lengths of the input arrays."""
        self.layer, self.code, self.output = layer, code, output
        self.inputs = {name: (start, size) for name, start, size in inputs}
        self.forms: dict[str, Form] = {}
        self.out: dict[int, Form] = {}
        self.lo: list[int] = []
        self.hi: list[int] = []
        self.frac = 0

    def read(self) -> None:
        cursor = Cursor(self.code.body)
        while cursor.here is not None:
            if len(self.forms) > MAX_FORMS:
                raise refused(cursor.here, f"{self.code.name} has more than {MAX_FORMS} statements")
            self._statement(cursor)

    def _statement(self, cursor: Cursor) -> None:
        cursor.skip("const")
        if cursor.peek(self.output, "["):
            at = cursor.take()
            index = self._index(cursor)
            cursor.want("=")
            self.out[index] = self._whole(cursor, at)
            return
        kind = self._type(cursor) if cursor.here is not None and cursor.here.text in AP else None
        if kind is None and not cursor.skip("auto"):
            raise refused(cursor.here, f"a statement of {self.code.name} that is not understood")
        at = cursor.name()
        cursor.want("=")
        form = self._whole(cursor, at)
        self.forms[at.text] = form if kind is None else self._cast(form, kind)

    def _whole(self, cursor: Cursor, at: Token) -> Form:
        inner = Cursor(cursor.until(";"))
        form = self._expression(inner, 0)
        if inner.here is not None:
            raise refused(inner.here, f"{inner.here.text!r} is not understood in {self.code.name}")
        return form

    def _index(self, cursor: Cursor) -> int:
        inside = cursor.inside("[", "]")
        if len(inside) != 1 or inside[0].kind != "number" or not isinstance(number(inside[0]), int):
            raise refused(cursor.here, f"an index {text_of(inside)} that is not a number")
        return int(number(inside[0]))

    def _type(self, cursor: Cursor) -> ApType:
        at = cursor.take()
        inside = cursor.inside("<", ">")
        mark = Token("mark", "<", at.file, at.line), Token("mark", ">", at.file, at.line)
        return self.layer.program.type_of((at, mark[0], *inside, mark[1]), at)

    def _expression(self, cursor: Cursor, depth: int) -> Form:
        if depth > 40:
            raise refused(cursor.here, "the expression nests too deep")
        sign = -1 if cursor.skip("-") else 1
        total = self._term(cursor, depth)
        if sign < 0:
            total = _sum(Form((), 0, 0), self._settled(total, cursor.here), -1)
        while cursor.peek("+") or cursor.peek("-"):
            mark = cursor.take()
            right = self._settled(self._term(cursor, depth), mark)
            total = _sum(self._settled(total, mark), right, 1 if mark.text == "+" else -1)
        return total

    def _settled(self, form: Form, at: Token | None) -> Form:
        if form.casts:
            why = f"{self.code.name} computes with a number after {form.casts[-1]} has rounded or cut it"
            raise refused(at or self.code.at, why)
        return form

    def _term(self, cursor: Cursor, depth: int) -> Form:
        token = cursor.here or self.code.at
        if cursor.skip("("):
            form = self._expression(cursor, depth + 1)
            cursor.want(")")
            return form
        if cursor.skip("-"):
            return _sum(Form((), 0, 0), self._settled(self._term(cursor, depth + 1), token), -1)
        if token.text in AP:
            kind = self._type(cursor)
            cursor.want("(")
            form = self._expression(cursor, depth + 1)
            cursor.want(")")
            return self._cast(form, kind)
        if cursor.skip("bit_shift"):
            shift = Cursor(cursor.inside("<", ">"))
            sign = -1 if shift.skip("-") else 1
            by = sign * int(number(shift.take()))
            cursor.want("(")
            form = self._settled(self._expression(cursor, depth + 1), token)
            if abs(form.frac - by) > MAX_FRAC or abs(by) > MAX_FRAC:
                raise refused(token, f"a shift by {by} bits")
            cursor.want(")")
            return replace(form, frac=form.frac - by)
        if token.kind == "number":
            return self._literal(cursor.take())
        return self._name(cursor)

    def _literal(self, token: Token) -> Form:
        value = number(token)
        if isinstance(value, int):
            return Form((), value, 0)
        exact = held([value], ApType(True, 62, 62 - (value.denominator.bit_length() - 1)), token)
        return Form((), int(exact[0]), value.denominator.bit_length() - 1)

    def _name(self, cursor: Cursor) -> Form:
        at = cursor.name()
        if at.text in self.inputs and cursor.peek("["):
            start, size = self.inputs[at.text]
            index = self._index(cursor)
            if not 0 <= index < size:
                raise refused(at, f"{at.text}[{index}] is outside its {size} elements")
            return Form(((start + index, 1),), 0, self.frac)
        if at.text not in self.forms:
            raise refused(at, f"{at.text} is not understood in {self.code.name}")
        return self.forms[at.text]

    def _cast(self, form: Form, kind: ApType) -> Form:
        if form.casts:
            return replace(form, casts=(*form.casts, kind))
        form = form.coarsest()
        ends = [form.constant, form.constant]
        for i, c in form.terms:
            a, b = c * self.lo[i], c * self.hi[i]
            ends = [ends[0] + min(a, b), ends[1] + max(a, b)]
        if form.frac <= kind.frac:
            lift = 2 ** (kind.frac - form.frac)
            if ends[0] * lift >= kind.lo and ends[1] * lift <= kind.hi:
                return form
        return replace(form, casts=(kind,))


def _lower(layer: Layer) -> str:
    """A generated function: wiring where each result is one input, else a product with constants."""
    net, call = layer.net, layer.call
    code = layer.program.generated[call.function.rpartition("::")[2]]
    count = len(call.arguments)
    if len(code.parameters) != count or count < 2:
        raise refused(call.at, f"{call.function} is called with {count} arguments, it has {len(code.parameters)}")
    parts = [layer.tensor(k) for k in range(count - 1)]
    sizes = [net.size(p) for p in parts]
    x = parts[0] if len(parts) == 1 else net.add(ops.Concat(0), *parts)
    starts = np.cumsum([0, *sizes]).tolist()
    reader = _Reader(layer, code, list(zip(code.parameters[:-1], starts, sizes, strict=False)), code.parameters[-1])
    reader.lo, reader.hi = [int(v) for v in net.known[x].lo.flat], [int(v) for v in net.known[x].hi.flat]
    reader.frac = net.known[x].frac
    reader.read()
    size = layer.array(count - 1).size
    if sorted(reader.out) != list(range(size)):
        raise refused(code.at, f"{code.name} fills {len(reader.out)} elements of {size}")
    forms = [reader.out[k] for k in range(size)]
    return _cast_in_turn(layer, _applied(layer, x, forms), [list(f.casts) for f in forms])


def _cast_in_turn(layer: Layer, a: str, casts: list[list[ApType]]) -> str:
    """Each element through its own casts; those of one pair of modes are done together, truncating ones first."""
    while any(casts):
        modes = min(((c[0].rounding, c[0].overflow) for c in casts if c), key=lambda m: (m != PLAIN, m))
        now = [c.pop(0) if c and (c[0].rounding, c[0].overflow) == modes else None for c in casts]
        a = layer.net.cast_each(a, now)
    return a


def _applied(layer: Layer, x: str, forms: list[Form]) -> str:
    net, n_in = layer.net, layer.net.size(x)
    frac = net.known[x].frac
    zero = all(f.constant == 0 for f in forms)
    if zero and all(f.frac == frac and len(f.terms) <= 1 and all(c == 1 for _, c in f.terms) for f in forms):
        dead = [k for k, f in enumerate(forms) if not f.terms]
        if not dead:
            return net.take(x, np.array([f.terms[0][0] for f in forms]))
        x = net.add(ops.Concat(0), x, net.constant(x, np.array([0], dtype=object), frac))
        return net.take(x, np.array([f.terms[0][0] if f.terms else n_in for f in forms]))
    top = max(f.frac for f in forms)
    forms = [f.on(top) for f in forms]
    w = np.zeros((n_in, len(forms)), dtype=object)
    for k, f in enumerate(forms):
        for i, c in f.terms:
            w[i, k] = c
    return net.affine(x, w, np.array([f.constant for f in forms], dtype=object), top - frac)


def rule(function: str, arguments: int) -> Rule:
    """How a call of a generated function is read."""
    return Rule(_lower, output=arguments - 1)


NAMES = re.compile(r"(dense_da_|wire_|requantize_)\w+")
"""Generated functions that are straight lines of sums, shifts and casts."""
