"""Taggers of several classes: counted pair by pair, worked by hand, and laws."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal, getcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trigger_ml.errors import SampleError
from trigger_ml.physics import roc
from trigger_ml.physics.classes import accuracy, confusion, evaluate, log_odds, one_against_rest, winners

NAMES = ("background", "g", "W", "Z", "top")


def drawn(seed: int, classes: int = 3, events: tuple[int, int] = (2, 12), reach: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        name: rng.integers(-reach, reach + 1, (int(rng.integers(*events, endpoint=True)), classes))
        for name in NAMES[:classes]
    }


def alone(logits: dict[str, np.ndarray]) -> np.ndarray:
    return np.arange(len(logits["background"]))


def probability(row: list[int], place: int, frac: int) -> Decimal:
    """Softmax with 60 digits, rounded to 50: enough to tell any two of these apart, and to find equal ones equal."""
    getcontext().prec = 60
    powers = [(Decimal(v) / 2**frac).exp() for v in row]
    return (powers[place] / sum(powers)).quantize(Decimal(10) ** -50)


@given(st.integers(0, 2**31), st.integers(2, 5), st.sampled_from([0, 1, 4]))
@settings(max_examples=60, deadline=None)
def test_one_against_rest_is_a_count_of_pairs_of_probabilities(seed, classes, frac):
    logits = drawn(seed, classes)
    values = {name: y * 2.0**-frac for name, y in logits.items()}
    for place, name in enumerate(logits):
        p = {n: [probability(row, place, frac) for row in y.tolist()] for n, y in logits.items()}
        means = []
        for other in logits:
            if other != name:
                pairs = list(itertools.product(p[name], p[other]))
                means.append(sum(1.0 if a > b else 0.5 * (a == b) for a, b in pairs) / len(pairs))
        found = one_against_rest(values, name, alone(logits))
        assert found.value == pytest.approx(np.mean(means), abs=1e-12)


@given(st.integers(0, 2**31), st.integers(2, 6))
@settings(deadline=None)
def test_events_with_the_same_differences_are_equal_to_the_bit(seed, classes):
    rng = np.random.default_rng(seed)
    row = rng.integers(-4000, 4000, classes) * 2.0**-9
    rest = rng.permutation(row[1:])
    moved = np.concatenate([row[:1], rest]) + float(rng.integers(-99, 99))
    assert log_odds(row[None], 0) == log_odds(moved[None], 0)


def test_probabilities_that_round_to_one_keep_their_order():
    odds = log_odds(np.array([[60.0, 0.0, 0.0], [50.0, 0.0, 0.0], [60.0, 1.0, 0.0]]), 0)
    assert odds[0] > odds[2] > odds[1]
    assert odds[0] == pytest.approx(60 - np.log(2))


@given(st.integers(0, 2**31), st.integers(2, 5))
@settings(max_examples=40, deadline=None)
def test_with_equally_many_events_it_is_the_area_of_all_others_together(seed, classes):
    logits = drawn(seed, classes, (9, 9))
    for place, name in enumerate(logits):
        odds = {n: log_odds(y.astype(float), place) for n, y in logits.items()}
        rest = np.concatenate([odds[n] for n in logits if n != name])
        found = one_against_rest(logits, name, alone(logits))
        assert found.value == pytest.approx(roc.auc(rest, odds[name]).value, abs=1e-12)
    right = np.concatenate([winners(y)[:, i] for i, y in enumerate(logits.values())])
    assert accuracy(logits, alone(logits)).value == pytest.approx(right.mean())


@given(st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_of_two_classes_it_is_the_plain_area_with_its_error_by_collision(seed):
    logits = drawn(seed, 2, (5, 40))
    rng = np.random.default_rng(seed)
    sources = rng.integers(0, 4, len(logits["background"]))
    sources[:2] = (0, 1)
    background, signal = (y[:, 1] - y[:, 0] for y in logits.values())
    plain = roc.auc(background, signal, sources)
    for name in logits:
        found = one_against_rest(logits, name, sources)
        assert found.value == pytest.approx(plain.value, abs=1e-12)
        assert found.estimate().high - found.value == pytest.approx(plain.error, abs=1e-12)


BY_HAND = {
    # taken for: background, background, signal, and a tie of background and the other signal
    "background": np.array([[5, 1, 0], [2, 0, 1], [0, 3, 1], [4, 1, 4]]),
    # right, right
    "hard": np.array([[0, 9, 2], [-1, 0, -2]]),
    # all three tied, right, taken for hard, right, right
    "busy": np.array([[1, 1, 1], [0, 0, 1], [0, 2, 1], [0, 0, 9], [-3, -2, 0]]),
}


def test_a_confusion_matrix_by_hand():
    found = {true: {n: e.value for n, e in row.items()} for true, row in confusion(BY_HAND).items()}
    third = 1 / 3
    assert found["background"] == pytest.approx({"background": 2.5 / 4, "hard": 1 / 4, "busy": 0.5 / 4})
    assert found["hard"] == {"background": 0.0, "hard": 1.0, "busy": 0.0}
    assert found["busy"] == pytest.approx({"background": third / 5, "hard": (1 + third) / 5, "busy": (3 + third) / 5})
    right = accuracy(BY_HAND, np.arange(4))
    assert right.value == pytest.approx((2.5 / 4 + 1 + (3 + third) / 5) / 3)
    # variances of 1, 1, 0, 1/2 and of 1/3, 1, 0, 1, 1, each over its number of events, and a third of each class's mean
    variance = np.var([1, 1, 0, 0.5], ddof=1) / 4 + np.var([third, 1, 0, 1, 1], ddof=1) / 5
    assert right.estimate().high - right.value == pytest.approx(np.sqrt(variance) / 3)


def test_a_row_has_the_binomial_interval_of_its_count():
    logits = {"background": np.array([[1, 0]] * 7 + [[0, 1]] * 3), "hard": np.array([[0, 1]] * 5)}
    e = confusion(logits)["background"]["hard"]
    assert e.value == 0.3
    # Clopper and Pearson, 68.27 %: the tails of a binomial of 10 at the ends are 15.87 % each
    tail = sum(_binomial(10, k, e.low) for k in range(3, 11)), sum(_binomial(10, k, e.high) for k in range(4))
    assert tail == pytest.approx((0.158655, 0.158655), abs=1e-5)


def _binomial(n: int, k: int, p: float) -> float:
    return math.comb(n, k) * p**k * (1 - p) ** (n - k)


@given(st.integers(0, 2**31), st.integers(2, 5))
@settings(max_examples=40, deadline=None)
def test_laws(seed, classes):
    logits = drawn(seed, classes)
    found = evaluate(logits, None, 2, alone(logits))
    assert found.floating is None
    assert list(found.events) == list(logits)
    for row in found.quantized.confusion.values():
        assert sum(e.value for e in row.values()) == pytest.approx(1)
        assert all(e.low <= e.value <= e.high for e in row.values())
    diagonal = [found.quantized.confusion[n][n].value for n in logits]
    assert found.quantized.accuracy.value == pytest.approx(np.mean(diagonal))
    tied = [np.mean([row.count(max(row)) > 1 for row in y.tolist()]) for y in logits.values()]
    assert found.quantized.tied == pytest.approx(np.mean(tied))
    background, pairs = logits["background"], found.quantized.against_background
    for place, name in enumerate(list(logits)[1:], 1):
        plain = roc.auc(background[:, place] - background[:, 0], logits[name][:, place] - logits[name][:, 0])
        assert pairs[name] == plain.estimate()


def test_a_network_differs_from_itself_by_nothing():
    logits = drawn(5, 4, (30, 40), 9)
    found = evaluate(logits, {n: y / 8.0 for n, y in logits.items()}, 3, alone(logits))
    assert found.quantized == found.floating
    for shift in (*found.auc_shift.values(), *found.background_shift.values(), found.accuracy_shift):
        assert (shift.value, shift.low, shift.high) == (0, 0, 0)


def test_shifts_are_paired():
    logits = drawn(6, 4, (200, 300), 9)
    rng = np.random.default_rng(1)
    near = {n: y + rng.normal(0, 0.1, y.shape) for n, y in logits.items()}
    found = evaluate(logits, near, 0, alone(logits))
    for name, shift in found.auc_shift.items():
        assert shift.value == pytest.approx(found.quantized.auc[name].value - found.floating.auc[name].value)
        own = found.quantized.auc[name]
        assert shift.high - shift.value < 0.5 * (own.high - own.value)
    right = found.accuracy_shift
    assert right.value == pytest.approx(found.quantized.accuracy.value - found.floating.accuracy.value)


def test_errors_are_the_scatter_of_repeated_samples():
    rng = np.random.default_rng(3)
    values, errors = {"auc": [], "accuracy": []}, {"auc": [], "accuracy": []}
    for _ in range(300):
        logits = {n: rng.normal(0, 1, (60, 3)) + 0.8 * np.eye(3)[i] for i, n in enumerate(NAMES[:3])}
        pairs = np.repeat(np.arange(30), 2)  # background events come twice, with the same logits
        logits["background"] = np.repeat(logits["background"][:30], 2, axis=0)
        for key, mean in (("auc", one_against_rest(logits, "g", pairs)), ("accuracy", accuracy(logits, pairs))):
            values[key].append(mean.value)
            errors[key].append(mean.estimate().high - mean.value)
    for key in values:
        assert np.mean(errors[key]) == pytest.approx(np.std(values[key]), rel=0.15)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda y: y[:, :2], r"quantized logits of background have the shape \(4, 2\), for 4 events and 3 classes"),
        (lambda y: y * np.array([1.0, np.nan, 1.0]), "quantized logits of background are not finite"),
    ],
)
def test_other_logits_are_refused(change, sentence):
    with pytest.raises(SampleError, match=sentence):
        evaluate(BY_HAND | {"background": change(BY_HAND["background"])}, None, 0, np.arange(4))


def test_a_float_twin_of_other_events_is_refused():
    with pytest.raises(SampleError, match=r"float logits of hard have the shape \(1, 3\), for 2 events"):
        evaluate(BY_HAND, BY_HAND | {"hard": BY_HAND["hard"][:1]}, 0, np.arange(4))
