"""Saved HGQ2 models (``.keras``): every weight and activation with bit widths of its own (arXiv:2405.00645).

The graph is held against the model's own float32 forward before it is accepted.
"""

from __future__ import annotations

import math
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from trigger_ml.errors import ImportRefused
from trigger_ml.fixed import Overflow, Rounding
from trigger_ml.frontends import session
from trigger_ml.importers import comparing
from trigger_ml.importers.draft import Quantizer, Value
from trigger_ml.importers.imported import Imported
from trigger_ml.importers.keras_file import layers, loading, walking
from trigger_ml.importers.keras_file.walking import Rule, Tensor, Walk
from trigger_ml.ir import ops

NAME = "HGQ2's float32 forward"


def recognises(path: Path) -> bool:
    """Whether it is a saved Keras model with a layer of HGQ2 in it."""
    config = loading.configuration(path) if path.is_file() else None
    return config is not None and loading.mentions(config, "hgq")


def read(path: Path, events: int, seed: int) -> Imported:
    """Read a model and compare it with its own forward on ``events`` vectors.

    Raises:
        ImportRefused: it is malformed, or holds something that can't be read exactly; the sentence names it.
        Mismatch: the graph and the framework differ.
        ToolMissing: the extra ``train`` is not installed.
    """
    session.start("hgq")
    import hgq.layers  # noqa: F401  # registers the layers' names

    model = loading.load(path)
    walk = Walk(LANGUAGE)
    graph = walk.graph(model, {"imported": "hgq"})
    comparing.compare(graph, walking.oracle(model), NAME, events, seed)
    origin = f"HGQ2 model, {len(model.layers)} layers"
    oracle = f"HGQ2 {metadata.version('hgq2')} on Keras {metadata.version('keras')}, float32"
    return Imported(graph, origin, oracle, events, comparing.remarks(graph, NAME) + _tables(walk))


def _tables(walk: Walk) -> tuple[str, ...]:
    return (f"{walk.tables} tables hold what the framework's float32 functions give.",) if walk.tables else ()


def quantizer(found: Any) -> Quantizer | None:
    """What a quantizer of HGQ2 does at inference; None for one that does nothing.

    Raises:
        ImportRefused: it is no fixed-point quantizer, or has a mode without an exact counterpart.
    """
    inner = found.quantizer
    kind = type(inner).__name__
    if kind == "DummyQuantizer":
        return None
    if not kind.startswith("FixedPointQuantizer"):
        raise ImportRefused(f"its quantizer {kind} is not supported: only fixed point is")
    if found.scaler is not None or found.affine is not None:
        raise ImportRefused("its quantizer has a scaler or an affine part: neither is supported")
    rounding, overflow = inner.round_mode.removeprefix("S_"), inner.overflow_mode
    if rounding not in list(Rounding) or overflow not in list(Overflow):
        raise ImportRefused(f"its quantizer's modes {rounding}, {overflow} are not supported")
    k, i, f = (layers.array(z).astype(np.int64) for z in inner.kif)
    width = np.where(k + i + f > 0, k + np.maximum(i, -f) + f, 0)
    return Quantizer(k, width, f, Rounding(rounding), Overflow(overflow))


def reads(layer: Any, place: int) -> Quantizer | None:
    """The quantizer on an input of a layer."""
    if type(layer).__name__ == "Quantizer":
        return quantizer(layer)
    if not getattr(layer, "enable_iq", False):
        return None
    inner = layer.iq
    return quantizer(inner[place] if hasattr(inner, "quantizers") else inner)


def _inputs(walk: Walk, layer: Any, read: list[Tensor]) -> list[Value]:
    """A layer's inputs behind its own quantizers."""
    made = []
    for i, tensor in enumerate(read):
        to = reads(layer, i)
        if to is None:
            made.append(walk.exact(tensor))
            continue
        own = layer.iq[i] if hasattr(layer.iq, "quantizers") else layer.iq
        made.append(walk.quantized(tensor, to, own, f"{layer.name}_in"))
    return made


def _output(walk: Walk, layer: Any, made: Tensor) -> Tensor:
    """A layer's output quantizer."""
    to = quantizer(layer.oq) if layer.enable_oq else None
    return made if to is None else walk.quantized(made, to, layer.oq, f"{layer.name}_out")


def _layer(rule: Any, activation: bool = False) -> Rule:
    """Quantized inputs, ``rule(walk, layer, values)``, the activation, the quantized output."""

    def lower(walk: Walk, layer: Any, read: list[Tensor]) -> Tensor:
        made = rule(walk, layer, _inputs(walk, layer, read))
        if activation:
            made = layers.activated(walk, made, layer.activation, layer)
        return _output(walk, layer, made)

    return lower


def _bias(layer: Any) -> Any:
    return None if layer.qbias is None else layers.array(layer.qbias)


def _dense(walk: Walk, layer: Any, values: list[Value]) -> Value:
    return layers.dense(walk, layer, values[0], layers.array(layer.qkernel), _bias(layer))


def _conv(walk: Walk, layer: Any, values: list[Value]) -> Value:
    return layers.conv(walk, layer, values[0], layers.array(layer.qkernel), _bias(layer))


