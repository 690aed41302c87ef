"""Layers with weights: dense, normalization, convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from trigger_ml.fixed import Formats, requantize
from trigger_ml.importers.hls4ml_project.ap_types import ApType
from trigger_ml.importers.hls4ml_project.layer import Layer, Rule
from trigger_ml.importers.hls4ml_project.linear import Ints, Sum, Window, accumulated, latency_order, resource_order
from trigger_ml.importers.hls4ml_project.net import rounded
from trigger_ml.importers.hls4ml_project.program import Config
from trigger_ml.importers.hls4ml_project.tokens import refused

MAX_CHANNELS = 4096


def _factors(layer: Layer, w: Ints, kind: ApType, product: str) -> tuple[Ints, int]:
    """By what each weight multiplies: itself, or what hls4ml's special products make of it."""
    if layer.kind(0).one_bit and (kind.one_bit or product in ("both_binary", "data_binary")):
        raise refused(
            layer.call.at, f"{layer.call.function} multiplies bits as signs ({product}), which is not understood"
        )
    if product == "mult":
        return w, kind.frac
    if product == "weight_binary":
        return np.where(w == 0, -1, 1).astype(object), 0
    if product == "weight_ternary":
        return np.where(w == 0, 0, np.where(w == -(2**kind.frac), -1, 1)).astype(object), 0
    raise refused(layer.call.at, f"the product {product} is not understood: mult, weight_binary and weight_ternary are")


def _bias(layer: Layer, k: int, size: int, accum: ApType) -> Ints:
    """Biases cast into the accumulator."""
    b, kind = layer.numbers(k, size)
    to = Formats.uniform(accum.fixed(layer.call.at))
    return requantize(b, kind.frac, to, accum.rounding, accum.overflow)


def _strategy(layer: Layer, config: Config, kernel: str, n_in: int) -> tuple[bool, Sequence[int] | None]:
    """Whether the weights are stored output first, and in which order an output's products are added."""
    kernels = {"DenseLatency", "Conv1DLatency", "BatchedDenseForConv1D", "DepthwiseDenseLatency"}
    resource = {"DenseResource_rf_leq_nin", "DenseResource_rf_gt_nin_rem0", "DenseResource_rf_gt_nin", "Conv1DResource"}
    name = config.alias(kernel, "") if kernel else ""
    strategy = config.word("strategy", "latency")
    if name in kernels or (not name and strategy in ("latency", "distributed_arithmetic")):
        return False, latency_order(n_in)
    if name in resource or (not name and strategy == "resource"):
        reuse = config.number("reuse_factor", 1)
        return True, resource_order(n_in, reuse) if reuse > 0 else None
    raise refused(layer.call.at, f"{config.name} is computed by {name or strategy}, which is not understood")


def _dense(layer: Layer) -> str:
    config = layer.config
    n_in, n_out = config.number("n_in"), config.number("n_out")
    accum = config.type("accum_t")
    x = layer.tensor(0, n_in)
    w, kind = layer.numbers(2, n_in * n_out)
    transposed, order = _strategy(layer, config, "kernel", n_in)
    w, frac = _factors(layer, w, kind, config.alias("product", "mult"))
    w = w.reshape(n_out, n_in).T if transposed else w.reshape(n_in, n_out)
    return accumulated(layer.net, x, Sum(w, frac, _bias(layer, 3, n_out, accum), accum, order))


