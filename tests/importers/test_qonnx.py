"""QONNX files in, integers out: equal to qonnx's own execution, or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.importers.qonnx_files import MODES, Dice, File, Q
from trigger_ml.errors import Mismatch
from trigger_ml.fixed import Rounding
from trigger_ml.importers import comparing, qonnx
from trigger_ml.importers.qonnx_file import oracle, quantizers, reading, rules
from trigger_ml.ir import io, ops
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret

pytestmark = pytest.mark.needs_import


def check(content: bytes, events: int = 64, seed: int = 0) -> Graph:
    model = reading.parse(content)
    graph, _ = rules.to_graph(model, {})
    comparing.compare(graph, oracle.oracle(model), "qonnx", events, seed)
    return graph


@given(st.integers(0, 2**32), st.sampled_from(["dense", "image"]))
@settings(max_examples=40)
def test_random_files_give_qonnx_its_own_numbers(seed: int, kind: str) -> None:
    check(getattr(Dice(seed), kind)().content(), seed=seed % 1000)


def everywhere(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The graph's and qonnx's numbers on every integer of a one-element input."""
    model = reading.parse(content)
    graph, _ = rules.to_graph(model, {})
    t = bounds(graph)["x"]
    x = np.arange(int(t.lo[0]), int(t.hi[0]) + 1)[:, None]
    out = graph.outputs[0]
    ours = np.ldexp(interpret(graph, x)[out].astype(float), -bounds(graph)[out].frac)
    return ours, oracle.oracle(model)([np.ldexp(x.astype(np.float32), -t.frac)])[0]


def one(bits: int, **quant: Any) -> bytes:
    file = File((1,))
    x = file.quant("x", 9, -3)
    file.outputs = {file.quant(file.node("Identity", x), bits, **quant): (1,)}
    return file.content()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", [(4, 1, 0), (4, 1, 1), (4, 0, 0), (4, 0, 1), (1, 1, 0), (1, 0, 0)])
@pytest.mark.parametrize("exponent", [-5, -1, 7])
def test_every_mode_on_every_value(mode: str, kind: tuple[int, int, int], exponent: int) -> None:
    bits, signed, narrow = kind
    ours, theirs = everywhere(one(bits, exponent=exponent, signed=signed, narrow=narrow, mode=mode))
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("mode", [mode for mode, rounding in quantizers.ROUNDINGS.items() if rounding])
def test_a_wrong_rounding_mode_would_be_seen(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = one(6, exponent=-1, signed=1, mode=mode)
    right = quantizers.ROUNDINGS[mode]
    for other in Rounding:
        if other is not right:
            monkeypatch.setitem(quantizers.ROUNDINGS, mode, other)
            with pytest.raises(Mismatch, match="differ in"):
                check(content, events=600)


@pytest.mark.parametrize("op", rules.CURVES)
def test_functions_are_tables_on_every_value(op: str) -> None:
    file = File((1,))
    file.outputs = {file.quant(file.node(op, file.quant("x", 9, -5)), 7, -5, mode="HALF_UP"): (1,)}
    ours, theirs = everywhere(file.content())
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("mode", ["FLOOR", "ROUND", "DOWN"])
def test_trunc(version: int, mode: str) -> None:
    file = File((1,))
    file.versions[Q] = version
    x = file.quant("x", 9, -3)
    more = [file.constant(z) for z in ((0.125, 0.0, 9.0, 6.0) if version == 1 else (0.125, 0.0, 9.0, 1.0, 4.0))]
    file.outputs = {file.node("Trunc", x, *more, domain=Q, rounding_mode=mode): (1,)}
    ours, theirs = everywhere(file.content())
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("datatype", ["INT5", "UINT3", "BINARY", "FIXED<7,3>"])
def test_an_annotated_input_needs_no_quant(datatype: str) -> None:
    file = File((3,))
    file.annotations["x"] = datatype
    file.outputs = {file.node("MatMul", "x", file.constant([[1.0], [2.0], [-0.5]])): (1,)}
    graph = check(file.content())
    assert repr(graph.inputs[0].op.formats.single) == {  # type: ignore[union-attr]
        "INT5": "ap_fixed<5,5>", "UINT3": "ap_ufixed<3,3>", "BINARY": "ap_ufixed<1,1>", "FIXED<7,3>": "ap_fixed<7,3>",
    }[datatype]  # fmt: skip


def test_a_port_is_the_quantizer_that_stands_on_it() -> None:
    file = File((3,))
    x = file.quant("x", 4, [[0, -1, -2]], signed=1)
    file.outputs = {file.node("Relu", x): (3,)}
    formats = check(file.content()).inputs[0].op.formats  # type: ignore[union-attr]
    assert [repr(f) for f in formats] == ["ap_fixed<6,4>", "ap_fixed<5,3>", "ap_fixed<4,2>"]


def test_several_inputs_and_outputs_keep_their_order() -> None:
    from onnx import TensorProto

    file = File((3,))
    file.inputs.append(file.helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3]))
    x, y = file.quant("x", 4, 0), file.quant("y", 5, -1)
    file.outputs = {file.node("Sub", y, x): (3,), x: (3,), file.node("Concat", x, y, axis=1): (6,)}
    graph = check(file.content())
    assert [n.name for n in graph.inputs] == ["x", "y"]
    assert [bounds(graph)[o].shape for o in graph.outputs] == [(3,), (3,), (6,)]


