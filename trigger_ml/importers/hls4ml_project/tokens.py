"""C++ text as tokens: comments gone, conditionals and object-like macros resolved, local includes followed.

Only what hls4ml writes is understood. Everything else is refused with its file and line, never skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from trigger_ml.errors import ImportRefused

MAX_TOKENS = 10_000_000
MAX_DEPTH = 32

_TOKEN = re.compile(
    r"(?P<space>[ \t\r\f\v]+)|(?P<newline>\n)|(?P<comment>//[^\n]*|/\*.*?\*/)"
    r'|(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<number>\.?\d(?:[\w.]|(?<=[eEpP])[+-])*)'
    r"|(?P<name>[A-Za-z_]\w*)|(?P<mark>::|&&|\|\||==|!=|<=|>=|\+=|-=|\+\+|--|->|[-+*/%<>=!&|^~?:;,.(){}\[\]\#'\\])",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the source: its kind (``name``, ``number``, ``string``, ``mark``), text, file and line."""

    kind: str
    text: str
    file: str
    line: int


def refused(at: Token | None, why: str) -> ImportRefused:
    """The error to raise, with the place and the reason."""
    return ImportRefused(f"{at.file}:{at.line}: {why}" if at else why)


def text_of(tokens: Sequence[Token]) -> str:
    """The tokens as C++ again."""
    out = ""
    for t in tokens:
        glue = out and (out[-1].isalnum() or out[-1] == "_") and (t.text[0].isalnum() or t.text[0] == "_")
        out += (" " if glue else "") + t.text
    return out


def _words(text: str, file: str) -> Iterator[tuple[str, str, int]]:
    """Kind, text and line of every word; newlines are words, comments are not."""
    text = text.replace("\\\r\n", "").replace("\\\n", "")
    at, line = 0, 1
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ImportRefused(f"{file}:{line}: {text[at]!r} is not C++ as hls4ml writes it")
        kind, word = str(found.lastgroup), found.group()
        if kind == "comment":
            if "\n" in word:
                yield "newline", "\n", line
        elif kind != "space":
            yield kind, word, line
        line += word.count("\n")
        at = found.end()


