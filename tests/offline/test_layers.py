"""The layer list refuses what doesn't fit, and the switch of precisions touches the layers that it names."""

from __future__ import annotations

import numpy as np
import pytest

from tests.offline.inputs import weights_of
from trigger_ml.errors import GraphError
from trigger_ml.offline import networks
from trigger_ml.offline.edges import Plane
from trigger_ml.offline.layers import (
    Activation,
    Add,
    Attention,
    ChannelAttention,
    Edges,
    Linear,
    Network,
    Node,
    Pool,
    Port,
    Take,
    TimeEmbedding,
)

X = Port("x", (4,))


@pytest.mark.parametrize(
    ("nodes", "sentence"),
    [
        ([], "at least one layer"),
        ([Node("x", Linear(2), ("x",))], "two ports or layers are named 'x'"),
        ([Node("a", Linear(2), ("b",))], "reads 'b', which no earlier layer gives"),
        ([Node("a", Linear(2), ("x",)), Node("b", Add(), ("a", "x"))], "which don't fit"),
        ([Node("a", Add(), ("x",))], "it takes two or more"),
        ([Node("a", Activation("relu"), ("x", "x"))], "it takes 1"),
        ([Node("a", Take(2, 5), ("x",))], "takes 2 to 5 of 4"),
        ([Node("a", TimeEmbedding(3), ("x",))], r"a time has shape \(1,\)"),
        ([Node("a", Attention(2), ("x", "x", "x", "x"))], "don't fit"),
        ([Node("a", ChannelAttention(), ("x", "x", "x"))], "has 3 inputs, it takes 4"),
        ([Node("a", ChannelAttention(), ("x", "x", "x", "x"))], "don't fit"),
        ([Node("a", Edges(1, 0.1), ("x", "x", "x"))], "features .* places .* and mask .* don't fit"),
        ([Node("a", Edges(3, 0.1), ("set", "set", "mask"))], "looks for 3 neighbours: an item has 2 others"),
        ([Node("a", Edges(1, 0.0), ("set", "set", "mask"))], "steps of 0.0: they must be above 0"),
        ([Node("a", Edges(1, 0.1), ("set", "set", "mask")), Node("b", Pool(), ("a", "mask"))], "don't fit"),
    ],
)
def test_refused(nodes, sentence):
    with pytest.raises(GraphError, match=sentence):
        Network((X, Port("set", (3, 2)), Port("mask", (3, 1))), tuple(nodes))


def test_weights_are_checked():
    network = networks.plain_mlp(4, 2, 8, 2, "ternary")
    good = weights_of(network)
    network.check(good)
    for bad, sentence in (
        ({k: v for k, v in good.items() if k != "linear1.bias"}, "'linear1.bias' is missing"),
        ({**good, "linear0.kernel": good["linear0.kernel"].T}, r"has shape \(8, 4\)"),
        ({**good, "linear0.bias": good["linear0.bias"] * np.nan}, "is not finite"),
    ):
        with pytest.raises(GraphError, match=sentence):
            network.check(bad)


def _low(precision: str) -> dict[str, str]:
    network = networks.residual_mlp(3, 2, 8, 4, precision, condition=2, timed=True)
    return {n.name: n.op.mode for n in network.linears}


def test_the_switch_of_precisions():
    modes = {p: list(_low(p).values()) for p in networks.PRECISIONS}
    assert {len(m) for m in modes.values()} == {3 + 4 * 2 + 1}  # three embeddings, two a block, the last
    assert set(modes["none"]) == {"float"}
    assert set(modes["int8"]) == {"int8"}
    assert set(modes["all"]) == {"ternary"}
    assert modes["no-embedding-no-last"] == ["float"] * 3 + ["ternary"] * 8 + ["float"]
    assert modes["central"] == ["float"] * 5 + ["ternary"] * 4 + ["float"] * 3


def test_dual_attention_keeps_front_and_head_float_but_where_all_is_low():
    modes = {}
    for precision in networks.PRECISIONS:
        network = networks.dual_attention(5, 4, 1, 8, 4, 2, 3, Plane(1, 0.1), precision)
        modes[precision] = [n.op.mode for n in network.linears]
    front, block, head = 3, 6, 3
    assert {len(m) for m in modes.values()} == {front + 4 * block + head}
    assert set(modes["none"]) == {"float"}
    assert set(modes["int8"]) == {"int8"}
    assert set(modes["all"]) == {"ternary"}
    assert modes["no-embedding-no-last"] == ["float"] * front + ["ternary"] * 4 * block + ["float"] * head
    assert modes["central"] == ["float"] * (front + block) + ["ternary"] * 2 * block + ["float"] * (block + head)


def test_dual_attention_looks_between_particles_and_features_in_turn():
    network = networks.dual_attention(5, 4, 1, 8, 4, 2, 3, Plane(1, 0.1))
    kinds = [type(n.op) for n in network.nodes if isinstance(n.op, (Edges, Attention, ChannelAttention))]
    assert kinds == [Edges, Attention, ChannelAttention, Attention, ChannelAttention]
    assert network.shapes[network.output] == (1,)
    (front,) = (n.name for n in network.nodes if isinstance(n.op, Edges))
    assert network.shapes[front] == (5, 3, 8)


def test_shapes_of_the_networks():
    assert networks.deep_sets(10, 4, 2, 8).shapes["linear9"] == (2,)
    network = networks.particle_transformer(10, 4, 3, 16, 2, 4)
    assert network.shapes[network.output] == (3,)
