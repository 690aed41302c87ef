"""Truth from noise or from what is measured, in one stage or two: flows, diffusions, bridges.

In two stages as CaloDREAM makes showers (L. Favaro et al., arXiv:2405.09629): the leading numbers, energies of layers,
given what is measured; then all others, their shapes, given those too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SpecError
from trigger_ml.offline.deploy import BATCH
from trigger_ml.offline.generators import generator
from trigger_ml.offline.networks import Precision
from trigger_ml.offline.sources.source import Source
from trigger_ml.offline.spec import Network, Row
from trigger_ml.offline.steps import Wanted
from trigger_ml.offline.tasks import measured
from trigger_ml.offline.tasks.generated import judge
from trigger_ml.offline.tasks.measured import Measured
from trigger_ml.offline.tasks.stage import Stage, learned
from trigger_ml.offline.training import Place

Floats = NDArray[np.float32]


def flow(place: Place, source: Source, precision: Precision) -> Measured:
    """Train each stage, draw truth through all of them, judge it.

    Raises:
        SpecError: two stages are asked for, and the source has no leading numbers, or gives nothing.
    """
    row = place.row
    p = measured.in_lines(measured.complete(source.parts(row.sample.events, row.seed), row), row)
    stages = _stages(place, source, precision, p.simulation.truth, p.simulation.reco)
    rng = np.random.default_rng([row.seed, 9])

    def sampled(reco: Floats) -> Floats:
        parts = [_through(stages, reco[i : i + BATCH], rng) for i in range(0, len(reco), BATCH)]
        return np.concatenate(parts)

    judged = judge(row, source, p, sampled)
    bad, times = [], []
    for stage in stages:
        bad += [f"{stage.name}{each}" for each in stage.differing(rng)]
        given = np.concatenate([p.test.reco, p.test.truth], axis=1)[: measured.TIMED, : stage.given]
        times.append(measured.micros(stage.whole, stage.feed(given, rng)))
    return Measured(
        judged.metrics,
        tuple(bad),
        measured.COMPARED,
        measured.kernel_bytes(*(stage.step for stage in stages)),
        sum(measured.bit_operations(s.made.network, s.made.evaluations(row)) for s in stages),
        {k: sum(each[k] for each in times) for k in times[0]} | dict(judged.micros),
        judged.figures,
    )


def _through(stages: Sequence[Stage], reco: Floats, rng: np.random.Generator) -> Floats:
    """Truth of a batch, stage after stage."""
    known = reco
    for stage in stages:
        known = np.concatenate([known, stage.whole(stage.feed(known, rng))], axis=1)
    return known[:, reco.shape[1] :]


def _stages(place: Place, source: Source, precision: Precision, truth: Floats, reco: Floats) -> Sequence[Stage]:
    """All stages, trained; numbers that are on no grid have networks of one line of numbers."""
    row, cut, size = place.row, source.leading, truth.shape[1]
    if not row.objective.leading:
        wanted = Wanted(size, grid=source.grid, around=source.around) if not cut else Wanted(size)
        return [learned(place, "", generator(row, wanted, reco.shape[1], precision), truth, reco)]
    if not 0 < cut < size or not reco.shape[1]:
        raise SpecError(f"[sample] {row.sample.name} has no leading numbers: take leading out of [objective]")
    known = np.concatenate([reco, truth[:, :cut]], axis=1)
    energies = generator(_plain(row), Wanted(cut), reco.shape[1], precision)
    wanted = Wanted(size - cut, grid=source.grid, around=source.around)
    shapes = generator(row, wanted, known.shape[1], precision)
    return [
        learned(replace(place, row=_leading(row)), "first", energies, truth[:, :cut], reco),
        learned(place, "second", shapes, truth[:, cut:], known),
    ]


def _leading(row: Row) -> Row:
    """The row with the epochs of its first stage."""
    epochs = row.train.leading_epochs or row.train.epochs
    return replace(row, train=replace(row.train, epochs=epochs))


def _plain(row: Row) -> Row:
    """The row with a network of one line of numbers, as large."""
    return replace(row, network=Network(hidden=row.network.hidden, blocks=row.network.blocks, low=row.network.low))
