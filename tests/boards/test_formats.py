"""Board files: what is written is read back; known files byte by byte; what is malformed is refused, never more."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trigger_ml.boards import formats
from trigger_ml.boards.frames import FLAGS, Frames, frames
from trigger_ml.errors import ArtifactError, SpecError, TriggerError

NAMES = st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=20).map(str.strip)


@st.composite
def contents(draw) -> Frames:
    """Anything that a file can hold."""
    links = tuple(sorted(draw(st.sets(st.integers(0, 999), min_size=1, max_size=4))))
    shape = (draw(st.integers(0, 6)), len(links))
    size = shape[0] * shape[1]
    words = draw(st.lists(st.integers(0, 2**64 - 1), min_size=size, max_size=size))
    flags = {
        key: np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)), bool).reshape(shape) for key in FLAGS
    }
    return Frames(draw(NAMES), links, np.array(words, np.uint64).reshape(shape), **flags)


@pytest.mark.parametrize("name", list(formats.FORMATS))
@given(content=contents())
def test_what_is_written_is_read_back(name, content):
    kind = formats.find(name)
    text = kind.write(content)
    back = kind.read(text.encode(), "file")
    assert back.same(content, *kind.flags)
    assert back.name == (content.name if kind.named else "")
    assert kind.write(back) == text
    assert kind.read(text.replace("\n", "\r\n").encode(), "file").same(back)


def two_links() -> Frames:
    """Three frames on links 0 and 71; link 71 without a strobe in the second."""
    words = np.array([[0x1, 0xABCDEF0123456789], [0xFFFFFFFFFFFFFFFF, 0x2], [0x0, 0x0]], np.uint64)
    t, f = True, False
    return frames(
        "board 7",
        (0, 71),
        words,
        valid=[[t, t], [t, f], [f, f]],
        start=[[t, t], [f, f], [f, f]],
        end=[[f, t], [t, f], [f, f]],
        orbit=[[t, f], [f, f], [f, f]],
        strobe=[[t, t], [t, f], [t, t]],
    )


EMP2 = f"""ID: board 7
Metadata: (strobe,) start of orbit, start of packet, end of packet, valid

      Link              000                     071{" " * 8}
Frame 0000    1101 0000000000000001  10111 abcdef0123456789
Frame 0001    0011 ffffffffffffffff  00000 0000000000000002
Frame 0002    0000 0000000000000000  10000 0000000000000000
"""

EMP1 = f"""Board board 7
 Quad/Chan :         q00c0                q17c3{" " * 7}
      Link :          000                  071{" " * 8}
Frame 0000 :   1v0000000000000001 1s1vabcdef0123456789
Frame 0001 :   1vffffffffffffffff 0s0v0000000000000002
Frame 0002 :   0v0000000000000000 1s0v0000000000000000
"""

APX = f"""#Sideband ON
#LinkLabel                LINK_00                    LINK_71{" " * 4}
#BeginData
0x0000    0x07 0x0000000000000001    0x0b 0xabcdef0123456789
0x0001    0x09 0xffffffffffffffff    0x00 0x0000000000000002
0x0002    0x00 0x0000000000000000    0x00 0x0000000000000000
"""

KNOWN = {"emp2": EMP2, "emp1": EMP1, "apx": APX}
"""Typed by hand from the printing in CMSSW's L1Trigger/DemonstratorTools/src/utilities.cc."""


@pytest.mark.parametrize("name", list(KNOWN))
def test_known_files_byte_by_byte(name):
    kind = formats.find(name)
    assert kind.write(two_links()) == KNOWN[name]
    assert kind.read(KNOWN[name].encode(), "file").same(two_links(), *kind.flags)


# Regular expressions of CMSSW's reader (same file), with which each row that is written must agree.
CMSSW_WORDS = {
    "emp2": r"([01])?([01])([01])([01])([01]) ([0-9a-fA-F]{16})",
    "emp1": r"([01]s)?([01]v)([0-9a-fA-F]{16})",
}


@pytest.mark.parametrize(("name", "behind", "between"), [("emp2", "  ", r"\s\s+"), ("emp1", " :", r"\s+")])
@given(content=contents())
def test_cmssw_reads_every_row(name, behind, between, content):
    rows = formats.find(name).write(content).splitlines()[4 if name == "emp2" else 3 :]
    assert len(rows) == len(content.words)
    for k, row in enumerate(rows):
        prefix = f"Frame {k:04d}{behind}"
        assert row.startswith(prefix)
        tokens = [t for t in re.split(between, row[len(prefix) :]) if t]
        assert len(tokens) == len(content.links)
        assert all(re.fullmatch(CMSSW_WORDS[name], t) for t in tokens)


