"""Truth in two stages, as CaloDREAM makes showers (L. Favaro et al., arXiv:2405.09629): energies, then their shapes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SpecError
from trigger_ml.offline.deploy import Deployed, deploy, lowerings
from trigger_ml.offline.layers import Network
from trigger_ml.offline.networks import Precision
from trigger_ml.offline.onnx.model import model
from trigger_ml.offline.onnx.sampler import sampler
from trigger_ml.offline.solvers import SOLVERS, chosen
from trigger_ml.offline.sources.source import Source
from trigger_ml.offline.tasks import measured
from trigger_ml.offline.tasks.flow import SAMPLED, generator
from trigger_ml.offline.tasks.generated import judge
from trigger_ml.offline.tasks.measured import Measured
from trigger_ml.offline.training import Place, trained

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Stage:
    """A trained, deployed flow from noise to numbers, given others.

    Attributes:
        size: how many numbers it makes.
        network: of one step.
        step: its lowerings.
        whole: those of the whole sampler.
    """

    size: int
    network: Network
    step: Deployed
    whole: Deployed

    def feed(self, given: Floats, rng: np.random.Generator) -> dict[str, Floats]:
        """Inputs of the sampler."""
        return {"noise": rng.normal(size=(len(given), self.size)).astype(np.float32), "condition": given}

    def differing(self, rng: np.random.Generator) -> tuple[str, ...]:
        """Lowerings of step and sampler that differ, on normal numbers."""
        given = {p.name: p.shape for p in self.network.ports}["condition"]
        condition = rng.normal(size=(measured.COMPARED, *given)).astype(np.float32)
        x, time = self.feed(condition, rng)["noise"], rng.random((measured.COMPARED, 1)).astype(np.float32)
        whole = self.whole.differing({"noise": x[:SAMPLED], "condition": condition[:SAMPLED]})
        return whole + self.step.differing({"x": x, "time": time, "condition": condition})


def two_flows(place: Place, source: Source, precision: Precision) -> Measured:
    """The source's leading numbers given what it gives, then the others given those too.

    Raises:
        SpecError: the source has no leading numbers, or gives nothing.
    """
    row, cut = place.row, source.leading
    p = measured.complete(source.parts(row.sample.events, row.seed), row)
    truth, given = p.simulation.truth, p.simulation.reco
    if not 0 < cut < truth.shape[1] or not given.shape[1]:
        raise SpecError(f"[sample] {row.sample.name} has no leading numbers that are made first: take flow_matching")
    first = _stage(place, "first", precision, truth[:, :cut], given)
    second = _stage(place, "second", precision, truth[:, cut:], np.concatenate([given, truth[:, :cut]], axis=1))
    rng = np.random.default_rng([row.seed, 9])

    def sampled(reco: Floats) -> Floats:
        leading = first.whole(first.feed(reco, rng))
        rest = second.whole(second.feed(np.concatenate([reco, leading], axis=1), rng))
        return np.concatenate([leading, rest], axis=1)

    judged = judge(row, source, p, sampled)
    bad = tuple(f"{name}: {b}" for name, s in (("first", first), ("second", second)) for b in s.differing(rng))
    evaluations = row.sampler.steps * len(SOLVERS[chosen(row.sampler.method)].at)
    beside = np.concatenate([p.test.reco, p.test.truth[:, :cut]], axis=1)
    times = [measured.micros(s.whole, s.feed(x, rng)) for s, x in ((first, p.test.reco), (second, beside))]
    return Measured(
        judged.metrics,
        bad,
        measured.COMPARED,
        measured.kernel_bytes(first.step, second.step),
        sum(measured.bit_operations(s.network, evaluations) for s in (first, second)),
        {k: times[0][k] + times[1][k] for k in times[0]} | dict(judged.micros),
        judged.figures,
    )


def _stage(place: Place, name: str, precision: Precision, truth: Floats, given: Floats) -> Stage:
    row, size = place.row, truth.shape[1]
    alone = replace(row, objective=replace(row.objective, name="flow_matching"))
    made = generator(alone, size, given.shape[1], precision)
    named = replace(place, name=f"{place.name}_{name}")
    weights = trained(named, made.network, made.loss, (truth, given), {"condition": given})
    steps = {k: model(made.network, weights, k) for k in lowerings()}
    s = row.sampler
    whole = {k: sampler(made.network, weights, k, chosen(s.method), s.steps) for k in lowerings()}
    return Stage(
        size, made.network, deploy(steps, place.folder, f"{named.name}_step"), deploy(whole, place.folder, named.name)
    )
