"""One network, four lowerings and the framework: the same bits; and what a runtime's rewriting could spoil."""

from __future__ import annotations

import numpy as np
import pytest

from tests.offline.inputs import rows, weights_of
from trigger_ml import tools
from trigger_ml.backends.onnx import open_session
from trigger_ml.errors import Mismatch, Unsupported
from trigger_ml.offline import networks
from trigger_ml.offline.edges import Plane
from trigger_ml.offline.layers import Linear, Network, Node, Port
from trigger_ml.offline.onnx import model as made
from trigger_ml.offline.onnx.writer import LOWERINGS, Writer
from trigger_ml.offline.quantize import quantized

pytestmark = [pytest.mark.needs_onnx, pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")]

MODES = ("ternary", "binary", "int8")


@pytest.fixture(scope="module", autouse=True)
def _framework():
    from trigger_ml.frontends import session

    session.start()


def by_numpy(network, weights, x):
    """The meaning, with int64 sums: layers of one mode and ReLU only."""
    for i, node in enumerate(network.linears):
        codes = quantized(weights[f"{node.name}.kernel"], node.op.mode)
        top = np.maximum(np.abs(x).max(-1, keepdims=True), np.float32(1e-5))
        q = np.rint(x * (np.float32(127) / top)).astype(np.int64)
        whole = (q @ codes.codes.astype(np.int64)).astype(np.float32)
        x = whole * top * codes.scale + weights[f"{node.name}.bias"]
        x = np.maximum(x, 0) if i < len(network.linears) - 1 else x
    return x


@pytest.mark.needs_train
@pytest.mark.parametrize("mode", MODES)
def test_framework_and_every_lowering_give_the_same_bits(mode):
    from trigger_ml.offline.framework import deployed

    network = networks.plain_mlp(24, 5, 64, 3, mode)
    weights, x = weights_of(network), rows(100_000, 24)
    want = by_numpy(network, weights, x)
    assert np.array_equal(deployed(network, weights, {"x": x}), want)
    for lowering in LOWERINGS:
        written = made.model(network, weights, lowering)
        for threads in (1, 2):
            session = made.opened(written.content, written.digest, threads)
            for start in range(0, len(x), 1024):
                y = made.evaluate(session, {"x": x[start : start + 1024]})
                assert np.array_equal(y, want[start : start + 1024]), (lowering, threads)
            for row in range(0, len(x), 101):
                assert np.array_equal(made.evaluate(session, {"x": x[row : row + 1]}), want[row : row + 1])


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("lowering", LOWERINGS)
def test_one_row_at_a_time(lowering, threads):
    network = networks.plain_mlp(24, 5, 64, 3, "ternary")
    weights, x = weights_of(network), rows(100_000, 24)
    want = by_numpy(network, weights, x)
    written = made.model(network, weights, lowering)
    session = made.opened(written.content, written.digest, threads)
    assert all(np.array_equal(made.evaluate(session, {"x": x[i : i + 1]})[0], want[i]) for i in range(len(x)))


@pytest.mark.parametrize("mode", MODES)
def test_a_wide_layer_is_summed_where_it_is_exact(mode):
    network = Network((Port("x", (2100,)),), (Node("a", Linear(33, mode), ("x",)),))
    weights = weights_of(network)
    weights["a.kernel"][:, 0] = np.abs(weights["a.kernel"]).max()  # int8: a sum beyond float32's 24 bits
    x = rows(200, 2100)
    x[1] = 5
    want = by_numpy(network, weights, x)
    for lowering in LOWERINGS:
        written = made.model(network, weights, lowering)
        assert np.array_equal(made.evaluate(made.opened(written.content, written.digest), {"x": x}), want), lowering


@pytest.mark.parametrize("precision", networks.PRECISIONS)
@pytest.mark.parametrize("kind", ["residual_mlp", "deep_sets", "particle_transformer", "dual_attention"])
def test_mixed_networks_agree_between_lowerings_and_nearly_with_the_framework(kind, precision):
    from trigger_ml.offline.framework import deployed

    rng, n = np.random.default_rng(3), 64
    feed = {"x": rng.normal(size=(n, 6)), "time": [[0.3]], "condition": rng.normal(size=(n, 2))}
    if kind == "residual_mlp":
        network = networks.residual_mlp(6, 4, 32, 3, precision, condition=2, timed=True)
    elif kind == "deep_sets":
        network = networks.deep_sets(5, 6, 2, 32, precision=precision)
    elif kind == "particle_transformer":
        network = networks.particle_transformer(5, 6, 1, 16, 2, 4, precision)
    else:
        network = networks.dual_attention(5, 6, 1, 16, 4, 4, 3, Plane(2, 0.02), precision)
    if kind != "residual_mlp":
        feed |= {"x": rng.normal(size=(n, 5, 6)), "mask": rng.random((n, 5, 1)) < 0.7}
    arrays = {p.name: np.asarray(feed[p.name], np.float32) for p in network.ports}
    weights = weights_of(network)
    answers = []
    for lowering in LOWERINGS:
        written = made.model(network, weights, lowering)
        answers.append(made.evaluate(made.opened(written.content, written.digest), arrays))
    assert all(np.array_equal(y, answers[0]) for y in answers)
    # sigmoid, exp and float sums differ in last bits, and a last bit can move a rounding by one code of 127
    assert np.median(np.abs(deployed(network, weights, arrays) - answers[0])) < 0.02 * np.std(answers[0])


@pytest.mark.parametrize("lowering", LOWERINGS[1:])
def test_float_layers_behind_the_operator_round_as_elsewhere(lowering):
    """At this width ONNX Runtime's sums depend on whether it makes MatMul and Add into Gemm, which needs a rank."""
    network = networks.residual_mlp(6, 6, 512, 2, "no-embedding-no-last", timed=True)
    rng = np.random.default_rng(7)
    weights = {k: rng.normal(0, 1 / np.sqrt(s[0]), s).astype(np.float32) for k, s in network.parts.items()}
    feed = {"x": rng.normal(size=(8, 6)).astype(np.float32), "time": np.full((1, 1), 0.3, np.float32)}
    golden, other = (made.model(network, weights, k) for k in ("float", lowering))
    found = [made.evaluate(made.opened(m.content, m.digest), feed) for m in (golden, other)]
    assert np.array_equal(*found)


def test_sizes_and_metadata():
    network = networks.plain_mlp(256, 256, 256, 3, "ternary")
    weights = weights_of(network)
    sizes = {lowering: made.model(network, weights, lowering).kernel_bytes for lowering in LOWERINGS}
    assert sizes == {"float": 3 * 4 * 2**16, "int8": 3 * 2**16, "int2": 3 * 2**14, "ternary": 3 * 2**14}
    written = made.model(network, weights, "float")
    other = made.digest(network, {**weights, "linear0.bias": weights["linear0.bias"] + 1})
    with pytest.raises(Mismatch, match="built from network"):
        made.opened(written.content, other)


def test_two_codes_do_not_fit_two_bits_but_bytes():
    network = networks.plain_mlp(8, 8, 8, 2, "int8")
    assert made.model(network, weights_of(network), "ternary").kernel_bytes == 2 * 64


# -- what runtimes rewrite ---------------------------------------------------------------------------------------------


def test_versions_are_set_and_old_enough():
    """onnx 1.23 writes IR 14 and opset 28 unless told; ONNX Runtime 1.31 refuses both."""
    import onnx

    network = networks.plain_mlp(4, 2, 8, 2, "ternary")
    for lowering, most in (("float", 18), ("int8", 18), ("ternary", 18), ("int2", 25)):
        held = onnx.load_model_from_string(made.model(network, weights_of(network), lowering).content)
        assert {d.domain: d.version for d in held.opset_import}[""] == most
        assert held.ir_version == (13 if lowering == "int2" else 8)


def test_a_bias_stays_a_bias_beside_a_scale_for_each_row():
    """MatMulIntegerToFloat of ONNX Runtime 1.31 multiplied the bias by the row's scale in another form of this."""
    network = Network((Port("x", (16,)),), (Node("a", Linear(8, "int8"), ("x",)),))
    weights = weights_of(network)
    weights["a.bias"] = np.full(8, 1000, np.float32)
    x = np.random.default_rng(5).normal(size=(7, 16)).astype(np.float32) * 1e-3
    written = made.model(network, weights, "int8")
    assert np.array_equal(
        made.evaluate(made.opened(written.content, written.digest), {"x": x}), by_numpy(network, weights, x)
    )


def test_the_fault_that_is_guarded_against():
    """The form that ONNX Runtime gets wrong. If this fails, the runtime was repaired: say so where it is told."""
    assert not np.allclose(*_one_product_of_scales(bias=1000.0), rtol=1e-3)
    assert np.allclose(*_one_product_of_scales(bias=0.0), rtol=1e-3)


def _one_product_of_scales(bias: float):
    w = Writer("int8")
    x, top = w.port("x", ["batch", 4]), w.port("top", ["batch", 1])
    zero = w.const(128, np.uint8)
    whole = w.op("MatMulInteger", w.op("QuantizeLinear", x, w.const(1.0), zero), w.const(np.eye(4), np.int8), zero)
    scaled = w.op("Mul", w.op("Cast", whole, to=1), w.op("Mul", top, w.const(0.5)))
    added = w.op("Add", scaled, w.const(np.full(4, bias)))
    session = open_session(w.model([x, top], w.named(added, "y", ["batch", 4]), {}))
    rows_ = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32)
    tops = np.array([[0.1], [3.0]], np.float32)
    return session.run(None, {"x": rows_, "top": tops})[0], rows_ * tops * 0.5 + bias


