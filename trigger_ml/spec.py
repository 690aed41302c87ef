"""What the user asks for: one strict TOML file, read into frozen values.

Unknown keys, wrong types and values out of range are refused with one sentence that says what is valid. Every default
is written here, and a value equal to its default gives the same digest whether it is spelled out or not.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trigger_ml.errors import SpecError
from trigger_ml.fields import hint, limited, show, toml
from trigger_ml.sections import MOST_CYCLES, Section
from trigger_ml.sections import Budget as Budget
from trigger_ml.sections import Engines as Engines
from trigger_ml.sections import Target as Target

ORBIT_HZ = 11_245.5
"""Revolution frequency of the LHC, in Hz (26,658.883 m at the speed of light)."""

BUNCH_PLACES = 3564
"""25 ns places for bunches in one LHC orbit."""

_NAME = "[a-z][a-z0-9_]{0,63}"

IMPORTED = "imported"
"""The family of a model that was not trained here."""

NO_EVENTS = "none"
"""The sample of an imported model whose inputs are not those of a sample."""

NETWORK = ("frontend", "score", "hidden")
"""Keys of ``[model]`` that every network needs."""

TREES = "trees"
"""The family, and the front end, of decision trees: no network."""

PRUNING = "hgq"
"""The front end that prunes."""

NEEDED = {IMPORTED: (), TREES: ("frontend", "score", "trees", "depth")}
"""Family -> the keys of ``[model]`` that it needs instead of :data:`NETWORK`."""


@dataclass(frozen=True, kw_only=True)
class SampleChoice(Section):
    """The events."""

    TITLE = "sample"

    name: str = limited(
        "module in `trigger_ml/samples`; none: no events, for an imported model whose inputs are others",
        default="l1_objects",
        pattern=_NAME,
    )
    variant: str = limited("which events of that sample", default="zero_bias", pattern=_NAME)
    path: str = limited("folder or file with other events; empty: the events that are shipped", default="")


@dataclass(frozen=True, kw_only=True)
class Model(Section):
    """The network and the score that it computes.

    `family = "imported"` stands alone: the graph beside the spec, as `trigger-ml import` wrote it, is the network.
    """

    TITLE = "model"

    family: str = limited("module in `trigger_ml/families`", pattern=_NAME)
    frontend: str = limited(
        "module in `trigger_ml/frontends` that trains it: hgq (trained bit widths, or uniform bits), qkeras (uniform "
        "bits), ptq (uniform bits, rounded without training) or trees",
        default="none",
        pattern=_NAME,
    )
    score: Literal["rz", "mu2", "dkl", "distilled", "reconstruction", "tagger", "classes", "pair"] = limited(
        "rz: sum of mu^2/sigma^2; mu2: sum of mu^2; dkl: Kullback-Leibler divergence from N(0, 1); "
        "distilled: a student of the reconstruction error; reconstruction: the error itself, decoder included; "
        "tagger: the logit of signal against background; classes: a logit for background and each signal, the largest "
        "of the signals' less the background's; pair: the lesser of two decorrelated scores",
        default="none",
    )
    hidden: tuple[int, ...] = limited(
        "nodes of each hidden layer, input side first; of deepsets and mixer: of those for each particle; not of trees",
        1,
        4096,
        default=(),
        length=(0, 16),
    )
    head: tuple[int, ...] = limited(
        "deepsets, mixer: nodes of the layers behind the sum over particles", 1, 4096, default=(), length=(0, 16)
    )
    particles: int | None = limited(
        "how many of an event's leading particles or objects are read; none: all", 1, 1024, default=None
    )
    weighted: bool = limited("deepsets: an Energy Flow Network, the sum weighted with pT", default=False)
    filters: tuple[int, ...] = limited("conv: filters of each convolution", 1, 1024, default=(), length=(0, 8))
    kernel: tuple[int, ...] = limited("conv: edge of each convolution's window", 1, 64, default=(), length=(0, 8))
    stride: tuple[int, ...] = limited(
        "conv: step of each convolution's window; empty: 1", 1, 64, default=(), length=(0, 8)
    )
    pool: tuple[int, ...] = limited(
        "conv: edge of the window pooled behind each convolution, 1: none; empty: none",
        1,
        64,
        default=(),
        length=(0, 8),
    )
    pooling: Literal["sum", "max"] = limited("conv: how windows are pooled", default="sum")
    same: bool = limited("conv: whether zeros around the image keep its size", default=False)
    latent: int = limited("dimensions of the latent space", 1, 256, default=3)
    beta: float = limited("weight of the KL term in the float loss; 0: a plain autoencoder", 0, 100, default=0.0)
    bits: int | None = limited(
        "bits of every weight and activation, of trees of every leaf; none: hgq trains each width, trees take 12, the "
        "other front ends need it",
        2,
        16,
        default=None,
    )
    trees: int | None = limited(
        "trees: how many at most; those behind the best ones on the validation part are cut off", 1, 1024, default=None
    )
    depth: int | None = limited("trees: comparisons on the way to a leaf, at most", 1, 6, default=None)

    def __post_init__(self) -> None:
        if self.imported:
            self._nothing_else()
            return
        super().__post_init__()
        self._trees_or_network()
        if self.score in ("rz", "dkl") and self.beta == 0:
            raise SpecError(f'[model] beta is 0, but the score "{self.score}" needs a variance: give a beta above 0')
        if self.frontend in ("qkeras", "ptq") and self.bits is None:
            raise SpecError(f"[model] bits is missing: the frontend {self.frontend} needs it, from 2 to 16")
        for name in ("kernel", "stride", "pool"):
            given: tuple[int, ...] = getattr(self, name)
            if given and len(given) != len(self.filters):
                raise SpecError(
                    f"[model] {name} has {len(given)} entries, but filters {len(self.filters)}: give one for each "
                    "convolution"
                )

    @property
    def imported(self) -> bool:
        """Whether nothing is trained: the graph came from elsewhere."""
        return self.family == IMPORTED

    def _trees_or_network(self) -> None:
        trees = self.family == TREES
        if trees != (self.frontend == TREES):
            raise SpecError(
                f'[model] frontend "{self.frontend}" does not go with the family "{self.family}": '
                f'trees are trained by the frontend "{TREES}", and nothing else is'
            )
        if not trees and not self.hidden:
            raise SpecError("[model] hidden must have 1 to 16 values, not 0")
        for name in ("hidden", "head", "filters") if trees else ("trees", "depth"):
            if getattr(self, name):
                raise SpecError(f"[model] {name} has no meaning for the family {self.family}: take it out")
        for name in ("trees", "depth") if trees else ():
            if getattr(self, name) is None:
                raise SpecError(f"[model] {name} is missing: the family {TREES} needs it")

    def _nothing_else(self) -> None:
        for field in dataclasses.fields(self):
            if field.name != "family" and getattr(self, field.name) != field.default:
                raise SpecError(f"[model] {field.name} has no meaning for an imported model: take it out")


@dataclass(frozen=True, kw_only=True)
class Train(Section):
    """How long and how hard."""

    TITLE = "train"

    float_epochs: int = limited("epochs of the float network (teacher or VAE)", 1, 10_000, default=25)
    epochs: int = limited(
        "epochs of quantization-aware training; the EBOPs ramp where there is one", 1, 10_000, default=20
    )
    fine_tune_epochs: int = limited("epochs after the ramp with frozen bit widths", 0, 10_000, default=10)
    batch: int = limited("events a step", 1, 1_000_000, default=512)
    learning_rate: float = limited("Adam's step", 0, 1, default=5e-3, open_low=True)
    ebops_beta: tuple[float, ...] = limited(
        "weight of EBOPs in the loss, from and to, on a logarithmic ramp",
        0,
        1,
        default=(1e-7, 1e-4),
        open_low=True,
        length=(2, 2),
    )
    ebops_target: int | None = limited(
        "EBOPs at which the ramp's snapshot is taken; none: its end", 1, 10**9, default=None
    )
    teachers: int = limited("float networks whose mean the student learns", 1, 32, default=1)
    teacher_filters: tuple[int, ...] = limited(
        "filters of a student's convolutional teacher, windows of 3; empty: dense layers only",
        1,
        1024,
        default=(),
        length=(0, 8),
    )
    teacher_hidden: tuple[int, ...] = limited(
        "nodes of the dense layers of a student's teacher; empty: as the student's", 1, 4096, default=(), length=(0, 8)
    )
    sparsity: float = limited(
        "hgq: share of each kernel's weights that magnitude pruning makes zero; 0: no pruning", 0, 0.99, default=0.0
    )
    prune_start: int = limited(
        "epoch of quantization-aware training, from 0, before which nothing is pruned", 0, default=0
    )
    prune_end: int | None = limited(
        "epoch that starts with all of sparsity, on a cubic curve; none: two thirds of epochs", 1, default=None
    )
    shrinkage: float = limited("trees: the part of each tree's answer that is added", 0, 1, default=0.3, open_low=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ebops_beta[0] > self.ebops_beta[1]:
            raise SpecError(
                f"[train] ebops_beta falls from {self.ebops_beta[0]:g} to {self.ebops_beta[1]:g}: give [low, high]"
            )
        if self.sparsity and not self.prune_start < self.pruned < self.epochs:
            raise SpecError(
                f"[train] pruning goes from epoch {self.prune_start} to {self.pruned}, but epochs is {self.epochs}: "
                "give prune_start < prune_end < epochs"
            )

    @property
    def pruned(self) -> int:
        """The epoch that starts with all of the sparsity."""
        return self.prune_end if self.prune_end is not None else max(2 * self.epochs // 3, self.prune_start + 1)


@dataclass(frozen=True, kw_only=True)
class Physics(Section):
    """The filling scheme and the working points."""

    TITLE = "physics"

    bunches: int = limited("colliding bunches in an orbit of 3564 places", 1, BUNCH_PLACES, default=2760)
    rate_khz: float = limited(
        "trigger rate of the working point, in kHz", 0, BUNCH_PLACES * ORBIT_HZ / 1e3, default=10.0, open_low=True
    )
    fpr: tuple[float, ...] = limited(
        "false positive rates at which TPR is quoted", 0, 1, default=(1e-5, 1e-4, 1e-3), open_low=True
    )
    rank_correlation: float = limited(
        "least rank correlation of the quantized score with its float twin for a PASS", 0, 1, default=0.97
    )
    bootstrap: int = limited("resamplings behind an interval", 20, 100_000, default=200)

    def __post_init__(self) -> None:
        super().__post_init__()
        crossings_khz = self.bunches * ORBIT_HZ / 1e3
        if self.rate_khz >= crossings_khz:
            raise SpecError(
                f"[physics] rate_khz is {self.rate_khz:g}, "
                f"but with bunches = {self.bunches} they cross at {crossings_khz:.0f} kHz: give less"
            )


@dataclass(frozen=True, kw_only=True)
class Spec(Section):
    """All that a run depends on."""

    name: str = limited("name of the model, its folders and its Verilog and C++ modules", pattern=_NAME)
    seed: int = limited("the only source of randomness", 0, 2**31 - 1, default=1)
    sample: SampleChoice = dataclasses.field(default_factory=SampleChoice)
    model: Model
    train: Train = dataclasses.field(default_factory=Train)
    target: Target = dataclasses.field(default_factory=Target)
    engines: Engines = dataclasses.field(default_factory=Engines)
    budget: Budget = dataclasses.field(default_factory=Budget)
    physics: Physics = dataclasses.field(default_factory=Physics)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.train.sparsity and self.model.frontend != PRUNING:
            raise SpecError(
                f"[train] sparsity is {self.train.sparsity:g}, but the frontend {self.model.frontend} does not prune: "
                f"take it out, or take the frontend {PRUNING}"
            )
        if self.sample.name == NO_EVENTS and not self.model.imported:
            raise SpecError(f'[sample] name is "{NO_EVENTS}": only an imported model needs no events')

    @property
    def layout(self) -> Target:
        """The target that engines are built for: ``most_cycles`` is the budget's latency where it is not given."""
        most = self.target.most_cycles or self.budget.cycles(self.target.clock_ns)
        return dataclasses.replace(self.target, most_cycles=MOST_CYCLES if most is None else max(most, 2))

    def digest(self, *parts: str) -> str:
        """sha256 (hexadecimal) of some parts (``"seed"``, ``"train"``, ``"engines.onnx"`` ...), or of everything.

        Raises:
            SpecError: if there is no such part.
        """
        content = dataclasses.asdict(self)
        chosen = {part: _pick(content, part) for part in parts} if parts else content
        return hashlib.sha256(json.dumps(chosen, sort_keys=True, allow_nan=False).encode()).hexdigest()


