"""From tokens to a program: the declarations and statements that hls4ml writes, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from trigger_ml.importers.hls4ml_project.ap_types import Opaque, Type
from trigger_ml.importers.hls4ml_project.constants import Scope, number
from trigger_ml.importers.hls4ml_project.program import Alias, Array, Call, Config, Function, Generated, Program
from trigger_ml.importers.hls4ml_project.tokens import Cursor, Token, refused, split, text_of

MAX_ELEMENTS = 1 << 22


class Reader:
    """Collects what the files of a project declare."""

    def __init__(self) -> None:
        """Nothing is declared yet."""
        self.scope = Scope()
        self.arrays: dict[str, Array] = {}
        self.functions: list[Function] = []
        self.generated: dict[str, Generated] = {}
        self.namespaces: list[str] = []
        self.namespace_of: dict[str, str] = {}
        self.loads: dict[str, tuple[str, Token]] = {}

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
            self.scope.types[name] = self.scope.type(cursor.until(";"))
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
        self.scope.types[tokens[-1].text] = self.scope.type(tokens[:-1])

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
        self.scope.members[name] = (at, base, values, types, aliases)
        while inside.here is not None:
            self._member(inside, values, types, aliases)

    def _member(
        self, cursor: Cursor, values: dict[str, list[Token]], types: dict[str, Type], aliases: dict[str, str]
    ) -> None:
        if cursor.skip(";"):
            return
        if cursor.skip("typedef"):
            tokens = cursor.until(";")
            types[tokens[-1].text if tokens else ""] = self.scope.type(tokens[:-1])
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
            array = self._array(
                cursor, name, self.scope.type(head[:-1]) if not member else Opaque("a static member"), at
            )
            if not member:
                self.arrays[name] = array
        elif cursor.skip("="):
            tokens = cursor.until(";")
            if member and head[-3].text in self.scope.members:
                self.scope.members[head[-3].text][2][name] = tokens
            elif not member:
                self.scope.constants[name] = tokens
        else:
            raise refused(at, f"the variable {name} has no value")

    def _array(self, cursor: Cursor, name: str, kind: Type, at: Token) -> Array:
        size, known = 1, True
        while cursor.peek("["):
            extent = cursor.inside("[", "]")
            known &= bool(extent)
            size *= self.scope.integer(extent, at) if extent else 1
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
        return self._array(cursor, texts[k - 1], self.scope.type(tokens[: k - 1]), tokens[k - 1])

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
        kind = self.scope.type(list(cursor.tokens[start : cursor.at]))
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
            name: Config(name, base, at, values, types, aliases, self.scope.value)
            for name, (at, base, values, types, aliases) in self.scope.members.items()
        }
        arrays = {
            n: Array(a.name, a.type, a.size, a.values, a.at, self.loads[n][0] if n in self.loads else None)
            for n, a in self.arrays.items()
        }
        space = self.namespace_of[top.name]
        return Program(self.scope.types, configs, arrays, self.generated, top, space, self.scope.type, self.scope.value)


def _frozen(parts: list[list[Token]]) -> tuple[tuple[Token, ...], ...]:
    return tuple(tuple(p) for p in parts)


def _last_name(tokens: list[Token], at: Token) -> str:
    names = [t.text for t in tokens[: [*(t.text for t in tokens), "["].index("[")] if t.kind == "name"]
    if not names:
        raise refused(at, f"a parameter of {at.text} has no name")
    return names[-1]
