"""Weights as integers: laws, and the formula once more in plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trigger_ml.errors import GraphError, Unsupported
from trigger_ml.offline.onnx.packing import packed, unpacked
from trigger_ml.offline.quantize import INT8_TOP, quantized

KERNELS = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.floats(-8, 8, width=32)
)


@given(KERNELS, st.sampled_from(["ternary", "binary", "int8"]))
def test_codes_are_in_range_and_keep_signs(kernel, mode):
    codes = quantized(kernel, mode)
    top = INT8_TOP if mode == "int8" else 1
    assert np.abs(codes.codes).max() <= top
    if mode != "binary":
        assert np.all(codes.codes * np.sign(kernel) >= 0)
        halves = np.clip(kernel / codes.step, -top, top) - codes.codes
        assert np.abs(halves).max() <= 0.5 + 1e-6
    else:
        assert set(np.unique(codes.codes)) <= {-1, 1}


@given(KERNELS, st.integers(-4, 4))
def test_a_power_of_two_moves_the_scale_alone(kernel, power):
    kernel[np.abs(kernel) < 1e-3] = 0.5
    one, other = quantized(kernel, "ternary"), quantized(kernel * np.float32(2.0**power), "ternary")
    assert np.array_equal(one.codes, other.codes)
    assert other.step == one.step * 2.0**power


def test_an_example_by_hand():
    codes = quantized(np.array([[0.2, -1.0], [0.6, 0.2]], np.float32), "ternary")  # mean 0.5
    assert codes.codes.tolist() == [[0, -1], [1, 0]]
    assert codes.step == pytest.approx(0.5)
    assert codes.peak == 127
    with pytest.raises(GraphError, match="no codes"):
        quantized(np.ones((2, 2), np.float32), "float")


def test_bytes_can_not_saturate_pairs():
    assert 2 * 255 * INT8_TOP < 2**15


@given(hnp.arrays(np.int8, st.tuples(st.integers(1, 70), st.integers(1, 40)), elements=st.integers(-1, 1)))
def test_packing_is_undone(codes):
    data = packed(codes)
    assert data.size == -(-codes.shape[0] // 16) * -(-codes.shape[1] // 16) * 64
    assert np.array_equal(unpacked(data, *codes.shape), codes)


def test_packing_refuses_what_does_not_fit():
    with pytest.raises(Unsupported, match="use the lowering int8"):
        packed(np.array([[2]], np.int8))
