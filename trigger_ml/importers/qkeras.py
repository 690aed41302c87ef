"""Saved QKeras models (``.keras``, ``.h5``; arXiv:2006.10159), read with ``qkeras-v3``.

The graph is held against the model's own float32 forward before it is accepted. ``docs/decisions/004-qkeras.md`` says
which QKeras that is.
"""

from __future__ import annotations

from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import ImportRefused
from trigger_ml.fixed import Overflow, Rounding
from trigger_ml.frontends import session
from trigger_ml.frontends.qkeras import package
from trigger_ml.importers import comparing
from trigger_ml.importers.draft import Quantizer, Value
from trigger_ml.importers.imported import Imported
from trigger_ml.importers.keras_file import layers, loading, walking
from trigger_ml.importers.keras_file.walking import Rule, Tensor, Walk

NAME = "QKeras's float32 forward"

TABLES = ("quantized_tanh", "quantized_sigmoid", "binary", "ternary")
"""Quantizers that become tables of the framework's own results."""


def recognises(path: Path) -> bool:
    """Whether it is a saved Keras model with a layer of QKeras in it."""
    config = loading.configuration(path) if path.is_file() else None
    return config is not None and loading.mentions(config, "qkeras")


def read(path: Path, events: int, seed: int) -> Imported:
    """Read a model and compare it with its own forward on ``events`` vectors.

    Raises:
        ImportRefused: it is malformed, or holds something that can't be read exactly; the sentence names it.
        Mismatch: the graph and the framework differ.
        ToolMissing: the extra ``train`` is not installed, or qkeras-v3 can't be had.
    """
    session.start("networkx", "pyparsing")
    package.load()
    custom: dict[str, Any] = {}
    import_module("qkeras.utils")._add_supported_quantized_objects(custom)
    model = loading.load(path, custom)
    _prepare(model)
    walk = Walk(LANGUAGE)
    graph = walk.graph(model, {"imported": "qkeras"})
    comparing.compare(graph, walking.oracle(model), NAME, events, seed)
    origin = f"QKeras model, {len(model.layers)} layers"
    oracle = f"qkeras-v3 {package.VERSION} on Keras {metadata.version('keras')}, float32, straight-through terms off"
    remarks = comparing.remarks(graph, NAME)
    if walk.tables:
        remarks += (f"{walk.tables} tables hold what the framework's float32 functions give.",)
    return Imported(graph, origin, oracle, events, remarks)


def _prepare(model: Any) -> None:
    """Switch off the straight-through form ``x + (q(x) - x)``, which is ``q(x)`` but for float32 rounding.

    Integer bits that differ between elements come back from a file as Keras's own form of an array: restored.
    """
    for layer in model._flatten_layers():
        for name in dir(layer):
            part: Any = getattr(layer, name, None) if name.endswith(("quantizer_internal", "activation")) else None
            if hasattr(part, "use_ste"):
                part.use_ste = False
            if isinstance(getattr(part, "integer", None), dict):
                part.integer = np.asarray(part.integer["config"]["value"], np.float32)


def quantizer(found: Any) -> Quantizer | None:
    """What an activation quantizer does; None for one that becomes a table.

    Raises:
        ImportRefused: it is none that is known, or it has a setting without an exact counterpart.
    """
    kind = type(found).__name__
    if kind in TABLES:
        alpha = getattr(found, "alpha", 1.0)
        if kind in ("binary", "ternary") and not isinstance(alpha, int | float):
            raise ImportRefused(f"its {kind} has alpha {alpha!r}, which depends on the data: give a number")
        return None
    if kind not in ("quantized_bits", "quantized_relu"):
        raise ImportRefused(
            f"its quantizer {kind} is not supported; supported are quantized_bits, quantized_relu, {', '.join(TABLES)}"
        )
    if found.use_stochastic_rounding or float(found.qnoise_factor) != 1.0:
        raise ImportRefused(f"its {kind} rounds at random or lets part of its input through: switch that off")
    bits, integer = int(found.bits), _integers(found.integer)
    if kind == "quantized_relu":
        if found.negative_slope or found.use_sigmoid or not found.is_quantized_clip:
            raise ImportRefused("its quantized_relu has a slope, a sigmoid or no clip: only the plain one is supported")
        return Quantizer(0, bits, bits - integer, Rounding.RND_CONV, Overflow.SAT)
    if found.alpha not in (None, 1, 1.0):
        raise ImportRefused(f"its quantized_bits has alpha {found.alpha!r}: only alpha=1 is supported on activations")
    signed = int(bool(found.keep_negative))
    if bits == signed:
        raise ImportRefused("its quantized_bits has one signed bit: use binary")
    overflow = Overflow.SAT_SYM if found.symmetric and signed else Overflow.SAT
    return Quantizer(signed, bits, bits - signed - integer, Rounding.RND_CONV, overflow)


