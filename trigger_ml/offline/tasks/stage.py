"""One stage of a generator: trained, deployed, ready to draw from and to compare."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trigger_ml.offline.deploy import Deployed, deploy, lowerings
from trigger_ml.offline.generators import Generator
from trigger_ml.offline.layers import Weights
from trigger_ml.offline.onnx.model import model
from trigger_ml.offline.onnx.sampler import sampler
from trigger_ml.offline.onnx.walker import walker
from trigger_ml.offline.paths import PATHS
from trigger_ml.offline.solvers import chosen
from trigger_ml.offline.tasks import measured
from trigger_ml.offline.training import Place, trained

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Stage:
    """A generator of some numbers of truth, given others.

    Attributes:
        name: of the stage; empty if it is the only one.
        size: how many numbers it makes.
        given: how many it is given.
        made: its network and how it is followed.
        step: the lowerings of one step.
        whole: those of the whole sampler; the same where one pass is all.
    """

    name: str
    size: int
    given: int
    made: Generator
    step: Deployed
    whole: Deployed

    @property
    def state(self) -> str:
        """The port where it starts."""
        return "x" if self.made.one_pass else "noise"

    def feed(self, given: Floats, rng: np.random.Generator) -> dict[str, Floats]:
        """Inputs of the sampler: noise, or what is measured, with kicks and condition where it has such."""
        noise = rng.normal(size=(len(given), self.size)).astype(np.float32)
        start = given + np.float32(self.made.spread) * noise if self.made.from_reco else noise
        kicks = {"kicks": self._kicks(len(given), rng)} if self.made.kicked else {}
        return {self.state: start, **kicks} | ({"condition": given} if self.made.told else {})

    def differing(self, rng: np.random.Generator) -> tuple[str, ...]:
        """Lowerings of sampler and step that differ, on normal numbers."""
        bad = self.step.differing(self._normal(measured.COMPARED, "x", rng))
        return bad if self.made.one_pass else bad + self.whole.differing(self._normal(measured.SAMPLED, "noise", rng))

    def _kicks(self, count: int, rng: np.random.Generator) -> Floats:
        steps = 0 if self.made.walk is None else self.made.walk.steps
        return rng.standard_normal((count, steps, self.size), np.float32)

    def _normal(self, count: int, state: str, rng: np.random.Generator) -> dict[str, Floats]:
        feed = {}
        for port in self.made.network.ports:
            if port.name != "time":
                name = state if port.name == "x" else port.name
                feed[name] = rng.normal(size=(count, *port.shape)).astype(np.float32)
            elif state == "x":
                feed["time"] = rng.random((count, 1)).astype(np.float32)
        if state == "noise" and self.made.kicked:
            feed["kicks"] = self._kicks(count, rng)
        return feed


def learned(place: Place, name: str, made: Generator, truth: Floats, given: Floats) -> Stage:
    """Train a stage and write its models.

    Args:
        place: of the row's training.
        name: of the stage; empty if it is the only one.
        made: what is trained.
        truth: what it shall make, ``(events, numbers)``; the first are trained on if the spec says how many.
        given: what it is given.
    """
    truth, given = truth[: place.row.train.events], given[: place.row.train.events]
    place = replace(place, name=f"{place.name}_{name}" if name else place.name)
    scaled = {"condition": given} if made.told else {}
    weights = trained(place, made.network, made.loss, (truth, given), scaled)
    step, whole = _deployed(place, made, weights)
    return Stage(name and f"{name}: ", truth.shape[1], given.shape[1], made, step, whole)


def _deployed(place: Place, made: Generator, weights: Weights) -> tuple[Deployed, Deployed]:
    """The step network and the whole sampler; both the same where one pass is all."""
    s, network = place.row.sampler, made.network
    single = {k: model(network, weights, k) for k in lowerings()}
    if made.one_pass:
        one = deploy(single, place.folder, place.name)
        return one, one
    if made.walk is not None:
        whole = {k: walker(network, weights, k, made.walk) for k in lowerings()}
    else:
        method, path = chosen(s.method), PATHS[place.row.objective.name]
        whole = {k: sampler(network, weights, k, method, s.steps, path) for k in lowerings()}
    return deploy(single, place.folder, f"{place.name}_step"), deploy(whole, place.folder, place.name)
