"""Jet features: values worked by hand, other and brute-force definitions, and the symmetries they must have."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trigger_ml.samples import jet_features
from trigger_ml.samples.jet_features import NAMES, TAU_NAMES

pytestmark = pytest.mark.needs_pythia

TWO = [[60, 0.12, 0.0], [40, -0.18, 0.0]]
"""z 0.6 and 0.4 at 0.3."""

THREE = [[50, 0.0, 0.0], [30, 0.3, 0.0], [20, 0.0, 0.4]]
"""z 0.5, 0.3, 0.2 at the corners of a right triangle with sides 0.3, 0.4, 0.5; nothing is groomed away."""


def of(*jet: list[float]) -> dict[str, float]:
    """All features of one jet by name."""
    values = np.array([jet], np.float64)
    both = np.concatenate([jet_features.high_level(values), jet_features.subjettiness(values)], 1)[0]
    return dict(zip(NAMES + TAU_NAMES, both.tolist(), strict=True))


def test_one_particle() -> None:
    found = of([100, 0.1, 0.2])
    assert found.pop("multiplicity") == 1
    assert found.pop("mass_mmdt") == pytest.approx(0, abs=1e-4)
    assert set(found.values()) == {0.0}


def test_two_particles() -> None:
    found = of(*TWO)
    expected = {
        "zlogz": 0.6 * math.log(0.6) + 0.4 * math.log(0.4),
        "c1_b0": 0.24,
        "c1_b1": 0.24 * 0.3,
        "c1_b2": 0.24 * 0.09,
        "multiplicity": 2,
        # m^2 = 2 pT1 pT2 (cosh(deta) - cos(dphi))
        "mass_mmdt": math.sqrt(2 * 60 * 40 * (math.cosh(0.3) - 1)),
        # The winner takes the axis: only the softer particle is away from it, by 0.3.
        "tau1_b0p5": 0.4 * math.sqrt(0.3 / 0.8),
        "tau1_b1": 0.4 * 0.3 / 0.8,
        "tau1_b2": 0.4 * (0.3 / 0.8) ** 2,
    }
    for name, value in found.items():
        assert value == pytest.approx(expected.get(name, 0.0), rel=1e-5), name


def test_three_particles() -> None:
    found = of(*THREE)
    pairs = {(0, 1): (0.15, 0.3), (0, 2): (0.10, 0.4), (1, 2): (0.06, 0.5)}
    e1 = 0.15 * 0.3 + 0.10 * 0.4 + 0.06 * 0.5
    e2 = 0.15 * 0.09 + 0.10 * 0.16 + 0.06 * 0.25
    weight, product = 0.03, 0.3 * 0.4 * 0.5
    assert e1 == pytest.approx(0.115)
    assert e2 == pytest.approx(0.0445)
    expected = {
        "zlogz": sum(z * math.log(z) for z in (0.5, 0.3, 0.2)),
        "c1_b0": sum(z for z, _ in pairs.values()),
        "c1_b1": e1,
        "c1_b2": e2,
        "c2_b1": weight * product / e1**2,
        "c2_b2": weight * product**2 / e2**2,
        "d2_b1": weight * product / e1**3,
        "d2_b2": weight * product**2 / e2**3,
        "d2_a1_b1": weight * product / e1**3,
        "d2_a1_b2": weight * product / e2**1.5,
        "m2_b1": weight * 0.3 / e1,
        "m2_b2": weight * 0.09 / e2,
        "n2_b1": weight * 0.3 * 0.4 / e1**2,
        "n2_b2": weight * (0.3 * 0.4) ** 2 / e2**2,
        "multiplicity": 3,
    }
    # kt distances are min(pT)^2 theta^2: the third (20 at 0.4: 64) joins the first before the second (30 at 0.3: 81).
    for beta, name in ((0.5, "b0p5"), (1, "b1"), (2, "b2")):
        expected[f"tau1_{name}"] = 0.3 * (0.3 / 0.8) ** beta + 0.2 * (0.4 / 0.8) ** beta
        expected[f"tau2_{name}"] = 0.2 * (0.4 / 0.8) ** beta
    found.pop("mass_mmdt")
    for name, value in found.items():
        assert value == pytest.approx(expected.get(name, 0.0), rel=1e-5), name


def test_soft_wide_particles_are_groomed_away() -> None:
    found = of([60, 0.12, 0.0], [40, -0.18, 0.0], [3, 0.0, 0.7])
    kept = of(*TWO)
    for name in set(NAMES) - {"zlogz", "multiplicity"}:
        assert found[name] == pytest.approx(kept[name], rel=1e-5), name
    assert found["multiplicity"] == 3


def random_jets(seed: int, jets: int = 4, depth: int = 12) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    pt = -np.sort(-rng.exponential(30, (jets, depth)), 1) + 0.5
    values = np.stack([pt, rng.normal(0, 0.25, pt.shape), rng.normal(0, 0.25, pt.shape)], -1)
    number = rng.integers(1, depth + 1, jets)
    return values * (np.arange(depth) < number[:, None])[..., None]


def flat(values: NDArray[np.float64]) -> tuple[NDArray, ...]:
    live = values[..., 0] > 0
    start = np.concatenate([[0], np.cumsum(live.sum(1))])
    return (start, *(np.ascontiguousarray(values[..., axis][live]) for axis in range(3)))


def brute(jet: NDArray[np.float64]) -> list[float]:
    """The nine sums of one jet, by their definitions."""
    live = jet[jet[:, 0] > 0]
    z, theta = live[:, 0] / live[:, 0].sum(), lambda a, b: math.dist(live[a, 1:], live[b, 1:])
    pairs = [(z[a] * z[b], theta(a, b)) for a, b in itertools.combinations(range(len(live)), 2)]
    triples = [
        (z[a] * z[b] * z[c], sorted((theta(a, b), theta(a, c), theta(b, c))))
        for a, b, c in itertools.combinations(range(len(live)), 3)
    ]
    return [
        *(sum(w * t**beta for w, t in pairs) for beta in (0, 1, 2)),
        *(sum(w * math.prod(t) ** beta for w, t in triples) for beta in (1, 2)),
        *(sum(w * t[0] ** beta for w, t in triples) for beta in (1, 2)),
        *(sum(w * (t[0] * t[1]) ** beta for w, t in triples) for beta in (1, 2)),
    ]


@given(st.integers(0, 2**32))
@settings(max_examples=30)
def test_the_sums_are_their_definitions(seed: int) -> None:
    values = random_jets(seed)
    np.testing.assert_allclose(jet_features.correlations(*flat(values)), [brute(jet) for jet in values], rtol=1e-9)


def test_groomed_correlators_against_fastjet_contrib() -> None:
    """FastJet's own C2 and D2 of jets that grooming leaves alone (two hard prongs with a third between)."""
    import awkward as ak
    import fastjet

    from trigger_ml.samples.jet_making import momenta

    values = np.array([THREE])
    sequence = fastjet.ClusterSequence(
        ak.unflatten(momenta(*(values[0].T)), [3]), fastjet.JetDefinition(fastjet.cambridge_algorithm, 3.0)
    )
    found = of(*THREE)
    for name in ("c2", "d2"):
        theirs = ak.to_numpy(sequence.exclusive_jets_energy_correlator(njets=1, beta=1, func=name))
        assert float(theirs.ravel()[0]) == pytest.approx(found[f"{name}_b1"], rel=1e-4)


