"""EMP buffer files, version 1 and 2: what EMP-based boards (Serenity and others) load and record.

Written byte for byte as CMSSW's ``L1Trigger/DemonstratorTools`` writes them, but for the name in version 1 (CMSSW
always writes ``Board CMSSW``) and its strobe (CMSSW never writes it there); read as its reader does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from trigger_ml.boards.frames import Frames
from trigger_ml.boards.lines import Lines, Word, shown

METADATA = "Metadata: (strobe,) start of orbit, start of packet, end of packet, valid"
FLAGS_1 = ("valid", "strobe")
FLAGS_2 = ("valid", "start", "end", "orbit", "strobe")
"""The flags that each version holds."""

_WORD_1 = re.compile(r"(?:([01])s)?([01])v([0-9a-fA-F]{16})")
_WORD_2 = re.compile(r"([01])?([01])([01])([01])([01]) ([0-9a-fA-F]{16})")


def write_1(content: Frames) -> str:
    """Version 1; start, end and orbit flags have no place in it."""
    slow = [not column.all() for column in content.strobe.T]
    lines = [f"Board {content.name}"]
    lines.append(" Quad/Chan :" + "".join(f"         q{n // 4:02d}c{n % 4}       " for n in content.links))
    lines.append("      Link :" + "".join(f"          {n:03d}        " for n in content.links))
    for f, row in enumerate(content.words.tolist()):
        words = [
            f" {f'{content.strobe[f, i]:d}s' if slow[i] else '  '}{content.valid[f, i]:d}v{word:016x}"
            for i, word in enumerate(row)
        ]
        lines.append(f"Frame {f:04d} :{''.join(words)}")
    return "\n".join([*lines, ""])


def write_2(content: Frames) -> str:
    """Version 2."""
    slow = [not column.all() for column in content.strobe.T]
    heads = [f"{' ' if slow[i] else ''}            {n:03d}        " for i, n in enumerate(content.links)]
    lines = [f"ID: {content.name}", METADATA, "", f"      Link  {''.join(heads)}"]
    for f, row in enumerate(content.words.tolist()):
        words = [
            f"  {f'{content.strobe[f, i]:d}' if slow[i] else ''}{content.orbit[f, i]:d}{content.start[f, i]:d}"
            f"{content.end[f, i]:d}{content.valid[f, i]:d} {word:016x}"
            for i, word in enumerate(row)
        ]
        lines.append(f"Frame {f:04d}  {''.join(words)}")
    return "\n".join([*lines, ""])


def read_1(content: bytes, where: str) -> Frames:
    """The inverse of :func:`write_1`.

    Raises:
        ArtifactError: with line and reason.
    """
    lines = Lines(content, where)
    name = _name(lines, "Board ", "version 1")
    channels = _labels(lines, "Quad/Chan :")
    links = lines.links(_labels(lines, "Link :"), "link")
    for n, channel in zip(links, channels, strict=False):
        if channel != f"q{n // 4:02d}c{n % 4}":
            raise lines.wrong(f"link {n} stands under {shown(channel)}: it must be q{n // 4:02d}c{n % 4}")
    if len(channels) != len(links):
        raise lines.wrong(f"{len(links)} links stand under {len(channels)} channels")
    rows: list[Sequence[Word]] = []
    for text in _frames(lines, " :"):
        row = []
        for token in text.split():
            match = _WORD_1.fullmatch(token)
            if match is None:
                raise lines.wrong(f"{shown(token)} is no word: it must be 0v or 1v and 16 hexadecimal digits")
            row.append(Word(int(match[3], 16), valid=match[2] == "1", strobe=match[1] != "0"))
        rows.append(lines.row(row, links, len(rows)))
    return lines.frames(name, links, rows)


def read_2(content: bytes, where: str) -> Frames:
    """The inverse of :func:`write_2`.

    Raises:
        ArtifactError: with line and reason.
    """
    lines = Lines(content, where)
    name = _name(lines, "ID: ", "version 2")
    if lines.take("the line of the metadata").rstrip() != METADATA:
        raise lines.wrong(f'the line must be "{METADATA}"')
    links = lines.links(_labels(lines, "Link  "), "link")
    rows: list[Sequence[Word]] = []
    for text in _frames(lines, "  "):
        row = []
        for token in re.split(r"\s\s+", text.strip()):
            match = _WORD_2.fullmatch(token)
            if match is None:
                raise lines.wrong(
                    f"{shown(token)} is no word: it must be 4 or 5 flags, one blank and 16 hexadecimal digits"
                )
            strobe, orbit, start, end, valid = (digit != "0" for digit in match.groups()[:5])
            row.append(Word(int(match[6], 16), valid, start, end, orbit, strobe))
        rows.append(lines.row(row, links, len(rows)))
    return lines.frames(name, links, rows)


def _name(lines: Lines, prefix: str, version: str) -> str:
    line = lines.meaningful(f'the line "{prefix}<name>"')
    name = line[len(prefix) :].strip()
    if not line.startswith(prefix) and line != prefix.rstrip():
        raise lines.wrong(f'an EMP file of {version} begins with "{prefix}", not {shown(line)}')
    if not name.isprintable():
        raise lines.wrong(f"the name {shown(name)} holds a character that can't be printed")
    return name


def _labels(lines: Lines, prefix: str) -> list[str]:
    line = lines.meaningful(f'the line "{prefix}"').lstrip(" \t")
    if not line.startswith(prefix):
        raise lines.wrong(f'the line must begin with "{prefix}", not {shown(line)}')
    return line[len(prefix) :].split()


def _frames(lines: Lines, behind: str) -> Iterator[str]:
    count = 0
    for line in lines.rest():
        if not line.strip() or line.startswith("#"):
            continue
        prefix = f"Frame {count:04d}{behind}"
        if not line.startswith(prefix):
            raise lines.wrong(f'the line must begin with "{prefix}", not {shown(line)}')
        count += 1
        yield line[len(prefix) :]