def _integers(integer: Any) -> NDArray[np.int64]:
    """Integer bits, one for all elements or one each."""
    real = np.asarray(integer, np.float64)
    if np.any(real != np.round(real)):
        raise ImportRefused(f"its integer bits are {integer}: whole numbers are needed")
    return real.astype(np.int64)


def reads(layer: Any, place: int) -> Quantizer | None:
    """The quantizer of a layer that is one; a table says nothing of its input."""
    return quantizer(layer.activation) if walking.called(layer) == "qkeras>QActivation" and _own(layer) else None


def _own(layer: Any) -> bool:
    return type(layer.activation).__module__.startswith("qkeras")


def _activated(walk: Walk, layer: Any, made: Tensor, name: str) -> Tensor:
    """A layer's activation: a quantizer of QKeras or a plain function."""
    if layer.activation is None or not _own(layer):
        return layers.activated(walk, made, layer.activation, layer)
    to = quantizer(layer.activation)
    if to is None:
        return walk.tabulated(made, layer.activation, name)
    return walk.quantized(made, to, layer.activation, name)


def _weights(layer: Any, name: str, quantizer_name: str) -> NDArray[np.float64]:
    """Quantized weights, as the framework computes them."""
    found = getattr(layer, quantizer_name, None)
    if getattr(found, "use_stochastic_rounding", False):
        raise ImportRefused("its weights are rounded at random: switch that off")
    own = getattr(layer, name)
    return layers.array(own if found is None else found(own))


def _bias(layer: Any) -> NDArray[np.float64] | None:
    return _weights(layer, "bias", "bias_quantizer_internal") if layer.use_bias else None


def _dense(walk: Walk, layer: Any, x: Value) -> Tensor:
    made = layers.dense(walk, layer, x, _weights(layer, "kernel", "kernel_quantizer_internal"), _bias(layer))
    return _activated(walk, layer, made, f"{layer.name}_out")


def _conv(walk: Walk, layer: Any, x: Value) -> Tensor:
    kernel = _weights(layer, "kernel", "kernel_quantizer_internal")
    if getattr(layer, "_mask", None) is not None:
        kernel = kernel * layers.array(layer._mask)
    return _activated(walk, layer, layers.conv(walk, layer, x, kernel, _bias(layer)), f"{layer.name}_out")


def _depthwise(walk: Walk, layer: Any, x: Value) -> Tensor:
    name = "depthwise_kernel" if hasattr(layer, "depthwise_kernel") else "kernel"
    kernel = layers.depthwise(_weights(layer, name, "depthwise_quantizer_internal"))
    return _activated(walk, layer, layers.conv(walk, layer, x, kernel, _bias(layer)), f"{layer.name}_out")


RULES: dict[str, Rule] = {
    **layers.PLAIN,
    "qkeras>QActivation": lambda walk, layer, read: _activated(walk, layer, read[0], layer.name),
    "qkeras>QDense": layers.one(_dense),
    "qkeras>QConv1D": layers.one(_conv),
    "qkeras>QConv2D": layers.one(_conv),
    "qkeras>QDepthwiseConv2D": layers.one(_depthwise),
}
"""Class -> rule."""

LANGUAGE = walking.Language(RULES, reads)
