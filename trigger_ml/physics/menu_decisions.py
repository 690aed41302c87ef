"""Which seeds of a menu fire on which events: whole arrays of hardware integers at once, integer arithmetic only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SampleError
from trigger_ml.physics.events import Column
from trigger_ml.physics.menu import Condition, Correlation, Menu, Seed

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Kind:
    """All objects of one kind: integers ``(events, slots)``; scales as in the sample's columns."""

    pt: Ints
    eta: Ints
    phi: Ints
    eta_lsb: float
    phi_lsb: float

    def within(self, eta_max: int | None) -> Ints:
        """Momenta, 0 for objects beyond ``eta_max``."""
        return self.pt if eta_max is None else np.where(np.abs(self.eta) <= eta_max, self.pt, 0)


def decisions(menu: Menu, columns: Sequence[Column], x: NDArray[Any]) -> Bools:
    """Which seeds fire, before prescales: ``(events, seeds)``.

    Args:
        menu: the seeds.
        columns: what each column of ``x`` is: a sample's ``features``.
        x: hardware integers ``(events, columns)``.

    Raises:
        SampleError: the columns lack the objects that a seed looks at.
    """
    if x.ndim != 2 or x.shape[1] != len(columns):
        raise SampleError(f"events have the shape {x.shape[1:]}, not ({len(columns)},): a menu reads Level-1 objects")
    wanted: set[str] = {"jet" if c.object == "ht" else c.object for seed in menu.seed for c in seed.require}
    kinds = {kind: _kind(kind, columns, x) for kind in sorted(wanted)}
    return np.stack([_seed(seed, kinds) for seed in menu.seed], axis=1)


def _kind(kind: str, columns: Sequence[Column], x: NDArray[Any]) -> _Kind:
    found: dict[str, list[int]] = {
        quantity: [i for i, c in enumerate(columns) if c.kind == kind and c.quantity == quantity]
        for quantity in ("pt", "eta", "phi")
    }
    if not found["pt"] or len({len(places) for places in found.values()}) > 1:
        raise SampleError(f"the events have no {kind} with pt, eta and phi, which the menu looks at: use another menu")
    pt, eta, phi = (x[:, places].astype(np.int64) for places in found.values())
    return _Kind(pt, eta, phi, columns[found["eta"][0]].lsb, columns[found["phi"][0]].lsb)


def _seed(seed: Seed, kinds: dict[str, _Kind]) -> Bools:
    if seed.correlation is not None:
        return _pair(seed, seed.correlation, kinds)
    return np.asarray(np.logical_and.reduce([_holds(condition, kinds) for condition in seed.require]))


def _holds(condition: Condition, kinds: dict[str, _Kind]) -> Bools:
    if condition.object == "ht":
        jets = kinds["jet"].within(condition.eta_max)
        sums: Ints = (jets * (jets >= (condition.jet_pt or 0))).sum(axis=1)
        return sums >= condition.pt[0]
    pt = kinds[condition.object].within(condition.eta_max)
    wanted = np.array(condition.pt)
    if len(wanted) > pt.shape[1]:
        return np.zeros(len(pt), bool)
    # With one eta cut for all, n objects reach n thresholds if and only if the k-th highest reaches the k-th highest.
    return np.asarray((-np.sort(-pt, axis=1)[:, : len(wanted)] >= wanted).all(axis=1))


def _pair(seed: Seed, correlation: Correlation, kinds: dict[str, _Kind]) -> Bools:
    """Whether any two different objects reach both thresholds and the correlation."""
    legs = [(c, threshold) for c in seed.require for threshold in c.pt]
    (first, low), (second, high) = legs
    a, b = kinds[first.object], kinds[second.object]
    good = (a.within(first.eta_max) >= low)[:, :, None] & (b.within(second.eta_max) >= high)[:, None, :]
    if first.object == second.object:
        good &= ~np.eye(a.pt.shape[1], dtype=bool)
    if correlation.of_eta:
        left, right, _ = _one_scale(a.eta, a.eta_lsb, b.eta, b.eta_lsb)
        good &= _inside(np.abs(left[:, :, None] - right[:, None, :]), correlation.deta_min, correlation.deta_max)
    if correlation.dphi_min is not None or correlation.dphi_max is not None:
        left, right, lsb = _one_scale(a.phi, a.phi_lsb, b.phi, b.phi_lsb)
        turn = round(2 * math.pi / lsb)
        apart = np.mod(left[:, :, None] - right[:, None, :], turn)
        good &= _inside(np.minimum(apart, turn - apart), correlation.dphi_min, correlation.dphi_max)
    return np.asarray(good.any(axis=(1, 2)))


def _one_scale(a: Ints, a_lsb: float, b: Ints, b_lsb: float) -> tuple[Ints, Ints, float]:
    """Both in units of the finer scale, and that scale.

    Raises:
        SampleError: the coarser unit isn't a whole multiple of the finer.
    """
    fine = min(a_lsb, b_lsb)
    ratios = [round(lsb / fine) for lsb in (a_lsb, b_lsb)]
    if not all(math.isclose(r * fine, lsb, rel_tol=1e-9) for r, lsb in zip(ratios, (a_lsb, b_lsb), strict=True)):
        raise SampleError(f"units of {a_lsb:g} and {b_lsb:g} can't be compared as integers: take the correlation out")
    return a * ratios[0], b * ratios[1], fine


def _inside(values: Ints, least: int | None, most: int | None) -> Bools:
    return (values >= (0 if least is None else least)) & (values <= (np.iinfo(np.int64).max if most is None else most))
