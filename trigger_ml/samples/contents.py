"""What the events in our sample files are: trigger objects, or regions of the calorimeter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trigger_ml.fixed import Fixed
from trigger_ml.samples import features, regions
from trigger_ml.samples.dataset import Feature

_DETECTOR = "Pythia 8 with a parametric detector of our own, not tuned to CMS or ATLAS data."
_ZERO_BIAS = (
    "Bunch crossings with Poisson({pileup:g}) non-diffractive collisions, as a trigger sees them without any "
    "selection; " + _DETECTOR
)
_LIKE_ADC2021 = (
    "W, bb, Z and top events (59.2, 33.8, 6.7, 0.3 %) with an isolated electron or muon above 23 GeV "
    "and Poisson({pileup:g}) pileup; the hard collision has no underlying event of its own; "
    "rates in kHz mean nothing here; " + _DETECTOR
)

RATES = "zero_bias"
"""The variant whose background is what a trigger sees."""


@dataclass(frozen=True)
class Contents:
    """What an event of one kind of file is.

    Attributes:
        sample: the module in ``trigger_ml/samples`` that reads such files.
        chunk: the name of these events in a finished chunk of the maker.
        features: one entry a column.
        input_format: of all columns.
        shape: of an event; its product is the number of columns.
        notes: variant -> the sentences that stand beside every figure made from it, with a place for the pileup.
        suffix: of the file's name, after its variant.
        objects: True if an event is a list of (pT, eta, phi), where an empty slot is three zeros.
    """

    sample: str
    chunk: str
    features: tuple[Feature, ...]
    input_format: Fixed
    shape: tuple[int, ...]
    notes: Mapping[str, str]
    suffix: str
    objects: bool

    @property
    def layout(self) -> str:
        """The attribute ``layout`` of a file."""
        return f"trigger_ml.{self.sample}"

    def note(self, variant: str, pileup: float) -> str:
        """The sentences that stand beside every figure made from a file."""
        return self.notes[variant].format(pileup=pileup)


OBJECTS = Contents(
    sample="l1_objects",
    chunk="hw",
    features=features.FEATURES,
    input_format=features.INPUT_FORMAT,
    shape=(features.OBJECTS, 3),
    notes={"zero_bias": _ZERO_BIAS, "adc2021_like": _LIKE_ADC2021},
    suffix="",
    objects=True,
)

REGIONS = Contents(
    sample="calo_regions",
    chunk="regions",
    features=regions.FEATURES,
    input_format=regions.INPUT_FORMAT,
    shape=(regions.REGION_PHI, regions.REGION_ETA),
    notes={"zero_bias": _ZERO_BIAS},
    suffix="_regions",
    objects=False,
)

EVERY = (OBJECTS, REGIONS)
"""What the maker leaves of a crossing."""
