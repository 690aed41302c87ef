"""What a row of the offline table is: one strict TOML file, read into frozen values like ``trigger_ml/spec.py``."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trigger_ml import artifact
from trigger_ml.errors import SpecError
from trigger_ml.fields import hint, limited, settle, show, toml

NAME = "[a-z][a-z0-9_]{0,63}"


@dataclass(frozen=True, kw_only=True)
class _Section:
    """Checks its own fields, however it was constructed."""

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            if "limits" in field.metadata:
                where = f"[{type(self).__name__.lower()}] {field.name}" if type(self) is not Row else field.name
                value = settle(getattr(self, field.name), hints[field.name], field.metadata["limits"], where)
                object.__setattr__(self, field.name, value)


@dataclass(frozen=True, kw_only=True)
class Sample(_Section):
    """The events, made from the seed."""

    name: str = limited("a source of `trigger_ml/offline/sources`", pattern=NAME)
    events: int = limited("events of each part: training and test", 100, 10_000_000, default=50_000)


@dataclass(frozen=True, kw_only=True)
class Network(_Section):
    """A residual network."""

    hidden: int = limited("width", 8, 4096, default=64)
    blocks: int = limited("residual blocks of two layers", 1, 64, default=3)
    low: Literal["ternary", "binary"] = limited("weights of low-bit layers", default="ternary")


@dataclass(frozen=True, kw_only=True)
class Objective(_Section):
    """What is learned."""

    name: Literal[
        "classifier",
        "omnifold",
        "flow_matching",
        "direct_diffusion",
        "score_vp",
        "score_sub_vp",
        "score_ve",
        "coupling_flow",
    ] = limited(
        "classifier: data from simulation; omnifold: weights of simulated events; flow_matching: truth from noise; "
        "direct_diffusion: truth from what was measured; score_*: truth from noise by a learned score, with the "
        "variance preserved, below that, or exploding; coupling_flow: truth from noise by two affine couplings a block"
    )
    iterations: int = limited("of omnifold", 1, 100, default=3)


@dataclass(frozen=True, kw_only=True)
class Sampler(_Section):
    """How a flow is followed from start to end."""

    method: Literal["euler", "midpoint", "rk4"] = limited("Runge-Kutta method", default="midpoint")
    steps: int = limited("of a uniform grid", 1, 1000, default=20)


@dataclass(frozen=True, kw_only=True)
class Train(_Section):
    """How long and how hard."""

    epochs: int = limited("passes over the events", 1, 10_000, default=20)
    batch: int = limited("events a step", 1, 1_000_000, default=512)
    learning_rate: float = limited("Adam's first step; it falls along a cosine", 0, 1, default=2e-3, open_low=True)


@dataclass(frozen=True, kw_only=True)
class Row(_Section):
    """One row: everything that its numbers depend on."""

    name: str = limited("the row's name, that of its folder", pattern=NAME)
    title: str = limited("what it is, for the table")
    seed: int = limited("the only source of randomness", 0, 2**31 - 1, default=1)
    sample: Sample
    network: Network = dataclasses.field(default_factory=Network)
    objective: Objective
    sampler: Sampler = dataclasses.field(default_factory=Sampler)
    train: Train = dataclasses.field(default_factory=Train)

    def digest(self) -> str:
        """sha256 (hexadecimal) of all values but the title."""
        content = dataclasses.asdict(self)
        del content["title"]
        return artifact.digest_json(content)


SECTIONS: dict[str, type[_Section]] = {
    "sample": Sample,
    "network": Network,
    "objective": Objective,
    "sampler": Sampler,
    "train": Train,
}
"""Table of the file -> what it is read into."""

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
    for key, kind in SECTIONS.items():
        if key in table:
            if not isinstance(table[key], dict):
                raise SpecError(f"{key} is {show(table[key])}: it must be a table, [{key}]")
            table[key] = _built(kind, table[key], f" in [{key}]")
    row: Row = _built(Row, table, "")
    return row


def _built(kind: type[_Section], table: dict[str, Any], where: str) -> Any:
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
