"""Public layouts of jets: files written in them are read, malformed ones refused with the jet that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trigger_ml.errors import SampleError
from trigger_ml.samples import jet_public, jets
from trigger_ml.samples.jet_features import NAMES
from trigger_ml.samples.jet_scales import FEATURE_SCALES, encode_constituents, encode_table
from trigger_ml.samples.jet_views import oriented

h5py = pytest.importorskip("h5py")

LABELS = ("j_g", "j_q", "j_w", "j_z", "j_t")
CLASS = ("g", "q", "W", "Z", "top")
N = 100


def kinds(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(5), N // 5))


def particles(seed: int = 2, depth: int = 20) -> np.ndarray:
    """(N, depth, 3) GeV, eta, phi relative to the axis, by falling pT."""
    rng = np.random.default_rng(seed)
    pt = -np.sort(-rng.exponential(50, (N, depth)), 1) + 1
    values = np.stack([pt, rng.normal(0, 0.2, pt.shape), rng.normal(0, 0.2, pt.shape)], -1)
    return values * (np.arange(depth) < rng.integers(5, depth + 1, N)[:, None])[..., None]


def features(seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(s.lo, s.hi, N) * s.lsb for s in FEATURE_SCALES.values()], -1)


def hls4ml_table(path: Path) -> Path:
    names = ("j_pt", *jet_public.HLS4ML_FEATURES, *LABELS)
    table = np.zeros(N, [(name, "<f4") for name in names])
    table["j_pt"] = 1000
    for name, column in zip(jet_public.HLS4ML_FEATURES, features().T, strict=True):
        table[name] = column
    for i, label in enumerate(LABELS):
        table[label] = kinds() == i
    with h5py.File(path, "w") as file:
        file["t_allpar_new"] = table
    return path


def hls4ml_particles(path: Path, columns: tuple[str, ...] = ("j_pt", "j_eta", "j_mass")) -> Path:
    of_particle = [
        "j1_px",
        "j1_py",
        "j1_pz",
        "j1_e",
        "j1_erel",
        "j1_pt",
        "j1_ptrel",
        "j1_eta",
        "j1_etarel",
        "j1_etarot",
    ]
    of_particle += ["j1_phi", "j1_phirel", "j1_phirot", "j1_deltaR", "j1_costheta", "j1_costhetarel", "j1_pdgid"]
    constituents = np.zeros((N, 20, 16))
    for name, values in zip(("j1_pt", "j1_etarel", "j1_phirel"), np.moveaxis(particles(), -1, 0), strict=True):
        constituents[..., of_particle.index(name)] = values
    jet = np.zeros((N, len(columns) + 6))
    jet[:, :3] = (1000, 0.5, 80)
    for i in range(5):
        jet[:, len(columns) + i] = kinds() == i
    with h5py.File(path, "w") as file:
        file["jetConstituentList"] = constituents
        file["jets"] = jet
        file["particleFeatureNames"] = np.array(of_particle, "S")
        file["jetFeatureNames"] = np.array([*columns, *LABELS, "j_undef"], "S")
    return path


def top_tagging(path: Path, seed: int = 2) -> Path:
    pt, eta, phi = np.moveaxis(particles(seed), -1, 0)
    eta, phi = eta + 0.7, phi + 3.1  # over the edge of phi
    momenta = np.stack([pt * np.cosh(eta), pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], -1)
    rows = np.zeros(N, [("index", "<i8"), ("values_block_0", "<f4", (4 * 21,)), ("values_block_1", "<i8", (2,))])
    rows["values_block_0"][:, :80] = (momenta * (pt > 0)[..., None]).reshape(N, -1)
    rows["values_block_0"][:, 80:] = (600, 1, 2, 3)
    rows["values_block_1"][:, 1] = kinds() % 2
    with h5py.File(path, "w") as file:
        file.create_group("table")["table"] = rows
    return path


def jetnet(folder: Path) -> Path:
    folder.mkdir()
    for name in "gqtwz":
        values = particles(ord(name))
        with h5py.File(folder / f"{name}.hdf5", "w") as file:
            there = values[..., :1] > 0
            parts = [values[..., 1:], values[..., :1] / 1000, there]
            file["particle_features"] = np.concatenate(parts, -1).astype(np.float32)
            file["jet_features"] = np.tile(np.array([1000, 0.5, 80, 20], np.float32), (N, 1))
    return folder


def parts(rows: np.ndarray) -> list[np.ndarray]:
    n = len(rows)
    return np.split(rows, [round(0.6 * n), round(0.7 * n)])


def test_the_hls4ml_table(tmp_path: Path) -> None:
    sample = jets.load("jets_1tev_features", hls4ml_table(tmp_path / "table.z"))
    expected = encode_table(features().astype(np.float32), FEATURE_SCALES)
    for i, name in enumerate(CLASS):
        if name in ("W", "Z", "top"):
            assert np.array_equal(sample.signals[name].train, parts(expected[kinds() == i])[0])
            assert np.array_equal(sample.signals[name].test, parts(expected[kinds() == i])[2])
    assert len(sample.background.train) == 2 * 12
    assert "public file" in sample.notes


def test_the_hls4ml_table_has_no_particles(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="only the view features"):
        jets.load("jets_1tev_constituents", hls4ml_table(tmp_path / "table.z"))


def test_hls4ml_particles_of_a_file_and_of_a_folder(tmp_path: Path) -> None:
    one = jets.load("qg_1tev_constituents", hls4ml_particles(tmp_path / "a.h5"))
    expected = oriented(encode_constituents(particles())).reshape(N, -1)
    assert np.array_equal(one.signals["g"].test, parts(expected[kinds() == 0])[2])
    hls4ml_particles(tmp_path / "b.h5")
    both = jets.load("qg_1tev_constituents", tmp_path)
    assert len(both.signals["g"].train) == 2 * len(one.signals["g"].train)


def test_hls4ml_files_that_hold_the_features_need_no_computation(tmp_path: Path) -> None:
    columns = ("j_pt", "j_eta", "j_mass", *jet_public.HLS4ML_FEATURES)
    path = hls4ml_particles(tmp_path / "a.h5", columns)
    with h5py.File(path, "r+") as file:
        file["jets"][:, 3 : 3 + len(NAMES)] = features()
    sample = jets.load("qg_1tev_features", path)
    expected = encode_table(features(), FEATURE_SCALES)
    assert np.array_equal(sample.signals["g"].test, parts(expected[kinds() == 0])[2])


def test_the_top_tagging_reference(tmp_path: Path) -> None:
    for i, name in enumerate(("train", "val", "test")):
        top_tagging(tmp_path / f"{name}.h5", i)
    sample = jets.load("top_600_constituents", tmp_path)
    for i, part in enumerate(("train", "validation", "test")):
        values = getattr(sample.signals["top"], part).reshape(-1, 32, 3)
        pt = encode_constituents(particles(i))[kinds() % 2 == 1, :, 0]
        assert np.array_equal(values[..., 0], pt)
        assert np.abs(values[..., 1:]).max() > 5  # angles are relative: far from saturation, but not nothing
        assert np.mean(np.abs(values[..., 1:]) == 127) < 0.01
    assert len(sample.background.test) == 60
    single = jets.load("top_600_constituents", tmp_path / "val.h5")
    assert len(single.signals["top"].train) == 24


def test_jetnet(tmp_path: Path) -> None:
    sample = jets.load("jets_1tev_constituents", jetnet(tmp_path / "jetnet"))
    pt = encode_constituents(particles(ord("t")).astype(np.float32))[..., 0]
    assert np.array_equal(sample.signals["top"].test.reshape(-1, 32, 3)[..., 0], parts(pt)[2])


@pytest.mark.needs_pythia
@pytest.mark.parametrize("view", ["features", "tau", "tau8"])
def test_what_a_file_lacks_is_computed(tmp_path: Path, view: str) -> None:
    sample = jets.load(f"qg_1tev_{view}", jetnet(tmp_path / "jetnet"))
    x = sample.signals["g"].test
    column = {feature.name: i for i, feature in enumerate(sample.features)}
    if view == "features":
        assert np.array_equal(x[:, column["multiplicity"]], parts((particles(ord("g"))[..., 0] > 0).sum(1))[2])
    else:
        assert np.all(x[:, column["mass"]] == 160)
        assert np.all(x[:, column["tau1_b1"]] > x[:, column["tau2_b1"]] / 2)


def _changed(key: str, change: Callable[[np.ndarray], np.ndarray | None]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            values = change(file[key][...])
            del file[key]
            if values is not None:
                file[key] = values

    return spoil


def _put(*where: object) -> Callable[[np.ndarray], np.ndarray]:
    *index, value = where

    def change(values: np.ndarray) -> np.ndarray:
        out = values.copy()
        out[tuple(index) if len(index) > 1 else index[0]] = value
        return out

    return change


def _field(name: str, row: object, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        values[name][row] = value
        return values

    return change


@pytest.mark.parametrize(
    ("write", "spoil", "variant", "sentence"),
    [
        (hls4ml_table, _changed("t_allpar_new", _field("j_g", 7, 0.5)), "jets_1tev", "jet 7 has not one class"),
        (hls4ml_table, _changed("t_allpar_new", _field("j_zlogz", 9, np.nan)), "jets_1tev", "jet 9 has features that"),
        (hls4ml_table, _changed("t_allpar_new", lambda v: v[["j_pt"]].copy()), "jets_1tev", "no column j_zlogz"),
        (hls4ml_table, _changed("t_allpar_new", lambda v: v[:0]), "jets_1tev", "holds no jet"),
        (hls4ml_table, _changed("t_allpar_new", lambda v: None), "jets_1tev", "has none of t_allpar_new"),
        (hls4ml_particles, _changed("jets", lambda v: v[:5]), "jets_1tev", "don't fit"),
        (hls4ml_particles, _changed("jets", _put(3, 0, 0.0)), "jets_1tev", "jet 3 has no pT"),
        (hls4ml_particles, _changed("jetFeatureNames", lambda v: v[1:]), "jets_1tev", "no column j_pt"),
        (hls4ml_particles, _changed("jetConstituentList", _put(4, 0, 5, -1.0)), "jets_1tev", "constituent of neg"),
        (hls4ml_particles, _changed("jetConstituentList", _put(4, 0, 8, 9.0)), "jets_1tev", "jet 4 has a const"),
        (hls4ml_particles, _changed("jetConstituentList", _put(4, 0.0)), "jets_1tev", "jet 4 has no constituents"),
        (top_tagging, _changed("table/table", _field("values_block_1", 6, 2)), "top_600", "jet 6 has the label 2"),
        (top_tagging, _changed("table/table", lambda v: v[["index"]].copy()), "top_600", "not a pandas table"),
        (top_tagging, lambda path: None, "jets_1tev", "no jets of the class q"),
        (top_tagging, lambda path: path.write_bytes(path.read_bytes()[:3000]), "top_600", "not a whole HDF5"),
        (top_tagging, lambda path: path.unlink(), "top_600", "is missing"),
    ],
)  # fmt: skip
def test_malformed_files_are_refused_in_one_sentence(
    tmp_path: Path, write: Callable[[Path], Path], spoil: Callable[[Path], None], variant: str, sentence: str
) -> None:
    path = write(tmp_path / "file.h5")
    spoil(path)
    view = "features" if write is hls4ml_table else "constituents"
    with pytest.raises(SampleError, match=sentence) as caught:
        jets.load(f"{variant}_{view}", path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_some_files(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="holds no .h5"):
        jets.load("top_600_constituents", tmp_path)
    top_tagging(tmp_path / "train.h5")
    with pytest.raises(SampleError, match=r"val.h5 is missing"):
        jets.load("top_600_constituents", tmp_path)
    folder = jetnet(tmp_path / "jetnet")
    (folder / "q.hdf5").rename(folder / "light.hdf5")
    with pytest.raises(SampleError, match="named after its class"):
        jets.load("qg_1tev_constituents", folder)


def test_jetnet_of_the_wrong_shape(tmp_path: Path) -> None:
    folder = jetnet(tmp_path / "jetnet")
    _changed("particle_features", lambda v: v[..., :3])(folder / "g.hdf5")
    with pytest.raises(SampleError, match=r"are not \(jets, K, 4\)"):
        jets.load("qg_1tev_constituents", folder)
