"""From tokens to a program: the declarations and statements that hls4ml writes, and no others."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from trigger_ml.fixed import Overflow, Rounding
from trigger_ml.importers.hls4ml_project.ap_types import MAX_AP_WIDTH, ApType, Opaque, Type
from trigger_ml.importers.hls4ml_project.program import Alias, Array, Call, Config, Function, Generated, Program
from trigger_ml.importers.hls4ml_project.tokens import Cursor, Token, refused, split, text_of

Value = int | Fraction | str
MAX_ELEMENTS = 1 << 22
MAX_DEPTH = 64
BUILTIN = {"bool", "char", "int", "unsigned", "long", "short", "float", "double", "half", "size_t", "auto", "void"}
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


class Reader:
    """Collects what the files of a project declare."""

    def __init__(self) -> None:
        """Nothing is declared yet."""
        self.types: dict[str, Type] = {}
        self.constants: dict[str, list[Token]] = {}
        self.members: dict[str, tuple[Token, str, dict[str, list[Token]], dict[str, Type], dict[str, str]]] = {}
        self.arrays: dict[str, Array] = {}
        self.functions: list[Function] = []
        self.generated: dict[str, Generated] = {}
        self.namespaces: list[str] = []
        self.namespace_of: dict[str, str] = {}
        self.loads: dict[str, tuple[str, Token]] = {}

    # -- values and types ---------------------------------------------------------------------------------------------

    def value(self, tokens: Sequence[Token], members: Mapping[str, list[Token]] | None = None, depth: int = 0) -> Value:
        """A constant expression: an integer, a fraction, or one of hls4ml's words."""
        if depth > MAX_DEPTH:
            raise refused(tokens[0] if tokens else None, "constants refer to each other in a circle")
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

    # -- declarations -------------------------------------------------------------------------------------------------

    def read(self, tokens: Sequence[Token]) -> None:
        """Everything at namespace scope."""
        cursor = Cursor(tokens)
        open_: list[str] = []
        while cursor.here is not None:
            at = cursor.here
            if at.text == "}" and open_:
                cursor.take()
                open_.pop()
                cursor.skip(";")
            elif cursor.skip("namespace"):
                open_.append(cursor.name().text)
                cursor.want("{")
                self.namespaces.append("::".join(open_))
            else:
                self._declaration(cursor, "::".join(open_))
        if open_:
            raise refused(tokens[-1], f"the namespace {open_[-1]} is not closed")

    def _declaration(self, cursor: Cursor, scope: str) -> None:
        if cursor.skip(";"):
            return
        if cursor.skip("using", "namespace"):
            cursor.until(";")
        elif cursor.skip("using"):
            name = cursor.name().text
            cursor.want("=")
            self.types[name] = self.type(cursor.until(";"))
        elif cursor.skip("typedef"):
            self._typedef(cursor)
        elif cursor.peek("struct"):
            self._struct(cursor)
        elif cursor.skip("extern"):
            cursor.until(";")
        elif cursor.peek("template"):
            raise refused(cursor.here, "a template stands outside nnet_utils, which is not understood")
        else:
            self._named_thing(cursor, scope)

    def _typedef(self, cursor: Cursor) -> None:
        tokens = cursor.until(";")
        if len(tokens) < 2 or tokens[-1].kind != "name":
            raise refused(cursor.tokens[cursor.at - 1], "a typedef names nothing")
        self.types[tokens[-1].text] = self.type(tokens[:-1])

    def _struct(self, cursor: Cursor) -> None:
        at = cursor.want("struct")
        name, base = cursor.name().text, ""
        if cursor.skip(";"):
            return
        if cursor.skip(":"):
            cursor.skip("public")
            base = cursor.name().text
            while cursor.skip("::"):
                base = cursor.name().text
        inside = Cursor(cursor.inside("{", "}"))
        cursor.want(";")
        values: dict[str, list[Token]] = {}
        types: dict[str, Type] = {}
        aliases: dict[str, str] = {}
        self.members[name] = (at, base, values, types, aliases)
        while inside.here is not None:
            self._member(inside, values, types, aliases)

    def _member(
        self, cursor: Cursor, values: dict[str, list[Token]], types: dict[str, Type], aliases: dict[str, str]
    ) -> None:
        if cursor.skip(";"):
            return
        if cursor.skip("typedef"):
            tokens = cursor.until(";")
            types[tokens[-1].text if tokens else ""] = self.type(tokens[:-1])
        elif cursor.skip("template"):
            cursor.inside("<", ">")
            cursor.want("using")
            name = cursor.name().text
            cursor.want("=")
            what = cursor.until(";")
            words = [t.text for t in what[: [*(t.text for t in what), "<"].index("<")]]
            aliases[name] = words[-1] if words else ""
        elif cursor.peek("static"):
            tokens = cursor.until(";")
            texts = [t.text for t in tokens]
            if "=" not in texts:  # its value stands outside the struct
                return
            equals = texts.index("=")
            if texts[equals - 1] == "]":
                equals_name = texts[:equals].index("[") - 1
            else:
                equals_name = equals - 1
            values[texts[equals_name]] = tokens[equals + 1 :]
        else:
            at = cursor.take()
            raise refused(at, f"{at.text!r} is not understood in a struct")

    def _named_thing(self, cursor: Cursor, scope: str) -> None:
        """A variable, an array or a function."""
        start = cursor.at
        while cursor.here is not None and cursor.here.text not in ("(", "[", "=", ";"):
            if cursor.peek("<"):
                cursor.inside("<", ">")
            else:
                token = cursor.take()
                if token.kind != "name" and token.text not in ("::", "*", "&"):
                    raise refused(token, f"{token.text!r} is not understood here")
        head = list(cursor.tokens[start : cursor.at])
        if len(head) < 2 or head[-1].kind != "name":
            raise refused(cursor.here or head[-1], "a declaration that is not understood")
        name, at = head[-1].text, head[-1]
        member = len(head) > 2 and head[-2].text == "::"
        if cursor.peek("("):
            self._function(cursor, name, at, scope)
        elif cursor.peek("["):
            array = self._array(cursor, name, self.type(head[:-1]) if not member else Opaque("a static member"), at)
            if not member:
                self.arrays[name] = array
        elif cursor.skip("="):
            tokens = cursor.until(";")
            if member and head[-3].text in self.members:
                self.members[head[-3].text][2][name] = tokens
            elif not member:
                self.constants[name] = tokens
        else:
            raise refused(at, f"the variable {name} has no value")

    def _array(self, cursor: Cursor, name: str, kind: Type, at: Token) -> Array:
        size, known = 1, True
        while cursor.peek("["):
            extent = cursor.inside("[", "]")
            known &= bool(extent)
            size *= self.integer(extent, at) if extent else 1
        values = None
        if cursor.skip("="):
            inside = cursor.inside("{", "}")
            cursor.want(";")
            values = tuple(self._numbers(inside))
            if not known:
                size = len(values)
        else:
            cursor.want(";")
        if not 1 <= size <= MAX_ELEMENTS:
            raise refused(at, f"the array {name} has {size} elements")
        if values is not None and len(values) != size:
            raise refused(at, f"the array {name} has {size} elements and {len(values)} numbers")
        return Array(name, kind, size, values, at)

    def _numbers(self, tokens: list[Token]) -> list[Fraction]:
        numbers, sign = [], 1
        for t in tokens:
            if t.text == "-":
                sign = -sign
            elif t.kind == "number":
                numbers.append(sign * Fraction(number(t)))
                sign = 1
            elif t.text not in (",", "{", "}"):
                raise refused(t, f"{t.text!r} stands among an array's numbers")
        return numbers

    # -- functions ----------------------------------------------------------------------------------------------------

    def _function(self, cursor: Cursor, name: str, at: Token, scope: str) -> None:
        parameters = [self._parameter(p, at) for p in split(cursor.inside("(", ")"))]
        if cursor.skip(";"):
            return
        if not cursor.peek("{"):
            raise refused(cursor.here or at, f"the function {name} has no body")
        body = Cursor(cursor.inside("{", "}"))
        local: dict[str, Array] = {}
        statements: list[Call | Alias] = []
        flags: set[str] = set()
        while body.here is not None:
            self._statement(body, local, statements, flags)
        self.functions.append(Function(name, tuple(parameters), local, tuple(statements), at))
        self.namespace_of[name] = scope

    def _parameter(self, tokens: list[Token], at: Token) -> Array:
        texts = [t.text for t in tokens]
        if "stream" in texts:
            raise refused(
                at, f"{text_of(tokens)} is a stream: io_stream projects are refused, write the project io_parallel"
            )
        if "[" not in texts or texts.index("[") < 2:
            raise refused(at, f"the parameter {text_of(tokens)} is not an array")
        k = texts.index("[")
        cursor = Cursor([*tokens[k:], Token("mark", ";", at.file, at.line)])
        return self._array(cursor, texts[k - 1], self.type(tokens[: k - 1]), tokens[k - 1])

    def _statement(
        self, cursor: Cursor, local: dict[str, Array], statements: list[Call | Alias], flags: set[str]
    ) -> None:
        if cursor.skip(";") or cursor.skip("return", ";"):
            return
        if cursor.skip("static", "bool"):
            flags.add(cursor.name().text)
            for text in ("=", "false", ";"):
                cursor.want(text)
        elif cursor.skip("if"):
            self._loads(cursor, flags)
        elif cursor.skip("auto", "&"):
            at = cursor.name()
            cursor.want("=")
            statements.append(Alias(at.text, cursor.name().text, at))
            cursor.want(";")
        else:
            self._call_or_local(cursor, local, statements)

    def _loads(self, cursor: Cursor, flags: set[str]) -> None:
        """``if (!loaded) { load_weights_from_txt ...; loaded = true; }``, which only the simulation has."""
        cursor.want("(")
        cursor.want("!")
        flag = cursor.name()
        if flag.text not in flags:
            raise refused(flag, "an if that is not the loading of weights")
        cursor.want(")")
        body = Cursor(cursor.inside("{", "}"))
        while body.here is not None:
            if not body.skip(flag.text, "=", "true", ";"):
                self._call_or_local(body, {}, [])

    def _call_or_local(self, cursor: Cursor, local: dict[str, Array], statements: list[Call | Alias]) -> None:
        start, at = cursor.at, cursor.name()
        path = [at.text]
        while cursor.skip("::"):
            path.append(cursor.name().text)
        template: list[list[Token]] = []
        if cursor.peek("<"):
            template = split(cursor.inside("<", ">"))
        function = "::".join(path)
        if function == "hls::stream":
            raise refused(at, "hls::stream is io_stream, which is refused: write the project io_parallel")
        if cursor.peek("("):
            arguments = split(cursor.inside("(", ")"))
            cursor.want(";")
            self._call(Call(function, _frozen(template), _frozen(arguments), at), statements)
            return
        kind = self.type(list(cursor.tokens[start : cursor.at]))
        name = cursor.name()
        if not cursor.peek("["):
            raise refused(name, f"{name.text} is declared in a way that is not understood")
        if name.text in local:
            raise refused(name, f"{name.text} is declared twice")
        local[name.text] = self._array(cursor, name.text, kind, name)

    def _call(self, call: Call, statements: list[Call | Alias]) -> None:
        if call.function == "nnet::save_layer_output":
            return
        if call.function == "nnet::load_weights_from_txt":
            name, file = call.argument(0), call.argument(1)
            self.loads[name] = (file.strip('"'), call.at)
        elif call.function.startswith("nnet::load_"):
            raise refused(call.at, f"{call.function} loads weights of a kind that is not understood")
        else:
            statements.append(call)

    # -- code that was generated --------------------------------------------------------------------------------------

    def read_generated(self, tokens: Sequence[Token]) -> None:
        """Free functions of ``nnet_code_gen.h``; whatever else is there is left to the compiler."""
        cursor = Cursor(tokens)
        while cursor.here is not None:
            if not cursor.skip("void"):
                cursor.take()
                continue
            if cursor.here is None or cursor.here.kind != "name":
                continue
            at = cursor.name()
            if not cursor.peek("("):
                continue
            parameters = [_last_name(p, at) for p in split(cursor.inside("(", ")"))]
            if cursor.peek("{"):
                self.generated[at.text] = Generated(at.text, tuple(parameters), tuple(cursor.inside("{", "}")), at)

    # -- the result ---------------------------------------------------------------------------------------------------

    def program(self, stem: str) -> Program:
        """The program; its top function is the one that calls layers, or among several the one of that name."""
        tops = [f for f in self.functions if any(isinstance(s, Call) for s in f.statements)]
        named = [f for f in tops if f.name == stem]
        if len(named or tops) != 1:
            raise refused(None, f"{len(tops)} functions call layers: a project has one, named like its file")
        top = (named or tops)[0]
        configs = {
            name: Config(name, base, at, values, types, aliases, self.value)
            for name, (at, base, values, types, aliases) in self.members.items()
        }
        arrays = {
            n: Array(a.name, a.type, a.size, a.values, a.at, self.loads[n][0] if n in self.loads else None)
            for n, a in self.arrays.items()
        }
        space = self.namespace_of[top.name]
        return Program(self.types, configs, arrays, self.generated, top, space, self.type, self.value)


def _frozen(parts: list[list[Token]]) -> tuple[tuple[Token, ...], ...]:
    return tuple(tuple(p) for p in parts)


def _last_name(tokens: list[Token], at: Token) -> str:
    names = [t.text for t in tokens[: [*(t.text for t in tokens), "["].index("[")] if t.kind == "name"]
    if not names:
        raise refused(at, f"a parameter of {at.text} has no name")
    return names[-1]
