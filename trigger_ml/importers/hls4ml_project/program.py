"""What a project says: types, constants, arrays, layer configurations and the top function's statements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from trigger_ml.importers.hls4ml_project.ap_types import ApType, Type
from trigger_ml.importers.hls4ml_project.tokens import Token, refused, text_of


@dataclass(frozen=True)
class Config:
    """A ``struct``: members by name, each the tokens of its value, evaluated when a layer asks for it."""

    name: str
    base: str
    at: Token
    values: Mapping[str, list[Token]]
    types: Mapping[str, Type]
    aliases: Mapping[str, str]
    evaluate: Callable[[list[Token], Mapping[str, list[Token]]], int | Fraction | str] = field(repr=False)

    def number(self, name: str, default: int | None = None) -> int:
        """An integer member."""
        value = self._value(name, default)
        if not isinstance(value, int):
            raise refused(self.at, f"{name} of {self.name} is {value}, not an integer")
        if abs(value) >> 31:
            raise refused(self.at, f"{name} of {self.name} is {value}, beyond 32 bits")
        return value

    def word(self, name: str, default: str) -> str:
        """A member that is one of hls4ml's words, ``latency`` for ``nnet::latency``."""
        return str(self._value(name, default)).rpartition("::")[2]

    def type(self, name: str) -> ApType:
        """A type member."""
        found = self.types.get(name)
        if found is None:
            raise refused(self.at, f"{self.name} says no {name}")
        if not isinstance(found, ApType):
            raise refused(self.at, f"{name} of {self.name} {found.why}")
        return found

    def alias(self, name: str, default: str) -> str:
        """The last word of a template alias, ``mult`` for ``nnet::product::mult<x_T, y_T>``."""
        return self.aliases.get(name, default)

    def _value(self, name: str, default: int | str | None) -> int | Fraction | str:
        tokens = self.values.get(name)
        if tokens is None:
            if default is None:
                raise refused(self.at, f"{self.name} says no {name}")
            return default
        return self.evaluate(tokens, self.values)


@dataclass(frozen=True)
class Array:
    """A named array: its element type, size, and numbers where it has any."""

    name: str
    type: Type
    size: int
    values: tuple[Fraction, ...] | None
    at: Token
    file: str | None = None  # the text file that the simulation reads it from


@dataclass(frozen=True)
class Call:
    """A layer: the function's name, template arguments and arguments, all as tokens."""

    function: str
    template: tuple[tuple[Token, ...], ...]
    arguments: tuple[tuple[Token, ...], ...]
    at: Token

    @property
    def text(self) -> str:
        """The statement as C++."""
        inner = ", ".join(text_of(t) for t in self.template)
        return f"{self.function}{f'<{inner}>' if inner else ''}({', '.join(text_of(a) for a in self.arguments)});"

    def argument(self, k: int) -> str:
        """The text of an argument."""
        if k >= len(self.arguments):
            raise refused(self.at, f"{self.function} has {len(self.arguments)} arguments, too few")
        return text_of(self.arguments[k])

    def with_arguments(self, replaced: Mapping[int, str]) -> str:
        """The statement with other names for some arguments."""
        inner = ", ".join(text_of(t) for t in self.template)
        names = [replaced.get(k, text_of(a)) for k, a in enumerate(self.arguments)]
        return f"{self.function}{f'<{inner}>' if inner else ''}({', '.join(names)});"


@dataclass(frozen=True)
class Alias:
    """``auto& name = other;``."""

    name: str
    other: str
    at: Token


@dataclass(frozen=True)
class Function:
    """A function with a body: parameters as arrays, local arrays, statements in order."""

    name: str
    parameters: tuple[Array, ...]
    locals: Mapping[str, Array]
    statements: tuple[Call | Alias, ...]
    at: Token


@dataclass(frozen=True)
class Generated:
    """A function of straight-line code that hls4ml or this project generated; read only when a layer calls it."""

    name: str
    parameters: tuple[str, ...]
    body: tuple[Token, ...]
    at: Token


@dataclass(frozen=True)
class Program:
    """The whole project."""

    types: Mapping[str, Type]
    configs: Mapping[str, Config]
    arrays: Mapping[str, Array]
    generated: Mapping[str, Generated]
    top: Function
    namespace: str
    read_type: Callable[[list[Token]], Type] = field(repr=False)
    read_value: Callable[[list[Token]], int | Fraction | str] = field(repr=False)

    def type_of(self, tokens: tuple[Token, ...], at: Token) -> ApType:
        """A template argument that is a type."""
        found = self.read_type(list(tokens))
        if not isinstance(found, ApType):
            raise refused(at, f"{text_of(tokens)} {found.why}")
        return found

    def config_of(self, tokens: tuple[Token, ...], at: Token) -> Config:
        """A template argument that is a configuration."""
        name = text_of(tokens).rpartition("::")[2]
        if name not in self.configs:
            raise refused(at, f"the configuration {name} is nowhere defined")
        return self.configs[name]
