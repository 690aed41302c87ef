"""Unfolding is judged rightly where the answer is known: exact posteriors pass, what only looks right doesn't."""

from __future__ import annotations

import numpy as np
import pytest

from trigger_ml.offline.sources import gaussians, lossy
from trigger_ml.offline.tasks import unfolded
from trigger_ml.offline.tasks.generated import posterior

SOURCE = gaussians.source()
PARTS = SOURCE.parts(5000, 3)


def exact(reco: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    mean, width = SOURCE.posterior(reco)
    covariance = np.linalg.inv(np.eye(3) + gaussians.MIX @ gaussians.MIX.T / gaussians.SMEAR**2)
    assert np.allclose(np.sqrt(np.diag(covariance)), width)
    return (mean + rng.multivariate_normal(np.zeros(3), covariance, len(reco))).astype(np.float32)


def test_truth_and_exact_weights_are_at_the_floor_and_the_prior_is_not():
    truth = PARTS.test.truth.astype(np.float64)
    off = (truth - gaussians.SHIFT) / gaussians.STRETCH
    weights = np.exp(0.5 * (truth**2 - off**2).sum(1)) / gaussians.STRETCH.prod()
    for found, weight in ((SOURCE.parts(5000, 4).data.truth, None), (PARTS.test.truth, weights)):
        numbers = unfolded.spectra(SOURCE, PARTS, found, weight, 1)
        floor, prior = numbers["triangular of truth"], numbers["triangular of prior"]
        assert abs(numbers["triangular"].value - floor.value) < 5 * np.hypot(numbers["triangular"].error, floor.error)
        assert prior.value > 5 * floor.value
        assert all(numbers[f"W1 of x{i}"].value < 0.1 for i in range(3))
    as_it_was = unfolded.spectra(SOURCE, PARTS, PARTS.test.truth, None, 1)
    assert as_it_was["triangular"] == as_it_was["triangular of prior"]
    assert as_it_was["W1 of x0"].value > 0.4


def test_pairs_that_only_have_the_right_spectra_fail():
    rng, test = np.random.default_rng(5), PARTS.test
    good = unfolded.pairing(test, exact(test.reco, rng))
    for name in ("migration chi2 / dof", "migration chi2 / dof of truth"):
        assert abs(good[name].value - 1) < 6 * good[name].error
    for name in ("purity", "stability"):
        assert abs(good[name].value - good[f"{name} of truth"].value) < 5 * good[name].error
    for wrong in (test.truth[rng.permutation(len(test))], SOURCE.posterior(test.reco)[0].astype(np.float32)):
        assert unfolded.pairing(test, wrong)["migration chi2 / dof"].value > 2


def test_exact_posteriors_are_calibrated_and_those_of_another_width_are_not():
    rng, few = np.random.default_rng(6), PARTS.test.rows(np.arange(2000))
    good = posterior(SOURCE, few, lambda reco: exact(reco, rng))
    assert good["rank probability"].value > 0.001
    covered = good["coverage of 68 % over nominal"]
    assert abs(covered.value - 1) < 5 * covered.error
    mean = SOURCE.posterior(few.reco)[0]
    wide = posterior(SOURCE, few, lambda reco: (mean + 1.3 * (exact(reco, rng) - mean)).astype(np.float32))
    assert wide["rank probability"].value < 1e-4
    assert wide["coverage of 68 % over nominal"].value > 1 + 5 * covered.error


def test_fakes_do_not_count():
    source = lossy.source()
    p = source.parts(3000, 1)
    assert len(unfolded.looked_for(p.test)) == p.test.masks[1].sum() < 3000
    clean = unfolded.spectra(source, p, unfolded.looked_for(p.test).truth, None, 1)
    assert clean["triangular"] == clean["triangular of prior"]
    shown = unfolded.drawn(source, p, unfolded.looked_for(p.test).truth, None)["x0"]
    assert sum(shown.curves["truth"]) == pytest.approx(p.test_data.masks[1].sum(), abs=0.1)
    assert shown.curves["model"] == shown.curves["prior"]