def test_a_product_beside_two_bit_weights_rounds_again():
    """What ONNX Runtime 1.32 does to DequantizeLinear and MatMul in a row; our two-bit form has a Reshape between."""
    w, rng = Writer("int2"), np.random.default_rng(6)
    codes = rng.integers(-1, 2, (64, 16)).astype(np.int8)
    x = w.port("x", ["batch", 64])
    y = w.op("MatMul", x, w.op("DequantizeLinear", w.int2(codes), w.const(1.0)))
    session = open_session(w.model([x], w.named(y, "y", ["batch", 16]), {}))
    integers = rng.integers(-99, 100, (9, 64)).astype(np.float32)
    assert not np.array_equal(session.run(None, {"x": integers})[0], integers @ codes.astype(np.float32))


def _moved_by_place(kind: str) -> int:
    """Numbers, of 300, that come out otherwise alone than among others."""
    w = Writer("float")
    x = w.port("x", ["batch", 1])
    session = open_session(w.model([x], w.named(w.op(kind, x), "y", ["batch", 1]), {}))
    numbers = np.random.default_rng(1).normal(0, 3, (40_001, 1)).astype(np.float32)
    among = session.run(None, {"x": numbers})[0]
    alone = [session.run(None, {"x": numbers[i : i + 1]})[0] for i in range(300)]
    return sum(not np.array_equal(y[0], among[i], equal_nan=True) for i, y in enumerate(alone))


@pytest.mark.parametrize("kind", ["Sigmoid", "Tanh", "Sqrt", "Exp", "Relu"])
def test_what_a_function_gives_does_not_depend_on_the_place_in_a_batch(kind):
    assert _moved_by_place(kind) == 0


def test_a_sum_of_too_many_bits_is_refused(monkeypatch):
    from trigger_ml.offline.quantize import Codes

    monkeypatch.setattr(Codes, "peak", property(lambda self: 1 << 40))
    network = networks.plain_mlp(4, 2, 8, 2, "ternary")
    with pytest.raises(Unsupported, match="make it narrower"):
        made.model(network, weights_of(network), "float")
