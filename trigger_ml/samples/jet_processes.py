"""The jets' physics processes: Pythia settings, kinematic windows and which jets count (13 TeV, Monash tune)."""

from __future__ import annotations

from dataclasses import dataclass

_HADRONIC = "1 2 3 4 5"
_LIGHT = (
    "HardQCD:gg2gg = on",
    "HardQCD:gg2qqbar = on",
    "HardQCD:qg2qg = on",
    "HardQCD:qq2qq = on",
    "HardQCD:qqbar2gg = on",
    "HardQCD:qqbar2qqbarNew = on",
)
GLUONS = ("HardQCD:gg2gg = on", "HardQCD:qqbar2gg = on")
QUARKS = ("HardQCD:qq2qq = on", "HardQCD:qqbar2qqbarNew = on", "HardQCD:gg2qqbar = on")
_W = ("WeakDoubleBoson:ffbar2WW = on", "24:onMode = off", f"24:onIfAny = {_HADRONIC}")
_Z = (
    "WeakDoubleBoson:ffbar2gmZgmZ = on",
    "WeakZ0:gmZmode = 2",
    "23:onMode = off",
    f"23:onIfAny = {_HADRONIC}",
)
_TOP = ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on", "24:onMode = off", f"24:onIfAny = {_HADRONIC}")

RADIUS = 0.8
"""Of the anti-kt jets."""


@dataclass(frozen=True)
class Window:
    """Which jets of which collisions.

    Attributes:
        pt_hat: the hardest scattering's range of transverse momentum, in GeV.
        pt: range of the measured jet's, in GeV.
        eta: largest abs(eta) of the measured jet.
        matched: a top jet counts only if its three quarks are within :data:`RADIUS` of its axis.
    """

    pt_hat: tuple[float, float]
    pt: tuple[float, float]
    eta: float
    matched: bool


@dataclass(frozen=True)
class JetSet:
    """Jets of some classes in one window.

    Attributes:
        window: which jets count.
        classes: name -> Pythia lines.
        background: share of the background's jets, class by class.
    """

    window: Window
    classes: dict[str, tuple[str, ...]]
    background: dict[str, float]

    def lines(self, name: str) -> tuple[str, ...]:
        """All settings of a class on top of ``processes.COMMON``."""
        low, high = self.window.pt_hat
        return (*self.classes[name], f"PhaseSpace:pTHatMin = {low}", f"PhaseSpace:pTHatMax = {high}")


SETS = {
    "top_600": JetSet(
        Window((500.0, 800.0), (550.0, 650.0), 2.0, matched=True),
        {"qcd": _LIGHT, "top": _TOP},
        {"qcd": 1.0},
    ),
    "jets_1tev": JetSet(
        Window((950.0, 1100.0), (800.0, 1300.0), 2.0, matched=False),
        {"q": QUARKS, "g": GLUONS, "W": _W, "Z": _Z, "top": _TOP},
        {"q": 0.5, "g": 0.5},
    ),
}
"""``top_600``: as in the top-tagging reference (arXiv:1902.09914). ``jets_1tev``: as in hls4ml's (arXiv:1804.06913)."""
