"""High-level features of jets: energy correlations, groomed mass, multiplicity, and N-subjettiness.

The sixteen are those of the hls4ml jets (arXiv:1804.06913, 1709.08705). With z = pT / sum of pT and angles
theta in (eta, phi), the correlation functions are (arXiv:1305.0007, 1609.07483)

    e2(b) = sum over pairs of z z theta^b            e3(b) = sum over triples of z z z (theta theta theta)^b
    1e3(b) = ... z z z min(theta)^b                  2e3(b) = ... z z z (product of the two smallest theta)^b
    C1 = e2,  C2 = e3 / e2^2,  D2(a, b) = e3(a) / e2(b)^(3 a / b),  M2 = 1e3 / e2,  N2 = 2e3 / e2^2

of the jet groomed by the modified mass-drop tagger (arXiv:1307.0007: soft drop with beta 0, z 0.1); zlogz and
multiplicity are the whole jet's. A ratio whose denominator is 0 is 0. ``d2_b1`` and ``d2_a1_b1`` are the same number.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import ToolMissing
from trigger_ml.samples.jet_making import momenta
from trigger_ml.samples.jet_processes import RADIUS

NAMES = (
    "zlogz",
    "c1_b0",
    "c1_b1",
    "c1_b2",
    "c2_b1",
    "c2_b2",
    "d2_b1",
    "d2_b2",
    "d2_a1_b1",
    "d2_a1_b2",
    "m2_b1",
    "m2_b2",
    "n2_b1",
    "n2_b2",
    "mass_mmdt",
    "multiplicity",
)

AXES = 5
BETAS = (0.5, 1.0, 2.0)
TAU_NAMES = tuple(f"tau{n}_b{beta:g}".replace(".", "p") for n in range(1, AXES + 1) for beta in BETAS)
"""``tau1_b0p5, tau1_b1, tau1_b2, tau2_b0p5 ...``"""

SYMMETRY = 0.1
_WHOLE = 3.0
"""Radius of the reclustering: nothing of a jet is farther apart."""


def of_jets(constituents: NDArray, count: NDArray) -> dict[str, NDArray[np.float32]]:
    """Both tables of features.

    Args:
        constituents: (jets, K, 3): pT in GeV, eta and phi relative to the jet's axis, zeros behind the last.
        count: (jets,) multiplicity, which may exceed K.

    Returns:
        ``features`` (jets, 16) in the order of :data:`NAMES`, ``taus`` (jets, 15) in that of :data:`TAU_NAMES`.
    """
    return {"features": high_level(constituents, count), "taus": subjettiness(constituents)}


def high_level(constituents: NDArray, count: NDArray | None = None) -> NDArray[np.float32]:
    """The sixteen, (jets, 16); mass in GeV, zlogz negative, the others 0 or positive. ``count``: see :func:`of_jets`.

    Raises:
        ToolMissing: without FastJet or numba.
    """
    values = np.asarray(constituents, np.float64)
    pt = values[..., 0]
    z = pt / np.maximum(pt.sum(1, keepdims=True), 1e-12)
    zlogz = np.where(z > 0, z * np.log(np.where(z > 0, z, 1)), 0).sum(1)
    multiplicity = (pt > 0).sum(1) if count is None else count
    groomed, mass = _groomed(values)
    columns = [zlogz, *ratios(correlations(*groomed)), mass, multiplicity]
    return np.stack(columns, -1).astype(np.float32)


def ratios(e: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """``c1_b0`` ... ``n2_b2`` from the sums of :func:`correlations`."""
    flat, e1, e2, t1, t2, one1, one2, two1, two2 = np.moveaxis(e, -1, 0)

    def over(top: NDArray, bottom: NDArray, power: float) -> NDArray[np.float64]:
        return np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1) ** power, 0)

    d2 = over(t1, e1, 3)
    return (
        *(flat, e1, e2),
        *(over(t1, e1, 2), over(t2, e2, 2)),
        *(d2, over(t2, e2, 3), d2, over(t1, e2, 1.5)),
        *(over(one1, e1, 1), over(one2, e2, 1)),
        *(over(two1, e1, 2), over(two2, e2, 2)),
    )


def correlations(
    start: NDArray[np.int64], pt: NDArray[np.float64], eta: NDArray[np.float64], phi: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(jets, 9): e2 of beta 0, 1, 2; e3 of beta 1, 2; 1e3 of beta 1, 2; 2e3 of beta 1, 2.

    Args:
        start: (jets + 1,) first constituent of each jet in the flat arrays, and their end.
        pt: any unit.
        eta: pseudorapidity.
        phi: rad, without a jump inside a jet.

    Raises:
        ToolMissing: without numba.
    """
    out = np.zeros((len(start) - 1, 9))
    _compiled()(np.asarray(start, np.int64), pt, eta, phi, out)
    return out


