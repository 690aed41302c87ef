"""The physics processes and their Pythia settings (13 TeV, Monash tune, each line checked by the maker)."""

from __future__ import annotations

from dataclasses import dataclass

_LEPTONS = "11 13 15"
_B_HADRONS = (511, 521, 531, 541, 5122, 5132, 5232, 5332)

COMMON = (
    "Print:quiet = on",
    "Beams:eCM = 13000.",
    "ParticleDecays:limitTau0 = on",
    "ParticleDecays:tau0Max = 10.",
)
"""Particles with c tau above 10 mm (pions, kaons, muons) stay undecayed."""

NO_UNDERLYING_EVENT = "PartonLevel:MPI = off"

HARD_PT_HAT = 20.0
"""GeV; soft collisions below it come from the pool, harder ones are generated afresh for each crossing."""

SOFT = ("SoftQCD:nonDiffractive = on",)
HARD = ("HardQCD:all = on", f"PhaseSpace:pTHatMin = {HARD_PT_HAT}")

_W = ("WeakSingleBoson:ffbar2W = on", "24:onMode = off", f"24:onIfAny = {_LEPTONS}")
_Z = (
    "WeakSingleBoson:ffbar2gmZ = on",
    "PhaseSpace:mHatMin = 50.",
    "23:onMode = off",
    f"23:onIfAny = {_LEPTONS}",
)
_TOP = ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on")
_BB = (
    "HardQCD:hardbbbar = on",
    "PhaseSpace:pTHatMin = 50.",
    *(line for b in _B_HADRONS for line in (f"{b}:onMode = off", f"{b}:onIfAny = 11 13")),
)
_LQ = (
    "LeptoQuark:gg2LQLQbar = on",
    "LeptoQuark:qqbar2LQLQbar = on",
    "42:m0 = 80.",
    "42:mMin = 70.",
    "42:mMax = 90.",
    "42:0:products = 5 15",
)
_A = (
    "Higgs:useBSM = on",
    "HiggsBSM:gg2A3 = on",
    "HiggsA3:coup2Z = 1.",
    "36:m0 = 50.",
    "36:mMin = 49.",
    "36:mMax = 51.",
    "36:onMode = off",
    "36:onIfMatch = 23 23",
    "23:mMin = 1.",
    "23:onMode = off",
    "23:onIfAny = 11 13",
)
_H0 = (
    "Higgs:useBSM = on",
    "HiggsBSM:gg2H1 = on",
    "25:m0 = 60.",
    "25:mMin = 50.",
    "25:mMax = 70.",
    "25:onMode = off",
    "25:onIfMatch = 15 15",
)
_HC = (
    "Higgs:useBSM = on",
    "HiggsBSM:ffbar2H+- = on",
    "37:m0 = 60.",
    "37:mMin = 50.",
    "37:mMax = 70.",
    "37:oneChannel = 1 1.0 0 -15 16",
)
_TAU_TO_LEPTON = ("15:onMode = off", "15:onIfAny = 11 13")

BACKGROUND = "background"
SIGNALS = {"LQ_to_btau": _LQ, "A_to_4l": _A, "hC_to_taunu": _HC, "h0_to_tautau": _H0}
"""LQ(80) pair -> b tau b tau; A(50) -> Z*Z* -> 4 l; single h+-(60) -> tau nu; h0(60) -> tau tau."""

KNOWN = {**SIGNALS, "ttbar": _TOP}
"""Every process that can be a signal; a pair of tops, all decays, is one that a whole calorimeter sees."""


@dataclass(frozen=True)
class Leg:
    """One hard process of a crossing's hard collision, and its share of the events of a chunk."""

    lines: tuple[str, ...]
    share: float = 1.0


def legs(variant: str, process: str) -> tuple[Leg, ...]:
    """The hard processes of ``process``; empty for the zero-bias background, which has none beside its pileup.

    adc2021_like is filtered on a lepton above 23 GeV; its h+- taus decay to leptons because no other can pass.
    """
    if variant == "zero_bias":
        return () if process == BACKGROUND else (Leg(KNOWN[process]),)
    if process == BACKGROUND:
        mix = ((_W, 0.592), (_BB, 0.338), (_Z, 0.067), (_TOP, 0.003))
        return tuple(Leg((*lines, NO_UNDERLYING_EVENT), share) for lines, share in mix)
    extra = _TAU_TO_LEPTON if process == "hC_to_taunu" else ()
    return (Leg((*KNOWN[process], *extra, NO_UNDERLYING_EVENT)),)
