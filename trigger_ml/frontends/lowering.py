"""From the layers of a network and its quantized weights to nodes of the integer graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import ArtifactError
from trigger_ml.families import layers as net
from trigger_ml.fixed import Fixed, Formats, Rounding
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import Tensor
from trigger_ml.ir.build import Builder

MAX_FRAC = 40


@dataclass(frozen=True)
class Quantized:
    """What was trained of a layer: the quantizer on its input, and weights that are multiples of a power of two.

    Attributes:
        name: of the layer.
        formats: of its input, one for all elements, one each, or one a channel.
        kernel: empty for a layer without weights.
        bias: the same.
    """

    name: str
    formats: Formats
    kernel: NDArray[np.float64]
    bias: NDArray[np.float64]


def add_network(
    b: Builder,
    x: str,
    layers: Sequence[net.Layer],
    trained: Mapping[str, Quantized],
    rounding: Rounding,
) -> str:
    """Append the network to ``b`` behind the node ``x``; return the node of its last layer.

    Args:
        b: the graph so far.
        x: node of the input.
        layers: of the network, without neurons that :func:`trigger_ml.frontends.freezing.trimmed` has cut.
        trained: what was trained of them, by name.
        rounding: of every activation quantizer.

    Raises:
        ArtifactError: if a weight is not a multiple of ``2**-40``.
    """
    nodes, read = {net.INPUT: x}, net.sources(layers)
    for layer in layers:
        a = nodes[read[layer.name]]
        quantizer = trained.get(layer.name)
        if quantizer is not None:
            a = b.requant(a, fitted(quantizer.formats, b.known(a), rounding), rounding, "SAT", name=f"{layer.name}_in")
        match layer:
            case net.Dense() | net.Conv():
                a = _product(b, a, layer, trained[layer.name])
                if layer.relu and not _clipped(layers, layer.name, trained):
                    a = b.add(ops.Relu(), a, name=f"{layer.name}_relu")
            case net.WeightedSum():
                a = _weighted(b, a, nodes[layer.other], layer)
            case _:
                a = _wired(b, a, layer, nodes)
        nodes[layer.name] = a
    return nodes[layers[-1].name]


def _product(b: Builder, a: str, layer: net.Dense | net.Conv, trained: Quantized) -> str:
    w, fw = exact(trained.kernel, layer.name)
    known = b.known(a)
    fb = exact(trained.bias, layer.name)[1]
    wide = max(fw, fb - known.frac)
    w = w << (wide - fw)
    bias = np.round(trained.bias * 2.0 ** (known.frac + wide)).astype(np.int64)
    if isinstance(layer, net.Dense):
        return b.affine(a, w, bias, wide, name=layer.name)
    return b.conv(a, w, bias, wide, layer.strides, net.padding(layer, known.shape), name=layer.name)


def _clipped(layers: Sequence[net.Layer], name: str, trained: Mapping[str, Quantized]) -> bool:
    """Whether whatever reads a layer saturates negative numbers to zero, as a ReLU would."""
    read = net.sources(layers)
    readers = [layer for layer in layers if read[layer.name] == name]
    others = [layer for layer in layers if name == getattr(layer, "other", None)]
    return (
        bool(readers)
        and not others
        and all(r.name in trained and not np.any(trained[r.name].formats.signed) for r in readers)
    )


def _weighted(b: Builder, a: str, other: str, layer: net.WeightedSum) -> str:
    """``z (particles, features)`` summed with a column of another node's particles as weights, unrounded."""
    features = b.known(a).shape[1]
    weights = b.add(ops.Take(ops.integers([layer.column])), other, name=f"{layer.name}_column")
    row = b.add(ops.Permute((1, 0)), weights, name=f"{layer.name}_weights")
    total = b.add(ops.MatMul(), row, a, name=f"{layer.name}_total")
    return b.add(ops.Reshape((features,)), total, name=layer.name)


def _wired(b: Builder, a: str, layer: net.Layer, nodes: Mapping[str, str]) -> str:
    match layer:
        case net.Pool():
            return b.add(ops.Pool(layer.how, layer.size, layer.size), a, name=layer.name)
        case net.Sum():
            return b.reduce(a, "sum", 0, name=layer.name)
        case net.Add():
            return b.add(ops.Add(), a, nodes[layer.other], name=layer.name)
        case net.Join():
            return b.add(ops.Concat(0), nodes[layer.other], a, name=layer.name)
        case net.Reshape():
            return b.add(ops.Reshape(layer.shape), a, name=layer.name)
        case net.Permute():
            return b.add(ops.Permute(layer.axes), a, name=layer.name)
        case net.Columns():
            return b.add(ops.Take(ops.integers(layer.index)), a, name=layer.name)
        case _:
            raise TypeError(f"{layer} has weights")


def exact(values: NDArray[np.float64], name: str) -> tuple[NDArray[np.int64], int]:
    """Integers and the smallest fraction length, from 0, on which ``values`` are exact."""
    for frac in range(MAX_FRAC + 1):
        scaled = values * 2.0**frac
        if np.array_equal(scaled, np.round(scaled)):
            return scaled.astype(np.int64), frac
    raise ArtifactError(f"weights of layer {name} are not multiples of 2**-{MAX_FRAC}: run the step train again")


def fitted(target: Formats, known: Tensor, rounding: Rounding) -> Formats:
    """An equal quantizer of the narrowest formats: no finer than its input, dead where it gives only zero.

    Exact for round-to-nearest modes. A format finer than its input is brought to the input's grid where the input can't
    reach the end of the range, and left as it is where it can: the end would be another number.
    """
    signed, width, frac = (
        np.array(np.broadcast_to(z, known.shape)) for z in (target.signed, target.width, target.frac)
    )
    for at in np.ndindex(known.shape):
        if not width[at]:
            continue
        one = Fixed(bool(signed[at]), int(width[at]), int(frac[at]))
        lo, hi = int(known.lo[at]), int(known.hi[at])
        finer = one.frac - known.frac
        if finer > 0 and (lo << finer) >= one.lo and (hi << finer) <= one.hi:
            frac[at], width[at] = known.frac, max(one.width - finer, 0)
        if -finer > max(abs(lo), abs(hi)).bit_length() and rounding is not Rounding.TRN:
            width[at] = 0
    return Formats.of(signed, width, frac)