class Preprocessor:
    """Reads a file and what it includes.

    Args:
        load: the text of a local file by its name; None for a header that is only compiled (nnet_utils, ap_*).
        defined: names of macros that are defined from outside.
    """

    def __init__(self, load: Callable[[str, Token], str | None], defined: Sequence[str] = ()) -> None:
        """Nothing is read yet."""
        self._load = load
        self._macros: dict[str, list[Token]] = {name: [] for name in defined}
        self._out: list[Token] = []

    def read(self, file: str, text: str) -> list[Token]:
        """All tokens of the file, in the order in which a compiler sees them."""
        self._file(file, text, 0)
        return self._out

    def _file(self, file: str, text: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ImportRefused(f"{file}: includes nest more than {MAX_DEPTH} deep")
        live: list[bool] = []
        for line in _lines(text, file):
            if line[0].text == "#":
                self._directive(line, live, depth)
            elif all(live):
                for token in line:
                    self._emit(token, frozenset())
        if live:
            raise ImportRefused(f"{file}: an #if has no #endif")

    def _emit(self, token: Token, inside: frozenset[str]) -> None:
        body = self._macros.get(token.text) if token.kind == "name" and token.text not in inside else None
        if body is None:
            self._out.append(token)
            if len(self._out) > MAX_TOKENS:
                raise refused(token, f"the project has more than {MAX_TOKENS} words: it is too large")
            return
        if len(inside) > MAX_DEPTH:
            raise refused(token, f"macros nest more than {MAX_DEPTH} deep")
        for part in body:
            self._emit(Token(part.kind, part.text, token.file, token.line), inside | {token.text})

    def _directive(self, line: list[Token], live: list[bool], depth: int) -> None:
        word = line[1].text if len(line) > 1 else ""
        if word in ("ifdef", "ifndef"):
            live.append((_name(line) in self._macros) == (word == "ifdef"))
        elif word in ("else", "endif"):
            if not live:
                raise refused(line[0], f"#{word} without #if")
            state = live.pop()
            if word == "else":
                live.append(not state)
        elif word in ("if", "elif"):
            raise refused(line[0], f"#{word} is not understood: hls4ml writes only #ifdef and #ifndef")
        elif all(live):
            self._plain(word, line, depth)

    def _plain(self, word: str, line: list[Token], depth: int) -> None:
        if word == "include":
            self._include(line, depth)
        elif word == "define":
            name = _name(line)
            if len(line) > 3 and line[3].text == "(":
                raise refused(line[0], f"the macro {name} takes arguments, which is not understood")
            self._macros[name] = line[3:]
        elif word == "undef":
            self._macros.pop(_name(line), None)
        elif word != "pragma" and word:
            raise refused(line[0], f"#{word} is not understood")

    def _include(self, line: list[Token], depth: int) -> None:
        if len(line) > 2 and line[2].text == "<":
            return
        if len(line) < 3 or line[2].kind != "string":
            raise refused(line[0], "an #include names no file")
        name = line[2].text[1:-1]
        text = self._load(name, line[2])
        if text is not None:
            self._file(name, text, depth + 1)


def _name(line: list[Token]) -> str:
    if len(line) < 3 or line[2].kind != "name":
        raise refused(line[0], "the directive names nothing")
    return line[2].text


def _lines(text: str, file: str) -> Iterator[list[Token]]:
    """Lines of tokens; those that aren't directives in one, so that nothing is split needlessly."""
    line: list[Token] = []
    for kind, word, number in _words(text, file):
        if kind == "newline":
            if line:
                yield line
            line = []
        else:
            line.append(Token(kind, word, file, number))
    if line:
        yield line


class Cursor:
    """A place in a list of tokens."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        """At the first token."""
        self.tokens = tokens
        self.at = 0

    @property
    def here(self) -> Token | None:
        """The token that comes next."""
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def peek(self, *texts: str) -> bool:
        """Whether these texts come next."""
        ahead = self.tokens[self.at : self.at + len(texts)]
        return len(ahead) == len(texts) and all(t.text == x for t, x in zip(ahead, texts, strict=True))

    def take(self) -> Token:
        """The next token, whatever it is."""
        if self.at >= len(self.tokens):
            raise refused(self.tokens[-1] if self.tokens else None, "the file ends in the middle of a statement")
        self.at += 1
        return self.tokens[self.at - 1]

    def skip(self, *texts: str) -> bool:
        """Go past these texts if they come next."""
        found = self.peek(*texts)
        if found:
            self.at += len(texts)
        return found

    def want(self, text: str) -> Token:
        """Go past this text, which has to come next."""
        token = self.take()
        if token.text != text:
            raise refused(token, f"{token.text!r} stands where {text!r} was expected")
        return token

    def name(self) -> Token:
        """An identifier."""
        token = self.take()
        if token.kind != "name":
            raise refused(token, f"{token.text!r} stands where a name was expected")
        return token

    def until(self, *ends: str) -> list[Token]:
        """The tokens before the first of ``ends`` that is outside all brackets, which is gone past."""
        start, depth = self.at, 0
        while True:
            token = self.take()
            if depth == 0 and token.text in ends:
                return list(self.tokens[start : self.at - 1])
            depth += (token.text in "([{") - (token.text in ")]}")
            if depth < 0:
                raise refused(token, f"{token.text!r} closes nothing")

    def inside(self, opening: str, closing: str) -> list[Token]:
        """The tokens between brackets, the first of which comes next."""
        self.want(opening)
        start, depth = self.at, 1
        while depth:
            token = self.take()
            depth += (token.text == opening) - (token.text == closing)
        return list(self.tokens[start : self.at - 1])


def split(tokens: Sequence[Token]) -> list[list[Token]]:
    """Parts between commas that are outside all brackets, ``<>`` among them."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for t in tokens:
        if t.text in ("(", "[", "{", "<"):
            depth += 1
        elif t.text in (")", "]", "}", ">"):
            depth -= 1
        if t.text == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(t)
    return parts if tokens else []