def _normalize(layer: Layer) -> str:
    config = layer.config
    n_in, n_filt = config.number("n_in"), config.number("n_filt", -1)
    count = n_in if n_filt == -1 else n_filt
    if n_filt != -1 and (n_filt < 1 or n_in % n_filt):
        raise refused(layer.call.at, f"{config.name} has {n_filt} filters for {n_in} elements")
    x = layer.tensor(0, n_in)
    scale, kind = layer.numbers(2, count)
    bias, bias_kind = layer.numbers(3, count)
    scale, frac = _factors(layer, scale, kind, config.alias("product", "mult"))
    scale, frac = rounded(scale, frac, kind)
    bias, bias_frac = rounded(bias, bias_kind.frac, bias_kind)
    t = layer.net.known[x]
    top = max(frac, bias_frac - t.frac)
    if count > MAX_CHANNELS:
        raise refused(layer.call.at, f"{config.name} has {count} scales, {MAX_CHANNELS} at most")
    scale, bias = np.diag(scale * 2 ** (top - frac)), bias * 2 ** (top + t.frac - bias_frac)
    return layer.net.flat(layer.net.affine(layer.net.reshape(x, n_in // count, count), scale, bias, top))


# -- convolutions -----------------------------------------------------------------------------------------------------


def _window(config: Config, dimensions: int) -> tuple[Window, int, tuple[int, ...]]:
    """What the kernel sees, the number of filters, and dilations."""
    axes = ("height", "width")[2 - dimensions :]
    sides = {"height": ("top", "bottom"), "width": ("left", "right")}
    dilation = "dilation" if dimensions == 1 else "dilation_{}"
    shape = tuple(config.number(f"in_{a}") for a in axes)
    kernel = tuple(config.number(f"filt_{a}") for a in axes)
    strides = tuple(config.number(f"stride_{a}") for a in axes)
    padding = tuple((config.number(f"pad_{b}"), config.number(f"pad_{e}")) for b, e in (sides[a] for a in axes))
    dilations = tuple(config.number(dilation.format(a), 1) for a in axes)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    counts = [
        (n + sum(p) - k) // s + 1 if s > 0 and k > 0 else 0
        for n, p, k, s in zip(shape, padding, reach, strides, strict=True)
    ]
    said = [config.number(f"out_{a}") for a in axes]
    if counts != said or min(counts) < 1 or min(min(p) for p in padding) < 0:
        raise refused(config.at, f"{config.name} says {said} positions, its windows make {counts}")
    window = Window((*shape, config.number("n_chan")), kernel, strides, padding)
    return window, config.number("n_filt"), dilations


def _dilated(w: Ints, dilations: tuple[int, ...]) -> Ints:
    """A kernel ``(*kernel, c_in, c_out)`` with zeros between its elements."""
    for axis, d in enumerate(dilations):
        if d > 1:
            n = w.shape[axis]
            wide = np.zeros((*w.shape[:axis], d * (n - 1) + 1, *w.shape[axis + 1 :]), dtype=object)
            wide[(slice(None),) * axis + (slice(None, None, d),)] = w
            w = wide
    return w


def _conv(dimensions: int, depthwise: bool = False) -> Rule:
    def lower(layer: Layer) -> str:
        return _convolved(layer, layer.config, dimensions, depthwise, layer.tensor(0))

    return Rule(lower)


def _convolved(layer: Layer, config: Config, dimensions: int, depthwise: bool, x: str) -> str:
    """A convolution's accumulators, flat."""
    window, n_filt, dilations = _window(config, dimensions)
    channels, taps = window.shape[-1], math.prod(window.kernel)
    if layer.net.size(x) != math.prod(window.shape):
        raise refused(layer.call.at, f"{config.name} reads {window.shape}, its input has {layer.net.size(x)} elements")
    if (
        n_filt * math.prod(config.number(f"out_{a}") for a in ("height", "width")[2 - dimensions :])
        != layer.array(1).size
    ):
        raise refused(
            layer.call.at, f"{config.name} makes another number of elements than {layer.call.argument(1)} has"
        )
    mult = layer.program.configs.get(f"{config.name}_mult", config)
    accum = config.type("accum_t")
    transposed, order = _strategy(layer, config, "conv_kernel", taps * channels)
    if depthwise:
        if n_filt != channels:
            raise refused(layer.call.at, f"{config.name} has a depth multiplier, which is not understood")
        transposed, order = False, None if transposed else order
    w, kind = layer.numbers(2, taps * channels * (1 if depthwise else n_filt))
    w, frac = _factors(layer, w, kind, mult.alias("product", "mult"))
    if depthwise:
        w = w.reshape(taps, channels)[:, :, None] * np.eye(channels, dtype=int).astype(object)
    elif transposed:
        w = w.reshape(n_filt, taps * channels).T
    kernel = _dilated(w.reshape(*window.kernel, channels, n_filt), dilations)
    if max(dilations) > 1:
        order = None
    window = Window(window.shape, kernel.shape[:dimensions], window.strides, window.padding)
    s = Sum(kernel.reshape(-1, n_filt), frac, _bias(layer, 3, n_filt, accum), accum, order, window)
    return layer.net.flat(accumulated(layer.net, x, s))


DENSE: dict[str, Rule] = {
    "dense": Rule(_dense),
    "normalize": Rule(_normalize),
    "conv_1d_cl": _conv(1),
    "conv_2d_cl": _conv(2),
    "pointwise_conv_1d_cl": _conv(1),
    "pointwise_conv_2d_cl": _conv(2),
    "depthwise_conv_1d_cl": _conv(1, depthwise=True),
    "depthwise_conv_2d_cl": _conv(2, depthwise=True),
}