def test_comments_and_empty_lines_are_skipped_where_the_format_has_them():
    for name in ("emp1", "emp2"):
        text = KNOWN[name].replace("Frame 0001", "# a comment\n\nFrame 0001")
        assert (
            formats.find(name).read(f"# first\n\n{text}".encode(), "file").same(two_links(), *formats.find(name).flags)
        )


def swap(name: str, old: str, new: str) -> tuple[str, bytes]:
    assert old in KNOWN[name], old
    return name, KNOWN[name].replace(old, new, 1).encode()


HEAD = "Metadata: (strobe,) start of orbit, start of packet, end of packet, valid"
MALFORMED = {
    "emp2: empty": ("emp2", b"", "line 1: the file ends"),
    "emp2: no name": (*swap("emp2", "ID: ", "Name: "), 'line 1: an EMP file of version 2 begins with "ID: "'),
    "emp2: version 1": ("emp2", EMP1.encode(), "line 1: an EMP file of version 2"),
    "emp2: no metadata": (*swap("emp2", HEAD + "\n", ""), "line 2: the line must be"),
    "emp2: other metadata": (*swap("emp2", "(strobe,) ", ""), "line 2: the line must be"),
    "emp2: ends after the name": ("emp2", b"ID: a\n", "line 1: the file ends here, but the line of the metadata"),
    "emp2: no links": (*swap("emp2", "000                     071", ""), "line 4: there is no link"),
    "emp2: a link twice": (*swap("emp2", "071", "000"), "line 4: link 0 stands behind 0"),
    "emp2: a link of letters": (*swap("emp2", "071", "0x1"), "line 4: '0x1' is no link"),
    "emp2: a link too far": (*swap("emp2", "071", "1000"), "line 4: '1000' is no link"),
    "emp2: a frame left out": (
        *swap("emp2", "Frame 0001", "Frame 0002"),
        'line 6: the line must begin with "Frame 0001',
    ),
    "emp2: a frame twice": (*swap("emp2", "Frame 0001", "Frame 0000"), 'line 6: the line must begin with "Frame 0001'),
    "emp2: 15 digits": (*swap("emp2", "abcdef0123456789", "abcdef012345678"), "line 5: .* is no word"),
    "emp2: 17 digits": (*swap("emp2", "abcdef0123456789", "abcdef01234567890"), "line 5: .* is no word"),
    "emp2: a letter beyond f": (*swap("emp2", "abcdef", "abcdeg"), "line 5: .* is no word"),
    "emp2: a flag of 2": (*swap("emp2", "1101 ", "1201 "), "line 5: .* is no word"),
    "emp2: three flags": (*swap("emp2", "1101 ", "110 "), "line 5: .* is no word"),
    "emp2: one word less": (*swap("emp2", "  10111 abcdef0123456789", ""), "line 5: there are 1 words for 2 links"),
    "emp2: one word more": (
        *swap("emp2", "0002\n", "0002  1111 0000000000000000\n"),
        "line 6: there are 3 words for 2",
    ),
    "emp2: an empty row": (*swap("emp2", "0011 ffffffffffffffff  00000 0000000000000002", ""), "line 6: '' is no word"),
    "emp2: not ASCII": (*swap("emp2", "Frame 0001", "Frame 000\u00e9"), "line 6: it holds a byte that is not ASCII"),
    "emp2: too many frames": (
        "emp2",
        (
            EMP2[: EMP2.index("Frame")] + "".join(f"Frame {k:04d}  {EMP2.splitlines()[6][12:]}\n" for k in range(1025))
        ).encode(),
        "line 1029: a file holds at most 1024 frames",
    ),
    "emp1: version 2": ("emp1", EMP2.encode(), 'line 1: an EMP file of version 1 begins with "Board "'),
    "emp1: no channels": (*swap("emp1", " Quad/Chan :", " Quad :"), 'line 2: the line must begin with "Quad/Chan :"'),
    "emp1: no links": (*swap("emp1", "      Link :", "      Chan :"), 'line 3: the line must begin with "Link :"'),
    "emp1: another channel": (*swap("emp1", "q17c3", "q17c2"), "line 3: link 71 stands under 'q17c2'"),
    "emp1: a channel too many": (*swap("emp1", "q17c3", "q17c3 q18c0"), "line 3: 2 links stand under 3 channels"),
    "emp1: no v": (*swap("emp1", "1v0000", "1x0000"), "line 4: .* is no word"),
    "emp1: blanks inside": (*swap("emp1", "1vffff", "1v ffff"), "line 5: '1v' is no word"),
    "emp1: a frame left out": (*swap("emp1", "Frame 0001 :", "Frame 0003 :"), "line 5: the line must begin"),
    "apx: empty": ("apx", b"", "line 1: the file ends"),
    "apx: another sideband": (*swap("apx", "#Sideband ON", "#Sideband OFF"), 'line 1: .* only "#Sideband ON"'),
    "apx: no labels": (*swap("apx", "#LinkLabel", "#Links"), 'line 2: the line must begin with "#LinkLabel"'),
    "apx: no links": (
        *swap("apx", "                LINK_00                    LINK_71    ", ""),
        "line 2: there is no link",
    ),
    "apx: a label without a number": (*swap("apx", "LINK_71", "LINK_"), "line 2: '' is no link"),
    "apx: a label of another kind": (*swap("apx", "LINK_71", "CHAN_71"), "line 2: 'CHAN_71' is no link"),
    "apx: no data": (*swap("apx", "#BeginData\n", ""), 'line 3: the line must be "#BeginData"'),
    "apx: ends early": ("apx", b"#Sideband ON\n#LinkLabel LINK_00\n", "line 2: the file ends here"),
    "apx: a frame left out": (*swap("apx", "0x0001 ", "0x0002 "), "line 5: the frame is '0x0002', but 0x0001"),
    "apx: an error bit": (*swap("apx", "0x0b", "0x1b"), "line 4: the sideband 0x1b has bits above 3"),
    "apx: a number without 0x": (*swap("apx", "0xabcdef0123456789", "abcdef0123456789"), "line 4: .* is no number"),
    "apx: 17 digits": (*swap("apx", "0xabcdef0123456789", "0xabcdef01234567890"), "line 4: .* is no number"),
    "apx: a number less": (*swap("apx", "0x07 ", ""), "line 4: there are 4 numbers, not 5"),
    "apx: a comment": (*swap("apx", "0x0001 ", "# comment\n0x0001 "), "line 5: there are 2 numbers, not 5"),
}


