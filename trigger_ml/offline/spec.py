"""What a row of the offline table is: one strict TOML file, read into frozen values like ``trigger_ml/spec.py``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trigger_ml import artifact
from trigger_ml.errors import SpecError
from trigger_ml.fields import hint, limited, show, toml
from trigger_ml.sections import Section

NAME = "[a-z][a-z0-9_]{0,63}"


@dataclass(frozen=True, kw_only=True)
class Sample(Section):
    """The events: made from the seed, or those of a file."""

    TITLE = "sample"

    name: str = limited("a source of `trigger_ml/offline/sources`", pattern=NAME)
    events: int = limited(
        "events of each part, training and test; of committed jets the test part has fewer",
        100,
        10_000_000,
        default=50_000,
    )
    file: str = limited("a file for this source to read, relative to the spec; empty: events are made", default="")


@dataclass(frozen=True, kw_only=True)
class Network(Section):
    """What is trained."""

    TITLE = "network"

    kind: Literal["residual", "deep_sets", "transformer", "dual_attention", "unet"] = limited(
        "residual, deep_sets, transformer, dual_attention or unet", default="residual"
    )
    hidden: int = limited("width", 8, 4096, default=64)
    blocks: int = limited(
        "blocks; of residual two layers each, of unet grids, of deep_sets on particles layers of each, of "
        "dual_attention between particles and between features in turn; central needs 3",
        1,
        64,
        default=3,
    )
    heads: int = limited("heads of attention, of dual_attention of that between particles", 1, 64, default=4)
    neighbours: int = limited("nearest particles that each looks at first, in dual_attention", 1, 63, default=8)
    patch: int = limited("numbers that are one item of deep_sets, transformer or unet", 1, 4096, default=1)
    latent: int = limited("latent dimensions, where there is a latent space", 1, 1024, default=8)
    low: Literal["ternary", "binary"] = limited("weights of low-bit layers, ternary or binary", default="ternary")


OBJECTIVES = {
    "classifier": "data from simulation",
    "omnifold": "weights of simulated events",
    "flow_matching": "truth from noise along straight lines",
    "direct_diffusion": "truth from what was measured along straight lines",
    "bridge": "truth from what was measured along a Schroedinger bridge",
    "score_vp": "truth from noise by a learned score, the variance preserved",
    "score_sub_vp": "the same, below that variance",
    "score_ve": "the same, the variance exploding",
    "coupling_flow": "truth from noise by two affine couplings a block",
    "spline_flow": "truth from noise by two rational-quadratic spline couplings a block",
    "gan": "truth from noise against a critic that also reads what was asked for",
    "latent_diffusion": "an autoencoder, then a diffusion of its latent space",
    "vld": "encoders, latent diffusion and decoder in one likelihood",
}
"""Objective -> what is learned."""


@dataclass(frozen=True, kw_only=True)
class Objective(Section):
    """What is learned."""

    TITLE = "objective"

    name: Literal[
        "classifier",
        "omnifold",
        "flow_matching",
        "direct_diffusion",
        "bridge",
        "score_vp",
        "score_sub_vp",
        "score_ve",
        "coupling_flow",
        "spline_flow",
        "gan",
        "latent_diffusion",
        "vld",
    ] = limited("; ".join(f"{name}: {meaning}" for name, meaning in OBJECTIVES.items()))
    iterations: int = limited("of omnifold", 1, 100, default=3)
    conditional: bool = limited("whether bridge and direct_diffusion are told the measurement as well", default=True)
    bins: int = limited("of a spline", 2, 64, default=8)
    leading: bool = limited(
        "whether a flow or score makes the source's leading numbers first, by a residual network, then the others",
        default=False,
    )


@dataclass(frozen=True, kw_only=True)
class Sampler(Section):
    """How a flow is followed from start to end."""

    TITLE = "sampler"

    method: Literal["euler", "midpoint", "heun", "rk4", "euler_maruyama", "ancestral", "ddim"] = limited(
        "euler, midpoint, heun or rk4 (Runge-Kutta); for scores euler_maruyama and ancestral, with random kicks, and "
        "ddim, without; for bridges ancestral, with, and euler, without",
        default="midpoint",
    )
    steps: int = limited("from start to end", 1, 1000, default=20)


@dataclass(frozen=True, kw_only=True)
class Train(Section):
    """How long and how hard."""

    TITLE = "train"

    epochs: int = limited("passes over the events", 1, 10_000, default=20)
    batch: int = limited("events a step", 1, 1_000_000, default=512)
    learning_rate: float = limited("Adam's first step; it falls along a cosine", 0, 1, default=2e-3, open_low=True)
    leading_epochs: int | None = limited(
        "passes of the first stage, where leading makes two; none: as many as epochs", 1, 10_000, default=None
    )
    events: int | None = limited(
        "how many of the training part are trained on, the first ones; none: all", 100, 10_000_000, default=None
    )


@dataclass(frozen=True, kw_only=True)
class Full(Section):
    """What ``--full`` changes."""

    TITLE = "full"

    events: int = limited("instead of those of [sample]", 100, 10_000_000, default=200_000)
    epochs: int = limited("instead of those of [train]", 1, 10_000, default=100)


@dataclass(frozen=True, kw_only=True)
class Row(Section):
    """One row: everything that its numbers depend on."""

    name: str = limited("the row's name, that of its folder", pattern=NAME)
    title: str = limited("what it is, for the table")
    seed: int = limited("the only source of randomness", 0, 2**31 - 1, default=1)
    trainings: int = limited("how often all is done again, each time with the next seed", 1, 100, default=1)
    sample: Sample
    network: Network = dataclasses.field(default_factory=Network)
    objective: Objective
    sampler: Sampler = dataclasses.field(default_factory=Sampler)
    train: Train = dataclasses.field(default_factory=Train)
    full: Full = dataclasses.field(default_factory=Full)

    def __post_init__(self) -> None:
        super().__post_init__()
        for section, most in (("sample", self.sample.events), ("full", self.full.events)):
            if (self.train.events or 0) > most:
                raise SpecError(
                    f"[train] events is {self.train.events}, but [{section}] gives {most}: give at most as many"
                )

    @property
    def longer(self) -> Row:
        """The row as ``--full`` means it."""
        sample = dataclasses.replace(self.sample, events=self.full.events)
        return dataclasses.replace(self, sample=sample, train=dataclasses.replace(self.train, epochs=self.full.epochs))

    def with_seed(self, number: int) -> Row:
        """One of the trainings, counted from 0, as a row of its own."""
        return dataclasses.replace(self, seed=self.seed + number, trainings=1)

    def digest(self) -> str:
        """sha256 of all values but the title, what only ``--full`` means, and ``YOUNGER`` keys at their defaults."""
        content = dataclasses.asdict(self)
        del content["title"], content["full"]
        for section, key in YOUNGER:
            default = next(f.default for f in dataclasses.fields(SECTIONS[section]) if f.name == key)
            if content[section][key] == default:
                del content[section][key]
        return artifact.digest_json(content)


SECTIONS: dict[str, type[Section]] = {
    "sample": Sample,
    "network": Network,
    "objective": Objective,
    "sampler": Sampler,
    "train": Train,
    "full": Full,
}
"""Table of the file -> what it is read into."""

SCORES = ("score_vp", "score_sub_vp", "score_ve")
COUPLINGS = ("coupling_flow", "spline_flow")
LATENT = ("latent_diffusion", "vld")
FOLLOWED = ("flow_matching", "direct_diffusion", "bridge", *SCORES, *LATENT)
READ_BY: dict[tuple[str, str], tuple[str, ...]] = {
    ("objective", "iterations"): ("omnifold",),
    ("objective", "bins"): ("spline_flow",),
    ("objective", "conditional"): ("bridge", "direct_diffusion"),
    ("objective", "leading"): ("flow_matching", *SCORES, *COUPLINGS),
    ("network", "latent"): ("gan", *LATENT),
    ("sampler", "method"): FOLLOWED,
    ("sampler", "steps"): FOLLOWED,
    ("train", "leading_epochs"): ("flow_matching", *SCORES, *COUPLINGS),
    ("train", "events"): ("flow_matching", "direct_diffusion", "bridge", *SCORES, *COUPLINGS),
}
"""Section and key -> objectives that read it, where not all do."""

OF_KIND = {
    "heads": ("transformer", "dual_attention"),
    "neighbours": ("dual_attention",),
    "patch": ("deep_sets", "transformer", "unet"),
}
"""Key of [network] -> kinds that read it, where not all do."""

YOUNGER = (("network", "neighbours"), ("train", "leading_epochs"), ("train", "events"))
"""Sections and keys that came after numbers of rows were kept: left at their default they change no digest."""

FILE = "spec.toml"


def load(path: Path) -> Row:
    """Read a row's spec: the file, or the folder that holds ``spec.toml``.

    Raises:
        SpecError: if it is missing, isn't TOML, or a key or value is not valid.
    """
    file = path / FILE if path.is_dir() else path
    try:
        row = parse(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        raise SpecError(f"{file} can't be read: give a spec.toml of models/offline, or its folder") from None
    except SpecError as error:
        raise SpecError(f"{file}: {error}") from None
    return row


def parse(text: str) -> Row:
    """Read the text of a row's spec.

    Raises:
        SpecError: if it isn't TOML, or a key or value is not valid.
    """
    table = toml(text)
    given = {(section, key) for section, keys in table.items() if isinstance(keys, dict) for key in keys}
    for key, kind in SECTIONS.items():
        if key in table:
            if not isinstance(table[key], dict):
                raise SpecError(f"{key} is {show(table[key])}: it must be a table, [{key}]")
            table[key] = _built(kind, table[key], f" in [{key}]")
    row: Row = _built(Row, table, "")
    _all_have_effect(row, given)
    return row


def _all_have_effect(row: Row, given: set[tuple[str, str]]) -> None:
    """Refuse a key that nothing of this row reads: who wrote it expects something of it."""
    objective, kind = row.objective.name, row.network.kind
    for (section, key), able in READ_BY.items():
        if (section, key) in given and objective not in able:
            raise SpecError(f"[{section}] {key} has no effect on {objective}, only on {', '.join(able)}: take it out")
    if row.train.leading_epochs and not row.objective.leading:
        raise SpecError("[train] leading_epochs has no effect without leading in [objective]: take it out")
    for key, kinds in OF_KIND.items():
        if ("network", key) in given and kind not in kinds:
            raise SpecError(f"[network] {key} has no effect on {kind}, only on {', '.join(kinds)}: take it out")


def _built(kind: type[Section], table: dict[str, Any], where: str) -> Any:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in table:
        if key not in fields:
            raise SpecError(f"unknown key {show(key)}{where}: {hint(key, fields)}valid are {', '.join(fields)}")
    for key, field in fields.items():
        needed = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if needed and key not in table:
            meaning = field.metadata.get("doc", f"a table, [{key}]")
            raise SpecError(f"{key} is missing{where}: add it ({meaning})")
    return kind(**table)
