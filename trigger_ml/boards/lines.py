"""Reading text files of frames line by line, so that every error names its line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trigger_ml.boards.frames import FLAGS, LAST_LINK, MAX_FRAMES, Frames
from trigger_ml.errors import ArtifactError

MOST_BYTES = 64 << 20
"""A file that is larger is none of these: 1024 frames of 1000 links have 30 MB."""


@dataclass(frozen=True)
class Word:
    """One word with its flags."""

    data: int
    valid: bool = False
    start: bool = False
    end: bool = False
    orbit: bool = False
    strobe: bool = True


class Lines:
    """The lines of a file, taken one after the other.

    Attributes:
        where: the file's name, for errors.
        number: of the line taken last, from 1.
    """

    def __init__(self, content: bytes, where: str) -> None:
        """Take a file's content.

        Raises:
            ArtifactError: it is too large or not ASCII.
        """
        self.where, self.number = where, 0
        if len(content) > MOST_BYTES:
            raise ArtifactError(f"{where} has {len(content)} bytes: a pattern file has at most {MOST_BYTES}")
        try:
            text = content.decode("ascii")
        except UnicodeDecodeError as error:
            self.number = content.count(b"\n", 0, error.start) + 1
            raise self.wrong("it holds a byte that is not ASCII") from None
        self._lines = text.replace("\r\n", "\n").split("\n")
        if self._lines[-1] == "":
            self._lines.pop()

    def wrong(self, reason: str) -> ArtifactError:
        """The error that stands at the line taken last."""
        return ArtifactError(f"{self.where}, line {max(self.number, 1)}: {reason}")

    def take(self, what: str) -> str:
        """The next line as it is.

        Raises:
            ArtifactError: there is none.
        """
        if self.number >= len(self._lines):
            raise self.wrong(f"the file ends here, but {what} must follow")
        self.number += 1
        return self._lines[self.number - 1]

    def rest(self) -> Iterator[str]:
        """The lines that are left."""
        while self.number < len(self._lines):
            yield self.take("")

    def meaningful(self, what: str) -> str:
        """The next line that is neither empty nor a comment.

        Raises:
            ArtifactError: there is none.
        """
        while True:
            line = self.take(what)
            if line.strip() and not line.startswith("#"):
                return line

    def links(self, numbers: Sequence[str], what: str) -> tuple[int, ...]:
        """Link numbers from their column labels.

        Raises:
            ArtifactError: none, not numbers, or not ascending.
        """
        if not numbers:
            raise self.wrong(f"there is no {what}: name at least one")
        for n in numbers:
            if not n.isdigit() or len(n) > 3:
                raise self.wrong(f"{n[:40]!r} is no {what}: it must be a number from 0 to {LAST_LINK}")
        found = tuple(int(n) for n in numbers)
        for a, b in zip(found, found[1:], strict=False):
            if a >= b:
                raise self.wrong(f"{what} {b} stands behind {a}: each must stand once, in ascending order")
        return found

    def row(self, words: Sequence[Word], links: tuple[int, ...], before: int) -> Sequence[Word]:
        """One frame's words, counted.

        Raises:
            ArtifactError: too few or too many words, or too many frames.
        """
        if len(words) != len(links):
            raise self.wrong(f"there are {len(words)} words for {len(links)} links")
        if before >= MAX_FRAMES:
            raise self.wrong(f"a file holds at most {MAX_FRAMES} frames: split it")
        return words

    def frames(self, name: str, links: tuple[int, ...], rows: Sequence[Sequence[Word]]) -> Frames:
        """All of it."""
        shape = (len(rows), len(links))
        flat = [word for row in rows for word in row]
        words = np.array([w.data for w in flat], np.uint64).reshape(shape)
        flags = {key: np.array([getattr(w, key) for w in flat], np.bool_).reshape(shape) for key in FLAGS}
        return Frames(name, links, words, **flags)


def shown(token: str) -> str:
    """A token in an error, shortened."""
    return repr(token if len(token) <= 40 else f"{token[:37]}...")
