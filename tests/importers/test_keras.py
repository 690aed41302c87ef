"""Saved HGQ2 and QKeras models in, integers out: equal to their own float32 forward, or refused by name."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trigger_ml.errors import ImportRefused, Mismatch
from trigger_ml.fixed import Overflow, Rounding
from trigger_ml.importers import hgq, qkeras, qonnx
from trigger_ml.importers.draft import Quantizer
from trigger_ml.importers.keras_file import loading, walking
from trigger_ml.ir import ops

pytestmark = pytest.mark.needs_train


@pytest.fixture(autouse=True, scope="module")
def keras() -> Iterator[Any]:
    from trigger_ml.frontends import session

    session.start("hgq")
    import hgq.layers  # noqa: F401
    import keras

    yield keras
    keras.backend.clear_session()


def hgq_model(seed: int, kind: str) -> Any:
    from tests.importers.hgq_models import Dice

    dice = Dice(seed)
    model = getattr(dice, kind)()
    dice.scatter(model)
    return model


def qkeras_model(seed: int, kind: str) -> Any:
    from tests.importers.qkeras_models import Dice

    return getattr(Dice(seed), kind)()


@pytest.mark.parametrize(("kind", "seed"), [("dense", 0), ("dense", 5), ("image", 0), ("image", 1), ("image", 6)])
def test_hgq_models_give_their_own_numbers(kind: str, seed: int, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    save(hgq_model(seed, kind), path)
    assert hgq.recognises(path)
    assert not qkeras.recognises(path)
    assert hgq.read(path, 200, seed).events == 200


@pytest.mark.parametrize(("kind", "seed"), [("dense", 1), ("dense", 8), ("image", 0), ("image", 2), ("image", 3)])
@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_qkeras_models_give_their_own_numbers(kind: str, seed: int, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model.{suffix}"
    save(qkeras_model(seed, kind), path)
    assert qkeras.recognises(path)
    assert not hgq.recognises(path)
    assert qkeras.read(path, 200, seed).events == 200


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dense", "image"])
@pytest.mark.parametrize("seed", range(100, 125))
def test_many_random_models(kind: str, seed: int, tmp_path: Path) -> None:
    save(hgq_model(seed, kind), tmp_path / "h.keras")
    assert hgq.read(tmp_path / "h.keras", 200, seed).events == 200
    save(qkeras_model(seed, kind), tmp_path / "q.keras")
    assert qkeras.read(tmp_path / "q.keras", 200, seed).events == 200


def save(model: Any, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's `copy`, and the age of HDF5
        model.save(path)


def refused(model: Any, path: Path, reader: Any) -> str:
    save(model, path)
    with pytest.raises(ImportRefused) as found:
        reader.read(path, 16, 0)
    assert "\n" not in str(found.value)
    return str(found.value)


def hgq_chain(*middle: Callable[[Any], Any], shape: tuple[int, ...] = (4,)) -> Any:
    """A Quantizer layer and what comes behind it."""
    import keras
    from hgq.config import QuantizerConfig
    from hgq.layers import Quantizer

    x = first = keras.Input(shape, name="x")
    x = Quantizer(QuantizerConfig("kif", "datalane", k0=1, i0=2, f0=3, overflow_mode="SAT"), name="start")(x)
    for step in middle:
        x = step(x)
    return keras.Model(first, x)


def qdense(n: int = 2, **more: Any) -> Any:
    from hgq.layers import QDense

    return QDense(n, enable_ebops=False, name="dense", **more)


HGQ: dict[str, tuple[Callable[[], Any], str]] = {
    "dense": (lambda: hgq_chain(layer("Dense", 2)), "(keras>Dense): not supported"),
    "activation": (lambda: hgq_chain(qdense(activation="elu")), "its activation 'elu' is not supported"),
    "tanh alone": (lambda: hgq_chain(qdense(activation="tanh")), "whose result is not quantized"),
    "leaky": (lambda: hgq_chain(layer("ReLU", negative_slope=0.5)), "negative_slope or threshold is set"),
    "causal": (lambda: hgq_chain(conv(padding="causal"), shape=(5, 2)), "its padding is 'causal'"),
    "dilated": (lambda: hgq_chain(conv(dilation_rate=2), shape=(5, 2)), "its dilation_rate is (2,)"),
    "padded pool": (lambda: hgq_chain(layer("MaxPooling1D", 2, padding="same"), shape=(5, 2)), "without padding"),
    "mean of three": (lambda: hgq_chain(layer("AveragePooling1D", 3), shape=(6, 2)), "the mean of 3"),
    "normalization": (lambda: hgq_chain(layer("BatchNormalization")), "is not exact in fixed point"),
    "float weights": (lambda: hgq_chain(qdense(kq_conf=dummy())), "they are not quantized"),
    "reflecting": (lambda: hgq_chain(qdense(iq_conf=reflecting())), "its quantizer's modes RND, WRAP_SM"),
    "bare input": (lambda: bare(), "input 'x' is read by 'relu' (keras>ReLU) as it is: quantize the input first"),
    "einsum": (lambda: hgq_chain(einsum("abc,bcd->abd"), shape=(3, 2)), "the kernel may not keep input axes"),
    "softmax": (lambda: hgq_chain(softmax()), "(hgq>QSoftmax): not supported"),
    "sum of everything": (lambda: hgq_chain(total()), "it leaves no axis"),
}


def layer(name: str, *args: Any, **more: Any) -> Any:
    import keras

    return getattr(keras.layers, name)(*args, **more)


def conv(**more: Any) -> Any:
    from hgq.layers import QConv1D

    return QConv1D(2, 2, enable_ebops=False, **more)


def einsum(equation: str) -> Any:
    from hgq.layers import QEinsumDense

    return QEinsumDense(equation, (3, 3), enable_ebops=False)


def softmax() -> Any:
    from hgq.layers import QSoftmax

    return QSoftmax(enable_ebops=False)


def total() -> Any:
    from hgq.layers import QSum

    return QSum(axes=1, enable_ebops=False)


def dummy() -> Any:
    from hgq.config import QuantizerConfig

    return QuantizerConfig("dummy", "weight")


def reflecting() -> Any:
    from hgq.config import QuantizerConfig

    return QuantizerConfig("kif", "datalane", round_mode="RND", overflow_mode="WRAP_SM")


def bare() -> Any:
    import keras

    x = keras.Input((3,), name="x")
    return keras.Model(x, qdense()(keras.layers.ReLU(name="relu")(x)))


@pytest.mark.parametrize("case", HGQ)
def test_hgq_models_that_are_refused(case: str, tmp_path: Path) -> None:
    make, sentence = HGQ[case]
    assert sentence in refused(make(), tmp_path / "m.keras", hgq)


def qchain(activation: Callable[[Any], Any], dense: Callable[[Any], dict[str, Any]] = lambda q: {}) -> Any:
    import keras

    from trigger_ml.frontends.qkeras import package

    q = package.load()
    x = first = keras.Input((3,), name="x")
    x = q.QActivation(q.quantized_bits(5, 2, alpha=1.0), name="start")(x)
    weights = {
        "kernel_quantizer": q.quantized_bits(4, 0, 1, alpha=1.0),
        "bias_quantizer": q.quantized_bits(4, 1, alpha=1.0),
    }
    x = q.QDense(2, name="dense", **weights | dense(q))(x)
    return keras.Model(first, q.QActivation(activation(q), name="last")(x))


QKERAS: dict[str, tuple[Callable[[], Any], str]] = {
    "auto": (lambda: qchain(lambda q: q.quantized_bits(4, 0, alpha="auto_po2")), "alpha 'auto_po2'"),
    "scaled": (lambda: qchain(lambda q: q.quantized_bits(4, 0, alpha=0.5)), "alpha 0.5"),
    "slope": (lambda: qchain(lambda q: q.quantized_relu(4, 0, negative_slope=0.25)), "has a slope"),
    "random": (lambda: qchain(lambda q: q.quantized_relu(4, 0, use_stochastic_rounding=True)), "rounds at random"),
    "noise": (lambda: qchain(lambda q: q.quantized_relu(4, 0, qnoise_factor=0.5)), "lets part of its input through"),
    "powers": (lambda: qchain(lambda q: q.quantized_po2(4)), "its quantizer quantized_po2 is not supported"),
    "binary": (lambda: qchain(lambda q: q.binary(alpha="auto")), "alpha 'auto', which depends on the data"),
    "one bit": (lambda: qchain(lambda q: q.quantized_bits(1, 0, alpha=1.0)), "use binary"),
    "float kernel": (lambda: weights(lambda q: None), "not quantized"),
    "auto kernel": (lambda: weights(lambda q: q.quantized_bits(4, 0, alpha="auto")), "not quantized"),
}


def weights(kernel: Callable[[Any], Any]) -> Any:
    return qchain(lambda q: q.quantized_relu(4), lambda q: {"kernel_quantizer": kernel(q)})


@pytest.mark.parametrize("case", QKERAS)
def test_qkeras_models_that_are_refused(case: str, tmp_path: Path) -> None:
    make, sentence = QKERAS[case]
    assert sentence in refused(make(), tmp_path / "m.keras", qkeras)


def edited(path: Path, change: Callable[[str], str]) -> None:
    """Change the configuration inside a saved model."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = change(members["config.json"].decode()).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_damaged_and_hostile_files(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    save(hgq_chain(qdense()), path)
    whole = path.read_bytes()
    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: path.write_bytes(whole[: len(whole) // 2]), "no saved Keras model, or it is damaged"),
        (lambda: path.write_bytes(b""), "no saved Keras model"),
        (lambda: edited(path, lambda c: c.replace("QDense", "QDence")), "Keras can't load it"),
        (lambda: edited(path, lambda c: c.replace('"class_name": "QDense"', '"class_name": "Lambda"')), "Python code"),
        (lambda: edited(path, lambda c: c[:-9]), "no saved Keras model"),
    ]
    for damage, sentence in cases:
        path.write_bytes(whole)
        damage()
        with pytest.raises(ImportRefused, match=sentence):
            hgq.read(path, 8, 0)
    with pytest.raises(ImportRefused, match="it is no file"):
        hgq.read(tmp_path / "absent.keras", 8, 0)
    assert not any(reader.recognises(tmp_path / "absent.keras") for reader in (hgq, qkeras, qonnx))


def test_a_difference_is_never_accepted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    save(hgq_model(5, "dense"), path)
    honest = walking.oracle
    monkeypatch.setattr(walking, "oracle", lambda model: lambda feed: [y + 2.0**-20 for y in honest(model)(feed)])
    with pytest.raises(Mismatch, match="differ in 50 of 50 events"):
        hgq.read(path, 50, 0)


def test_a_port_is_as_wide_as_its_readers_need() -> None:
    one, two = (Quantizer(k, w, f, Rounding.RND, Overflow.SAT) for k, w, f in ((1, 4, 0), (0, [7, 0], [2, 9])))
    formats = walking.union([one, two], (2,))
    assert [repr(f) for f in formats] == ["ap_fixed<8,6>", "ap_fixed<6,4>"]
    with pytest.raises(ImportRefused, match="always quantized to zero"):
        walking.union([Quantizer(1, 0, 0, Rounding.RND, Overflow.SAT)], (2,))


def test_several_heads_and_a_model_inside_a_model(tmp_path: Path) -> None:
    import keras

    inner = hgq_chain(qdense(3, activation="relu"))
    x = keras.Input((4,), name="outer")
    from hgq.layers import QDense, Quantizer

    y = inner(Quantizer(name="first")(x))
    model = keras.Model(x, [QDense(1, enable_ebops=False, name="mu")(y), QDense(2, enable_ebops=False, name="var")(y)])
    save(model, tmp_path / "m.keras")
    graph = hgq.read(tmp_path / "m.keras", 100, 0).graph
    assert len(graph.outputs) == 2
    assert sum(isinstance(n.op, ops.Affine) for n in graph.nodes) == 3


def test_elements_with_formats_of_their_own_get_tables_of_their_own(tmp_path: Path) -> None:
    from hgq.config import QuantizerConfig
    from hgq.layers import QUnaryFunctionLUT

    lut = QUnaryFunctionLUT(
        "tanh", iq_conf=QuantizerConfig("kif", "datalane", k0=1, i0=2, f0=2, overflow_mode="SAT"),
        oq_conf=QuantizerConfig("kif", "table", k0=1, i0=0, f0=4, homogeneous_axis=(0,)), enable_ebops=False,
    )  # fmt: skip
    model = hgq_chain(lut)
    lut.oq.quantizer._f.assign([[4, 1, 4, 2]])
    save(model, tmp_path / "m.keras")
    graph = hgq.read(tmp_path / "m.keras", 100, 0).graph
    assert sum(isinstance(n.op, ops.Table) for n in graph.nodes) == 3


def test_heads_that_are_slices_with_quantizers_of_their_own(tmp_path: Path) -> None:
    import keras

    from trigger_ml.frontends.qkeras import package

    q = package.load()
    x = first = keras.Input((2, 3), name="x")
    x = q.QActivation(q.quantized_bits(5, 2, alpha=1.0), name="start")(x)
    kernel, bias = q.quantized_bits(4, 0, 1, alpha=1.0), q.quantized_bits(4, 0, alpha=1.0)
    x = q.QDense(4, kernel_quantizer=kernel, bias_quantizer=bias, name="d")(x)
    heads = [q.QActivation(q.quantized_relu(4, 1), name="a")(x[:, :, :3]), q.quantized_bits(5, 1, alpha=1.0)]
    heads[1] = q.QActivation(heads[1], name="b")(x[..., 3:])
    save(keras.Model(first, keras.ops.concatenate(heads, -1)), tmp_path / "m.keras")
    assert qkeras.read(tmp_path / "m.keras", 100, 0).graph.outputs == ("concatenate",)
    bad = keras.Model(first, q.QActivation(q.quantized_relu(4, 1), name="c")(x[:, 0]))
    assert "only ranges behind the events' axis" in refused(bad, tmp_path / "bad.keras", qkeras)


def test_a_configuration_is_recognised_by_its_packages() -> None:
    text = json.dumps({"registered_name": "hgq>QDense", "module": "hgq.layers"})
    assert loading.mentions(json.loads(text), "hgq")
    assert not loading.mentions({"name": "hgq_like"}, "hgq")
    assert np.all(walking.called(np.int64(1)) == "numpy>int64")