def test_bias_scale_and_normalization_are_folded_into_the_layer_before() -> None:
    file = File((3,))
    x = file.node("MatMul", file.quant("x", 4, 0), file.constant(np.ones((3, 2))))
    x = file.node("Add", x, file.constant([0.5, 1.0]))
    constants = [file.constant(z) for z in ([2.0, 4], [1.0, 0], [1.0, 2], [4.0, 1])]
    x = file.node("BatchNormalization", x, *constants, epsilon=0.0)
    file.outputs = {file.quant(x, 6, 0): (2,)}
    graph = check(file.content())
    assert [type(n.op) for n in graph.nodes] == [ops.Input, ops.Affine, ops.Requant]


def test_channels_first_costs_no_permutation_inside_the_network() -> None:
    file = File((2, 5, 5))
    x = file.quant("x", 4, 0)
    for channels in (2, 3):
        x = file.node("Conv", x, file.constant(np.ones((3, channels, 2, 2))))
        x = file.quant(file.node("Relu", x), 6, [[[[0]], [[1]], [[2]]]], signed=0)
    file.outputs = {file.node("GlobalAveragePool", file.node("MaxPool", x, kernel_shape=[3, 3])): (3, 1, 1)}
    graph = check(file.content())
    kinds = [type(n.op).__name__ for n in graph.nodes]
    assert kinds.count("Permute") == 2  # into the first convolution, and out of the last one


def test_a_one_dimensional_convolution_written_as_a_two_dimensional_one() -> None:
    file = File((2, 6))
    x = file.node("Unsqueeze", file.quant("x", 4, 0), file.constant([2], np.int64))
    x = file.node("Conv", x, file.constant(np.arange(12).reshape(1, 2, 1, 6) / 4.0), pads=[0, 2, 0, 1])
    file.outputs = {file.node("Squeeze", x, file.constant([-2], np.int64)): (1, 4)}
    assert bounds(check(file.content()))["squeeze_3"].shape == (1, 4)


def test_reading_twice_gives_the_same_digest(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(Dice(4).image().content())
    assert qonnx.recognises(path)
    first, second = (qonnx.read(path, 50, 1) for _ in range(2))
    assert io.digest(first.graph) == io.digest(second.graph)
    assert first.events == 50
    assert "nodes" in first.origin


def test_a_model_beyond_float32_says_so() -> None:
    file = File((2,))
    x = file.quant("x", 13, 0)
    x = file.node("MatMul", x, file.constant([[4001.0], [-4003.0]]))
    file.outputs = {file.quant(x, 20, 6): (1,)}
    model = reading.parse(file.content())
    graph, _ = rules.to_graph(model, {})
    assert comparing.beyond_float32(graph)
    assert "not proved exact" in comparing.remarks(graph, "qonnx")[0]


def test_a_difference_is_never_accepted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(Dice(1).dense().content())
    honest = oracle.oracle

    def off_by_one_step(model: reading.Model) -> comparing.Oracle:
        return lambda feed: [y + np.float32(2**-10) * (np.arange(len(y)) == 7)[:, None] for y in honest(model)(feed)]

    monkeypatch.setattr(oracle, "oracle", off_by_one_step)
    with pytest.raises(Mismatch, match="differ in 1 of 64 events"):
        qonnx.read(path, 64, 0)
