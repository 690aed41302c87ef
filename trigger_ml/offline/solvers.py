"""Explicit Runge-Kutta methods on a fixed grid, as tables: numpy, the framework and the ONNX writer step with the same.

A step is ``x + sum_i k_i * (h b_i)``, added one after the other in float32, so that a loop on the host and one inside
a model give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SpecError
from trigger_ml.offline.paths import FLOW, Path

Method = Literal["euler", "midpoint", "heun", "rk4"]


@dataclass(frozen=True)
class Solver:
    """A table of Butcher's kind in which each stage reads only the one before it.

    Attributes:
        order: the global error falls with this power of the step.
        at: time of each stage in steps.
        weight: of each stage in the result.
    """

    order: int
    at: tuple[float, ...]
    weight: tuple[float, ...]

    def times(self, steps: int, start: float = 0.0, stop: float = 1.0) -> NDArray[np.float32]:
        """Time of every stage, ``(steps, stages)``."""
        h = (stop - start) / steps
        return np.asarray(start + h * (np.arange(steps)[:, None] + np.asarray(self.at)), np.float32)


SOLVERS: dict[Method, Solver] = {
    "euler": Solver(1, (0.0,), (1.0,)),
    "midpoint": Solver(2, (0.0, 0.5), (0.0, 1.0)),
    "heun": Solver(2, (0.0, 1.0), (0.5, 0.5)),
    "rk4": Solver(4, (0.0, 0.5, 0.5, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
}


def chosen(method: str) -> Method:
    """A method by its name.

    Raises:
        SpecError: it is none of Runge and Kutta's.
    """
    found = next((known for known in SOLVERS if known == method), None)
    if found is None:
        raise SpecError(f"[sampler] method {method} is not for this objective: choose {', '.join(SOLVERS)}")
    return found


def step(
    solver: Solver, h: float, x: Any, slope: Callable[[int, Any], Any], add: Callable[[Any, Any, float], Any]
) -> Any:
    """One step from ``x``.

    Args:
        solver: the method.
        h: size of the step.
        x: the state.
        slope: number of the stage and state -> slope at that stage's time.
        add: ``(x, k, c)`` -> ``x + k * c``.
    """
    total, before = x, None
    for i, weight in enumerate(solver.weight):
        before = slope(i, x if before is None else add(x, before, h * solver.at[i]))
        total = add(total, before, h * weight) if weight else total
    return total


def solve(
    solver: Solver, steps: int, x: NDArray[Any], net: Callable[[Any, Any], Any], path: Path = FLOW
) -> NDArray[Any]:
    """From noise to data by a loop on the host; ``net(time, x)`` with a time ``(1, 1)`` float32."""

    def add(y: Any, k: Any, c: float) -> Any:
        return y + k * y.dtype.type(c)

    times = solver.times(steps, path.start, path.stop)
    table, h = path.table(times), (path.stop - path.start) / steps
    x = x * x.dtype.type(path.scale) if path.scale != 1 else x
    for i, at in enumerate(times):
        x = step(solver, h, x, _slopes(at.reshape(-1, 1, 1), None if table is None else table[i], net), add)
    return x


def _slopes(at: Any, table: Any, net: Callable[[Any, Any], Any]) -> Callable[[int, Any], Any]:
    def slope(i: int, y: Any) -> Any:
        if table is None:
            return net(at[i], y)
        a, b, c = table[i]
        return y * a + net(at[i], y * c) * b

    return slope
