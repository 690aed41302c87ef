from __future__ import annotations

import re
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger_ml.errors import SampleError, SpecError
from trigger_ml.physics import menu
from trigger_ml.physics.menu_decisions import decisions
from trigger_ml.samples.features import COLUMN, FEATURES, KINDS

SHIPPED = Path(__file__).parents[2] / "models" / "menu.toml"
HEAD = 'name = "m"\n'
ROWS = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5)


def seed(body):
    return menu.parse(f'{HEAD}[[seed]]\nname = "s"\n{body}')


def fires(body, x):
    return decisions(seed(body), FEATURES, x)[:, 0].tolist()


def events(seeds):
    """Events of many objects of small momenta, so that ties and near misses are common."""
    rows = []
    for number in seeds:
        rng, row = np.random.default_rng(number), []
        for kind in KINDS:
            pt = -np.sort(-rng.integers(0, 6, kind.slots))
            eta = rng.integers(-min(kind.eta_hi, 4), min(kind.eta_hi, 4) + 1, kind.slots)
            phi = rng.choice([0, 1, 2, kind.phi_steps // 2, kind.phi_steps - 1], kind.slots)
            row.append(np.stack([pt, eta * (pt > 0), phi * (pt > 0)], 1).ravel())
        rows.append(np.concatenate(row))
    return np.array(rows, np.int16)


def objects(row, kind):
    return [
        tuple(int(v) for v in row[i : i + 3]) for i, f in enumerate(FEATURES) if f.kind == kind and f.quantity == "pt"
    ]


@given(ROWS, st.lists(st.integers(1, 6), min_size=1, max_size=4), st.none() | st.integers(0, 4))
def test_a_condition_is_a_choice_of_different_objects(seeds, thresholds, eta_max):
    """Against the definition: some assignment of different objects to the thresholds."""
    x, wanted = events(seeds), sorted(thresholds, reverse=True)
    cut = "" if eta_max is None else f", eta_max = {eta_max}"
    found = fires(f'require = [{{ object = "mu", pt = {wanted}{cut} }}]', x)
    for row, fired in zip(x, found, strict=True):
        mu = [o for o in objects(row, "mu") if eta_max is None or abs(o[1]) <= eta_max]
        assert fired == any(
            all(o[0] >= t for o, t in zip(p, wanted, strict=True)) for p in permutations(mu, len(wanted))
        )


@given(ROWS, st.integers(1, 5), st.integers(1, 5), st.integers(0, 8), st.integers(0, 300), st.booleans())
def test_a_correlation_is_some_pair_that_does_it_all(seeds, low, high, deta, dphi, same):
    """Muon scales are four times finer than those of jets, and phi goes around."""
    x = events(seeds)
    if same:
        low, high = max(low, high), min(low, high)
        body = f'require = [{{ object = "jet", pt = [{low}, {high}] }}]'
        kinds, scales, turn = ("jet", "jet"), (1, 1), 144
    else:
        body = f'require = [{{ object = "mu", pt = [{low}] }}, {{ object = "jet", pt = [{high}] }}]'
        kinds, scales, turn = ("mu", "jet"), (1, 4), 576
    found = fires(f"{body}\ncorrelation = {{ deta_max = {deta}, dphi_min = {dphi} }}", x)
    for row, fired in zip(x, found, strict=True):
        expected = False
        for i, a in enumerate(objects(row, kinds[0])):
            for j, b in enumerate(objects(row, kinds[1])):
                apart = abs(a[2] * scales[0] - b[2] * scales[1]) % turn
                near = abs(a[1] * scales[0] - b[1] * scales[1]) <= deta
                if (i != j or not same) and a[0] >= low and b[0] >= high and near and min(apart, turn - apart) >= dphi:
                    expected = True
        assert fired == expected


def test_an_object_is_no_pair_with_itself():
    x = np.zeros((2, 57), np.int16)
    x[:, COLUMN["jet0_pt"]] = 9
    x[1, COLUMN["jet1_pt"]] = 9
    assert fires('require = [{ object = "jet", pt = [5, 5] }]\ncorrelation = { deta_max = 3 }', x) == [False, True]


@given(ROWS, st.integers(1, 25), st.integers(1, 6), st.integers(0, 4))
def test_ht_sums_the_jets_that_count(seeds, threshold, jet_pt, eta_max):
    x = events(seeds)
    body = f'require = [{{ object = "ht", pt = [{threshold}], jet_pt = {jet_pt}, eta_max = {eta_max} }}]'
    for row, fired in zip(x, fires(body, x), strict=True):
        kept = [o[0] for o in objects(row, "jet") if o[0] >= jet_pt and abs(o[1]) <= eta_max]
        assert fired == (sum(kept) >= threshold)


@given(ROWS, st.integers(1, 4))
def test_a_higher_threshold_never_fires_more(seeds, threshold):
    x = events(seeds)
    loose, tight = (fires(f'require = [{{ object = "eg", pt = [{t}] }}]', x) for t in (threshold, threshold + 1))
    assert all(a or not b for a, b in zip(loose, tight, strict=True))


def test_the_shipped_menu_by_hand():
    shipped = menu.load(SHIPPED)
    names = [s.name for s in shipped.seed]
    assert "CMS" in shipped.notes
    x = np.zeros((4, 57), np.int16)
    x[0, COLUMN["mu0_pt"]] = 44
    x[1, [COLUMN["mu0_pt"], COLUMN["eg0_pt"], COLUMN["eg0_eta"]]] = [14, 40, -57]
    x[2, [COLUMN["jet0_pt"], COLUMN["jet1_pt"], COLUMN["jet0_eta"], COLUMN["jet1_eta"]]] = [230, 224, 20, -16]
    x[3, [COLUMN["met_pt"], COLUMN["met_phi"], COLUMN["jet0_pt"], COLUMN["jet0_phi"]]] = [180, 140, 120, 45]
    found = decisions(shipped, FEATURES, x)
    assert [{names[i] for i in np.flatnonzero(row)} for row in found] == [
        {"SingleMu22", "SingleMu18"},
        {"Mu7_EG20er2p5"},
        {"DoubleJet112er2p3_dEta_Max1p6"},
        {"ETMHF90_SingleJet60er2p5_dPhi_Min2p1"},
    ]


def test_a_default_that_is_spelled_out_changes_no_digest():
    body = 'require = [{ object = "eg", pt = [3] }]'
    assert seed(body).digest == seed(f"{body}\nprescale = 1").digest != seed(f"{body}\nprescale = 2").digest


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("require = []", "seed s requires nothing: give"),
        ('prescal = 3\nrequire = [{ object = "eg", pt = [3] }]', 'unknown key "prescal" in seed s: did you mean "pres'),
        ('prescale = 0\nrequire = [{ object = "eg", pt = [3] }]', "a seed's prescale is 0: it must be at least 1"),
        (
            'require = [{ object = "tau", pt = [3] }]',
            r'require\[0\] of seed s: a condition\'s object is "tau": it must',
        ),
        ('require = [{ object = "eg", pt = [3, 5] }]', "highest threshold first"),
        ('require = [{ object = "eg", pt = [2.5] }]', "must be a whole number"),
        ('require = [{ object = "met", pt = [5], eta_max = 3 }]', "has no eta, take it out"),
        ('require = [{ object = "met", pt = [5, 3] }]', "2 objects of kind met: there is one"),
        ('require = [{ object = "eg", pt = [5], jet_pt = 3 }]', "only ht sums jets"),
        ('require = [{ object = "eg", pt = [5] }, { object = "eg", pt = [3] }]', "two conditions on eg: put"),
        ('require = [{ object = "eg", pt = [5] }]\ncorrelation = { deta_max = 3 }', "a correlation and 1 objects"),
        ('require = [{ object = "eg", pt = [5, 3] }]\ncorrelation = {}', "a correlation is empty: give"),
        (
            'require = [{ object = "met", pt = [5] }, { object = "mu", pt = [5] }]\ncorrelation = { deta_max = 3 }',
            "correlates eta with met",
        ),
        ('require = [{ object = "eg" }]', r"require\[0\] of seed s has no pt: add it"),
        ("require = 3", "require in seed s is 3: it must be a list of tables"),
    ],
)
def test_a_bad_seed_is_one_sentence(body, sentence):
    with pytest.raises(SpecError, match=sentence):
        seed(body)


