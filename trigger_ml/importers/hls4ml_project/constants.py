"""Constant expressions and type names, as far as hls4ml writes them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from trigger_ml.fixed import Overflow, Rounding
from trigger_ml.importers.hls4ml_project.ap_types import MAX_AP_WIDTH, ApType, Opaque, Type
from trigger_ml.importers.hls4ml_project.tokens import Cursor, Token, refused, split, text_of

Value = int | Fraction | str
MAX_DEPTH = 64
MAX_STEPS = 10_000
AP = {"ap_fixed": True, "ap_ufixed": False, "ap_int": True, "ap_uint": False}
SATURATION_BITS = {"AP_SAT": 0, "AP_SAT_ZERO": 1, "AP_SAT_SYM": 2, "AP_WRAP": 3, "AP_WRAP_SM": 4}
"""``ap_o_mode`` as a number: old versions of hls4ml print a mode in place of the number of saturated bits."""

_LEVELS: tuple[dict[str, Callable[[int, int], int]], ...] = (
    {"==": operator.eq, "!=": operator.ne},
    {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge},
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": operator.floordiv, "%": operator.mod},
)


def number(token: Token) -> int | Fraction:
    """A literal: an integer, or the double that the compiler makes of it."""
    text = token.text
    if re.fullmatch(r"(0[xX][0-9a-fA-F]{1,32}|\d{1,40})[uUlL]*", text):
        digits = text.rstrip("uUlL")
        if digits.startswith("0") and digits.isdigit() and digits.strip("0"):
            raise refused(token, f"the octal number {text} is not understood")
        return int(digits, 16) if digits[:2] in ("0x", "0X") else int(digits)
    if re.fullmatch(r"(\d{1,400}\.?\d{0,400}|\.\d{1,400})([eE][+-]?\d{1,4})?", text):
        value = float(text)
        if value != float("inf"):
            return Fraction(value)
    raise refused(token, f"{text!r} is no number")


class Scope:
    """The names of a project that stand for a number, a type or a configuration.

    Attributes:
        types: by name.
        constants: the tokens of each constant's value.
        members: of each ``struct`` its place, base, values, types and aliases.
    """

    def __init__(self) -> None:
        """Nothing is named yet."""
        self.types: dict[str, Type] = {}
        self.constants: dict[str, list[Token]] = {}
        self._steps = 0
        self.members: dict[str, tuple[Token, str, dict[str, list[Token]], dict[str, Type], dict[str, str]]] = {}

    def value(self, tokens: Sequence[Token], members: Mapping[str, list[Token]] | None = None, depth: int = 0) -> Value:
        """A constant expression: an integer, a fraction, or one of hls4ml's words."""
        self._steps = self._steps + 1 if depth else 0
        if depth > MAX_DEPTH or self._steps > MAX_STEPS:
            raise refused(tokens[0] if tokens else None, "constants refer to each other in a circle, or without end")
        if not tokens:
            raise refused(None, "a constant has no value")
        cursor = Cursor(list(tokens))
        found = self._choice(cursor, members or {}, depth)
        if cursor.here is not None:
            raise refused(cursor.here, f"{cursor.here.text!r} is not understood in the constant {text_of(tokens)}")
        return found

    def integer(self, tokens: Sequence[Token], at: Token) -> int:
        """A constant expression that is an integer."""
        found = self.value(tokens)
        if not isinstance(found, int):
            raise refused(at, f"{text_of(tokens)} is not an integer")
        return found

    def _choice(self, cursor: Cursor, members: Mapping[str, list[Token]], depth: int) -> Value:
        found = self._binary(cursor, members, depth, 0)
        if cursor.skip("?"):
            yes = self._choice(cursor, members, depth + 1)
            cursor.want(":")
            no = self._choice(cursor, members, depth + 1)
            return yes if found else no
        return found

    def _binary(self, cursor: Cursor, members: Mapping[str, list[Token]], depth: int, level: int) -> Value:
        if depth > MAX_DEPTH:
            raise refused(cursor.here, "the expression nests too deep")
        if level == len(_LEVELS):
            return self._unary(cursor, members, depth + 1)
        left = self._binary(cursor, members, depth, level + 1)
        while cursor.here is not None and cursor.here.text in _LEVELS[level]:
            sign = cursor.take()
            right = self._binary(cursor, members, depth, level + 1)
            if not (isinstance(left, int) and isinstance(right, int)):
                raise refused(sign, f"{left} {sign.text} {right} is not understood")
            if sign.text in "/%" and right == 0:
                raise refused(sign, "a division by zero")
            left = int(_LEVELS[level][sign.text](left, right))
            if abs(left) >> 200:
                raise refused(sign, "a constant is beyond 200 bits")
        return left

    def _unary(self, cursor: Cursor, members: Mapping[str, list[Token]], depth: int) -> Value:
        if depth > MAX_DEPTH:
            raise refused(cursor.here, "the expression nests too deep")
        token = cursor.take()
        if token.text == "-":
            inner = self._unary(cursor, members, depth + 1)
            if isinstance(inner, str):
                raise refused(token, f"-{inner} is no number")
            return -inner
        if token.text == "(":
            inner = self._choice(cursor, members, depth + 1)
            cursor.want(")")
            return inner
        if token.kind == "number":
            return number(token)
        if token.kind != "name":
            raise refused(token, f"{token.text!r} is not understood in a constant")
        return self._named(token, cursor, members, depth)

    def _named(self, token: Token, cursor: Cursor, members: Mapping[str, list[Token]], depth: int) -> Value:
        if token.text in ("true", "false"):
            return int(token.text == "true")
        if token.text in ("DIV_ROUNDUP", "MIN", "MAX") and cursor.peek("("):
            parts = [self.value(p, members, depth + 1) for p in split(cursor.inside("(", ")"))]
            if len(parts) != 2 or not all(isinstance(p, int) for p in parts) or parts[1] == 0:
                raise refused(token, f"{token.text} takes two integers")
            n, d = (int(p) for p in parts)
            return {"DIV_ROUNDUP": (n + d - 1) // d, "MIN": min(n, d), "MAX": max(n, d)}[token.text]
        path = [token.text]
        while cursor.skip("::"):
            path.append(cursor.name().text)
        if len(path) > 1 and path[-2] in self.members and path[-1] in self.members[path[-2]][2]:
            inside = self.members[path[-2]][2]
            return self.value(inside[path[-1]], inside, depth + 1)
        for scope in (members if len(path) == 1 else {}, self.constants):
            if path[-1] in scope:
                return self.value(scope[path[-1]], members, depth + 1)
        return "::".join(path)

    def type(self, tokens: list[Token]) -> Type:
        """A type: one of ap_*'s, a name that stands for one, or something opaque."""
        words = [t for t in tokens if t.text not in ("const", "static", "typename", "constexpr", "struct")]
        if not words:
            raise refused(tokens[0] if tokens else None, "a type is missing")
        if words[0].text in AP:
            return self._ap(words)
        path = [t.text for t in words if t.text != "::"]
        if all(t.kind == "name" or t.text == "::" for t in words) and path[-1] in self.types:
            return self.types[path[-1]]
        return Opaque(text_of(words))

    def _ap(self, words: list[Token]) -> Type:
        cursor = Cursor(words[1:])
        parts = split(cursor.inside("<", ">"))
        if cursor.here is not None:
            raise refused(cursor.here, f"{text_of(words)} is not understood as a type")
        at, name = words[0], words[0].text
        whole = "int" in name
        if not (len(parts) == 1 if whole else 2 <= len(parts) <= 5):
            raise refused(at, f"{text_of(words)} has {len(parts)} parameters")
        width = self.integer(parts[0], at)
        integer = width if whole else self.integer(parts[1], at)
        if not 1 <= width <= MAX_AP_WIDTH or abs(integer) > MAX_AP_WIDTH:
            raise refused(at, f"{text_of(words)} has no sensible width")
        rounding, overflow, bits = "TRN", "WRAP", 0
        if len(parts) > 2:
            rounding = self._mode(parts[2], at)
        if len(parts) > 3:
            overflow = self._mode(parts[3], at)
        if len(parts) > 4:
            last = self.value(parts[4])
            bits = SATURATION_BITS.get(str(last), last if isinstance(last, int) else -1)
        if rounding not in Rounding.__members__ or overflow not in Overflow.__members__:
            raise refused(at, f"{text_of(words)}: the mode {rounding} or {overflow} is not one that is understood")
        if overflow == "WRAP" and bits != 0:
            raise refused(at, f"{text_of(words)}: AP_WRAP with saturated bits is not understood")
        return ApType(AP[name], width, integer, Rounding(rounding), Overflow(overflow), whole)

    def _mode(self, tokens: list[Token], at: Token) -> str:
        word = text_of(tokens).rpartition("::")[2]
        if not word.startswith("AP_"):
            raise refused(at, f"{word!r} is no mode of ap_fixed")
        return word.removeprefix("AP_")
