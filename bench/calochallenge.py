"""Our shower observables against the CaloChallenge's own program, on random showers of its four binnings.

``python -m bench.calochallenge FOLDER``, the folder ``code`` of a checkout of github.com/CaloChallenge/homepage: its
``HighLevelFeatures`` is imported from there; nothing of it is in here. Exits with 1 if one number differs by more than
rounding (1e-12 of the largest).
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

import numpy as np

from trigger_ml.offline.showers import binning
from trigger_ml.offline.showers.detector import Showers
from trigger_ml.offline.showers.observables import observables

BINNINGS = {"1_photons": "photon", "1_pions": "pion", "2": "electron", "3": "electron"}
GETTERS = {
    "layers": "GetElayers",
    "eta": "GetECEtas",
    "phi": "GetECPhis",
    "width_eta": "GetWidthEtas",
    "width_phi": "GetWidthPhis",
    "sparsity": "GetSparsity",
}
NUMBERS = 4_000_000
"""Voxels, events times those of an event, that are drawn for a binning."""

ROUNDING = 1e-12


def worst(folder: Path, which: str, particle: str) -> tuple[int, dict[str, float]]:
    """The number of voxels, and the largest difference of each observable over its largest value."""
    path = folder / f"binning_dataset_{which}.xml"
    cut = binning.read(path, particle)
    rng, events = np.random.default_rng(1), NUMBERS // cut.voxels
    voxels = rng.gamma(0.5, 300, (events, cut.voxels)) * (rng.random((events, cut.voxels)) > 0.4)
    incident = 10 ** rng.uniform(3, 6, events)
    theirs = importlib.import_module("HighLevelFeatures").HighLevelFeatures(particle, filename=str(path))
    theirs.CalculateFeatures(voxels)
    ours = observables(Showers(incident, voxels), cut)
    total = theirs.GetEtot()
    found = {"response": float(np.abs(ours.response[:, 0] * incident - total).max() / total.max())}
    for name, getter in GETTERS.items():
        wanted, columns = getattr(theirs, getter)(), getattr(ours, name).T
        pairs = [(columns[i], wanted[int(each.name)]) for i, each in enumerate(cut.filled) if int(each.name) in wanted]
        found[name] = max(float(np.abs(x - y).max() / max(np.abs(y).max(), 1e-9)) for x, y in pairs)
    return cut.voxels, found


def main() -> int:
    """Compare and print; the exit code says whether all agree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("code", type=Path, help="folder with HighLevelFeatures.py and the binning files")
    folder = parser.parse_args().code
    if not (folder / "HighLevelFeatures.py").is_file():
        print(f"{folder} holds no HighLevelFeatures.py: give the folder code of github.com/CaloChallenge/homepage")
        return 3
    sys.path.insert(0, str(folder))
    wrong = False
    for which, particle in BINNINGS.items():
        voxels, found = worst(folder, which, particle)
        wrong |= max(found.values()) > ROUNDING
        print(f"{which}: {voxels} voxels, " + ", ".join(f"{name} {value:.2g}" for name, value in found.items()))
    return int(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