def _einsum(walk: Walk, layer: Any, values: list[Value]) -> Value:
    """``ab...c,c...d->...d``: a product whose kernel shares only contracted axes with the input."""
    draft, x, kernel = walk.draft, values[0], layers.array(layer.qkernel)
    left, rest = layer.equation.replace(" ", "").split(",")
    weights, result = rest.split("->")
    inner = [a for a in weights if a in left]
    if "." in layer.equation or left[0] != result[0] or left[0] in weights or any(a in result for a in inner):
        raise ImportRefused(f"its equation {layer.equation!r} is not supported: the kernel may not keep input axes")
    kept, new = [a for a in left[1:] if a not in inner], [a for a in weights if a not in inner]
    shape = dict(zip(left[1:], draft.shape(x), strict=True)) | dict(zip(weights, kernel.shape, strict=True))
    x = draft.transposed(x, [left[1:].index(a) for a in (*kept, *inner)])
    x = draft.reshaped(x, (*(shape[a] for a in kept), math.prod(shape[a] for a in inner)))
    w = kernel.transpose([weights.index(a) for a in (*inner, *new)]).reshape(draft.shape(x)[-1], -1)
    made = draft.affine(x, w, None, layer.name)
    made = draft.reshaped(made, tuple(shape[a] for a in (*kept, *new)))
    made = draft.transposed(made, [(*kept, *new).index(a) for a in result[1:]])
    return made if layer.bias is None else draft.scaled(made, 1.0, _bias(layer), f"{layer.name}_bias")


def _normalized(walk: Walk, layer: Any, values: list[Value]) -> Value:
    scale, shift = (layers.array(z) for z in layer.qscaler_and_qoffset)
    return layers.scaled(walk, layer, values[0], scale, shift)


def _sum(walk: Walk, layer: Any, values: list[Value]) -> Value:
    made = values[0]
    shape = walk.draft.shape(made)
    axes = sorted((int(a) % (len(shape) + 1) - 1 for a in layer.axes), reverse=True)
    if axes[-1] < 0:
        raise ImportRefused("it sums over the events")
    for axis in axes:
        made = walk.draft.reduce(made, "sum", axis, layer.name)
    if layer.keepdims:
        made = walk.draft.reshaped(made, tuple(1 if a in axes else n for a, n in enumerate(shape)))
    elif len(axes) == len(shape):
        raise ImportRefused("it leaves no axis behind the events': give it keepdims=True")
    return walk.draft.scaled(made, float(layer.scale), 0.0, f"{layer.name}_scale")


def _dot(walk: Walk, layer: Any, values: list[Value]) -> Value:
    if any(len(v.order) != 1 for v in values):
        raise ImportRefused("its inputs are not vectors: only those are supported")
    return walk.draft.reduce(
        walk.draft.pair(ops.Mul(), values[0], values[1], layer.name), "sum", 0, f"{layer.name}_sum"
    )


def _merge(op: ops.Op) -> Rule:
    return _layer(lambda walk, layer, values: layers.merged(walk, layer, values, op))


def _quantizer(walk: Walk, layer: Any, read: list[Tensor]) -> Tensor:
    to = quantizer(layer)
    return read[0] if to is None else walk.quantized(read[0], to, layer, layer.name)


RULES: dict[str, Rule] = {
    **layers.PLAIN,
    "hgq>Quantizer": _quantizer,
    "hgq>QDense": _layer(_dense, activation=True),
    "hgq>QBatchNormDense": _layer(_dense, activation=True),
    "hgq>QEinsumDense": _layer(_einsum, activation=True),
    "hgq>QEinsumDenseBatchnorm": _layer(_einsum, activation=True),
    "hgq>QConv1D": _layer(_conv, activation=True),
    "hgq>QConv2D": _layer(_conv, activation=True),
    "hgq>QBatchNormalization": _layer(_normalized),
    "hgq>QUnaryFunctionLUT": _layer(lambda walk, layer, values: values[0], activation=True),
    "hgq>QAdd": _merge(ops.Add()),
    "hgq>QSubtract": _merge(ops.Add(subtract=True)),
    "hgq>QMultiply": _merge(ops.Mul()),
    "hgq>QMaximum": _merge(ops.Max()),
    "hgq>QDot": _layer(_dot),
    "hgq>QSum": _layer(_sum),
    "hgq>QMeanPow2": _layer(_sum),
    **{f"hgq>QMaxPooling{n}D": _layer(lambda w, layer, v: layers.pooled(w, layer, v[0], "max")) for n in (1, 2)},
    **{f"hgq>QAveragePooling{n}D": _layer(lambda w, layer, v: layers.pooled(w, layer, v[0], "sum")) for n in (1, 2)},
    **{
        f"hgq>QGlobalMaxPooling{n}D": _layer(lambda w, layer, v: layers.pooled_globally(w, layer, v[0], "max"))
        for n in (1, 2)
    },
    **{
        f"hgq>QGlobalAveragePooling{n}D": _layer(lambda w, layer, v: layers.pooled_globally(w, layer, v[0], "sum"))
        for n in (1, 2)
    },
}
"""Class -> rule."""

LANGUAGE = walking.Language(RULES, reads)
