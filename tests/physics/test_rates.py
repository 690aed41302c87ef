from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.physics.sample import sample
from trigger_ml.errors import SampleError
from trigger_ml.physics.rates import at_rate, crossings_khz, require_rates
from trigger_ml.physics.roc import Background


@pytest.mark.parametrize(("bunches", "mhz"), [(2760, 31.04), (2544, 28.61), (3564, 40.08)])
def test_crossing_rates_of_the_lhc(bunches, mhz):
    assert crossings_khz(bunches) / 1e3 == pytest.approx(mhz, abs=0.005)


@given(st.integers(1, 3564), st.floats(0.01, 20_000))
def test_rate_is_never_above_its_target(bunches, target):
    background = Background.of(np.random.default_rng(bunches).geometric(0.01, 3_000))
    point = at_rate("rate", background, target, bunches)
    assert point.rate_khz.value <= target * (1 + 1e-12)
    assert point.rate_khz.value == pytest.approx(point.events / 3_000 * crossings_khz(bunches))
    assert point.rate_khz.low <= point.rate_khz.value <= point.rate_khz.high
    looser = background.count(point.threshold - 1) / 3_000 * crossings_khz(bunches)
    assert looser > target or point.events == 3_000


def test_only_zero_bias_gives_rates():
    require_rates(sample(10, 10))
    with pytest.raises(SampleError, match="adc2021_like is not zero bias, so it gives no rate in kHz: quote"):
        require_rates(sample(10, 10, gives_rates=False))