SECTIONS: dict[str, type[Section]] = {
    "sample": SampleChoice,
    "model": Model,
    "train": Train,
    "target": Target,
    "engines": Engines,
    "budget": Budget,
    "physics": Physics,
}
"""Table of the file -> what it is read into."""


def load(path: Path) -> Spec:
    """Read a spec file.

    Raises:
        SpecError: if it is missing, isn't TOML, or a key or value is not valid.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise SpecError(f"{path} does not exist: give the path of a spec.toml") from None
    except IsADirectoryError:
        raise SpecError(f"{path} is a folder: give the path of a spec.toml") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path} is not UTF-8 text: give the path of a spec.toml") from None
    except OSError as error:
        raise SpecError(f"{path} can't be read ({error.strerror}): check its permissions") from None
    try:
        return parse(text)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None


def parse(text: str) -> Spec:
    """Read the text of a spec file.

    Raises:
        SpecError: if it isn't TOML, or a key or value is not valid.
    """
    spec: Spec = _build(Spec, toml(text))
    return spec


def _build(section: type[Any], table: dict[str, Any]) -> Any:
    fields = {field.name: field for field in dataclasses.fields(section)}
    for key in table:
        if key not in fields:
            raise SpecError(_unknown(section, key, fields))
    for key, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        needed = section is Model and key in NEEDED.get(str(table.get("family")), NETWORK)
        if (required or needed) and key not in table:
            raise SpecError(_missing(section, key, field))
    if section is not Spec:
        return section(**table)
    inner = dict(table)
    for key, kind in SECTIONS.items():
        if key in inner:
            if not isinstance(inner[key], dict):
                raise SpecError(f"{key} is {show(inner[key])}: it must be a table, [{key}]")
            inner[key] = _build(kind, inner[key])
    return Spec(**inner)


def _unknown(section: type[Section], key: str, valid: typing.Collection[str]) -> str:
    where = "the top level takes" if section is Spec else f"[{section.TITLE}] takes"
    what = f"unknown key {show(key)}" + ("" if section is Spec else f" in [{section.TITLE}]")
    return f"{what}: {hint(key, valid)}{where} {', '.join(valid)}"


def _missing(section: type[Section], key: str, field: dataclasses.Field[Any]) -> str:
    if key in SECTIONS:
        return f"the table [{key}] is missing: give at least {', '.join(required(SECTIONS[key]))}"
    where = key if section is Spec else f"[{section.TITLE}] {key}"
    return f"{where} is missing: add it ({field.metadata['doc']})"


def required(section: type[Section]) -> list[str]:
    """Keys of a section that have no default; those of a network among them."""
    network = NETWORK if section is Model else ()
    fields = dataclasses.fields(section)
    return [field.name for field in fields if field.default is dataclasses.MISSING or field.name in network]


def _pick(content: dict[str, Any], part: str) -> Any:
    value: Any = content
    for key in part.split("."):
        if not isinstance(value, dict) or key not in value:
            raise SpecError(f'a spec has no part "{part}": its parts are {", ".join(content)}')
        value = value[key]
    return value
