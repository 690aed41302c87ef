"""Graphs at the end of what is legal: every engine gives their integers, or refuses them in one sentence."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.ir.tree_graphs import graph_of, random_inputs, random_trees
from trigger_ml import plugins
from trigger_ml.errors import GraphError, Unsupported
from trigger_ml.fixed import Fixed, Formats
from trigger_ml.fuzz import random_events
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.spec import Target

ENGINES = {
    "cpp": ("cpp", Target(), ()),
    "cmssw": ("cmssw", Target(), (pytest.mark.needs_hls,)),
    "hls4ml": ("hls4ml", Target(), (pytest.mark.needs_hls,)),
    "hls4ml_stream": ("hls4ml", Target(io_type="io_stream"), (pytest.mark.needs_hls,)),
    "hls4ml_adders": (
        "hls4ml", Target(strategy="distributed_arithmetic"), (pytest.mark.needs_hls, pytest.mark.needs_rtl),
    ),
    "onnx": ("onnx", Target(), (pytest.mark.needs_onnx,)),
    "verilog": ("verilog", Target(), (pytest.mark.needs_rtl,)),
    "vhdl": ("vhdl", Target(), (pytest.mark.needs_rtl, pytest.mark.needs_ghdl)),
    "conifer": ("conifer", Target(), (pytest.mark.needs_trees,)),
    "conifer_vhdl": ("conifer_vhdl", Target(), (pytest.mark.needs_trees, pytest.mark.needs_ghdl)),
}  # fmt: skip


def products() -> Graph:
    """63 bits with a sign, by products with constants and behind them."""
    b = Builder()
    x = b.input((2, 2), Fixed(True, 60, 0))
    y = b.affine(x, [[2, -1], [3, 1]], [1, -7], 3)
    z = b.conv(x, np.full((2, 2, 1), 1), [3], 0, (1,), ((0, 0),))
    return b.graph(
        y, b.requant(y, Fixed(True, 9, -47), "RND_CONV", "SAT_SYM"), b.add(ops.Relu(), y), b.add(ops.Reshape((1,)), z)
    )


def sums() -> Graph:
    """63 bits by sums and maxima, by elements of different sign, and a port of that width."""
    b = Builder()
    x = b.input((3, 1), Formats.of([[1], [0], [1]], [[62], [61], [30]], 4))
    fits = b.requant(x, Fixed(True, 61, 4), "TRN", "SAT")
    halves = b.requant(x, Formats.of([[1], [0], [1]], [[62], [62], [62]], [[4], [4], [3]]), "RND", "WRAP")
    return b.graph(
        b.add(ops.Permute((1, 0)), x), b.add(ops.Reduce("sum", 0), fits), b.add(ops.Pool("sum", (3,), (1,)), fits),
        b.add(ops.Add(subtract=True), fits, fits), b.add(ops.Max(), halves, fits), b.add(ops.Concat(0), halves, x),
    )  # fmt: skip


def coarse() -> Graph:
    """A last place far above what is rounded to it, for one format and for many."""
    b = Builder()
    x = b.input((3,), Fixed(True, 20, 30))
    many = Formats.of(1, [9, 12, 3], [-50, 3, -40])
    return b.graph(*(b.requant(x, to, "TRN", "WRAP") for to in (Fixed(True, 12, -50), many)))


def looked_up() -> Graph:
    b = Builder()
    x = b.input((2,), Fixed(False, 4, 0))
    return b.graph(b.table(x, [-(1 << 61) - 5, *range(14), (1 << 62) - 1], 0, 0))


def forest(bits: int) -> Graph:
    return graph_of(random_trees(1, 3, 2, bits=bits))


GRAPHS = {
    "products": products, "sums": sums, "coarse": coarse, "looked_up": looked_up,
    "forest60": lambda: forest(60), "forest50": lambda: forest(50), "forest29": lambda: forest(29),
}  # fmt: skip
HLS = r"hls4ml: node 'table' holds a constant beyond 2\*\*53, "
RTL = "rtl: node '[a-z_0-9]+' may reach [0-9]+ bits and the lowering is exact to 40: "
CONIFER = "conifer: the (graph holds no trees|score may reach [0-9]+ bits and conifer keeps %d: )"
REFUSED = {
    "onnx": "onnx: node '[a-z_0-9]+' may reach [0-9]+ bits and float64 is exact to 53: ", "verilog": RTL, "vhdl": RTL,
    "conifer": CONIFER % 53, "conifer_vhdl": CONIFER % 31,
    "hls4ml": HLS, "hls4ml_stream": HLS, "hls4ml_adders": f"{RTL}|{HLS}",
}  # fmt: skip
"""Engine -> how the sentences begin with which it may refuse one of these graphs."""

WIDE = {"products", "sums", "coarse"}
PLAYED = {
    "cpp": {*WIDE, "looked_up"}, "cmssw": {*WIDE, "looked_up"}, "hls4ml": WIDE, "hls4ml_stream": WIDE,
    "hls4ml_adders": {"sums", "coarse"}, "conifer": {"forest50", "forest29"}, "conifer_vhdl": {"forest29"},
}  # fmt: skip
"""Engine -> the graphs that it gives exactly; it refuses the others."""

CASES = [
    pytest.param(engine, name, marks=(*marks, *([pytest.mark.slow] if engine.startswith("conifer") else [])))
    for engine, (_, _, marks) in ENGINES.items()
    for name in GRAPHS
    if engine.startswith("conifer") or not name.startswith("forest")
]


def test_the_graphs_need_63_bits() -> None:
    for make in (products, sums, looked_up):
        graph = make()
        assert {bounds(graph)[o].fixed.width for o in graph.outputs} >= {63}
    with pytest.raises(GraphError, match=r"width 63 is outside 0\.\.\.62"):
        Formats.uniform(bounds(looked_up())["table"].fixed)


@pytest.mark.parametrize(("engine", "name"), CASES)
def test_exact_or_refused(engine: str, name: str, tmp_path: Path) -> None:
    graph, (backend, target, _) = GRAPHS[name](), ENGINES[engine]
    module, folder = plugins.find("backends", backend), tmp_path / "made"
    if name not in PLAYED.get(engine, set()):
        with pytest.raises(Unsupported) as refused:
            module.check(graph, target)
        assert re.match(REFUSED[engine], str(refused.value))
        assert "\n" not in str(refused.value)
        with pytest.raises(Unsupported):
            module.build(graph, folder, target)
        assert not folder.exists()
        return
    feed = {"x": random_inputs(2, 200)} if name.startswith("forest") else random_events(graph, 200, 1)
    module.check(graph, target)
    module.build(graph, folder, target)
    want, got = interpret(graph, feed), module.simulate(folder, graph, feed)
    assert set(got) == set(want)
    assert all(np.array_equal(got[o], want[o]) for o in want)
