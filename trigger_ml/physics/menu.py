"""A trigger menu: one strict TOML file of seeds, each a few conditions on Level-1 objects in hardware integers.

``models/menu.toml`` is one, ``docs/rates.md`` describes the file.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trigger_ml import artifact
from trigger_ml.errors import SpecError
from trigger_ml.fields import hint, limited, settle, show, toml

MOST = 1 << 16
"""Above every threshold and cut: fields of objects have 16 bits at most."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Objects of one kind, or one sum.

    Attributes:
        object: ``eg``, ``mu``, ``jet``, ``met``, or ``ht``, the scalar sum of jets.
        pt: for each object wanted the threshold that it reaches, from high to low; one for a sum.
        eta_max: objects beyond this abs(eta) don't count, nor do such jets in ``ht``.
        jet_pt: least pT of a jet in ``ht``.
    """

    object: Literal["eg", "mu", "jet", "met", "ht"] = limited("kind of object, or sum")
    pt: tuple[int, ...] = limited("thresholds in hardware integers, from high to low", 1, MOST, length=(1, 8))
    eta_max: int | None = limited("largest abs(eta) in hardware integers", 0, MOST, default=None)
    jet_pt: int | None = limited("least pT of a jet in ht, in hardware integers", 1, MOST, default=None)

    def __post_init__(self) -> None:
        _settle(self, "a condition's")
        if list(self.pt) != sorted(self.pt, reverse=True):
            raise SpecError(f"pt of a condition is {show(list(self.pt))}: give the highest threshold first")
        if self.object in ("met", "ht") and len(self.pt) > 1:
            raise SpecError(f"a condition asks for {len(self.pt)} objects of kind {self.object}: there is one")
        if self.object == "met" and self.eta_max is not None:
            raise SpecError("a condition on met has an eta_max: missing transverse energy has no eta, take it out")
        if self.object != "ht" and self.jet_pt is not None:
            raise SpecError(f"a condition on {self.object} has a jet_pt: only ht sums jets, take it out")


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """What holds between the two objects of a seed; both ends of each range are included.

    Attributes:
        deta_min: least abs(difference of eta), in units of the finer of the two scales.
        deta_max: largest.
        dphi_min: least angle between them, likewise, at most half a turn.
        dphi_max: largest.
    """

    deta_min: int | None = limited("least abs(difference of eta)", 0, MOST, default=None)
    deta_max: int | None = limited("largest abs(difference of eta)", 0, MOST, default=None)
    dphi_min: int | None = limited("least difference of phi", 0, MOST, default=None)
    dphi_max: int | None = limited("largest difference of phi", 0, MOST, default=None)

    def __post_init__(self) -> None:
        _settle(self, "a correlation's")
        if all(getattr(self, field.name) is None for field in dataclasses.fields(self)):
            raise SpecError("a correlation is empty: give deta_min, deta_max, dphi_min or dphi_max, or take it out")

    @property
    def of_eta(self) -> bool:
        """Whether it looks at eta."""
        return self.deta_min is not None or self.deta_max is not None


@dataclass(frozen=True, kw_only=True)
class Seed:
    """One line of the menu: it fires where all conditions hold.

    Attributes:
        name: e.g. ``SingleMu22``.
        require: the conditions; objects of different kinds are different objects.
        prescale: of the events that fire, one in so many is kept.
        correlation: between the seed's two objects; then ``require`` names exactly two.
    """

    name: str = limited("name of the seed", pattern="[A-Za-z][A-Za-z0-9_]{0,63}")
    require: tuple[Condition, ...]
    prescale: int = limited("one in so many events is kept", 1, 10**9, default=1)
    correlation: Correlation | None = None

    def __post_init__(self) -> None:
        _settle(self, "a seed's")
        if not self.require:
            raise SpecError(f"seed {self.name} requires nothing: give it a condition")
        kinds: list[str] = [c.object for c in self.require]
        twice = next((kind for kind in kinds if kinds.count(kind) > 1), None)
        if twice is not None:
            raise SpecError(f"seed {self.name} has two conditions on {twice}: put all thresholds into one pt")
        if self.correlation is not None:
            self._check_pair(self.correlation, kinds)

    def _check_pair(self, correlation: Correlation, kinds: list[str]) -> None:
        objects = sum(len(c.pt) for c in self.require)
        if objects != 2 or "ht" in kinds:
            raise SpecError(
                f"seed {self.name} has a correlation and {objects} objects: it takes exactly two of eg, mu, jet, met"
            )
        if correlation.of_eta and "met" in kinds:
            raise SpecError(f"seed {self.name} correlates eta with met, which has none: use dphi_min or dphi_max")


@dataclass(frozen=True, kw_only=True)
class Menu:
    """All seeds, in the order in which each is said to add to those before it.

    Attributes:
        name: of the menu.
        notes: stands beside every figure made from it.
        seed: the seeds.
    """

    name: str = limited("name of the menu", pattern="[A-Za-z][A-Za-z0-9_]{0,63}")
    notes: str = limited("stands beside every figure", default="")
    seed: tuple[Seed, ...]

    def __post_init__(self) -> None:
        _settle(self, "the menu's")
        names = [seed.name for seed in self.seed]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise SpecError(f"two seeds are named {twice}: rename one")
        if not names:
            raise SpecError("the menu has no seeds: give it [[seed]]")

    @property
    def digest(self) -> str:
        """sha256 (hexadecimal) of the content: spelling out a default changes nothing."""
        return artifact.digest_json(dataclasses.asdict(self))


def load(path: Path) -> Menu:
    """Read a menu file.

    Raises:
        SpecError: if it is missing, isn't TOML, or a key or value is not valid.
    """
    try:
        return parse(path.read_text("utf-8"))
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path} is not UTF-8 text: give the path of a menu, e.g. models/menu.toml") from None
    except OSError as error:
        raise SpecError(f"{path} can't be read ({error.strerror}): give the path of a menu") from None


def parse(text: str) -> Menu:
    """Read the text of a menu file.

    Raises:
        SpecError: if it isn't TOML, or a key or value is not valid.
    """
    menu: Menu = _build(Menu, toml(text), "the menu")
    return menu


_INNER: Mapping[str, type] = {"seed": Seed, "require": Condition, "correlation": Correlation}
_LISTS = ("seed", "require")


def _build(section: type[Any], table: Any, where: str) -> Any:
    """A table of the file as the frozen value that it stands for."""
    if not isinstance(table, dict):
        raise SpecError(f"{where} is {show(table)}: it must be a table")
    fields = {field.name: field for field in dataclasses.fields(section)}
    for key in table:
        if key not in fields:
            raise SpecError(f"unknown key {show(key)} in {where}: {hint(key, fields)}it takes {', '.join(fields)}")
    for key, field in fields.items():
        if field.default is dataclasses.MISSING and key not in table:
            raise SpecError(f"{where} has no {key}: add it")
    values = {key: _inner(key, value, where) if key in _INNER else value for key, value in table.items()}
    try:
        return section(**values)
    except SpecError as error:
        raise SpecError(str(error) if section is Menu or section is Seed else f"{where}: {error}") from None


def _inner(key: str, value: Any, where: str) -> Any:
    if key not in _LISTS:
        return _build(_INNER[key], value, f"{key} of {where}")
    if not isinstance(value, list):
        raise SpecError(f"{key} in {where} is {show(value)}: it must be a list of tables")
    if key == "require":
        return tuple(_build(Condition, item, f"require[{i}] of {where}") for i, item in enumerate(value))
    names = [item.get("name", f"[{i}]") if isinstance(item, dict) else f"[{i}]" for i, item in enumerate(value)]
    return tuple(_build(Seed, item, f"seed {name}") for name, item in zip(names, value, strict=True))


def _settle(section: Any, whose: str) -> None:
    """Check each field that has limits, however the section was constructed."""
    hints = typing.get_type_hints(type(section))
    for field in dataclasses.fields(section):
        if "limits" in field.metadata:
            value = getattr(section, field.name)
            settled = settle(value, hints[field.name], field.metadata["limits"], f"{whose} {field.name}")
            object.__setattr__(section, field.name, settled)
