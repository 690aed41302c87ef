from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger_ml import spec, spec_page
from trigger_ml.errors import SpecError

GOOD = """
name = "l1_vae_rz"
seed = 7
[sample]
variant = "zero_bias"
[model]
family = "autoencoder"
frontend = "hgq"
score = "rz"
hidden = [32, 16]
beta = 0.1
[train]
epochs = 20
ebops_beta = [1e-7, 1e-4]
[target]
clock_ns = 5
[budget]
lut = 3000
latency_ns = 60.0
[physics]
fpr = [1e-5, 1e-4]
"""

SCORES = "rz, mu2, dkl, distilled, reconstruction, tagger, classes, pair"
MODEL_KEYS = (
    "family, frontend, score, hidden, head, particles, weighted, filters, kernel, stride, pool, pooling, same, latent, "
    "beta, bits, trees, depth"
)
TOP_KEYS = "name, seed, sample, model, train, target, engines, budget, physics"

BAD = [
    (
        'name = "l1_vae_rz"',
        "",
        "name is missing: add it (name of the model, its folders and its Verilog and C++ modules)",
    ),
    ('name = "l1_vae_rz"', 'name = "L1"', 'name is "L1": it must match [a-z][a-z0-9_]{0,63}'),
    ('name = "l1_vae_rz"', 'name = "../up"', 'name is "../up": it must match [a-z][a-z0-9_]{0,63}'),
    ('name = "l1_vae_rz"', r'name = "a\n"', r'name is "a\n": it must match [a-z][a-z0-9_]{0,63}'),
    ('name = "l1_vae_rz"', "name = 3", "name is 3: it must be a text in quotes"),
    ("seed = 7", "seed = -1", "seed is -1: it must be at least 0"),
    ("seed = 7", "seed = 2147483648", "seed is 2147483648: it must be at most 2147483647"),
    ("seed = 7", "seed = 1.0", "seed is 1.0: it must be a whole number"),
    ("seed = 7", "seed = true", "seed is true: it must be a whole number"),
    ("seed = 7", "sede = 7", f'unknown key "sede": did you mean "seed"? the top level takes {TOP_KEYS}'),
    ("[train]", "[training]", f'unknown key "training": did you mean "train"? the top level takes {TOP_KEYS}'),
    ("seed = 7", "zzz = 7", f'unknown key "zzz": the top level takes {TOP_KEYS}'),
    ("hidden =", "hiden =", f'unknown key "hiden" in [model]: did you mean "hidden"? [model] takes {MODEL_KEYS}'),
    ('score = "rz"', 'score = "r_z"', f'[model] score is "r_z": it must be one of {SCORES}'),
    ('score = "rz"', "score = [1]", f"[model] score is [1]: it must be one of {SCORES}"),
    ('family = "autoencoder"', "", "[model] family is missing: add it (module in `trigger_ml/families`)"),
    ("[32, 16]", "[]", "[model] hidden must have 1 to 16 values, not 0"),
    ("[32, 16]", "32", "[model] hidden is 32: it must be a list of whole numbers"),
    ("[32, 16]", "[32, 0]", "[model] hidden[1] is 0: it must be at least 1"),
    ("[32, 16]", '["32"]', '[model] hidden[0] is "32": it must be a whole number'),
    ("beta = 0.1", "", '[model] beta is 0, but the score "rz" needs a variance: give a beta above 0'),
    ("beta = 0.1", "beta = nan", "[model] beta is nan: it must be finite"),
    ("beta = 0.1", "beta = -0.5", "[model] beta is -0.5: it must be at least 0"),
    ("beta = 0.1", "beta = 1\nbits = 17", "[model] bits is 17: it must be at most 16"),
    ('"hgq"', '"qkeras"', "[model] bits is missing: the frontend qkeras needs it, from 2 to 16"),
    ('"hgq"', '"ptq"', "[model] bits is missing: the frontend ptq needs it, from 2 to 16"),
    ("beta = 0.1", "beta = 1\nweighted = 1", "[model] weighted is 1: it must be true or false"),
    (
        "beta = 0.1",
        "beta = 1\nkernel = [3]",
        "[model] kernel has 1 entries, but filters 0: give one for each convolution",
    ),
    ("epochs = 20", "epochs = 0", "[train] epochs is 0: it must be at least 1"),
    ("[1e-7, 1e-4]", "[1e-4, 1e-7]", "[train] ebops_beta falls from 0.0001 to 1e-07: give [low, high]"),
    ("[1e-7, 1e-4]", "[1e-4]", "[train] ebops_beta must have 2 values, not 1"),
    ("[1e-7, 1e-4]", "[0, 1e-4]", "[train] ebops_beta[0] is 0: it must be above 0"),
    ("clock_ns = 5", "clock_ns = 0.1", "[target] clock_ns is 0.1: it must be at least 0.5"),
    ("clock_ns = 5", "clock_ns = inf", "[target] clock_ns is inf: it must be finite"),
    ("clock_ns = 5", 'clock_ns = "5"', '[target] clock_ns is "5": it must be a number'),
    ("clock_ns = 5", 'part = "VU13P"', '[target] part is "VU13P": it must match xc[a-z0-9]+(-[a-z0-9]+)*'),
    (
        "clock_ns = 5",
        'hls_backend = "vitis"',
        '[target] hls_backend is "vitis": it must be one of Vitis, Vivado',
    ),
    (
        "clock_ns = 5",
        'strategy = "distributed_arithmetic"\nreuse_factor = 4',
        "[target] reuse_factor is 4, but distributed_arithmetic has no multipliers to share: give 1",
    ),
    ("lut = 3000", "lut = 3e3", "[budget] lut is 3000.0: it must be a whole number"),
    ("lut = 3000", "luts = 3000", None),
    ("latency_ns = 60.0", "latency_ns = 0", "[budget] latency_ns is 0: it must be above 0"),
    ("[1e-5, 1e-4]", "[1.5]", "[physics] fpr[0] is 1.5: it must be at most 1"),
    ("[1e-5, 1e-4]", "[1e-5]\nbunches = 3565", "[physics] bunches is 3565: it must be at most 3564"),
    (
        "[1e-5, 1e-4]",
        "[1e-5]\nbunches = 1\nrate_khz = 20",
        "[physics] rate_khz is 20, but with bunches = 1 they cross at 11 kHz: give less",
    ),
    ("seed = 7", "seed = 7\nmodel = 3", None),
    ("seed = 7", "seed = ", None),
]


