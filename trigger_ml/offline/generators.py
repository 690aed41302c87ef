"""What a flow, a diffusion or a bridge trains, and how truth is drawn from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from trigger_ml.errors import SpecError
from trigger_ml.offline import objectives, steps
from trigger_ml.offline.coupling import coupling_flow
from trigger_ml.offline.framework import Trained
from trigger_ml.offline.layers import Network
from trigger_ml.offline.moves import AffineMove, SplineMove
from trigger_ml.offline.networks import Precision
from trigger_ml.offline.paths import PATHS
from trigger_ml.offline.solvers import SOLVERS, chosen
from trigger_ml.offline.spec import COUPLINGS, Row
from trigger_ml.offline.steps import Wanted
from trigger_ml.offline.walks import Walk, walk

FROM_RECO = ("direct_diffusion", "bridge")


@dataclass(frozen=True)
class Generator:
    """What an objective trains, and how truth is drawn from it.

    Attributes:
        network: from its ports ``x``, ``time`` and ``condition`` to what the path says, or, in one pass, to truth.
        loss: of the trained form, for batches of truth and of what is measured.
        one_pass: the network gives truth from noise ``x`` at once; else a sampler follows its path.
        from_reco: the path starts at what is measured, not at noise.
        told: the network has a port ``condition`` for what is measured.
        walk: how the path is followed, if not by a Runge-Kutta method.
        spread: deviation of normal noise that is added to what is measured at the start.
    """

    network: Network
    loss: Callable[[Trained], objectives.Loss]
    one_pass: bool = False
    from_reco: bool = False
    told: bool = True
    walk: Walk | None = None
    spread: float = 0.0

    @property
    def kicked(self) -> bool:
        """Whether the sampler takes random kicks."""
        return self.walk is not None and self.walk.kicked

    def evaluations(self, row: Row) -> int:
        """How often the network is asked for one event."""
        if self.one_pass:
            return 1
        stages = 1 if self.walk is not None else len(SOLVERS[chosen(row.sampler.method)].at)
        return row.sampler.steps * stages


def generator(row: Row, wanted: Wanted, given: int, precision: Precision) -> Generator:
    """The network of a flow and its loss.

    Args:
        row: the spec.
        wanted: how many numbers of truth, on what grid; what else a step reads is added here.
        given: how many numbers are measured or given.
        precision: the switch.

    Raises:
        SpecError: the objective can't do these dimensions, or the sampler can't follow it.
    """
    n, objective, size, told = row.network, row.objective.name, wanted.inputs, given > 0
    way = None if objective in COUPLINGS else _walk(row)
    if objective in COUPLINGS:
        if n.kind != "residual":
            raise SpecError(f"[network] kind is {n.kind}: {objective} has networks of its own, take the key out")
        move = SplineMove(row.objective.bins) if objective == "spline_flow" else AffineMove()
        flow = coupling_flow(size, n.hidden, 2 * n.blocks, precision, n.low, given, move)
        return Generator(flow.network, lambda net: objectives.likelihood(net, flow, told), one_pass=True, told=told)
    if objective in FROM_RECO:
        if size != given:
            raise SpecError(f"{objective} maps {given} measured dimensions to {size} of truth: it needs as many")
        told = row.objective.conditional
    network = steps.network(n, precision, replace(wanted, condition=given if told else 0, timed=True))
    if objective in FROM_RECO:
        loss = objectives.bridge if objective == "bridge" else objectives.direct_diffusion
        spread = objectives.START if told and objective == "direct_diffusion" else 0.0
        return Generator(network, lambda net: loss(net, told), from_reco=True, told=told, walk=way, spread=spread)
    if objective == "flow_matching":
        return Generator(network, lambda net: objectives.flow_matching(net, told), told=told)
    path = PATHS[objective]
    return Generator(network, lambda net: objectives.score_matching(net, path, told), told=told, walk=way)


def _walk(row: Row) -> Walk | None:
    """The walk of a sampler that is none of Runge and Kutta's.

    Raises:
        SpecError: the objective is not followed so.
    """
    method, path = row.sampler.method, PATHS[row.objective.name]
    solved = row.objective.name != "bridge"
    if method in path.walks:
        return walk(path, row.sampler.steps, method)
    if not solved or method not in SOLVERS:
        known = [*(SOLVERS if solved else ()), *path.walks]
        raise SpecError(f"[sampler] method {method} can't follow {row.objective.name}: choose {', '.join(known)}")
    return None
