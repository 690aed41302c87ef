"""The sample of calorimeter regions: its file, and the events that are shipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trigger_ml import plugins
from trigger_ml.errors import SampleError
from trigger_ml.samples import calo_regions, cicada, l1_objects, layout
from trigger_ml.samples.contents import REGIONS

pytest.importorskip("h5py")

PARTS = ("train", "validation", "test")


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    made = {f"{group}/{part}": rng.integers(0, 200, (9, 252)).astype(np.int16)
            for group in ("background", "signals/ttbar") for part in PARTS}  # fmt: skip
    return made | {"background/source": rng.integers(-1, 4, 9).astype(np.int32)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    out = tmp_path / "regions.h5"
    layout.write(out, "zero_bias", 35.0, arrays(), {"seed": 1}, REGIONS)
    return out


def test_found_as_a_plugin() -> None:
    assert plugins.find("samples", "calo_regions") is calo_regions


def test_what_is_written_is_read_back(path: Path) -> None:
    content, sample = arrays(), calo_regions.load("zero_bias", path)
    assert np.array_equal(sample.background.test, content["background/test"])
    assert np.array_equal(sample.signals["ttbar"].train, content["signals/ttbar/train"])
    assert (sample.name, sample.shape, len(sample.features)) == ("calo_regions", (18, 14), 252)
    assert sample.gives_rates
    assert "Poisson(35)" in sample.notes


def test_equal_sources_are_equal_collisions_and_fresh_ones_are_their_own(path: Path) -> None:
    stored, source = arrays()["background/source"], calo_regions.load("zero_bias", path).source
    assert np.array_equal(source[stored >= 0], stored[stored >= 0])
    own = source[stored < 0]
    assert len(np.unique(own)) == len(own)
    assert not np.isin(own, stored).any()


def test_objects_and_regions_are_not_taken_for_each_other(path: Path) -> None:
    with pytest.raises(SampleError, match=r"has the layout trigger_ml.calo_regions 1, not trigger_ml.l1_objects 1"):
        l1_objects.load("zero_bias", path)


def test_a_region_of_eleven_bits_is_refused(tmp_path: Path) -> None:
    wrong, content = tmp_path / "wrong.h5", arrays()
    content["signals/ttbar/test"][2, 17] = 1024
    layout.write(wrong, "zero_bias", 20.0, content, {}, REGIONS)
    with pytest.raises(SampleError, match=r"signals/ttbar/test, event \d+: region_p1_e3 is -?\d+, allowed 0\.\.\.1023"):
        calo_regions.load("zero_bias", wrong)


def test_through_the_layout_of_cicada_and_back(path: Path, tmp_path: Path) -> None:
    events = calo_regions.load("zero_bias", path).background.test
    cicada.write(tmp_path / "cicada.h5", events)
    assert np.array_equal(cicada.read(tmp_path / "cicada.h5"), events)


def test_an_unknown_variant_lists_the_known_ones() -> None:
    with pytest.raises(SampleError, match="available are zero_bias"):
        calo_regions.load("adc2021_like")


def test_committed_sample() -> None:
    path = calo_regions.default_path("zero_bias")
    if not path.exists():
        pytest.skip(f"{path.name} is not in this checkout")
    assert path.stat().st_size <= 14_000_000
    sample = calo_regions.load("zero_bias")
    assert [len(getattr(sample.background, part)) for part in PARTS] == [24_000, 6_000, 30_000]
    assert set(sample.signals) == set(calo_regions.SIGNALS)
    for split in sample.signals.values():
        assert [len(getattr(split, part)) for part in PARTS] == [300, 300, 2_400]
    test = sample.background.test
    assert len(np.unique(test, axis=0)) == len(test)
    mean = test.reshape(-1, 18, 14).mean(0)
    across, error = mean.mean(0), mean.std(0, ddof=1) / np.sqrt(18)
    assert np.all(np.abs(across - across[::-1]) < 5 * np.hypot(error, error[::-1])), "both sides in eta are alike"
    assert sample.signals["ttbar"].test.mean() > 1.5 * test.mean()
    assert layout.provenance(path)["settings_digest"] == calo_regions.settings("zero_bias").digest()