@pytest.mark.parametrize(("old", "new", "sentence"), BAD)
def test_a_bad_spec_is_refused_with_one_sentence(old: str, new: str, sentence: str | None, tmp_path: Path) -> None:
    assert old in GOOD
    path = tmp_path / "spec.toml"
    path.write_text(GOOD.replace(old, new, 1), "utf-8")
    with pytest.raises(SpecError) as caught:
        spec.load(path)
    text = str(caught.value)
    assert caught.value.exit_code == 3
    assert text.startswith(f"{path}: ")
    assert sentence is None or text == f"{path}: {sentence}"


def test_a_missing_model_table_says_what_it_needs() -> None:
    with pytest.raises(
        SpecError, match=r"the table \[model\] is missing: give at least family, frontend, score, hidden"
    ):
        spec.parse('name = "a"')
    with pytest.raises(SpecError, match=r"model is 3: it must be a table, \[model\]"):
        spec.parse('name = "a"\nmodel = 3')


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "does not exist"), (b"\xff\xfe", "is not UTF-8 text"), (b"a = 1\na = 2", "not TOML"), (b"[", "not TOML")],
)
def test_a_file_that_is_no_spec(content: bytes | None, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecError, match=sentence):
        spec.load(path)
    with pytest.raises(SpecError, match="is a folder"):
        spec.load(tmp_path)


def test_values_have_their_exact_types() -> None:
    read = spec.parse(GOOD)
    assert read.model.hidden == (32, 16)
    assert isinstance(read.target.clock_ns, float)
    assert read.target.clock_ns == 5.0
    assert read.budget == spec.Budget(lut=3000, latency_ns=60.0)
    assert read.physics.bunches == 2760
    with pytest.raises(dataclasses.FrozenInstanceError):
        read.seed = 2  # type: ignore[misc]


def test_python_is_checked_like_toml() -> None:
    assert spec.Target(clock_ns=5) == spec.Target(clock_ns=5.0)
    with pytest.raises(SpecError, match=r"\[target\] clock_ns is -1"):
        spec.Target(clock_ns=-1)


def test_a_digest_depends_on_the_named_parts_only() -> None:
    read = spec.parse(GOOD)
    other = dataclasses.replace(read, engines=dataclasses.replace(read.engines, onnx=5))
    assert read.digest("model", "train") == other.digest("model", "train")
    assert read.digest("engines.hls4ml") == other.digest("engines.hls4ml")
    assert read.digest("engines") != other.digest("engines")
    assert read.digest() != other.digest()
    with pytest.raises(SpecError, match='no part "engines.qonnx"'):
        read.digest("engines.qonnx")


def test_a_default_spelled_out_changes_no_digest() -> None:
    spelled = GOOD.replace("clock_ns = 5", 'clock_ns = 5.0\npart = "xcvu13p-flga2577-2-e"')
    assert spec.parse(spelled).digest() == spec.parse(GOOD).digest()


KEYS = [(table, key) for table, value in tomllib.loads(GOOD).items() if isinstance(value, dict) for key in value]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3),
)


@given(st.sampled_from(KEYS), VALUES)
def test_any_value_is_taken_or_refused(where: tuple[str, str], value: object) -> None:
    table = tomllib.loads(GOOD)
    section = {**table[where[0]], where[1]: value}
    kind = spec.SECTIONS[where[0]]
    try:
        taken = kind(**section)
    except SpecError as error:
        sentence = str(error)
    else:
        assert kind(**dataclasses.asdict(taken)) == taken
        return
    assert where[1] in sentence
    assert "\n" not in sentence


def test_the_reference_is_up_to_date() -> None:
    docs = Path(__file__).parents[1] / "docs"
    assert (docs / "spec.md").read_text("utf-8") == spec_page.reference()
    assert (docs / "offline-spec.md").read_text("utf-8") == spec_page.offline_reference()
