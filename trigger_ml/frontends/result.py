"""What every front end leaves behind: the trained arrays, the self-check, the history; and the check itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from trigger_ml import plugins
from trigger_ml.artifact import read_npz, write_json, write_npz
from trigger_ml.families import double
from trigger_ml.fixed import Rounding
from trigger_ml.frontends import scoring
from trigger_ml.frontends.freezing import to_graph
from trigger_ml.frontends.loop import Record
from trigger_ml.frontends.plan import Plan
from trigger_ml.ir.bounds import FLOAT32_EXACT, bounds
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import BLOCK, check_inputs, evaluate
from trigger_ml.physics.rates import accepted_share
from trigger_ml.samples.dataset import Sample
from trigger_ml.spec import Spec

Arrays = dict[str, NDArray[Any]]

CHECKED = 4096
"""Events on which the framework's own forward is kept for comparison with the graph."""

ENOUGH_LEVELS = 50
"""Fewer distinct scores above the working point than this leave too coarse a choice of threshold."""


@dataclass(frozen=True)
class Agreement:
    """How a framework's float32 forward compares with one node of the graph.

    Attributes:
        node: the graph's node.
        values: numbers compared.
        mismatches: how many differ.
        exact: whether every number on the way to the node is proved below 2**24, so that float32 must agree.
    """

    node: str
    values: int
    mismatches: int
    exact: bool


def write(
    folder: Path,
    spec: Spec,
    sample: Sample,
    plan: Plan,
    arrays: Arrays,
    outputs: NDArray[np.float32] | None,
    checked: NDArray[np.integer[Any]],
    history: Mapping[str, Sequence[Record]],
    rounding: Rounding,
    console: Console | None,
) -> None:
    """Write ``trained.npz``, ``selfcheck.npz`` and ``history.json``.

    Args:
        folder: where to.
        spec: of the run.
        sample: its events.
        plan: what was learned.
        arrays: layers as :mod:`trigger_ml.frontends.freezing` reads them, without heads and score.
        outputs: the framework's float32 outputs on ``checked``; None where no framework computes them.
        checked: hardware integers of the self-check.
        history: records of each phase.
        rounding: of the activation quantizers.
        console: where a score of too few levels is warned of.
    """
    arrays = complete(spec, sample, plan, arrays, rounding)
    write_npz(folder / "trained.npz", arrays)
    kept = {} if outputs is None else {head.name: outputs[:, head.start : head.stop] for head in plan.heads}
    write_npz(folder / "selfcheck.npz", {"x": checked, **{f"node.{k}": v for k, v in kept.items()}})
    graph = to_graph(arrays, spec, sample, rounding)
    score = quality(graph, spec, plan, sample.gives_rates)
    write_json(folder / "history.json", {"phases": dict(history), "score": score, "zero_weights": zeros(arrays)})
    if console is not None and not score["enough_levels"]:
        console.print(
            f"[yellow]the score has {score['levels_above_working_point']} levels above the working point, fewer than "
            f"{ENOUGH_LEVELS}: thresholds there are coarse, or the sample has too few events to tell"
        )


def zeros(arrays: Arrays) -> dict[str, list[int]]:
    """For each layer: weights that are exactly zero, those that were pruned, and all of them."""
    found = {}
    for key, kernel in arrays.items():
        name, _, part = key.rpartition(".")
        if part == "kernel":
            pruned = np.count_nonzero(~arrays[f"{name}.kept"]) if f"{name}.kept" in arrays else 0
            found[name] = [int(np.count_nonzero(kernel == 0)), int(pruned), int(kernel.size)]
    return found


def complete(spec: Spec, sample: Sample, plan: Plan, arrays: Arrays, rounding: Rounding) -> Arrays:
    """Layers with what makes them a score: the heads' formats, and the integer bits that the score needs."""
    arrays = {**arrays, **scoring.head_arrays(plan.heads), "log_var.floor": np.array(plan.floor)}
    arrays["score.integer"] = np.array(62, np.int64)
    if spec.model.score == "pair":
        arrays |= {k: v for k, v in plan.twin.items() if k.endswith((".at", ".tail"))}
        arrays |= _tails(to_graph(arrays, spec, sample, rounding), sample)
    bits = _integer_bits(to_graph(arrays, spec, sample, rounding), plan)
    return {**arrays, "score.integer": np.array(bits, np.int64)}


