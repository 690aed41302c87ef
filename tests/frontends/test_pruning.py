"""Laws of magnitude pruning: how many, which, and for ever."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from trigger_ml import spec
from trigger_ml.errors import SpecError
from trigger_ml.frontends import pruning
from trigger_ml.spec import Train

KERNELS = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(-4, 4, width=16, allow_nan=False)
)


@given(KERNELS, st.floats(0, 1), st.floats(0, 1))
def test_the_smallest_go_and_never_come_back(kernel, first, then):
    everything = np.ones(kernel.shape, bool)
    once = pruning.kept(kernel, everything, first)
    assert np.count_nonzero(~once) == round(first * kernel.size)
    if once.any() and not once.all():
        assert np.abs(kernel[once]).min() >= np.abs(kernel[~once]).max()
    twice = pruning.kept(np.where(once, kernel[::-1, ::-1], 0), once, then)
    assert not np.any(twice & ~once), "a pruned weight is back"
    assert np.count_nonzero(~twice) == max(round(first * kernel.size), round(then * kernel.size))


@given(st.integers(0, 20), st.integers(1, 20), st.floats(0.01, 0.99))
def test_the_share_rises_from_nothing_to_all_of_it(start, length, sparsity):
    train = Train(epochs=start + length + 1, sparsity=sparsity, prune_start=start, prune_end=start + length)
    shares = [pruning.share(train, epoch) for epoch in range(start + length + 5)]
    assert all(0 <= a <= b <= sparsity for a, b in zip(shares, shares[1:], strict=False))
    assert shares[start] == 0
    assert shares[start + length] == sparsity
    middle = sparsity * (1 - 0.125)
    assert pruning.share(train, start + length / 2) == pytest.approx(middle), "not the cubic of arXiv:1710.01878"


def test_pruned_weights_stay_zero_whatever_the_gradient_says():
    pytest.importorskip("keras", reason="needs the extra train")
    from trigger_ml.frontends import session

    session.start()
    import keras
    import tensorflow as tf

    kernel = keras.Variable(np.array([[1.0, -0.1], [0.2, 3.0]], np.float32))
    masks = pruning.Masks(Train(epochs=4, sparsity=0.5, prune_end=2), [kernel])
    masks.before(2)
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build([kernel])
    for _ in range(3):
        optimizer.apply([tf.ones((2, 2))], [kernel])
    found = np.asarray(kernel)
    assert np.array_equal(found != 0, [[True, False], [False, True]])
    assert found[0, 0] == pytest.approx(0.7, abs=1e-3)


SPEC = """
name = "tiny"
[model]
family = "mlp"
frontend = "{frontend}"
score = "distilled"
hidden = [8]
bits = 6
[train]
epochs = 10
{train}
"""


@pytest.mark.parametrize(
    ("frontend", "train", "sentence"),
    [
        ("qkeras", "sparsity = 0.5", "the frontend qkeras does not prune"),
        ("hgq", "sparsity = 1.0", "sparsity is 1.0: it must be at most 0.99"),
        ("hgq", "sparsity = 0.5\nprune_end = 10", "from epoch 0 to 10, but epochs is 10"),
        ("hgq", "sparsity = 0.5\nprune_start = 5\nprune_end = 5", "from epoch 5 to 5"),
    ],
)
def test_what_can_not_be_pruned_is_refused(frontend, train, sentence):
    with pytest.raises(SpecError, match=sentence):
        spec.parse(SPEC.format(frontend=frontend, train=train))


def test_without_an_end_two_thirds_of_the_epochs_prune():
    assert spec.parse(SPEC.format(frontend="hgq", train="sparsity = 0.5")).train.pruned == 6
