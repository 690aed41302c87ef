"""Each kernel of the ternary operator against integers summed by numpy; and what happens without a compiler."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.offline.inputs import rows
from trigger_ml import tools
from trigger_ml.errors import ToolFailed, ToolMissing
from trigger_ml.offline.layers import SMALLEST
from trigger_ml.offline.onnx import operator
from trigger_ml.offline.quantize import Codes

pytestmark = pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")


def expected(x, codes, bias):
    """The meaning of the operator: int64 sums, float32 steps."""
    top = np.maximum(np.abs(x).max(-1, keepdims=True), SMALLEST)
    q = np.rint(x * (np.float32(127) / top)).astype(np.int64)
    assert np.abs(q).max(initial=0) <= 127
    return (q @ codes.codes.astype(np.int64)).astype(np.float32) * top * codes.scale + bias


@settings(max_examples=60)
@given(
    st.integers(1, 300), st.integers(1, 70), st.integers(1, 12), st.integers(0, 2**31), st.floats(1e-4, 1e3)
)  # fmt: skip
def test_every_kernel_equals_integers(inner, outer, count, seed, step):
    rng = np.random.default_rng(seed)
    codes = Codes(rng.integers(-1, 2, (inner, outer)).astype(np.int8), step)
    x, bias = rows(count, inner, seed), rng.normal(size=outer).astype(np.float32)
    want = expected(x, codes, bias)
    for kernel in operator.kernels():
        assert np.array_equal(operator.product(x, codes, bias, kernel), want), kernel


@pytest.mark.parametrize("inner", [1, 16, 1024, 5000])
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_largest_sums_do_not_overflow(inner, sign):
    codes = Codes(np.full((inner, 17), sign, np.int8), 127.0)
    x, bias = np.full((6, inner), -3.0, np.float32), np.zeros(17, np.float32)
    for kernel in operator.kernels():
        assert np.array_equal(operator.product(x, codes, bias, kernel), expected(x, codes, bias)), kernel


def test_a_row_that_is_not_finite_gives_no_number_and_spoils_no_other():
    rng = np.random.default_rng(1)
    codes, bias = Codes(rng.integers(-1, 2, (37, 20)).astype(np.int8), 1.0), np.zeros(20, np.float32)
    x = rows(8, 37)
    bad = x.copy()
    bad[1, 0], bad[4, 36], bad[6, 20] = np.nan, np.inf, -np.inf
    for kernel in operator.kernels():
        y = operator.product(bad, codes, bias, kernel)
        assert np.isnan(y[[1, 4, 6]]).all(), kernel
        assert np.array_equal(y[[0, 2, 3, 5, 7]], expected(x, codes, bias)[[0, 2, 3, 5, 7]]), kernel


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """An empty cache for the library."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    operator.library.cache_clear()
    yield tmp_path
    operator.library.cache_clear()


def test_without_a_compiler_the_sentence_names_the_other_lowering(fresh, monkeypatch):
    monkeypatch.setattr(tools, "find", lambda name: None)
    with pytest.raises(ToolMissing, match="use the lowering int8"):
        operator.library()


def test_a_compiler_that_fails_leaves_nothing(fresh, monkeypatch):
    monkeypatch.setattr(operator, "FLAGS", ("-no-such-flag",))
    with pytest.raises(ToolFailed, match="no-such-flag"):
        operator.library()
    assert not list(fresh.rglob("*.so"))


def test_it_is_compiled_once(fresh):
    path = operator.library()
    time = path.stat().st_mtime_ns
    operator.library.cache_clear()
    assert operator.library() == path
    assert path.stat().st_mtime_ns == time
