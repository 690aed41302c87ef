"""Training of gradient-boosted trees with scikit-learn, and their integers.

Trees compare hardware integers, so ``x <= t`` is ``x <= floor(t)``: nothing is rounded there. Only the leaves are, onto
one grid, each by at most half a step; the score is off by at most half a step for each tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from trigger_ml import tools
from trigger_ml.artifact import read_npz, write_json, write_npz
from trigger_ml.errors import ArtifactError, SpecError
from trigger_ml.families import scores
from trigger_ml.fixed import Fixed, Formats
from trigger_ml.frontends import result
from trigger_ml.frontends.targets import labelled
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.ops import integers
from trigger_ml.ir.trees import Trees, add_trees
from trigger_ml.samples.dataset import Feature, Sample
from trigger_ml.spec import Spec

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAF_BITS = 12
"""Width of a leaf where the spec gives no bits."""

LEAST = 0.01
"""The part of all weight that a leaf holds at least: with signals far fewer than background, leaves of few events would
learn them by heart."""

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Learned:
    """Float trees and the events that judge them: see :class:`trigger_ml.frontends.result.Judged`."""

    twin: Arrays
    validation: NDArray[np.integer[Any]]
    background: int


def train(spec: Spec, sample: Sample, folder: Path, console: Console | None) -> None:
    """Train; write ``trained.npz``, ``float.npz``, ``history.json``, ``selfcheck.npz`` into ``folder``.

    Raises:
        ToolMissing: if the extra ``trees`` is not installed.
        SpecError: for a score that isn't this family's, or if no tree finds anything to split on.
    """
    scores.check(spec.model, "trees")
    model = _fitted(spec, sample, console)
    losses = _losses(model, sample)
    kept = int(np.argmin(losses)) + 1
    twin = _float_trees(model, kept, int(spec.model.depth or 1))
    if not np.any(twin["feature"] >= 0):
        raise SpecError("[model] the trees found nothing to split on: signals and background look alike")
    arrays = quantized(twin, spec.model.bits or LEAF_BITS)
    graph = to_graph(arrays, spec, sample)
    parts = [sample.background.validation, *(s.validation for s in sample.signals.values())]
    learned = Learned(twin, np.concatenate(parts), len(parts[0]))
    records = [{"epoch": i, "validation": loss} for i, loss in enumerate(losses)]
    write_npz(folder / "float.npz", twin)
    write_npz(folder / "trained.npz", arrays)
    write_npz(folder / "selfcheck.npz", _selfcheck(model, arrays, learned.validation))
    score = result.quality(graph, spec, learned, sample.gives_rates)
    write_json(folder / "history.json", {"phases": {"trees": records}, "kept": kept, "score": score})


def freeze(folder: Path, spec: Spec, sample: Sample) -> Graph:
    """The integer graph of what :func:`train` wrote; numpy only."""
    return to_graph(read_npz(folder / "trained.npz"), spec, sample)


def to_graph(arrays: Arrays, spec: Spec, sample: Sample) -> Graph:
    """The graph ``x -> score`` of integer trees; exact.

    Raises:
        ArtifactError: if an array is missing.
    """
    try:
        feature, threshold, leaf = (integers(arrays[name]) for name in ("feature", "threshold", "leaf"))
        trees = Trees(feature, threshold, leaf, int(arrays["base"]), int(arrays["frac"]))
    except KeyError as missing:
        raise ArtifactError(f"trained.npz holds no {missing}: run the step train again") from None
    b = Builder()
    x = b.input((len(sample.features),), ports(sample.features), name="x")
    score = add_trees(b, x, trees)
    return b.graph(
        score, meta={"name": spec.name, "score": spec.model.score, "sample": f"{sample.name}/{sample.variant}"}
    )


def ports(features: Sequence[Feature]) -> Formats:
    """Each feature's own range, in hardware units."""
    fixed = [Fixed.holding(min(f.lo, 0), f.hi, 0) for f in features]
    width = [0 if f.lo == f.hi == 0 else z.width for f, z in zip(features, fixed, strict=True)]
    return Formats.of([z.signed for z in fixed], width, 0)


