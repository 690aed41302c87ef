"""Indices of grids against loops over coordinates."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger_ml.errors import GraphError
from trigger_ml.offline.grids import doubled, halved, neighbours, patches

GRIDS = st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple)


def gathered(cells, values):
    """What the layer does, for one feature: ``(cells, taps)``."""
    return np.append(values, 0)[np.asarray(cells.index)]


@given(GRIDS)
def test_neighbours_are_those_next_to_a_cell(grid):
    values = np.arange(1, np.prod(grid) + 1)
    found = gathered(neighbours(grid), values)
    wide = np.pad(values.reshape(grid), 1)
    for row, place in zip(found, itertools.product(*map(range, grid)), strict=True):
        box = tuple(slice(p, p + 3) if n > 1 else slice(p + 1, p + 2) for p, n in zip(place, grid, strict=True))
        assert np.array_equal(row, wide[box].ravel())


@given(GRIDS, st.sets(st.integers(0, 2)))
def test_an_axis_that_closes_has_its_ends_side_by_side(grid, around):
    """Turning such an axis by any angle turns neighbourhoods with it; nothing else changes."""
    values = np.arange(1, np.prod(grid) + 1).reshape(grid)
    around = tuple(a for a in around if a < len(grid))
    index = neighbours(grid, around)
    found = gathered(index, values.ravel()).reshape(*grid, -1)
    for axis in around:
        turned = gathered(index, np.roll(values, 1, axis).ravel()).reshape(*grid, -1)
        assert np.array_equal(turned, np.roll(found, 1, axis))
    if not around:
        assert index == neighbours(grid)


@given(GRIDS, st.data())
def test_patches_are_whole_axes(grid, data):
    axes = data.draw(st.integers(0, len(grid)))
    size = int(np.prod(grid[axes:]))
    found = patches(grid, size)
    assert np.prod(found) * size == np.prod(grid)
    assert found == (1,) or found == grid[: len(found)]


def test_a_patch_across_axes_is_refused():
    with pytest.raises(GraphError, match=r"patch is 4: a grid of \(6, 4, 3\) has patches of 1, 3, 12, 72"):
        patches((6, 4, 3), 4)


@given(GRIDS)
def test_every_cell_is_in_one_block_and_finds_its_block_again(grid):
    size, blocks = halved(grid)
    values = np.arange(1, np.prod(grid) + 1)
    found = gathered(blocks, values)
    assert len(found) == np.prod(size)
    assert sorted(found[found > 0]) == values.tolist()
    up = gathered(doubled(grid), np.arange(len(found)))[:, 0]
    assert all(value in found[block] for value, block in zip(values, up, strict=True))


@pytest.mark.parametrize(("grid", "want"), [((4,), (2,)), ((5, 1, 3), (3, 1, 2)), ((1,), (1,))])
def test_sizes(grid, want):
    assert halved(grid)[0] == want
