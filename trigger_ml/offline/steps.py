"""Networks of one event's numbers, whatever their kind: for a sampler's step, or to tell events apart.

Ports as those of ``networks.residual_mlp``: ``x``; ``time`` of batch 1 or that of x; ``condition``. A step gives a
number for each of x; a classifier gives ``outputs`` numbers from the mean over items. The items are x's numbers, or
patches of so many of them, each with a trained vector for its place, or the cells of a grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from trigger_ml.errors import GraphError, SpecError
from trigger_ml.offline import spec
from trigger_ml.offline.grids import doubled, halved, neighbours, patches
from trigger_ml.offline.layers import (
    Activation,
    Add,
    Attention,
    Concat,
    Network,
    Norm,
    Place,
    Pool,
    Port,
    Reshape,
    Standardize,
)
from trigger_ml.offline.layers import Shape as Grid
from trigger_ml.offline.networks import Precision, Role, Stack, attention_block, residual_mlp


@dataclass(frozen=True)
class Wanted:
    """What goes in and out.

    Attributes:
        inputs: size of x.
        outputs: numbers that a classifier gives; 0: a number for each of x.
        condition: size of the condition, 0 for none.
        timed: whether there is a port ``time``.
        grid: the shape that x is of, for a network on a grid; None: one axis.
        around: axes of the grid that close in a circle.
    """

    inputs: int
    outputs: int = 0
    condition: int = 0
    timed: bool = False
    grid: Grid | None = None
    around: tuple[int, ...] = ()


def network(n: spec.Network, precision: Precision, wanted: Wanted) -> Network:
    """The network that a spec's section names.

    Raises:
        GraphError: the numbers don't fit each other.
        SpecError: this kind reads particles.
    """
    if n.kind == "residual":
        w, outputs = wanted, wanted.outputs or wanted.inputs
        return residual_mlp(w.inputs, outputs, n.hidden, n.blocks, precision, n.low, w.condition, w.timed)
    if n.kind == "dual_attention":
        raise SpecError(
            '[network] kind is "dual_attention", which reads particles, but these events have none: take residual, '
            "deep_sets or transformer"
        )
    if wanted.inputs % n.patch:
        raise GraphError(f"[network] patch is {n.patch}: the events' {wanted.inputs} numbers are no whole patches")
    s = Stack(precision, n.low)
    ports = [Port("time", (1,))] if wanted.timed else []
    ports += [Port("condition", (wanted.condition,))] if wanted.condition else []
    c = s.put(Activation("silu"), s.taken_in(n.hidden, ports)) if ports else None
    if n.kind == "unet":
        h = _unet(s, n, wanted, c)
    else:
        h = s.put(Place(), _items(s, n, wanted))
        for i in range(n.blocks):
            role: Role = "central" if 0 < i < n.blocks - 1 or n.blocks == 1 else "outer"
            h = _set_block(s, h, c, n.hidden, role) if n.kind == "deep_sets" else _attended(s, h, c, n, role)
    h = s.put(Norm(), h)
    if wanted.outputs:
        s.linear(wanted.outputs, "last", s.put(Pool(), h))
    else:
        s.put(Reshape((wanted.inputs,)), s.linear(n.patch, "last", h))
    return Network((Port("x", (wanted.inputs,)), *ports), tuple(s.nodes))


def _items(s: Stack, n: spec.Network, wanted: Wanted) -> str:
    """Each patch of x as an item of ``hidden`` features."""
    each = s.put(Reshape((wanted.inputs // n.patch, n.patch)), s.put(Standardize(), "x"))
    return s.linear(n.hidden, "embedding", each)


def _attended(s: Stack, h: str, c: str | None, n: spec.Network, role: Role) -> str:
    return attention_block(s, h, c and s.put(Reshape((1, n.hidden)), c), n.hidden, Attention(n.heads), role)


def _set_block(s: Stack, h: str, c: str | None, hidden: int, role: Role) -> str:
    """A network of each item that also reads the mean over items, and c (M. Zaheer et al., arXiv:1703.06114)."""
    normal = s.put(Norm(), h)
    seen = [s.linear(hidden, role, normal), _shared(s, s.put(Pool(), normal), hidden, role)]
    seen += [] if c is None else [_shared(s, c, hidden, "embedding")]
    y = s.put(Activation("silu"), s.put(Add(), *seen))
    return s.put(Add(), h, s.linear(hidden, role, y))


def _shared(s: Stack, x: str, hidden: int, role: Role) -> str:
    """The same for all items, from one vector."""
    return s.put(Reshape((1, hidden)), s.linear(hidden, role, x))


def _unet(s: Stack, n: spec.Network, wanted: Wanted, c: str | None) -> str:
    """Down to coarser grids and up again, beside what was seen on the way (O. Ronneberger et al., arXiv:1505.04597).

    ``blocks`` grids, the finest and coarser ones; convolutions are linear layers of neighbourhoods.
    """
    grid, kept = _grid(n, wanted), []
    h = _items(s, n, wanted)

    def convolved(h: str, role: Role) -> str:
        y = s.linear(n.hidden, role, s.put(neighbours(grid, wanted.around), s.put(Norm(), h)))
        y = y if c is None else s.put(Add(), y, _shared(s, c, n.hidden, "embedding"))
        return s.put(Add(), h, s.linear(n.hidden, role, s.put(Activation("silu"), y)))

    for level in range(n.blocks - 1):
        if max(grid) == 1:
            raise GraphError(f"[network] blocks is {n.blocks}: this grid can't be halved so often, take {level + 1}")
        h = convolved(h, _role(level))
        kept.append((grid, h))
        grid, blocks = halved(grid)
        h = s.linear(n.hidden, _role(level), s.put(blocks, h))
    h = convolved(h, "central")
    for level, (finer, before) in reversed(list(enumerate(kept))):
        h = s.put(Concat(), s.put(doubled(finer), h), before)
        h, grid = s.linear(n.hidden, _role(level), h), finer
        h = convolved(h, _role(level))
    return h


def _grid(n: spec.Network, wanted: Wanted) -> Grid:
    """Of the items; numbers without a grid of their own are on one axis."""
    cells = wanted.grid or (wanted.inputs // n.patch, n.patch)
    if prod(cells) != wanted.inputs:
        raise GraphError(f"a grid of {cells} has {prod(cells)} cells, the events have {wanted.inputs} numbers")
    return patches(cells, n.patch)


def _role(level: int) -> Role:
    return "central" if level else "outer"
