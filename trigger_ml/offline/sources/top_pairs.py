"""Pairs of top quarks, one of which ends in a lepton: partons as truth, a detector's jets as what is measured.

A model of kinematics and resolutions, not an event generator (``tops/partons.py``, ``tops/detector.py``).

Truth: for the top and the W that end in quarks, then for those that end in a lepton: log pT, rapidity, sine and cosine
of the azimuth from the lepton's, mass; all brought to mean 0 and deviation 1. So there are sharp directions in it:
the two squares add up to 1, and masses follow Breit-Wigner curves.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trigger_ml.offline.metrics import Number, bootstrapped, wasserstein
from trigger_ml.offline.sources.source import Events, Scale, Source, drawn
from trigger_ml.offline.tops import partons
from trigger_ml.offline.tops.detector import azimuth, log_gev, seen

Floats = NDArray[np.floating]

PILOT = 20_000
SOME = 10_000
"""Events of which distances are taken; their errors are resampled."""

OBJECTS = ("top to quarks", "W to quarks", "top to lepton", "W to lepton")
EACH = 5
"""Numbers of an object."""

MOST_GEV, MOST_RAPIDITY = 6800.0, 10.0
"""What a generated momentum is cut to where it is shown: a beam's energy, and beyond every detector."""


def source() -> Source:
    """Pairs as simulation and as data."""
    pilot, _ = _draw(np.random.default_rng(0), PILOT)
    scale = Scale.of(pilot)

    def draw(rng: np.random.Generator, count: int) -> Events:
        truth, reco = _draw(rng, count)
        return Events(scale.down(truth), reco.astype(np.float32))

    def view(truth: Floats, reco: Floats) -> Mapping[str, Floats]:
        return observables(scale.up(truth))

    def measures(found: Floats, test: Events, other: Events, seed: int) -> Mapping[str, Number]:
        some = [scale.up(x[:SOME]) for x in (found, test.truth, other.truth)]
        shown, wanted, also = map(observables, some)
        numbers = {}
        for name, values in wanted.items():
            for label, given in ((f"wasserstein, {name}", shown), (f"wasserstein of truth, {name}", also)):
                numbers[label] = bootstrapped(wasserstein, (given[name][:, None], values[:, None]), seed)
        away = off_circle(some[0])[:, None]
        numbers["off the circle"] = bootstrapped(lambda x: float(x.mean()), (away,), seed)
        return numbers

    return Source(drawn(draw, draw), view=view, measures=measures)


def features(p: partons.Pairs) -> Floats:
    """Truth before it is brought to order 1, ``(events, 20)``: GeV, radians."""
    start, found = azimuth(p.lepton), []
    for momentum in (p.quark_top, p.quark_w, p.lepton_top, p.lepton_w):
        turned = azimuth(momentum) - start
        rapidity = np.arctanh(momentum[:, 2] / momentum[:, 3])
        found += [log_gev(np.hypot(*momentum[:, :2].T)), rapidity, np.sin(turned), np.cos(turned)]
        found.append(partons.mass(momentum))
    return np.stack(found, 1)


def momenta(truth: Floats) -> Floats:
    """px, py, pz, E in GeV of each object, ``(events, 4, 4)``, of :func:`features`; the x axis is the lepton's."""
    log, rapidity, sine, cosine, mass = np.moveaxis(truth.reshape(len(truth), len(OBJECTS), EACH), -1, 0)
    rapidity = np.clip(rapidity, -MOST_RAPIDITY, MOST_RAPIDITY)
    pt, turned = _gev(log), np.arctan2(sine, cosine)
    across = np.hypot(pt, mass)
    parts = (pt * np.cos(turned), pt * np.sin(turned), across * np.sinh(rapidity), across * np.cosh(rapidity))
    return np.stack(parts, -1)


def observables(truth: Floats) -> dict[str, Floats]:
    """What plots show, of :func:`features`: masses and momenta in GeV, angles in radians, ``(events,)`` each."""
    each = truth.reshape(len(truth), len(OBJECTS), EACH)
    found = {f"mass of the {name} / GeV": each[:, i, 4] for i, name in enumerate(OBJECTS)}
    found |= {f"pT of the {OBJECTS[i]} / GeV": _gev(each[:, i, 0]) for i in (0, 2)}
    found |= {f"rapidity of the {OBJECTS[i]}": each[:, i, 1] for i in (0, 2)}
    tops = momenta(truth)[:, ::2]
    between = azimuth(tops[:, 0]) - azimuth(tops[:, 1])
    both = tops.sum(1)
    return found | {
        "mass of the pair / GeV": partons.mass(both),
        "pT of the pair / GeV": np.hypot(both[:, 0], both[:, 1]),
        "angle between the tops": np.abs((between + np.pi) % (2 * np.pi) - np.pi),
    }


def _gev(log: Floats) -> Floats:
    return np.exp(np.minimum(log, np.log(MOST_GEV)))


def off_circle(truth: Floats) -> Floats:
    """Mean over objects of ``|sin**2 + cos**2 - 1|``, ``(events,)``; 0 for true events."""
    each = truth.reshape(len(truth), len(OBJECTS), EACH)
    found: Floats = np.abs(each[..., 2] ** 2 + each[..., 3] ** 2 - 1).mean(1)
    return found


def _draw(rng: np.random.Generator, count: int) -> tuple[Floats, Floats]:
    p = partons.pairs(rng, count)
    return features(p), seen(rng, p)