def _tails(graph: Graph, sample: Sample) -> Arrays:
    """The background's tail in each of a pair's own, quantized scores."""
    found: Arrays = {}
    for part in double.PARTS:
        scores, known = _run(graph, part, sample.background.train)[:, 0], bounds(graph)[part]
        at = np.arange(int(known.lo[0]), int(known.hi[0]) + 1)
        found |= {f"{part}.at": at * 2.0**-known.frac, f"{part}.tail": double.tail(scores, at)}
    return found


def selfcheck(folder: Path, graph: Graph) -> tuple[Agreement, ...]:
    """Compare the framework's float32 forward, kept in ``selfcheck.npz``, with the graph's integers, by ``==``."""
    arrays = read_npz(folder / "selfcheck.npz")
    values = evaluate(graph, check_inputs(graph, arrays.pop("x")))
    known, found = bounds(graph), []
    for key, floats in sorted(arrays.items()):
        node = key.removeprefix("node.")
        ours = values[node] * 2.0 ** -known[node].frac
        peak = max(known[name].peak for name in _ancestors(graph, node))
        found.append(Agreement(node, ours.size, int(np.sum(ours != floats.astype(np.float64))), peak < FLOAT32_EXACT))
    return tuple(found)


def _ancestors(graph: Graph, node: str) -> set[str]:
    seen, todo = set(), [node]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(graph.by_name[name].inputs)
    return seen


def _run(graph: Graph, node: str, x: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    feed = check_inputs(graph, x)["x"]
    parts = [evaluate(graph, {"x": feed[i : i + BLOCK]})[node] for i in range(0, len(feed), BLOCK)]
    return np.concatenate(parts)


def _integer_bits(graph: Graph, plan: Plan) -> int:
    """Integer bits that hold four times the largest score of validation events and as many mixed ones."""
    node = "total" if "total" in graph.by_name else "score"
    top = max(int(_run(graph, node, x).max()) for x in (plan.validation, plan.x[-len(plan.validation) :]))
    return max((4 * top).bit_length() - bounds(graph)[node].frac, 1)


class Judged(Protocol):
    """What a score is judged on: see :class:`trigger_ml.frontends.plan.Plan`."""

    @property
    def twin(self) -> Arrays:
        """Weights of the float twin."""

    @property
    def validation(self) -> NDArray[np.integer[Any]]:
        """Hardware integers: the background's validation part, then each signal's."""

    @property
    def background(self) -> int:
        """How many of them are background."""


def quality(graph: Graph, spec: Spec, plan: Judged, gives_rates: bool) -> dict[str, Any]:
    """How good the quantized score is as a score: rank correlation with the twin, range, resolution.

    Validation events only: background and signals. The working point is the background's quantile at the spec's rate.
    """
    family = plugins.find("families", spec.model.family)
    ours = _run(graph, "score", plan.validation)[:, 0]
    twin = family.float_score(plan.twin, plan.validation, spec)
    accepted = accepted_share(spec.physics, gives_rates)
    background, signal = ours[: plan.background], ours[plan.background :]
    threshold = int(np.quantile(background, 1 - accepted, method="higher"))
    levels = np.unique(ours[ours >= threshold]).size
    top = int(bounds(graph)["score"].hi.max())
    starts = {"all": slice(None), "background": slice(plan.background)}
    return {
        "rank_correlation": {name: spearman(ours[part], twin[part]) for name, part in starts.items()},
        "levels_above_working_point": int(levels),
        "enough_levels": bool(levels >= ENOUGH_LEVELS),
        "saturated": {"background": float(np.mean(background >= top)), "signals": float(np.mean(signal >= top))},
        "threshold": threshold,
        "format": repr(bounds(graph)["score"].fixed),
    }


def spearman(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Rank correlation with mean ranks for ties; 0 if one of the two is constant."""
    ranks = [_midranks(v) for v in (a, b)]
    centred = [r - r.mean() for r in ranks]
    norm = np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum())
    return float((centred[0] * centred[1]).sum() / norm) if norm > 0 else 0.0


def _midranks(values: NDArray[Any]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse.reshape(-1)]
