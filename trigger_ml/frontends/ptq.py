"""Uniform bits without any training of them: the float network's numbers rounded once (post-training quantization).

The baseline that quantization-aware training is compared with: the same float network, ranges and formats of outputs.
Numpy alone after the float network is trained.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from trigger_ml.artifact import read_npz
from trigger_ml.errors import SpecError
from trigger_ml.families import inputs
from trigger_ml.families import layers as net
from trigger_ml.fixed import Rounding
from trigger_ml.frontends import plan, result, session
from trigger_ml.frontends.freezing import to_graph
from trigger_ml.ir.graph import Graph
from trigger_ml.samples.dataset import Sample
from trigger_ml.spec import Spec

__all__ = ["freeze", "train"]

ROUNDING = Rounding.RND
BIAS_FRAC, BIAS_TOP = 6, 2.0**5 - 2.0**-6
"""Biases are ``ap_fixed<12,6>``, as the other front ends' are."""


def train(spec: Spec, sample: Sample, folder: Path, console: Console | None) -> None:
    """Train the float network, or resume, round it, and write what every front end writes into ``folder``.

    Raises:
        ToolMissing: if the extra ``train`` is not installed.
        SpecError: if bits are missing, or the latent space collapses.
    """
    session.start()
    if spec.model.bits is None:
        raise SpecError("[model] bits is missing: the frontend ptq needs it, from 2 to 16")
    todo = plan.prepare(spec, sample, folder, console)
    arrays = rounded(todo, spec.model.bits)
    result.write(folder, spec, sample, todo, arrays, None, todo.validation[:1], {}, ROUNDING, console)


def freeze(folder: Path, spec: Spec, sample: Sample) -> Graph:
    """The integer graph of what :func:`train` wrote; numpy only."""
    return to_graph(read_npz(folder / "trained.npz"), spec, sample, ROUNDING)


def rounded(todo: plan.Plan, bits: int) -> dict[str, NDArray[Any]]:
    """The layers as :mod:`trigger_ml.frontends.freezing` reads them, every weight and activation in ``bits`` bits."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, (signed, reach) in todo.ranges().items():
        integer = np.ceil(np.log2(np.maximum(reach, 2.0**-inputs.INPUT_FRAC))).astype(np.int64)
        arrays[f"{name}.signed"] = signed.astype(np.int64)
        arrays[f"{name}.integer"], arrays[f"{name}.frac"] = integer, bits - signed - integer
    for layer in todo.layers:
        if isinstance(layer, net.Dense | net.Conv):
            kernel, bias = (np.asarray(todo.start[f"{layer.name}.{part}"]) for part in ("kernel", "bias"))
            arrays[f"{layer.name}.kernel"] = _weights(kernel, bits)
            arrays[f"{layer.name}.bias"] = np.clip(np.rint(bias * 2.0**BIAS_FRAC) / 2.0**BIAS_FRAC, -BIAS_TOP, BIAS_TOP)
    return arrays


def _weights(kernel: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    """Multiples of one power of two that ``bits`` bits hold, symmetric, nearest to the kernel."""
    frac = bits - 1 - int(np.ceil(np.log2(max(float(np.abs(kernel).max()), 2.0**-20))))
    top = 2 ** (bits - 1) - 1
    return np.clip(np.rint(kernel * 2.0**frac), -top, top) * 2.0**-frac
