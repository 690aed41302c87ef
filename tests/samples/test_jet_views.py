"""Views of jets: what orientation and pixels must conserve, and that every column keeps its range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from trigger_ml.samples.jet_scales import ANGLE_HI, DEPTH, FEATURE_SCALES, PT_HI, TAU_SCALES, Scale, encode_constituents
from trigger_ml.samples.jet_views import VIEWS, Jets, image, oriented


def hardware(seed: int, jets: int = 5, spread: int = 20) -> NDArray[np.int16]:
    rng = np.random.default_rng(seed)
    out = np.zeros((jets, DEPTH, 3), np.int16)
    out[..., 0] = -np.sort(-rng.integers(1, 200, (jets, DEPTH)), 1)
    out[..., 1:] = np.clip(rng.normal(0, spread, (jets, DEPTH, 2)), -ANGLE_HI, ANGLE_HI)
    return out * (np.arange(DEPTH) < rng.integers(1, DEPTH + 1, (jets, 1)))[..., None]


def stored(seed: int = 1) -> Jets:
    rng = np.random.default_rng(seed)
    n = 10

    def table(scales: dict[str, Scale]) -> NDArray[np.int16]:
        return np.stack([rng.integers(s.lo, s.hi + 1, n) for s in scales.values()], 1).astype(np.int16)

    jet = np.stack([rng.integers(0, 2000, n), rng.integers(-256, 257, n), rng.integers(0, 800, n)], 1)
    return Jets(
        hardware(seed, n), table(FEATURE_SCALES), table(TAU_SCALES), jet.astype(np.int16), np.arange(n), (6, 1, 3)
    )


@given(st.integers(0, 2**32))
def test_orientation_keeps_pt_and_distances_and_puts_the_prongs_along_the_second_angle(seed: int) -> None:
    before = hardware(seed)
    after = oriented(before)
    assert np.array_equal(after[..., 0], before[..., 0])
    radius = [np.hypot(*np.moveaxis(v[..., 1:].astype(float), -1, 0)) for v in (before, after)]
    # Each component rounds by at most a half; nothing saturates with this spread, but where it does it comes nearer.
    assert np.all(radius[1] <= radius[0] + 0.71)
    pt, x, y = np.moveaxis(after.astype(np.int64), -1, 0)
    total = pt.sum(1)
    slack = total * (0.5 * np.abs(x).max(1) + 0.5 * np.abs(y).max(1) + 1)  # of rounding
    assert np.all((pt * y * y).sum(1) + slack >= (pt * x * x).sum(1))
    assert np.all(np.abs((pt * x * y).sum(1)) <= slack + 1)
    assert np.all((pt * np.sign(x)).sum(1) >= 0)
    assert np.all((pt * np.sign(y)).sum(1) >= 0)


@given(st.integers(0, 2**32), st.sampled_from([(-1, 1), (1, -1), (-1, -1)]))
def test_orientation_forgets_mirrorings(seed: int, signs: tuple[int, int]) -> None:
    jets = hardware(seed)
    once, other = oriented(jets), oriented(jets * np.array((1, *signs), np.int16))
    pt = once[..., 0].astype(np.int64)
    for axis in (1, 2):  # where the two halves balance, no mirror image is preferred
        decided = (pt * np.sign(once[..., axis])).sum(1) != 0
        assert np.array_equal(once[decided, :, axis], other[decided, :, axis])


def test_orientation_by_hand() -> None:
    jet = np.zeros((2, DEPTH, 3), np.int16)
    jet[0, :2] = [[60, 10, 0], [40, -15, 0]]  # along the first angle, the softer one left
    jet[1, :2] = [[60, -6, -8], [40, 9, 12]]  # the same, turned
    after = oriented(jet)
    assert after[0, :2].tolist() == [[60, 0, 10], [40, 0, -15]]
    assert after[1, :2].tolist() == [[60, 0, 10], [40, 0, -15]]


@given(st.integers(0, 2**32))
def test_an_image_holds_the_pt_of_what_is_inside(seed: int) -> None:
    jets = hardware(seed)
    pixels = image(jets).astype(np.int64)
    inside = (jets[..., 1:] >= -104).all(-1) & (jets[..., 1:] < 104).all(-1)
    halves = (jets[..., 0] * inside).sum(1)
    assert np.all(2 * pixels.sum((1, 2)) >= halves)
    assert np.all(2 * pixels.sum((1, 2)) <= halves + (pixels > 0).sum((1, 2)))


def test_pixels_by_hand() -> None:
    jet = np.zeros((1, DEPTH, 3), np.int16)
    jet[0, :5] = [[4095, -104, 103], [8, 0, 0], [3, 12, 12], [2, -1, 0], [1, 104, 0]]
    pixels = image(jet)[0]
    assert pixels[0, 15] == 1023  # saturated
    assert pixels[8, 8] == 6  # 5.5 GeV
    assert pixels[7, 8] == 1
    assert np.count_nonzero(pixels) == 3


def test_every_view_keeps_its_ranges_and_its_shape() -> None:
    jets = stored()
    for name, view in VIEWS.items():
        x = view.of(jets)
        assert x.dtype == np.int16, name
        assert x.shape == (10, len(view.columns)), name
        lo, hi = (np.array([getattr(column, end) for column in view.columns]) for end in ("lo", "hi"))
        assert np.all(x >= lo), name
        assert np.all(x <= hi), name
        bits = view.input_format.width
        assert lo.min() >= -(2 ** (bits - 1)), name
        assert hi.max() < 2 ** (bits - 1), name
        assert not view.shape or np.prod(view.shape) == len(view.columns), name
        assert len({column.name for column in view.columns}) == len(view.columns), name


@given(st.lists(st.tuples(st.floats(0, 3000), st.floats(-2, 2), st.floats(-2, 2)), min_size=1, max_size=40))
def test_constituents_round_saturate_and_drop_what_is_too_soft(values: list[tuple[float, float, float]]) -> None:
    jet = np.array([sorted(values, reverse=True)])
    x = encode_constituents(jet)[0]
    for slot, (pt, eta, phi) in enumerate(jet[0, :DEPTH]):
        if x[slot, 0] == 0:
            assert pt <= 0.25
            assert not x[slot].any()
            continue
        assert x[slot, 0] == min(round(pt / 0.5), PT_HI)
        assert abs(x[slot, 1] - np.clip(eta * 128, -127, 127)) <= 0.5
        assert abs(x[slot, 2] - np.clip(phi * 128, -127, 127)) <= 0.5
    assert not x[len(values) :].any()


@pytest.mark.parametrize(("value", "expected"), [(0.2, 0), (0.25, 0), (0.75, 2), (1e9, 7), (-3, 0)])
def test_a_scale_rounds_to_even_and_saturates(value: float, expected: int) -> None:
    assert Scale(0.5, 0, 7).encode(value) == expected