@pytest.mark.parametrize("case", list(MALFORMED))
def test_malformed_files_are_refused_with_line_and_reason(case):
    name, content, says = MALFORMED[case]
    with pytest.raises(ArtifactError, match=f"^file, {says}") as caught:
        formats.find(name).read(content, "file")
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


@st.composite
def mutated(draw) -> bytes:
    """A good file with some bytes changed, taken out or put in."""
    content = bytearray(draw(st.sampled_from(list(KNOWN.values()))).encode())
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        many = draw(st.integers(0, 30))
        content[at : at + many] = draw(
            st.one_of(st.binary(max_size=8), st.sampled_from([b"\n", b"0", b" ", b"#", b"\r"]))
        )
    return bytes(content)


@pytest.mark.parametrize("name", list(formats.FORMATS))
@settings(max_examples=300)
@given(content=st.one_of(mutated(), st.binary(max_size=200)))
def test_a_reader_raises_nothing_but_its_own_errors(name, content):
    kind = formats.find(name)
    try:
        found = kind.read(content, "file")
    except ArtifactError as error:
        said = str(error)
    else:
        assert kind.read(kind.write(found).encode(), "file").same(found, *kind.flags)
        return
    assert re.match(r"file, line \d+: ", said)


def test_an_endless_file_is_refused():
    with pytest.raises(ArtifactError, match="at most 67108864"):
        formats.find("apx").read(bytes((64 << 20) + 1), "file")


def test_files_that_are_not_there_and_formats_that_are_none(tmp_path):
    with pytest.raises(ArtifactError, match="can't be read"):
        formats.load(tmp_path / "none.txt", "emp2")
    with pytest.raises(ArtifactError, match="can't be read"):
        formats.load(tmp_path, "emp2")
    with pytest.raises(SpecError, match="give emp2, emp1, apx"):
        formats.load(tmp_path, "x2o")
    (tmp_path / "a.txt").write_text(EMP2)
    assert formats.load(tmp_path / "a.txt", "emp2").same(two_links())


@pytest.mark.parametrize(
    "bad",
    [
        {"links": (71, 0)},
        {"links": (0, 1000)},
        {"links": (0,)},
        {"name": "two\nlines"},
        {"name": " blank"},
        {"words": np.zeros((3, 2), np.int64)},
        {"valid": np.zeros((2, 2), bool)},
    ],
)
def test_frames_that_no_file_can_hold_are_refused(bad):
    good = two_links()
    given = {key: getattr(good, key) for key in ("name", "links", "words", *FLAGS)}
    with pytest.raises(TriggerError):
        Frames(**{**given, **bad})
    with pytest.raises(SpecError, match="1024 frames"):
        frames("a", (0,), np.zeros((1025, 1), np.uint64))
    with pytest.raises(SpecError, match="no flag 'valie'"):
        frames("a", (0,), np.zeros((1, 1), np.uint64), valie=[[True]])
