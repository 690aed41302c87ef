"""Public layouts of jets: hls4ml's tables and constituents, the top-tagging reference, JetNet.

=================  =========================================================================================
what               where
=================  =========================================================================================
hls4ml table       one HDF5 file, ``t_allpar_new`` with named columns ``j_zlogz`` ... and labels ``j_g`` ... ``j_t``
hls4ml particles   one HDF5 file or a folder of them: ``jetConstituentList`` (jets, K, 16), ``jets`` (jets, 59), with
                   ``particleFeatureNames`` and ``jetFeatureNames`` (Zenodo 3602260)
top tagging        ``train.h5``, ``val.h5``, ``test.h5`` in a folder, or one of them: a pandas table ``table`` with
                   ``E_0, PX_0, PY_0, PZ_0, E_1 ...``, the true top, ``ttv``, ``is_signal_new`` (Zenodo 2603256)
JetNet             a folder of ``g.hdf5``, ``q.hdf5``, ``t.hdf5``, ``w.hdf5``, ``z.hdf5``: ``particle_features``
                   (jets, 30, 4) eta, phi, pT relative to the jet, mask; ``jet_features`` pT, eta, mass, number
=================  =========================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SampleError
from trigger_ml.samples.jet_blocks import ADVICE, Block
from trigger_ml.samples.jet_features import NAMES
from trigger_ml.samples.jet_making import turned

BLOCK = 20_000
HLS4ML_CLASSES = {"j_q": "q", "j_g": "g", "j_w": "W", "j_z": "Z", "j_t": "top"}
JETNET_CLASSES = {"q": "q", "g": "g", "w": "W", "z": "Z", "t": "top"}
PARTS = ("train", "val", "test")
_WHOLE_JET = ("zlogz", "multiplicity", "mass_mmdt")
HLS4ML_FEATURES = tuple(f"j_{name}" if name in _WHOLE_JET else f"j_{name}_mmdt" for name in NAMES)

Reader = Callable[[Any, Path, int | None], Iterator[Block]]


def blocks(path: Path) -> Iterator[Block]:
    """The jets of a file or folder in one of these layouts.

    Raises:
        SampleError: if it is missing, truncated, of no known layout, or malformed.
    """
    import h5py

    for file_path, part in _files(path):
        try:
            with h5py.File(file_path, "r") as file:
                yield from _reader(file, file_path)(file, file_path, part)
        except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            raise SampleError(f"{file_path} is not a whole HDF5 file ({reason}): {ADVICE}") from None


def _files(path: Path) -> list[tuple[Path, int | None]]:
    """Files and the part that each holds, if its name tells."""
    if not path.exists():
        raise SampleError(f"{path} is missing: download it, or correct the path")
    if path.is_file():
        return [(path, None)]
    parts = [path / f"{name}.h5" for name in PARTS]
    if any(file.is_file() for file in parts):
        for file in parts:
            if not file.is_file():
                raise SampleError(f"{file} is missing: download it too, or give the path of one file")
        return [(file, i) for i, file in enumerate(parts)]
    found = sorted(file for file in path.iterdir() if file.suffix in (".h5", ".hdf5"))
    if not found:
        raise SampleError(f"{path} holds no .h5 or .hdf5 file: download some, or correct the path")
    return [(file, None) for file in found]


def _reader(file: Any, path: Path) -> Reader:
    for key, reader in (
        ("t_allpar_new", _hls4ml_table),
        ("jetConstituentList", _hls4ml_particles),
        ("table", _top_tagging),
        ("particle_features", _jetnet),
    ):
        if key in file:
            return reader
    raise SampleError(
        f"{path} has none of t_allpar_new, jetConstituentList, table, particle_features: give a file that has"
    )


def _ranges(length: int, path: Path) -> Iterator[slice]:
    if length == 0:
        raise SampleError(f"{path} holds no jet: {ADVICE}")
    return (slice(start, min(start + BLOCK, length)) for start in range(0, length, BLOCK))


def _hls4ml_table(file: Any, path: Path, part: int | None) -> Iterator[Block]:
    data = file["t_allpar_new"]
    names = data.dtype.names or ()
    labels = tuple(HLS4ML_CLASSES)
    for name in (*HLS4ML_FEATURES, *labels):
        if name not in names:
            raise SampleError(f"{path}: t_allpar_new has no column {name}: {ADVICE}")
    for rows in _ranges(len(data), path):
        table = data[rows]
        features, flags = (_columns(table, columns) for columns in (HLS4ML_FEATURES, labels))
        jet = np.zeros((len(table), 4))
        jet[:, 0] = table["j_pt"] if "j_pt" in names else 1
        yield Block(path, rows.start, part, _classes(flags, path, rows.start), jet, None, features)


def _columns(table: NDArray, names: tuple[str, ...]) -> NDArray[np.float64]:
    return np.stack([table[name].astype(np.float64) for name in names], -1)


def _hls4ml_particles(file: Any, path: Path, part: int | None) -> Iterator[Block]:
    particles, jets = file["jetConstituentList"], file["jets"]
    of_particle, of_jet = (
        {str(n.decode() if isinstance(n, bytes) else n): i for i, n in enumerate(file[key][...])}
        for key in ("particleFeatureNames", "jetFeatureNames")
    )
    wanted = ("j1_pt", "j1_etarel", "j1_phirel")
    for names, known, width, key in (
        (wanted, of_particle, particles.shape[-1], "jetConstituentList"),
        (("j_pt", "j_eta", "j_mass", *HLS4ML_CLASSES), of_jet, jets.shape[-1], "jets"),
    ):
        for name in names:
            if known.get(name, width) >= width:
                raise SampleError(f"{path}: {key} has no column {name}: {ADVICE}")
    if particles.ndim != 3 or jets.ndim != 2 or len(particles) != len(jets):
        raise SampleError(f"{path}: jetConstituentList {particles.shape} and jets {jets.shape} don't fit: {ADVICE}")
    whole = all(name in of_jet for name in HLS4ML_FEATURES)
    for rows in _ranges(len(jets), path):
        table, inside = np.asarray(jets[rows], np.float64), np.asarray(particles[rows], np.float64)
        values = inside[..., [of_particle[name] for name in wanted]]
        values[..., 2] = turned(values[..., 2])
        jet = np.zeros((len(table), 4))
        jet[:, [0, 1, 3]] = table[:, [of_jet[name] for name in ("j_pt", "j_eta", "j_mass")]]
        kind = _classes(table[:, [of_jet[name] for name in HLS4ML_CLASSES]], path, rows.start)
        features = table[:, [of_jet[name] for name in HLS4ML_FEATURES]] if whole else None
        yield Block(path, rows.start, part, kind, jet, values, features)


def _classes(flags: NDArray[np.float64], path: Path, first: int) -> NDArray[np.str_]:
    bad = np.flatnonzero(~np.isin(flags, (0, 1)).all(1) | (flags.sum(1) != 1))
    if len(bad):
        raise SampleError(f"{path}: jet {first + bad[0]} has not one class: {ADVICE}")
    return np.array(tuple(HLS4ML_CLASSES.values()))[flags.argmax(1)]


def _top_tagging(file: Any, path: Path, part: int | None) -> Iterator[Block]:
    group = file["table"]
    data = group.get("table")
    names = () if data is None else data.dtype.names or ()
    if data is None or "values_block_0" not in names or "values_block_1" not in names:
        raise SampleError(f"{path}: table is not a pandas table of numbers and labels: {ADVICE}")
    width = data.dtype["values_block_0"].shape
    if len(width) != 1 or width[0] < 8 or width[0] % 4:
        raise SampleError(f"{path}: table has rows of {width}, not of E, PX, PY, PZ and the true top: {ADVICE}")
    for rows in _ranges(len(data), path):
        table = data[rows]
        label = table["values_block_1"].reshape(len(table), -1)[:, -1]
        bad = np.flatnonzero((label != 0) & (label != 1))
        if len(bad):
            raise SampleError(f"{path}: jet {rows.start + bad[0]} has the label {label[bad[0]]}, not 0 or 1: {ADVICE}")
        momenta = table["values_block_0"].astype(np.float64).reshape(len(table), -1, 4)[:, :-1]
        jet, values = _relative(momenta)
        yield Block(path, rows.start, part, np.where(label == 1, "top", "qcd"), jet, values, None)


def _relative(momenta: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Jets and constituents of (jets, K, 4) E, px, py, pz; all zero where there is none."""
    energy, px, py, pz = momenta.sum(1).T
    jet_pt = np.hypot(px, py)
    safe = np.where(jet_pt > 0, jet_pt, 1)
    eta, phi = np.arcsinh(pz / safe), np.arctan2(py, px)
    mass = np.sqrt(np.maximum(0, energy**2 - jet_pt**2 - pz**2))
    pt = np.hypot(momenta[..., 1], momenta[..., 2])
    there = pt > 0
    rapidity = np.arcsinh(momenta[..., 3] / np.where(there, pt, 1)) - eta[:, None]
    angle = turned(np.arctan2(momenta[..., 2], momenta[..., 1]) - phi[:, None])
    values = np.stack([pt, rapidity * there, angle * there], -1)
    return np.stack([jet_pt, eta, phi, mass], -1), values