def _sums(start: Any, pt: Any, eta: Any, phi: Any, out: Any) -> None:
    for jet in range(len(start) - 1):
        a, b = start[jet], start[jet + 1]
        n = b - a
        z = pt[a:b] / pt[a:b].sum()
        theta = np.zeros((n, n))
        for i in range(n):
            for j in range(i + 1, n):
                square = (eta[a + i] - eta[a + j]) ** 2 + (phi[a + i] - phi[a + j]) ** 2
                theta[i, j] = math.sqrt(square)
                out[jet, 0] += z[i] * z[j]
                out[jet, 1] += z[i] * z[j] * theta[i, j]
                out[jet, 2] += z[i] * z[j] * square
        for i in range(n):
            for j in range(i + 1, n):
                for k in range(j + 1, n):
                    weight = z[i] * z[j] * z[k]
                    x, y, w = theta[i, j], theta[i, k], theta[j, k]
                    low, high = min(x, y, w), max(x, y, w)
                    both = low * (x + y + w - low - high)
                    out[jet, 3] += weight * x * y * w
                    out[jet, 4] += weight * (x * y * w) ** 2
                    out[jet, 5] += weight * low
                    out[jet, 6] += weight * low**2
                    out[jet, 7] += weight * both
                    out[jet, 8] += weight * both**2


@functools.lru_cache(maxsize=1)
def _compiled() -> Callable[..., None]:
    try:
        import numba
    except ImportError:
        raise ToolMissing("numba is not installed: pip install 'trigger_ml[datagen]'") from None
    return numba.njit(_sums)


def _groomed(values: NDArray[np.float64]) -> tuple[tuple[NDArray, ...], NDArray[np.float64]]:
    """Constituents that the modified mass-drop tagger leaves (start, pT, eta, phi; flat), and their mass in GeV."""
    sequence = clustered(values, "cambridge_algorithm", "E_scheme")
    found = sequence.exclusive_jets_softdrop_grooming(njets=1, beta=0, symmetry_cut=SYMMETRY, R0=RADIUS)
    import awkward as ak

    inside = found.constituents
    px, py, pz = (ak.to_numpy(ak.flatten(inside[axis])).astype(np.float64) for axis in ("px", "py", "pz"))
    pt = np.hypot(px, py)
    start = np.concatenate([[0], np.cumsum(ak.to_numpy(ak.num(inside)))])
    mass = np.maximum(ak.to_numpy(found.msoftdrop).astype(np.float64), 0)
    return (start, pt, np.arcsinh(pz / pt), np.arctan2(py, px)), mass


def subjettiness(constituents: NDArray) -> NDArray[np.float32]:
    """tau_N^beta = sum of pT min(theta / 0.8)^beta / sum of pT, (jets, 15): N 1 ... 5, beta 0.5, 1, 2.

    N-subjettiness, arXiv:1011.2268. The axes are the N exclusive kt jets' with winner-take-all recombination, not
    minimised further; one set for all beta. A jet with N constituents or fewer has 0.

    Raises:
        ToolMissing: without FastJet.
    """
    values = np.asarray(constituents, np.float64)
    pt, number = values[..., 0], (values[..., 0] > 0).sum(1)
    weight = pt / np.maximum(pt.sum(1, keepdims=True), 1e-12)
    out = np.zeros((len(values), AXES, len(BETAS)))
    for axes in range(1, AXES + 1):
        enough = number > axes
        if not enough.any():
            break
        chosen = values[enough]
        eta, phi = kt_axes(chosen, axes)
        theta = np.hypot(chosen[:, :, None, 1] - eta[:, None], chosen[:, :, None, 2] - phi[:, None]).min(2) / RADIUS
        for column, beta in enumerate(BETAS):
            out[enough, axes - 1, column] = (weight[enough] * theta**beta).sum(1)
    return out.reshape(len(values), -1).astype(np.float32)


def kt_axes(values: NDArray[np.float64], number: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eta and phi, (jets, number), of the exclusive kt jets."""
    import awkward as ak

    sequence = clustered(values, "kt_algorithm", "WTA_pt_scheme")
    with warnings.catch_warnings():
        # The interface takes every algorithm for one without exclusive jets (it compares a definition with a number).
        warnings.simplefilter("ignore", UserWarning)
        found = sequence.exclusive_jets(n_jets=number)
    px, py, pz = (ak.to_numpy(ak.flatten(found[axis])).reshape(-1, number) for axis in ("px", "py", "pz"))
    return np.arcsinh(pz / np.hypot(px, py)), np.arctan2(py, px)


def clustered(values: NDArray[np.float64], algorithm: str, scheme: str) -> Any:
    """FastJet's cluster sequences of (jets, K, 3) constituents; those without pT are left out."""
    live = values[..., 0] > 0
    particles = momenta(*(values[..., axis][live] for axis in range(3)))
    import awkward as ak
    import fastjet

    definition = fastjet.JetDefinition(getattr(fastjet, algorithm), _WHOLE, getattr(fastjet, scheme))
    return fastjet.ClusterSequence(ak.unflatten(particles, live.sum(1)), definition)