@given(st.integers(0, 2**32), st.floats(0, 6.3))
@settings(max_examples=20)
def test_turning_a_jet_about_its_axis_changes_no_sum(seed: int, angle: float) -> None:
    values = random_jets(seed)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    turned = np.concatenate([values[..., :1], values[..., 1:] @ turn.T], -1)
    before, after = (jet_features.correlations(*flat(v)) for v in (values, turned))
    np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-15)


@given(st.integers(0, 2**32), st.floats(-2, 2), st.floats(0.1, 10), st.integers(0, 2**32))
@settings(max_examples=20)
def test_order_boost_along_the_beam_mirroring_and_pt_scale_change_nothing(
    seed: int, boost: float, scale: float, other: int
) -> None:
    values = random_jets(seed)
    before = jet_features.of_jets(values, (values[..., 0] > 0).sum(1))
    order = np.random.default_rng(other).permutation(values.shape[1])
    moved = values[:, order] * (1, -1, 1) + (0, boost, 0)
    # Scale by a power of two: clustering is then the same to the last bit.
    moved = moved * (2.0 ** round(math.log2(scale)), 1, 1) * (moved[..., :1] > 0)
    after = jet_features.of_jets(moved, (moved[..., 0] > 0).sum(1))
    mass = NAMES.index("mass_mmdt")
    after["features"][:, mass] /= 2.0 ** round(math.log2(scale))
    for key in before:
        np.testing.assert_allclose(after[key], before[key], rtol=2e-3, atol=2e-4, err_msg=key)


@given(st.integers(0, 2**32))
@settings(max_examples=20)
def test_subjettiness_falls_with_the_exponent_and_is_0_for_as_many_axes_as_particles(seed: int) -> None:
    values = random_jets(seed, depth=4) * (1, 0.5, 0.5)
    tau = jet_features.subjettiness(values).reshape(len(values), 5, 3)
    number = (values[..., 0] > 0).sum(1)
    for axes in range(1, 6):
        assert np.all((tau[:, axes - 1] > 0).all(1) == (number > axes))
    near = np.abs(values[..., 1:]).max((1, 2)) < 0.25  # all angles within 0.8, so their powers fall
    assert np.all(np.diff(tau[near], axis=2) <= 1e-7)
    assert tau.shape[1:] == (5, 3)


def test_the_two_names_of_one_number_agree() -> None:
    found = jet_features.high_level(random_jets(5, jets=30))
    assert np.array_equal(found[:, NAMES.index("d2_b1")], found[:, NAMES.index("d2_a1_b1")])
