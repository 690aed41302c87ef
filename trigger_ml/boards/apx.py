"""APx buffer files, as CMSSW's ``L1Trigger/DemonstratorTools`` writes and reads them.

The sideband says: bit 0 valid, 1 start of packet, 2 first frame of an orbit, 3 end of packet, 4 to 7 errors and
reserve. CMSSW leaves bit 2 out when it writes and ignores it when it reads; here it is kept. The format has no place
for a name or a comment: CMSSW refuses any further line.
"""

from __future__ import annotations

import re

from trigger_ml.boards.frames import Frames
from trigger_ml.boards.lines import Lines, Word, shown

FLAGS = ("valid", "start", "end", "orbit")
"""The flags that it holds."""

BITS = {"valid": 0, "start": 1, "orbit": 2, "end": 3}


def write(content: Frames) -> str:
    """The text of a file."""
    labels = "".join(f"                LINK_{n:02d}    " for n in content.links)
    lines = ["#Sideband ON", f"#LinkLabel{labels}", "#BeginData"]
    side = sum(getattr(content, flag).astype(int) << bit for flag, bit in BITS.items())
    for f, (row, bits) in enumerate(zip(content.words.tolist(), side.tolist(), strict=True)):
        words = "".join(f"    0x{b:02x} 0x{word:016x}" for word, b in zip(row, bits, strict=True))
        lines.append(f"0x{f:04x}{words}")
    return "\n".join([*lines, ""])


def read(content: bytes, where: str) -> Frames:
    """The inverse of :func:`write`; the name is empty.

    Raises:
        ArtifactError: with line and reason.
    """
    lines = Lines(content, where)
    line = lines.take('the line "#Sideband ON"')
    if line.startswith("#Sideband"):
        if line.split() != ["#Sideband", "ON"]:
            raise lines.wrong(f'{shown(line)}: only "#Sideband ON" is read')
        line = lines.take('the line "#LinkLabel"')
    labels = line.split()
    if not line.startswith("#LinkLabel") or labels[0] != "#LinkLabel":
        raise lines.wrong(f'the line must begin with "#LinkLabel", not {shown(line)}')
    for label in labels[1:]:
        if not label.startswith("LINK_"):
            raise lines.wrong(f"{shown(label)} is no link: it must be LINK_ and a number")
    links = lines.links([label.removeprefix("LINK_") for label in labels[1:]], "link")
    if lines.take('the line "#BeginData"').rstrip() != "#BeginData":
        raise lines.wrong('the line must be "#BeginData"')
    rows: list[list[Word]] = []
    for line in lines.rest():
        tokens = line.split()
        if len(tokens) != 2 * len(links) + 1:
            raise lines.wrong(f"there are {len(tokens)} numbers, not {2 * len(links) + 1}")
        if _number(lines, tokens[0], 8) != len(rows):
            raise lines.wrong(f"the frame is {shown(tokens[0])}, but 0x{len(rows):04x} must follow")
        row = [_word(lines, side, word) for side, word in zip(tokens[1::2], tokens[2::2], strict=True)]
        rows.append(list(lines.row(row, links, len(rows))))
    return lines.frames("", links, rows)


def _word(lines: Lines, side: str, word: str) -> Word:
    bits = _number(lines, side, 4)
    if bits >> 4:
        raise lines.wrong(f"the sideband {side} has bits above 3, which mark errors: record it again")
    return Word(_number(lines, word, 16), **{flag: bool(bits >> bit & 1) for flag, bit in BITS.items()})


def _number(lines: Lines, token: str, digits: int) -> int:
    if not re.fullmatch(f"0x[0-9a-fA-F]{{1,{digits}}}", token):
        raise lines.wrong(f"{shown(token)} is no number: it must be 0x and up to {digits} hexadecimal digits")
    return int(token, 16)
