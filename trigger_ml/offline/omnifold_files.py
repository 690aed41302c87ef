"""Files of jet pairs in the layout of OmniFold's sample (10.5281/zenodo.3548091), read strictly.

A file is an npz whose arrays stand twice, ``gen_`` for particles and ``sim_`` for the detector: ``jets`` ``(pairs, 4)``
with pT in GeV, rapidity, phi and mass in GeV; ``mults`` constituents; ``widths`` and ``tau2s`` angularity and
2-subjettiness with beta 1 in units of the radius; ``sdms`` groomed mass in GeV and ``zgs`` momentum sharing of soft
drop. What else a file holds (particles, other angularities) is not opened.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SpecError

Floats = NDArray[np.float64]

LIMITS: Mapping[str, tuple[float, float]] = {
    "mults": (1, np.inf),
    "widths": (0, np.inf),
    "tau2s": (0, np.inf),
    "sdms": (0, np.inf),
    "zgs": (0, 0.5),
}
"""Array -> least and largest value."""

LEVELS = ("gen", "sim")
ROUNDING = 1e-3
"""By how much a value may miss its limits; it is then brought back to them."""


@dataclass(frozen=True, eq=False)
class Level:
    """Jets at one level: ``jets`` ``(pairs, 4)``, the others ``(pairs,)``; units see above."""

    jets: Floats
    mults: Floats
    widths: Floats
    tau2s: Floats
    sdms: Floats
    zgs: Floats


@dataclass(frozen=True, eq=False)
class JetPairs:
    """The same events at both levels."""

    gen: Level
    sim: Level

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.gen.mults)


def read(folder: Path) -> tuple[JetPairs, JetPairs]:
    """Simulation and data of a folder: all its files ``simulation*.npz``, and ``data*.npz``, in the order of names.

    Raises:
        SpecError: if files are missing, damaged or of another layout; the sentence says where.
    """
    return _joined(folder, "simulation"), _joined(folder, "data")


def _joined(folder: Path, kind: str) -> JetPairs:
    files = sorted(folder.glob(f"{kind}*.npz"))
    if not files:
        raise SpecError(
            f"{folder} has no {kind}*.npz: name a folder with simulation*.npz and data*.npz in [sample] file"
        )
    found = [_arrays(file) for file in files]
    levels = []
    for level in LEVELS:
        keys = ("jets", *LIMITS)
        levels.append(Level(**{key: np.concatenate([each[f"{level}_{key}"] for each in found]) for key in keys}))
    return JetPairs(levels[0], levels[1])


def _arrays(file: Path) -> dict[str, Floats]:
    keys = [f"{level}_{key}" for level in LEVELS for key in ("jets", *LIMITS)]
    found: dict[str, Floats] = {}
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:
            for key in keys:
                if key not in archive:
                    raise SpecError(f"{file} has no array {key}: it is not one of OmniFold's layout, needed is {key}")
                found[key] = _checked(file, key, archive[key])
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise SpecError(f"{file} can't be read ({reason}): get it again") from None
    lengths = {key: len(array) for key, array in found.items()}
    if len(set(lengths.values())) > 1:
        key = next(key for key in keys if lengths[key] != lengths[keys[0]])
        raise SpecError(f"{file}: {keys[0]} has {lengths[keys[0]]} pairs, {key} has {lengths[key]}: get it again")
    return found


def _checked(file: Path, key: str, array: Any) -> Floats:
    """The array as float64, refused with the first pair that is wrong."""
    jets = key.endswith("_jets")
    good = array.ndim == 2 and array.shape[1] == 4 if jets else array.ndim == 1
    if not good or array.dtype.kind not in "fiu":
        shape = "(pairs, 4)" if jets else "(pairs,)"
        raise SpecError(
            f"{file}: {key} is {array.dtype} of shape {array.shape}, it must be numbers {shape}: correct it"
        )
    values = array.astype(np.float64)
    low, high = (-np.inf, np.inf) if jets else LIMITS[key[4:]]
    wrong = ~np.isfinite(values) | (values < low - ROUNDING) | (values > high + ROUNDING)
    if jets:
        wrong[:, 0] |= values[:, 0] <= 0
        values[:, 3] = np.maximum(values[:, 3], 0)  # the root of a negative square is written as a negative mass
    if wrong.any():
        where = np.argwhere(wrong)[0]
        raise SpecError(f"{file}: {key} of pair {where[0]} is {values[tuple(where)]:g}: take the pair out")
    return values if jets else np.clip(values, low, high)