def quantized(twin: Arrays, bits: int) -> Arrays:
    """Integer trees: the same comparisons, leaves rounded to the finest grid on which ``bits`` bits hold them all."""
    leaf = twin["leaf"]
    top = max(float(np.abs(leaf).max()), 2.0**-bits)
    frac = bits - 2 - int(np.floor(np.log2(top)))
    if np.floor(top * 2.0**frac + 0.5) >= 2 ** (bits - 1):
        frac -= 1
    return {
        "feature": twin["feature"],
        "threshold": np.floor(twin["threshold"]).astype(np.int64),
        "leaf": np.floor(leaf * 2.0**frac + 0.5).astype(np.int64),
        "base": np.array(0, np.int64),
        "frac": np.array(frac, np.int64),
    }


def _fitted(spec: Spec, sample: Sample, console: Console | None) -> Any:
    ensemble = tools.package("sklearn.ensemble")
    x, label, weight = labelled(sample, "train")
    model = ensemble.GradientBoostingClassifier(
        n_estimators=spec.model.trees,
        max_depth=spec.model.depth,
        learning_rate=spec.train.shrinkage,
        min_weight_fraction_leaf=LEAST,
        random_state=spec.seed,
        init="zero",  # both sides weigh the same: the sum starts from 0, and no engine has a base score to mistake
    )
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=console is None) as progress:
        task = progress.add_task("trees", total=spec.model.trees)

        def shown(tree: int, *_: Any) -> bool:
            progress.update(task, completed=tree + 1)
            return False

        return model.fit(x, label, sample_weight=weight, monitor=shown)


def _losses(model: Any, sample: Sample) -> list[float]:
    """Cross-entropy of the validation part after each tree, in nats; background and signals weigh the same."""
    x, label, weight = labelled(sample, "validation")
    sign = np.where(label > 0, -1.0, 1.0)
    scale = weight / weight.sum(dtype=np.float64)
    return [float(scale @ np.logaddexp(0.0, sign * raw[:, 0])) for raw in model.staged_decision_function(x)]


def _float_trees(model: Any, kept: int, depth: int) -> Arrays:
    """Complete trees in heap order; below a leaf that came early nothing is compared and all leaves are the same."""
    feature = np.full((kept, (1 << depth) - 1), -1, np.int64)
    threshold, leaf = np.zeros(feature.shape), np.zeros((kept, 1 << depth))
    for number, tree in enumerate(estimator.tree_ for estimator in model.estimators_[:kept, 0]):
        for node, place in _heap(tree).items():
            level = (place + 1).bit_length() - 1
            if tree.children_left[node] >= 0:
                feature[number, place], threshold[number, place] = tree.feature[node], tree.threshold[node]
            else:
                below = 1 << (depth - level)
                start = (place + 1 - (1 << level)) * below
                leaf[number, start : start + below] = tree.value[node, 0, 0] * model.learning_rate
    return {"feature": feature, "threshold": threshold, "leaf": leaf}


def _heap(tree: Any) -> dict[int, int]:
    """Node of a scikit-learn tree -> its place in a heap."""
    place = {0: 0}
    for node in range(tree.node_count):  # parents come before their children
        if tree.children_left[node] >= 0:
            place[int(tree.children_left[node])] = 2 * place[node] + 1
            place[int(tree.children_right[node])] = 2 * place[node] + 2
    return place


def _selfcheck(model: Any, arrays: Arrays, validation: NDArray[np.integer[Any]]) -> Arrays:
    """The sum of the integer leaves that scikit-learn itself says events reach."""
    kept, depth = len(arrays["leaf"]), arrays["leaf"].shape[1].bit_length() - 1
    x = np.concatenate([validation[: result.CHECKED // 2], validation[-result.CHECKED // 2 :]])
    reached, total = model.apply(x)[:, :, 0].astype(np.int64), np.zeros(len(x), np.int64)
    for number, estimator in enumerate(model.estimators_[:kept, 0]):
        worth = np.zeros(estimator.tree_.node_count, np.int64)
        for node, place in _heap(estimator.tree_).items():
            level = (place + 1).bit_length() - 1
            worth[node] = arrays["leaf"][number, (place + 1 - (1 << level)) << (depth - level)]
        total += worth[reached[:, number]]
    return {"x": x, "node.score": (total * 2.0 ** -int(arrays["frac"]))[:, None]}
