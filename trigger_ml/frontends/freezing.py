"""From the quantizers and weights of a trained network to the integer graph, with numpy alone.

``trained.npz`` holds, for each layer ``L``: ``L.kernel`` and ``L.bias``, quantized, as exact float64; ``L.signed``,
``L.integer`` (without the sign) and ``L.frac`` of the quantizer on its input, one for all elements or one each; and for
each head ``H`` ``head.H`` = (first column, last + 1, signed, width, frac). ``score.integer`` says how many integer bits
the score needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import ArtifactError
from trigger_ml.families import inputs
from trigger_ml.fixed import Fixed, Formats, Rounding
from trigger_ml.frontends import scoring
from trigger_ml.ir.bounds import Tensor
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.ops import Take, integers
from trigger_ml.samples.dataset import Feature, Sample
from trigger_ml.spec import Spec

Arrays = Mapping[str, NDArray[Any]]

MAX_FRAC = 40


@dataclass(frozen=True)
class Layer:
    """A quantized dense layer: the quantizer on its input, then its weights, exact multiples of a power of two."""

    name: str
    formats: Formats
    kernel: NDArray[np.float64]
    bias: NDArray[np.float64]


def to_graph(arrays: Arrays, spec: Spec, sample: Sample, rounding: Rounding) -> Graph:
    """The graph ``x -> score`` of a trained network; exact, or an error.

    Args:
        arrays: the content of ``trained.npz``.
        spec: names the score.
        sample: the features and their ranges.
        rounding: of every activation quantizer.

    Raises:
        ArtifactError: if a weight is not a multiple of ``2**-40``, or an array is missing.
    """
    try:
        chain = trimmed(layers(arrays))
        heads = scoring.heads(arrays)
    except KeyError as missing:
        raise ArtifactError(f"trained.npz holds no {missing}: run the step train again") from None
    b = Builder()
    a = x = b.input((len(sample.features),), ports(sample.features), name="x")
    for layer in chain:
        known = b.known(a)
        a = b.requant(a, fitted(layer.formats, known, rounding), rounding, "SAT", name=f"{layer.name}_in")
        w, fw = exact(layer.kernel, layer.name)
        frac = b.known(a).frac
        fb = exact(layer.bias, layer.name)[1]
        fw_wide = max(fw, fb - frac)
        w = w << (fw_wide - fw)
        bias = np.round(layer.bias * 2.0 ** (frac + fw_wide)).astype(np.int64)
        a = b.affine(a, w, bias, fw_wide, name=layer.name)
    parts = {}
    for head in heads:
        part = a
        if len(heads) > 1:
            part = b.add(Take(integers(np.arange(head.start, head.stop))), a, name=f"{head.name}_raw")
        formats = fitted(Formats.uniform(head.fixed), b.known(part), rounding)
        parts[head.name] = b.requant(part, formats, rounding, "SAT", name=head.name)
    score = scoring.add_score(b, spec.model.score, x, parts, arrays, inputs.pt_index(sample.features))
    return b.graph(
        score, meta={"name": spec.name, "score": spec.model.score, "sample": f"{sample.name}/{sample.variant}"}
    )


def layers(arrays: Arrays) -> list[Layer]:
    """The layers in order."""
    names = [str(n) for n in arrays["layers"]]
    parts = ("signed", "integer", "frac")
    return [
        Layer(
            n,
            formats(*(arrays[f"{n}.{part}"] for part in parts)),
            arrays[f"{n}.kernel"],
            arrays[f"{n}.bias"],
        )
        for n in names
    ]


def formats(signed: NDArray[Any], integer: NDArray[Any], frac: NDArray[Any]) -> Formats:
    """Formats from a quantizer's sign, integer bits (without the sign) and fraction bits; dead where they sum to 0."""
    live = integer + frac + signed > 0
    return Formats.of(signed, np.where(live, signed + integer + frac, 0), frac)


def ports(features: Sequence[Feature]) -> Formats:
    """Each feature's own range on the common grid of the input."""
    fixed = [Fixed.holding(min(f.lo, 0), f.hi, inputs.INPUT_FRAC) for f in features]
    width = [0 if f.lo == f.hi == 0 else z.width for f, z in zip(features, fixed, strict=True)]
    return Formats.of([z.signed for z in fixed], width, inputs.INPUT_FRAC)


def exact(values: NDArray[np.float64], name: str) -> tuple[NDArray[np.int64], int]:
    """Integers and the smallest fraction length, from 0, on which ``values`` are exact."""
    for frac in range(MAX_FRAC + 1):
        scaled = values * 2.0**frac
        if np.array_equal(scaled, np.round(scaled)):
            return scaled.astype(np.int64), frac
    raise ArtifactError(f"weights of layer {name} are not multiples of 2**-{MAX_FRAC}: run the step train again")


def trimmed(chain: Sequence[Layer]) -> list[Layer]:
    """The same function without the neurons that nothing reads, or that are always zero behind their quantizer.

    An input whose weights are all zero keeps its port and gets width 0.
    """
    kept = list(chain)
    for i in range(len(kept) - 1, -1, -1):
        layer = kept[i]
        width = np.broadcast_to(layer.formats.width, layer.kernel.shape[:1])
        live = np.any(layer.kernel != 0, axis=1) & (width > 0)
        if i == 0 or not live.any():
            sign, frac = (np.broadcast_to(z, width.shape) for z in (layer.formats.signed, layer.formats.frac))
            kept[i] = replace(layer, formats=Formats.of(sign, np.where(live, width, 0), frac))
            continue
        cut = [
            np.broadcast_to(z, width.shape)[live]
            for z in (layer.formats.signed, layer.formats.width, layer.formats.frac)
        ]
        kept[i] = replace(layer, formats=Formats.of(*cut), kernel=layer.kernel[live])
        before = kept[i - 1]
        kept[i - 1] = replace(before, kernel=before.kernel[:, live], bias=before.bias[live])
    return kept


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