def _jetnet(file: Any, path: Path, part: int | None) -> Iterator[Block]:
    kind = JETNET_CLASSES.get(path.stem.removesuffix("150"))
    if kind is None:
        raise SampleError(f"{path} should be named after its class, {', '.join(f'{k}.hdf5' for k in JETNET_CLASSES)}")
    particles, jets = file["particle_features"], file["jet_features"]
    if particles.ndim != 3 or particles.shape[2] != 4 or jets.ndim != 2 or jets.shape[1] < 3:
        raise SampleError(
            f"{path}: particle_features {particles.shape} and jet_features {jets.shape} are not (jets, K, 4) and "
            f"(jets, 4): {ADVICE}"
        )
    if len(particles) != len(jets):
        raise SampleError(f"{path}: particle_features and jet_features differ in length: {ADVICE}")
    for rows in _ranges(len(jets), path):
        eta, phi, pt, mask = np.moveaxis(np.asarray(particles[rows], np.float64), -1, 0)
        table = np.asarray(jets[rows], np.float64)
        there = mask > 0.5
        jet = np.zeros((len(table), 4))
        jet[:, [0, 1, 3]] = table[:, :3]
        values = np.stack([pt * jet[:, :1], eta, phi], -1) * there[..., None]
        yield Block(path, rows.start, part, np.full(len(table), kind), jet, values, None)
