"""Layouts: what is written is read back; what can't be laid out is refused with one sentence that says where."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backends.rtl_graphs import chain, score
from trigger_ml.boards import layout
from trigger_ml.boards.layout import Layout, Place
from trigger_ml.errors import SpecError
from trigger_ml.fixed import Fixed, Formats
from trigger_ml.fuzz import random_graph
from trigger_ml.ir.build import Builder
from trigger_ml.ir.io import digest

GOOD = """
version = 1
frames_per_bx = 9
tmux = 2
[input]
x = [[0, 0, 0, 6], [3, 17, 58, 6], []]
[output]
score = [[0, 0, 0, 64]]
"""


def test_the_example_in_the_documentation_is_one():
    text = (layout.__doc__ or "").split("::\n")[1].split("An element may")[0]
    found = layout.parse("\n".join(line.strip() for line in text.splitlines()))
    assert found.input == {"x": (Place(0, 0, 0, 13), Place(0, 0, 13, 13), None)}
    assert found.output == {"score": (Place(0, 0, 0, 18),), "decision": (Place(0, 0, 18, 1),)}
    assert (found.period, found.events_per_file, found.graph_digest) == (9, 113, "")


def test_a_layout_is_read():
    found = layout.parse(GOOD)
    assert found.input["x"] == (Place(0, 0, 0, 6), Place(3, 17, 58, 6), None)
    assert found.period == 18
    assert found.packets("input") == {0: 1, 3: 18}
    assert found.packets("output") == {0: 1}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("rate", "tmux"), [(1, 1), (9, 1), (6, 18)])
def test_the_default_fits_every_graph_and_is_read_back(seed, rate, tmux):
    graph = random_graph(seed)
    made = layout.default(graph, rate, tmux)
    made.fits(graph)
    text = layout.to_toml(made)
    back = layout.parse(text)
    assert (back.input, back.output, back.frames_per_bx, back.tmux) == (made.input, made.output, rate, tmux)
    assert back.graph_digest == digest(graph)
    assert layout.to_toml(back) == text


def test_the_default_packs_without_gaps_and_never_across_words():
    b = Builder()
    x = b.input((11,), Fixed(True, 13, 0), name="x")
    y = b.input((3,), Formats.of(0, [4, 0, 12], 0), name="y")
    graph = b.graph(b.affine(x, np.ones((11, 1), int), [0], 0), b.affine(y, np.ones((3, 1), int), [0], 0))
    made = layout.default(graph, 2)
    assert made.input["x"][:5] == tuple(Place(0, 0, lsb, 13) for lsb in (0, 13, 26, 39)) + (Place(0, 1, 0, 13),)
    assert made.input["x"][8] == Place(1, 0, 0, 13)
    assert made.input["y"] == (Place(1, 0, 39, 4), None, Place(1, 0, 43, 12))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("version = 1", "version = 1\nextra = 3", r'unknown key "extra"'),
        ("version = 1", "", "version is missing"),
        ("version = 1", "version = 2", "reads up to 1"),
        ("version = 1", "version = true", "must be a whole number"),
        ("tmux = 2", "tmux = 0", "tmux is 0: it must be at least 1"),
        ("tmux = 2", "tmux = 2.0", "must be a whole number"),
        ("frames_per_bx = 9", "frames_per_bx = 1000", "frames_per_bx [*] tmux is 2000"),
        ("version = 1", 'version = 1\ngraph_digest = "abc"', "graph_digest is .* must match"),
        ("[input]", "[inputs]", 'unknown key "inputs"'),
        ("x = [[0, 0, 0, 6], [3, 17, 58, 6], []]", "", r"\[input\] holds no element"),
        ("x = [[0", "x = 4 # [[0", r"\[input\] x is 4: it must be a list"),
        ("[3, 17, 58, 6]", "[3, 17, 58]", r"\[input\] x\[1\] must have 4 values"),
        ("[3, 17, 58, 6]", "[3, 17, 58, 6.5]", "must be a whole number"),
        ("[3, 17, 58, 6]", "[3, 17, -1, 6]", "at least 0"),
        ("[3, 17, 58, 6]", '["a", 17, 58, 6]', "must be a whole number"),
        ("[3, 17, 58, 6]", "[3, 18, 58, 6]", r"\[input\] x\[1\] is in frame 18: a packet has 18"),
        ("[3, 17, 58, 6]", "[1000, 17, 58, 6]", "is on link 1000"),
        ("[3, 17, 58, 6]", "[3, 17, 59, 6]", "takes bits 59 to 64"),
        ("[3, 17, 58, 6]", "[3, 17, 58, 0]", "takes bits 58 to 57"),
        ("[3, 17, 58, 6]", "[0, 0, 5, 1]", r"x\[1\] and \[input\] x\[0\] both take bit 5 of link 0, frame 0"),
        ("[output]", "[output", "not TOML"),
        ("[output]\nscore = [[0, 0, 0, 64]]", "", "output is missing"),
    ],
)
def test_a_layout_that_is_wrong_is_refused(old, new, says):
    assert old in GOOD
    with pytest.raises(SpecError, match=says):
        layout.parse(GOOD.replace(old, new, 1))


def test_a_side_that_is_no_table_is_refused():
    text = GOOD.replace("[output]\nscore = [[0, 0, 0, 64]]", "").replace("version = 1", "version = 1\noutput = 3")
    with pytest.raises(SpecError, match=r"output is 3: it must be a table, \[output\]"):
        layout.parse(text)


@given(text=st.one_of(st.text(max_size=80), st.text(max_size=10).map(lambda t: GOOD.replace("17", t, 1))))
def test_a_reader_raises_nothing_but_its_own_errors(text):
    try:
        found = layout.parse(text)
    except SpecError:
        return
    assert layout.parse(layout.to_toml(found)).input == found.input


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda p: {"y": p["x"]}, r"\[input\] y: there is no such port; the graph has x"),
        (lambda p: {"x": p["x"][1:]}, "has 5 places for 6 elements"),
        (lambda p: {"x": (None, *p["x"][1:])}, r"x\[0\] has 0 bits: it needs 6"),
        (lambda p: {"x": (replace(p["x"][0], bits=5), *p["x"][1:])}, r"x\[0\] has 5 bits: it needs 6"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused(change, says):
    good = layout.default(score())
    with pytest.raises(SpecError, match=says):
        Layout(9, 1, change(good.input), good.output).fits(score())


def test_another_graphs_layout_and_a_missing_port_are_refused():
    good = layout.default(score())
    with pytest.raises(SpecError, match="the layout is for graph"):
        good.fits(chain())
    with pytest.raises(SpecError, match=r"\[output\] decision is missing"):
        Layout(9, 1, good.input, {"score": good.output["score"]}).fits(score())
    for rate, tmux in ((0, 1), (1, -1), (1025, 1)):
        with pytest.raises(SpecError):
            layout.default(score(), rate, tmux)


def test_files_that_are_none(tmp_path):
    for path in (tmp_path, tmp_path / "none.toml"):
        with pytest.raises(SpecError, match="can't be read"):
            layout.load(path)
    (tmp_path / "a").write_bytes(b"\xff")
    with pytest.raises(SpecError, match="not UTF-8"):
        layout.load(tmp_path / "a")
    (tmp_path / "b").write_text(GOOD.replace("tmux = 2", ""))
    with pytest.raises(SpecError, match=re.escape(f"{tmp_path / 'b'}: tmux is missing")):
        layout.load(tmp_path / "b")
    (tmp_path / "c").write_text(GOOD)
    assert layout.load(tmp_path / "c").period == 18
