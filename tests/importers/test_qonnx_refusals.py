"""What a QONNX file may not hold: each refused with one line that names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.importers.qonnx_files import Dice, File, Q
from trigger_ml.errors import ImportRefused, TriggerError
from trigger_ml.importers import qonnx
from trigger_ml.importers.qonnx_file import reading, rules

pytestmark = pytest.mark.needs_import

Make = Callable[[File], str]


def start(shape: tuple[int, ...] = (4,), batch: Any = 1) -> tuple[File, str]:
    file = File(shape, batch)
    return file, file.quant("x", 6, -2)


def dense(**quant: Any) -> bytes:
    """x, a dense layer, a quantizer."""
    file, x = start()
    x = file.node("MatMul", x, file.constant(np.ones((4, 2))))
    x = file.quant(x, **{"bits": 8, "exponent": -2} | quant)
    file.outputs = {x: (2,)}
    return file.content()


def behind(make: Make, shape: tuple[int, ...] = (4,), out: tuple[int, ...] = (4,)) -> bytes:
    """A quantized input and whatever ``make`` puts behind the tensor it is given."""
    file, x = start(shape)
    file.outputs = {make(file, x): out}  # type: ignore[call-arg]
    return file.content()


def raw(make: Callable[[File], str], shape: tuple[int, ...] = (4,), batch: Any = 1) -> bytes:
    file = File(shape, batch)
    file.outputs = {make(file): shape}
    return file.content()


def changed(change: Callable[[Any], None]) -> bytes:
    """A good file whose message was changed."""
    import onnx

    proto = onnx.load_model_from_string(dense())
    change(proto)
    made: bytes = proto.SerializeToString()
    return made


def node(op: str, *constants: Any, shape: tuple[int, ...] = (4,), domain: str = "", **attributes: Any) -> bytes:
    return behind(
        lambda f, x: f.node(op, x, *(f.constant(c) for c in constants), domain=domain, **attributes), shape, shape
    )


W = np.ones((2, 3, 2, 2))
IMAGE = (3, 4, 4)
ONES = np.ones(4, np.float32)

CASES: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "holds no node"),
    "text": (lambda: b"this is no protobuf", "no ONNX file"),
    "truncated": (lambda: dense()[:-40], "no ONNX file"),
    "no node": (lambda: changed(lambda p: p.graph.ClearField("node")), "holds no node"),
    "no opset": (lambda: changed(lambda p: p.ClearField("opset_import")), "no valid ONNX model"),
    "unknown opset": (lambda: changed(lambda p: setattr(p.opset_import[0], "version", 999)), "imports version 999"),
    "cycle": (lambda: changed(lambda p: p.graph.node.reverse()), "no valid ONNX model"),
    "another domain": (lambda: node("Quant", 1.0, 0.0, 4.0, domain="my.ops"), "domain 'my.ops'"),
    "channels-last domain": (lambda: node("Conv", W, domain="qonnx.custom_op.channels_last"), "channels_last"),
    "unknown operator": (lambda: node("Sin"), "node 'Sin_1' (Sin): this operator is not supported"),
    "unknown quantizer": (lambda: node("FloatQuant", 1.0, domain=Q), "FloatQuant): this operator is not supported"),
    "external constant": (
        lambda: changed(lambda p: setattr(p.graph.initializer[0], "data_location", 1)), "kept in another file",
    ),
    "not quantized": (lambda: raw(lambda f: f.node("Relu", "x")), "input 'x' is not quantized"),
    "read twice": (
        lambda: raw(lambda f: f.node("Add", f.quant("x", 4, 0), f.node("Relu", "x"))), "input 'x' is not quantized",
    ),
    "odd annotation": (lambda: annotated("TERNARY"), "annotated 'TERNARY'"),
    "two events": (lambda: raw(lambda f: f.quant("x", 4, 0), batch=2), "has 2 events in its first axis"),
    "dynamic shape": (lambda: raw(lambda f: f.quant("x", 4, 0), shape=("n",)), "no fixed size along axis 1"),  # type: ignore[arg-type]
    "no shape": (lambda: raw(lambda f: f.quant("x", 4, 0), shape=()), "no axis behind the events'"),
    "scale 0.3": (lambda: dense(scale=0.3), "its scale is 0.3: only powers of two"),
    "negative scale": (lambda: dense(scale=-0.5), "its scale is -0.5"),
    "no scale": (lambda: dense(scale=np.zeros(0)), "its scale is empty"),
    "scale 0": (lambda: dense(scale=0.0), "its scale is 0"),
    "scale of a wrong shape": (lambda: dense(exponent=np.zeros((1, 3))), "does not broadcast"),
    "zero point": (lambda: node("Quant", 1.0, 3.0, 4.0, domain=Q, signed=1, narrow=0), "zero point is not 0"),
    "bits 0": (lambda: dense(bits=0), "its bit width is 0"),
    "bits 2.5": (lambda: dense(bits=2.5), "its bit width is 2.5"),
    "bits 40": (lambda: dense(bits=40), "its bit width is 40"),
    "bits each": (lambda: node("Quant", 1.0, 0.0, ONES * 4, domain=Q, signed=1, narrow=0), "differs between elements"),
    "signed 2": (lambda: dense(signed=2), "each must be 0 or 1"),
    "only zero": (lambda: dense(bits=1, signed=0, narrow=1), "its range holds only 0"),
    "rounding": (lambda: dense(mode="NEAREST"), "its rounding_mode 'NEAREST' is unknown"),
    "attribute": (lambda: node("Quant", 1.0, 0.0, 4.0, domain=Q, signed=1, narrow=0, axis=1), "its attribute 'axis'"),
    "dynamic scale": (
        lambda: behind(lambda f, x: f.node("Quant", x, x, f.constant(0.0), f.constant(4.0), domain=Q, signed=1)),
        "its scale is not a constant",
    ),
    "too few inputs": (lambda: node("Quant", 1.0, 0.0, domain=Q, signed=1, narrow=0), "it has 3 inputs"),
    "weights not quantized": (
        lambda: node("MatMul", np.random.default_rng(0).normal(size=(4, 4))), "they are not quantized",
    ),
    "weights infinite": (lambda: node("MatMul", np.full((4, 4), np.inf)), "not finite"),
    "weights of a wrong shape": (lambda: node("MatMul", np.ones((3, 4))), "its weights have the shape (3, 4)"),
    "constant on the left": (
        lambda: behind(lambda f, x: f.node("MatMul", f.constant(np.ones((1, 1))), x)), "its input 0 is a constant",
    ),
    "alpha": (lambda: node("Gemm", np.ones((4, 4)), alpha=0.5), "its attribute alpha is 0.5"),
    "transA": (lambda: node("Gemm", np.ones((4, 4)), transA=1), "its attribute transA is 1"),
    "bias": (lambda: node("Gemm", np.ones((4, 4)), np.ones(3)), "its bias has the shape (3,)"),
    "dilations": (lambda: node("Conv", W, shape=IMAGE, dilations=[2, 2]), "dilations"),
    "groups": (lambda: node("Conv", W, shape=IMAGE, group=2), "don't fit 3 channels"),
    "3-D": (lambda: node("Conv", np.ones((1, 3, 1, 1, 1)), shape=(3, 2, 2, 2)), "not those of a 1-D or 2-D"),
    "strides": (lambda: node("Conv", W, shape=IMAGE, strides=[1]), "2 numbers are needed"),
    "stride 0": (lambda: node("Conv", W, shape=IMAGE, strides=[0, 1]), "each must be at least 1"),
    "negative pads": (lambda: node("Conv", W, shape=IMAGE, pads=[-1, 0, 0, 0]), "none may be negative"),
    "auto_pad": (lambda: node("Conv", W, shape=IMAGE, auto_pad="ALL"), "its attribute auto_pad is 'ALL'"),
    "pool padding": (lambda: node("MaxPool", shape=IMAGE, kernel_shape=[2, 2], pads=[1, 1, 0, 0]), "it pads"),
    "pool ceil": (lambda: node("MaxPool", shape=IMAGE, kernel_shape=[2, 2], ceil_mode=1), "ceil_mode is 1"),
    "pool window": (lambda: node("MaxPool", shape=IMAGE, kernel_shape=[9, 2]), "does not fit"),
    "mean of three": (lambda: node("AveragePool", shape=IMAGE, kernel_shape=[3, 1]), "whose result is not quantized"),
    "batch normalization": (
        lambda: node("BatchNormalization", ONES, ONES, ONES, 3 * ONES), "its folded scale of channel 0",
    ),
    "negative variance": (
        lambda: node("BatchNormalization", ONES, ONES, ONES, -ONES), "it must be positive",
    ),
    "sigmoid alone": (lambda: node("Sigmoid"), "whose result is not quantized: put a Quant behind it"),
    "relu of a sigmoid": (
        lambda: behind(lambda f, x: f.node("Relu", f.node("Sigmoid", x))), "whose result is not quantized",
    ),
    "sigmoid of 20 bits": (
        lambda: raw(lambda f: f.quant(f.node("Sigmoid", f.quant("x", 20, -4)), 8, -8)), "a table takes up to 16",
    ),
    "scales behind a sigmoid": (
        lambda: behind(lambda f, x: f.quant(f.node("Sigmoid", x), 4, [[0, -1, 0, 0]])), "one is supported",
    ),
    "shapes": (
        lambda: behind(lambda f, x: f.node("Add", x, f.node("MatMul", x, f.constant(np.ones((4, 1)))))),
        "only equal shapes are supported",
    ),
    "constant shape": (lambda: node("Add", np.ones((2, 4))), "does not broadcast"),
    "reshape of events": (lambda: reshaped([4, 1]), "mixes events"),
    "reshape to nonsense": (lambda: reshaped([1, 3]), "does not fit"),
    "transpose of events": (lambda: node("Transpose", perm=[1, 0]), "must start with 0"),
    "concat of events": (lambda: behind(lambda f, x: f.node("Concat", x, x, axis=0)), "must be one behind the events'"),
    "squeeze of events": (lambda: node("Squeeze", np.zeros(1, np.int64)), "axes"),
    "squeeze of four": (lambda: squeezed([1]), "are not all of size 1"),
    "squeeze of all": (lambda: squeezed(None), "it names no axes"),
    "flatten": (lambda: node("Flatten", axis=0), "only 1, everything but the events"),
    "max pool indices": (lambda: indices(), "it has 2 outputs"),
    "narrow by channel": (
        lambda: dense(signed=0, narrow=1, exponent=[[0, -1]]), "narrow, unsigned and scaled by channel",
    ),
    "fine trunc": (lambda: node("Trunc", 4.0, 0.0, 8.0, 4.0, domain=Q, rounding_mode="FLOOR"), "finer than its scale"),
    "trunc upward": (
        lambda: node("Trunc", 0.25, 0.0, 8.0, 4.0, domain=Q, rounding_mode="CEIL"), "'CEIL' is not supported",
    ),
    "wide": (lambda: wide(), "more than the 62"),
    "constant output": (lambda: raw(lambda f: f.node("Identity", f.constant(1.0))), "input 'x' is not quantized"),
}  # fmt: skip


def annotated(datatype: str) -> bytes:
    file = File((4,))
    file.annotations["x"] = datatype
    file.outputs = {file.node("Relu", "x"): (4,)}
    return file.content()


def squeezed(axes: list[int] | None) -> bytes:
    return behind(lambda f, x: f.node("Squeeze", x, *([] if axes is None else [f.constant(axes, np.int64)])))


def reshaped(shape: list[int]) -> bytes:
    return behind(lambda f, x: f.node("Reshape", x, f.constant(shape, np.int64)))


def indices() -> bytes:
    import onnx

    proto = onnx.load_model_from_string(node("MaxPool", shape=IMAGE, kernel_shape=[2, 2]))
    proto.graph.node[-1].output.append("where")
    made: bytes = proto.SerializeToString()
    return made


def wide() -> bytes:
    def squares(file: File, x: str) -> str:
        for _ in range(5):
            x = file.node("Mul", x, x)
        return x

    return behind(squares)


@pytest.mark.parametrize("case", CASES)
def test_refused_with_one_line_that_names_it(case: str, tmp_path: Path) -> None:
    make, sentence = CASES[case]
    path = tmp_path / "model.onnx"
    path.write_bytes(make())
    with pytest.raises(ImportRefused) as found:
        qonnx.read(path, 8, 0)
    assert sentence in str(found.value)
    assert "\n" not in str(found.value)


def test_a_missing_or_foreign_path_is_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").mkdir()
    (tmp_path / "model.h5").write_bytes(b"")
    assert not any(qonnx.recognises(tmp_path / name) for name in ("model.onnx", "model.h5", "absent.onnx"))
    with pytest.raises(ImportRefused, match="can't be read"):
        qonnx.read(tmp_path / "absent.onnx", 8, 0)


WHOLE = [dense(), Dice(5).image().content(), Dice(8).dense().content()]


def refusal(content: bytes) -> str:
    """What is said of a file that can't be read, nothing of one that can; anything else than a sentence goes on."""
    try:
        rules.to_graph(reading.parse(content), {})
    except TriggerError as error:
        return str(error)
    return ""


@given(st.sampled_from(WHOLE), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_changed_bytes_are_read_or_refused_but_never_crash(content: bytes, changes: list[tuple[int, int]]) -> None:
    mutated = bytearray(content)
    for at, byte in changes:
        mutated[at % len(mutated)] = byte
    assert "\n" not in refusal(bytes(mutated))


@given(st.sampled_from(WHOLE), st.data())
@settings(max_examples=100)
def test_cut_and_spliced_files_are_read_or_refused(content: bytes, data: st.DataObject) -> None:
    first, second, third = sorted(data.draw(st.integers(0, len(content))) for _ in range(3))
    assert "\n" not in refusal(content[:first] + content[second:third] + data.draw(st.binary(max_size=8)))
