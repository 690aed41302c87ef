"""What a board's links carry: for each frame and link one 64-bit word and its flags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SpecError

Flags = NDArray[np.bool_]

MAX_FRAMES = 1024
"""Frames that a board's buffer holds, and so a file."""

LAST_LINK = 999
"""The highest link number that the columns of the files have room for."""

FLAGS = ("valid", "start", "end", "orbit", "strobe")


@dataclass(frozen=True, eq=False)
class Frames:
    """The content of one file.

    Attributes:
        name: of the board or of what the words are; EMP files hold it.
        links: link numbers, ascending.
        words: uint64 ``(frames, links)``.
        valid: the word means something.
        start: first word of a packet.
        end: last word of a packet.
        orbit: first word of an orbit.
        strobe: the word is there in this clock; False where a link is slower than the clock.
    """

    name: str
    links: tuple[int, ...]
    words: NDArray[np.uint64]
    valid: Flags
    start: Flags
    end: Flags
    orbit: Flags
    strobe: Flags

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            SpecError: shapes that don't fit, links out of order, too many frames, or a name that isn't one line.
        """
        shape = (len(self.words), len(self.links))
        if any(getattr(self, key).shape != shape for key in ("words", *FLAGS)) or self.words.dtype != np.uint64:
            raise SpecError(f"frames of {shape[1]} links: words and flags must all have the shape (frames, links)")
        if list(self.links) != sorted(set(self.links)) or not all(0 <= n <= LAST_LINK for n in self.links):
            raise SpecError(f"links {list(self.links)}: give ascending numbers from 0 to {LAST_LINK}")
        if not self.links or shape[0] > MAX_FRAMES:
            raise SpecError(f"{shape[0]} frames of {shape[1]} links: a file holds 1 link or more, {MAX_FRAMES} frames")
        if self.name != self.name.strip() or not self.name.isprintable() or not self.name.isascii():
            raise SpecError(f"the name {self.name!r} must be one line of printable ASCII without blanks around it")

    def same(self, other: Frames, *flags: str) -> bool:
        """Whether links, words and these flags (all by default) are equal."""
        keys = ("words", *(flags or FLAGS))
        return self.links == other.links and all(np.array_equal(getattr(self, k), getattr(other, k)) for k in keys)


def frames(name: str, links: tuple[int, ...], words: NDArray[np.uint64], **flags: Any) -> Frames:
    """Frames with some flags given; the others are off, but the strobe, which is on."""
    found = {key: np.asarray(flags.pop(key, np.full(words.shape, key == "strobe")), np.bool_) for key in FLAGS}
    if flags:
        raise SpecError(f"there is no flag {next(iter(flags))!r}: the flags are {', '.join(FLAGS)}")
    return Frames(name, links, words, **found)
