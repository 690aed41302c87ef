"""Integers to words and back, on any graph and layout; flags as the boards expect them; damage is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backends.rtl_graphs import score
from trigger_ml.backends.rtl.ports import input_ports, output_ports
from trigger_ml.boards import layout, packing
from trigger_ml.boards.frames import frames
from trigger_ml.boards.layout import Layout, Place
from trigger_ml.errors import SampleError, SpecError
from trigger_ml.fixed import Fixed, Formats
from trigger_ml.fuzz import random_events, random_graph
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret


@st.composite
def scattered(draw, graph: Graph) -> Layout:
    """Every element in a word of its own choice, with bits to spare, on links of any numbers."""
    rate, tmux = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    sides = []
    for ports in (input_ports(graph), output_ports(graph)):
        count = sum(len(p.elements) for p in ports)
        slots = draw(st.permutations(range(count)))
        first = draw(st.integers(0, 900))
        places, k = {}, 0
        for port in ports:
            row = []
            for f in port.elements:
                bits = draw(st.integers(max(f.width, 1), 64))
                lsb = draw(st.integers(0, 64 - bits))
                row.append(Place(first + slots[k] // (rate * tmux), slots[k] % (rate * tmux), lsb, bits))
                k += 1
            places[port.node] = tuple(row)
        sides.append(places)
    return Layout(rate, tmux, *sides)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 5), events=st.integers(0, 40))
def test_what_is_packed_is_unpacked(data, seed, events):
    graph = random_graph(seed)
    plan = data.draw(st.one_of(st.just(layout.default(graph, 3, 2)), scattered(graph)))
    feed = random_events(graph, events, seed)
    for side, values in (("input", feed), ("output", interpret(graph, feed))):
        files = packing.pack(graph, plan, side, values, "name")
        assert sum(len(f.words) for f in files) == events * plan.period
        back = packing.unpack(graph, plan, side, files)
        assert set(back) == set(values)
        assert all(np.array_equal(back[k], values[k]) and back[k].shape == values[k].shape for k in back)


def words_of(events: np.ndarray) -> Graph:
    b = Builder()
    x = b.input((3,), Formats.of([1, 0, 1], [5, 4, 62], 0), name="x")
    return b.graph(b.affine(x, [[1], [1], [0]], [0], 0, name="y"))


def test_a_word_by_hand():
    graph = words_of(np.zeros(0))
    plan = Layout(2, 1, {"x": (Place(7, 0, 4, 8), Place(7, 0, 60, 4), Place(2, 1, 1, 63))}, {"y": (Place(0, 0, 0, 6),)})
    (content,) = packing.pack(graph, plan, "input", {"x": np.array([[-2, 9, -(2**61)], [15, 1, 1]])}, "n")
    assert content.links == (2, 7)
    assert [[hex(w) for w in row] for row in content.words.tolist()] == [
        ["0x0", "0x9000000000000fe0"],
        ["0xc000000000000000", "0x0"],
        ["0x0", "0x10000000000000f0"],
        ["0x2", "0x0"],
    ]
    assert content.valid.tolist() == [[True, True], [True, False]] * 2
    assert content.start.tolist() == [[True, True], [False, False]] * 2
    assert content.end.tolist() == [[False, True], [True, False]] * 2
    assert content.orbit.tolist() == [[True, True], *[[False, False]] * 3]
    assert content.strobe.all()


def test_long_runs_become_several_files_of_whole_events():
    graph = score()
    feed = random_events(graph, 250, 1)
    files = packing.pack(graph, layout.default(graph), "input", feed, "n")
    assert [len(f.words) for f in files] == [113 * 9, 113 * 9, 24 * 9]
    assert all(f.orbit[0].all() and f.orbit.sum() == len(f.links) for f in files)
    assert all((f.start.sum(axis=0) == len(f.words) // 9).all() for f in files)


def test_what_does_not_hold_the_events_is_refused():
    graph, plan = score(), layout.default(score())
    feed = random_events(graph, 3, 1)
    (good,) = packing.pack(graph, plan, "output", interpret(graph, feed), "n")

    def spoilt(**change):
        kept = {k: getattr(good, k) for k in ("links", "words", "valid", "start", "end", "orbit", "strobe")}
        kept.update(change)
        links, words = kept.pop("links"), kept.pop("words")
        return packing.unpack(graph, plan, "output", [good, frames("n", links, words, **kept)])

    assert len(spoilt()["score"]) == 6
    with pytest.raises(SampleError, match="file 1 holds no link 0"):
        spoilt(links=(1,))
    with pytest.raises(SampleError, match="file 1 has 26 frames: with this layout an event takes 9"):
        spoilt(**{k: getattr(good, k)[:26] for k in ("words", "valid", "start", "end", "orbit", "strobe")})
    valid = good.valid.copy()
    valid[18] = False
    with pytest.raises(SampleError, match="file 1, link 0, frame 18 is not valid"):
        spoilt(valid=valid)


def test_an_integer_beyond_its_element_is_refused_both_ways():
    graph, plan = score(), layout.default(score())
    wide = Layout(9, 1, {"x": tuple(Place(0, j, 0, 20) for j in range(6))}, plan.output)
    x = np.full((2, 6), 3)
    (content,) = packing.pack(graph, wide, "input", {"x": x}, "n")
    words = content.words.copy()
    words[9 + 4] = 64
    with pytest.raises(SampleError, match=r"event 1: element 4 of x is 64, outside its range 0 \.\.\. 63"):
        packing.unpack(graph, wide, "input", [frames("n", (0,), words, valid=content.valid)])
    x[1, 2] = -1
    with pytest.raises(SampleError, match="event 1: element 2 of x is -1"):
        packing.pack(graph, wide, "input", {"x": x}, "n")
    with pytest.raises(SpecError, match="has 3 bits"):
        packing.pack(
            graph, Layout(9, 1, {"x": tuple(Place(0, j, 0, 3) for j in range(6))}, plan.output), "input", {}, ""
        )
    assert Fixed(False, 6, 2).hi == 63
