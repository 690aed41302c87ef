"""Classifier two-sample test: whether boosted trees can tell two samples apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SampleError, ToolMissing
from trigger_ml.physics.intervals import Estimate
from trigger_ml.physics.roc import auc


@dataclass(frozen=True)
class TwoSample:
    """What the classifier achieved.

    Attributes:
        auc: area under its ROC curve on events that it was not trained on, DeLong error; 1/2: it can't tell.
        trained: events of both samples that it was trained on.
        tested: events of both samples behind the AUC.
    """

    auc: Estimate
    trained: int
    tested: int


def two_sample(first: NDArray[Any], second: NDArray[Any], *, trees: int = 100, seed: int = 0) -> TwoSample:
    """Train boosted trees on half of each sample, and measure on the other half.

    Source: J. Friedman, SLAC-PUB-10325 (2003); D. Lopez-Paz and M. Oquab, arXiv:1610.06545.

    Args:
        first: ``(events, features)``.
        second: another sample of the same features.
        trees: at most so many; fewer if a part that is held back for it stops improving.
        seed: of the halves and the trees.

    Raises:
        SampleError: fewer than 40 events of either, or different features.
        ToolMissing: scikit-learn is not installed.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 40:
        raise SampleError(
            f"samples of shapes {a.shape} and {b.shape}: give (events, features) of the same features, 40 or more"
        )
    rng = np.random.default_rng(seed)
    halves = [np.array_split(v[rng.permutation(len(v))], 2) for v in (a, b)]
    x = np.concatenate([train for train, _ in halves])
    y = np.repeat([0, 1], [len(train) for train, _ in halves])
    model = _trees()(max_iter=trees, early_stopping=True, random_state=seed)
    model.fit(x, y)
    scores = [model.decision_function(test) for _, test in halves]
    found = auc(scores[0], scores[1]).estimate()
    return TwoSample(found, len(x), sum(len(test) for _, test in halves))


def _trees() -> Any:
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError:
        raise ToolMissing('the two-sample test needs scikit-learn: pip install "trigger_ml[trees]"') from None
    return HistGradientBoostingClassifier
