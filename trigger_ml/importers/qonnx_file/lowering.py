"""What a tensor of a QONNX file is while the file is read, and how a rule gets at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import ImportRefused
from trigger_ml.importers.draft import Draft, Value
from trigger_ml.importers.qonnx_file.reading import Attribute, Layer, Model

Function = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Curve:
    """A real-valued function of an exact tensor, which only a quantizer behind it makes exact again.

    Attributes:
        value: the exact tensor.
        function: elementwise, in float32.
        label: of the node.
    """

    value: Value
    function: Function
    label: str


Tensor = Value | Curve | NDArray[Any]
"""Exact and per event, a function of that, or a constant."""


class Lowering:
    """The state of reading one file: the draft, and every tensor made so far."""

    def __init__(self, model: Model) -> None:
        """Nothing but the constants."""
        self.model = model
        self.draft = Draft()
        self.tensors: dict[str, Tensor] = dict(model.constants)
        self.made = 0
        """Tables so far that hold ONNX Runtime's float32."""

    def tensor(self, layer: Layer, i: int) -> Tensor:
        """Input ``i`` of a node, whatever it is."""
        name = layer.inputs[i] if i < len(layer.inputs) else ""
        if name not in self.tensors:
            raise ImportRefused(
                f"its input {i} is {name!r}, which no earlier node makes" if name else f"it has no input {i}"
            )
        return self.tensors[name]

    def value(self, layer: Layer, i: int = 0) -> Value:
        """Input ``i``, which has to be exact and not constant."""
        found = self.tensor(layer, i)
        if isinstance(found, Curve):
            raise ImportRefused(f"it reads {found.label}, whose result is not quantized: put a Quant behind that")
        if not isinstance(found, Value):
            raise ImportRefused(f"its input {i} is a constant: only weights may be")
        return found

    def constant(self, layer: Layer, i: int, what: str) -> NDArray[np.float64]:
        """Input ``i``, which has to be constant."""
        found = self.tensor(layer, i)
        if isinstance(found, Value | Curve):
            raise ImportRefused(f"its {what} is not a constant: give it as an initializer")
        if not found.size:
            raise ImportRefused(f"its {what} is empty")
        return np.asarray(found, np.float64)

    def is_constant(self, layer: Layer, i: int) -> bool:
        """Whether input ``i`` is."""
        return not isinstance(self.tensor(layer, i), Value | Curve)

    def optional(self, layer: Layer, i: int, what: str) -> NDArray[np.float64] | None:
        """Input ``i`` if there is one."""
        return self.constant(layer, i, what) if i < len(layer.inputs) and layer.inputs[i] else None


def integer(layer: Layer, name: str, default: int) -> int:
    """An integer attribute."""
    return int(_typed(layer, name, default, int))


def text(layer: Layer, name: str, default: str) -> str:
    """A text attribute."""
    return str(_typed(layer, name, default, str))


def number(layer: Layer, name: str, default: float) -> float:
    """A real attribute."""
    return float(_typed(layer, name, default, (int, float)))


def sizes(layer: Layer, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """Integers, as many as ``default`` has.

    Raises:
        ImportRefused: another number of them.
    """
    found = tuple(int(i) for i in _typed(layer, name, default, tuple))
    if len(found) != len(default):
        raise ImportRefused(f"its attribute {name} is {list(found)}: {len(default)} numbers are needed")
    return found


def only(layer: Layer, name: str, found: Any, allowed: Any) -> None:
    """Refuse an attribute that is anything but the one supported value."""
    if found != allowed:
        raise ImportRefused(f"its attribute {name} is {found!r}: only {allowed!r} is supported")


def _typed(layer: Layer, name: str, default: Attribute, kind: Any) -> Any:
    found = layer.attributes.get(name, default)
    if not isinstance(found, kind):
        raise ImportRefused(f"its attribute {name} has the wrong type")
    return found
