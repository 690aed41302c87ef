"""From the quantizers and weights of a trained network to the integer graph, with numpy alone.

``trained.npz`` holds, for each layer ``L``: ``L.kernel`` and ``L.bias``, quantized, as exact float64; ``L.signed``,
``L.integer`` (without the sign) and ``L.frac`` of the quantizer on its input, one for all elements or one each; and for
each head ``H`` ``head.H`` = (first column, last + 1, signed, width, frac). ``score.integer`` says how many integer bits
the score needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import ArtifactError
from trigger_ml.families import classes, inputs
from trigger_ml.families import layers as net
from trigger_ml.fixed import Fixed, Formats, Rounding
from trigger_ml.frontends import scoring
from trigger_ml.frontends.lowering import Quantized, add_network, fitted
from trigger_ml.frontends.teacher import network_of
from trigger_ml.ir import columns
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.ops import Take, integers
from trigger_ml.samples.dataset import Feature, Sample
from trigger_ml.spec import Spec

Arrays = Mapping[str, NDArray[Any]]


def to_graph(arrays: Arrays, spec: Spec, sample: Sample, rounding: Rounding) -> Graph:
    """The graph ``x -> score`` of a trained network, with logits and winner for several classes; exact, or an error.

    Args:
        arrays: the content of ``trained.npz``.
        spec: names the score.
        sample: the features and their ranges.
        rounding: of every activation quantizer.

    Raises:
        ArtifactError: if a weight is not a multiple of ``2**-40``, or an array is missing.
    """
    layers = network_of(spec, sample)
    try:
        trained = {q.name: q for q in trimmed(layers, quantized(layers, arrays))}
        heads = scoring.heads(arrays)
    except KeyError as missing:
        raise ArtifactError(f"trained.npz holds no {missing}: run the step train again") from None
    b = Builder()
    x = b.input((len(sample.features),), ports(sample.features), name="x")
    a = add_network(b, x, layers, trained, rounding)
    parts = {}
    for head in heads:
        part = a
        if len(heads) > 1:
            part = b.add(Take(integers(np.arange(head.start, head.stop))), a, name=f"{head.name}_raw")
        formats = fitted(Formats.uniform(head.fixed), b.known(part), rounding)
        parts[head.name] = b.requant(part, formats, rounding, "SAT", name=head.name)
    score = scoring.add_score(b, spec.model.score, x, parts, arrays, inputs.pt_index(sample.features))
    meta = {"name": spec.name, "score": spec.model.score, "sample": f"{sample.name}/{sample.variant}"}
    if spec.model.score != classes.SCORE:
        return b.graph(score, meta=meta)
    logits = parts[columns.LOGITS]
    return b.graph(score, logits, scoring.add_winner(b, logits), meta=meta | columns.entry(classes.names(sample)))


def quantized(layers: Sequence[net.Layer], arrays: Arrays) -> list[Quantized]:
    """What was trained of the layers that have a quantizer, in order."""
    parts, none = ("signed", "integer", "frac"), np.zeros(0)
    return [
        Quantized(
            layer.name,
            formats(*(arrays[f"{layer.name}.{part}"] for part in parts)),
            *(arrays[f"{layer.name}.{part}"] if weighted(layer) else none for part in ("kernel", "bias")),
        )
        for layer in layers
        if net.quantized(layer)
    ]


def weighted(layer: net.Layer) -> bool:
    """Whether a layer has a kernel and a bias."""
    return isinstance(layer, net.Dense | net.Conv)


def formats(signed: NDArray[Any], integer: NDArray[Any], frac: NDArray[Any]) -> Formats:
    """Formats from a quantizer's sign, integer bits (without the sign) and fraction bits; dead where they sum to 0."""
    live = integer + frac + signed > 0
    return Formats.of(signed, np.where(live, signed + integer + frac, 0), frac)


def ports(features: Sequence[Feature]) -> Formats:
    """Each feature's own range on the common grid of the input."""
    fixed = [Fixed.holding(min(f.lo, 0), f.hi, inputs.INPUT_FRAC) for f in features]
    width = [0 if f.lo == f.hi == 0 else z.width for f, z in zip(features, fixed, strict=True)]
    return Formats.of([z.signed for z in fixed], width, inputs.INPUT_FRAC)


def trimmed(layers: Sequence[net.Layer], trained: Sequence[Quantized]) -> list[Quantized]:
    """The same function without the neurons that nothing reads, or that are always zero behind their quantizer.

    Only in the flat chain of dense layers at the end, which is all that most networks are. An input whose weights are
    all zero keeps its place and gets width 0.
    """
    count = 0
    for layer in reversed(layers):
        if not isinstance(layer, net.Dense) or layer.source:
            break
        count += 1
    before = layers[-count - 1] if count < len(layers) else None
    if not count or isinstance(before, net.Permute | net.Add | net.Conv | net.Pool):
        return list(trained)
    kept = list(trained)
    first = len(kept) - count
    for i in range(len(kept) - 1, first - 1, -1):
        layer_ = kept[i]
        width = np.broadcast_to(layer_.formats.width, layer_.kernel.shape[:1])
        live = np.any(layer_.kernel != 0, axis=1) & (width > 0)
        if i == first or not live.any():
            sign, frac = (np.broadcast_to(z, width.shape) for z in (layer_.formats.signed, layer_.formats.frac))
            kept[i] = replace(layer_, formats=Formats.of(sign, np.where(live, width, 0), frac))
            continue
        cut = [
            np.broadcast_to(z, width.shape)[live]
            for z in (layer_.formats.signed, layer_.formats.width, layer_.formats.frac)
        ]
        kept[i] = replace(layer_, formats=Formats.of(*cut), kernel=layer_.kernel[live])
        above = kept[i - 1]
        kept[i - 1] = replace(above, kernel=above.kernel[:, live], bias=above.bias[live])
    return kept