def test_bad_files_and_events_are_refused(tmp_path):
    with pytest.raises(SpecError, match=r"none.toml can't be read .*: give the path"):
        menu.load(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(SpecError, match="bad.toml: not TOML"):
        menu.load(tmp_path / "bad.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SpecError, match="is not UTF-8 text"):
        menu.load(tmp_path / "bad.toml")
    twice = '[[seed]]\nname = "s"\nrequire = [{ object = "eg", pt = [3] }]\n' * 2
    with pytest.raises(SpecError, match="two seeds are named s: rename one"):
        menu.parse(HEAD + twice)
    with pytest.raises(SpecError, match="the menu has no seed: add it"):
        menu.parse(HEAD)
    with pytest.raises(SampleError, match="no mu with pt, eta and phi, which the menu looks at"):
        decisions(seed('require = [{ object = "mu", pt = [3] }]'), FEATURES[:3], np.zeros((1, 3), int))
    with pytest.raises(SampleError, match="a menu reads Level-1 objects"):
        decisions(seed('require = [{ object = "mu", pt = [3] }]'), FEATURES, np.zeros((1, 3), int))


def test_the_menu_on_the_page_is_read():
    page = (SHIPPED.parents[1] / "docs" / "rates.md").read_text("utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert [s.name for s in menu.parse(block).seed] == ["SingleMu22", "DoubleJet112er2p3_dEta_Max1p6", "Mu6_HTT240er"]
