"""The model of top pairs: conservation, masses, isotropy, the resolutions that it states, and its features."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trigger_ml.offline.sources import top_pairs
from trigger_ml.offline.tops import detector, partons

MANY = 100_000


@pytest.fixture(scope="module")
def made():
    return partons.pairs(np.random.default_rng(1), MANY)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31 - 1))
def test_momentum_is_conserved_in_every_decay(seed):
    p = partons.pairs(np.random.default_rng(seed), 200)
    decays = (
        (p.quark_top, p.quark_w, p.quark_b),
        (p.lepton_top, p.lepton_w, p.lepton_b),
        (p.quark_w, *p.quarks),
        (p.lepton_w, p.lepton, p.neutrino),
    )
    for parent, first, second in decays:
        assert np.allclose(parent, first + second, rtol=0, atol=1e-9 * parent[:, 3:].max())


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31 - 1))
def test_a_boost_keeps_products_of_momenta(seed):
    """The invariant of any two momenta is what it was, and what rests then moves like the frame."""
    rng = np.random.default_rng(seed)
    one, two, frame = (partons.with_mass(rng.normal(0, 50, (50, 3)), rng.uniform(1, 200, 50)) for _ in range(3))

    def product(a, b):
        return a[:, 3] * b[:, 3] - (a[:, :3] * b[:, :3]).sum(1)

    moved = partons.boosted(one, frame), partons.boosted(two, frame)
    assert np.allclose(product(*moved), product(one, two), rtol=1e-7)
    still = partons.with_mass(np.zeros((50, 3)), partons.mass(frame))
    assert np.allclose(partons.boosted(still, frame), frame)


def test_masses_follow_their_breit_wigner_curves(made):
    """Half of a Breit-Wigner curve lies within half a width; the cut takes ``1 / (24 pi)`` or so on each side."""
    for momentum, centre, width in (
        (made.quark_top, partons.TOP_MASS, partons.TOP_WIDTH),
        (made.lepton_top, partons.TOP_MASS, partons.TOP_WIDTH),
        (made.quark_w, partons.W_MASS, partons.W_WIDTH),
        (made.lepton_w, partons.W_MASS, partons.W_WIDTH),
    ):
        off = (partons.mass(momentum) - centre) / width
        inside = 0.25 * np.pi / np.arctan(2 * partons.CUT)
        assert (np.abs(off) < 0.5).mean() == pytest.approx(inside, abs=0.007)
        assert np.median(off) == pytest.approx(0, abs=0.01)
        assert np.abs(off).max() <= partons.CUT + 1e-3
    assert np.allclose(partons.mass(made.quark_b), partons.B_MASS, atol=1e-2)
    assert partons.mass(made.lepton).max() < 0.1


def test_decays_are_isotropic_and_the_pair_moves_as_stated(made):
    """The lepton's direction where the W rests, against the W's own: a flat cosine."""
    w, lepton = made.lepton_w, made.lepton
    back = np.concatenate([-w[:, :3], w[:, 3:]], 1)
    inside = partons.boosted(lepton, back)[:, :3]
    cosine = (inside * w[:, :3]).sum(1) / np.linalg.norm(inside, axis=1) / np.linalg.norm(w[:, :3], axis=1)
    counts = np.histogram(cosine, 20, (-1, 1))[0]
    assert ((counts - MANY / 20) ** 2 / (MANY / 20)).sum() < 45  # chi2 of 19 degrees: 0.1 %
    pair = made.quark_top + made.lepton_top
    kick = np.hypot(pair[:, 0], pair[:, 1])
    assert kick.mean() == pytest.approx(partons.PAIR_GEV, rel=0.015)
    assert np.arctanh(pair[:, 2] / pair[:, 3]).std() == pytest.approx(partons.PAIR_SPREAD, rel=0.015)
    assert partons.mass(pair).min() > 2 * (partons.TOP_MASS - partons.CUT * partons.TOP_WIDTH)


@pytest.mark.parametrize("pt", [30.0, 100.0, 1000.0])
def test_jets_are_measured_with_the_stated_resolution(pt):
    parton = np.tile([pt, 0.0, 2 * pt, np.hypot(pt, 2 * pt)], (MANY, 1, 1))
    jets = detector.measured_jets(np.random.default_rng(2), parton)[:, 0]
    assert jets[:, 0].mean() / pt == pytest.approx(1, abs=0.003)
    assert jets[:, 0].std() / pt == pytest.approx(np.hypot(1 / np.sqrt(pt), 0.05), rel=0.015)
    assert jets[:, 1].mean() == pytest.approx(np.arcsinh(2), abs=0.001)
    assert jets[:, 1:].std(0) == pytest.approx([0.03, 0.03], rel=0.015)


def test_what_is_seen_is_ordered_balanced_and_tagged(made):
    seen = detector.seen(np.random.default_rng(3), made)
    jets = seen[:, 5:].reshape(MANY, 4, 5)
    assert np.all(np.diff(jets[..., 0], axis=1) <= 0)
    assert np.allclose(jets[..., 2] ** 2 + jets[..., 3] ** 2, 1)
    assert jets[..., 4].sum(1).mean() == pytest.approx(2 * (detector.FOUND + detector.MISTAKEN), abs=0.01)
    lepton = np.exp(seen[:, 0])
    balance = np.stack([lepton, 0 * lepton], 1) + np.exp(seen[:, 2])[:, None] * seen[:, [4, 3]]
    balance += (np.exp(jets[..., :1]) * jets[..., [3, 2]]).sum(1)
    pair = made.quark_top + made.lepton_top
    turn = -detector.azimuth(made.lepton)
    across = np.stack(
        [
            pair[:, 0] * np.cos(turn) - pair[:, 1] * np.sin(turn),
            pair[:, 0] * np.sin(turn) + pair[:, 1] * np.cos(turn),
        ],
        1,
    )
    off = balance - across
    assert off.std(0) == pytest.approx([detector.SOFT_GEV] * 2, rel=0.02)
    assert np.allclose(off.mean(0), 0, atol=0.3)


def test_features_hold_the_momenta(made):
    """Momenta are those of the partons, turned around the beam (where the logarithm is not cut)."""
    truth = top_pairs.features(made)
    found = top_pairs.momenta(truth)
    for i, momentum in enumerate((made.quark_top, made.quark_w, made.lepton_top, made.lepton_w)):
        pt = np.hypot(*momentum[:, :2].T)
        assert np.allclose(np.hypot(*found[:, i, :2].T), pt.clip(detector.LEAST_GEV))
        assert np.allclose(found[pt > 1, i, 2:], momentum[pt > 1, 2:], rtol=1e-6, atol=1e-3)
    shown = top_pairs.observables(truth)
    assert np.allclose(shown["mass of the pair / GeV"], partons.mass(made.quark_top + made.lepton_top), rtol=1e-3)
    assert len(shown) == 11
    assert top_pairs.off_circle(truth).max() < 1e-12


def test_the_source_gives_the_same_events_for_a_seed_and_measures_truth_as_truth():
    source = top_pairs.source()
    one, again, other = (source.parts(4000, seed).test for seed in (5, 5, 6))
    assert np.array_equal(one.truth, again.truth)
    assert np.array_equal(one.reco, again.reco)
    assert not np.array_equal(one.truth, other.truth)
    assert one.truth.shape == (4000, 20)
    assert one.reco.shape == (4000, 25)
    assert np.allclose(one.truth.std(0), 1, atol=0.1)
    numbers = source.measures(other.truth, one, other, 1)
    shifted = source.measures(other.truth + np.float32(0.3), one, other, 1)
    name = "wasserstein, mass of the W to quarks / GeV"
    assert numbers[name].value < 0.08 < shifted[name].value
    assert numbers[name].value == numbers[name.replace("wasserstein", "wasserstein of truth")].value
    assert numbers["off the circle"].value < 1e-5 < shifted["off the circle"].value
