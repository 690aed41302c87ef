"""Neighbourhoods, blocks and refinements of the cells of a grid, as indices for the layer ``Cells``.

Cells are counted with the last axis fastest. An axis of one cell has no neighbours and is not halved.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import GraphError
from trigger_ml.offline.layers import Cells, Shape


def patches(grid: Shape, size: int) -> Shape:
    """The grid whose cells are patches of ``size`` cells along the last axes.

    Raises:
        GraphError: whole axes don't give patches of that size.
    """
    axes = next((i for i in range(len(grid) + 1) if prod(grid[i:]) == size), None)
    if axes is None:
        sizes = ", ".join(str(prod(grid[i:])) for i in range(len(grid), -1, -1))
        raise GraphError(f"[network] patch is {size}: a grid of {grid} has patches of {sizes}")
    return grid[:axes] or (1,)


def neighbours(grid: Shape, around: tuple[int, ...] = ()) -> Cells:
    """Each cell with those next to it, also across corners.

    Args:
        grid: cells along each axis.
        around: axes that close in a circle, if the grid has them; beyond the edges of others there are zeros.
    """
    steps = np.stack(np.meshgrid(*([-1, 0, 1] if n > 1 else [0] for n in grid), indexing="ij"), -1)
    places = _places(grid)[:, None] + steps.reshape(-1, len(grid))
    for axis in around:
        if axis < len(grid):
            places[..., axis] %= grid[axis]
    return _cells(places, grid)


def halved(grid: Shape) -> tuple[Shape, Cells]:
    """The grid with half as many cells along each axis, rounded up, and each one's block of cells of ``grid``."""
    size = tuple(-(-n // 2) for n in grid)
    steps = np.stack(np.meshgrid(*([0, 1] if n > 1 else [0] for n in grid), indexing="ij"), -1)
    return size, _cells(2 * _places(size)[:, None] + steps.reshape(-1, len(grid)), grid)


def doubled(grid: Shape) -> Cells:
    """For each cell of ``grid`` the cell of the halved grid that it lies in."""
    return _cells(_places(grid)[:, None] // 2, halved(grid)[0])


def _places(grid: Shape) -> NDArray[np.int64]:
    """Coordinates of every cell, ``(cells, axes)``."""
    return np.stack(np.unravel_index(np.arange(np.prod(grid)), grid), -1)


def _cells(places: NDArray[np.int64], grid: Shape) -> Cells:
    inside = ((places >= 0) & (places < grid)).all(-1)
    found = np.ravel_multi_index(tuple(np.moveaxis(places, -1, 0)), grid, mode="clip")
    return Cells(tuple(map(tuple, np.where(inside, found, -1).tolist())))
