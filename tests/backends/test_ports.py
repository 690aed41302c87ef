"""Packing is invertible, and every name is one that the hardware languages take."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backends.rtl_graphs import chain
from trigger_ml.backends.rtl.ports import Port, input_ports, legal, output_ports, pack, unpack
from trigger_ml.backends.rtl.reserved import taken
from trigger_ml.fixed import Fixed

fields = st.lists(st.builds(Fixed, st.booleans(), st.integers(0, 40), st.just(0)), min_size=1, max_size=9)


@given(fields, st.integers(0, 2**32))
def test_unpack_inverts_pack(elements, seed):
    port = Port("x", "x", (len(elements),), tuple(elements))
    r = np.random.default_rng(seed)
    values = np.stack([r.integers(f.lo, f.hi, 20, endpoint=True) for f in elements], axis=1)
    words = pack(port, values)
    assert words.shape == (20, (port.width + 7) // 8)
    assert np.array_equal(unpack(port, words), values)


def test_the_bits_stand_where_ports_json_says():
    port = Port("x", "x", (3,), (Fixed(False, 3, 0), Fixed(False, 0, 0), Fixed(True, 4, 1)))
    assert pack(port, np.array([[5, 0, -2]])).tolist() == [[0b1110_101]]
    about = port.describe()
    assert [(e["lsb"], e["msb"], e["signed"], e["frac"]) for e in about["elements"]] == [
        (0, 2, False, 0),
        (None, None, False, 0),
        (3, 6, True, 1),
    ]


def test_reserved_words_get_a_suffix():
    assert [p.name for p in input_ports(chain())] == ["input_port"]
    assert [(p.node, p.name) for p in output_ports(chain())] == [("signal", "signal_port")]


@given(st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True))
def test_every_graph_name_becomes_legal(name):
    plain = legal(name, "_port", ["a", "a_port"])
    assert not taken(plain)
    assert "__" not in plain
    assert not plain.endswith("_")
    assert plain not in ("a", "a_port")


@pytest.mark.parametrize("word", ["clk", "class", "logic", "v12", "in0", "table3", "o0_1", "stage2"])
def test_names_that_the_printers_use_are_taken(word):
    assert legal(word, "_port") == f"{word}_port"


@pytest.mark.parametrize(
    "word", ["small", "medium", "large", "cross", "var", "soft", "endmodule", "tri0", "assume", "bitand"]
)
def test_reserved_words_of_every_language_are_taken(word):
    """IEEE 1364-2005 (small, large: charge strengths), IEEE 1800-2017, IEEE 1076-2008 and ISO C++."""
    assert legal(word, "_network") == f"{word}_network"
