"""Where files are cut: everything once, at edges where these are close enough."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trigger_ml.emulate.events import cuts, thinned


@given(
    st.lists(st.integers(1, 400), max_size=30), st.integers(1, 900), st.booleans(),
    st.integers(0, 10**4), st.integers(0, 10**4),
)  # fmt: skip
def test_cuts_cover_everything_once(steps: list[int], size: int, whole: bool, a: int, b: int) -> None:
    edges = [0, *np.cumsum(steps).tolist()]
    start, stop = sorted((a % (edges[-1] + 1), b % (edges[-1] + 1)))
    at = cuts(edges, size, start, stop, whole)
    assert (at[0], at[-1]) == (start, stop)
    assert all(x < y for x, y in zip(at, at[1:], strict=False))
    if whole:
        assert set(at[1:-1]) <= set(edges)
    else:
        assert all(y - x <= size for x, y in zip(at, at[1:], strict=False))
    few = thinned(edges, size)
    assert (few[0], few[-1]) == (edges[0], edges[-1])
    assert set(few) <= set(edges)
