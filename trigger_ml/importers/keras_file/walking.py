"""From a Keras model to the integer graph: the walk along its operations, and the check against its own forward."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import GraphError, ImportRefused
from trigger_ml.fixed import Formats
from trigger_ml.importers.comparing import Floats, Oracle
from trigger_ml.importers.draft import Draft, Quantizer, Value, spread
from trigger_ml.importers.dyadic import exact
from trigger_ml.importers.fusing import fused
from trigger_ml.ir.graph import Graph

BLOCK = 4096

MAX_RESULTS = 1 << 22
"""Entries of all tables of one layer together."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A real-valued function of an exact tensor, which only a quantizer behind it makes exact again."""

    value: Value
    function: Callable[[Any], Any]
    label: str


Tensor = Value | Curve
Rule = Callable[["Walk", Any, list[Tensor]], Tensor]


@dataclass(frozen=True, eq=False)
class Language:
    """What a framework adds to plain Keras.

    Attributes:
        rules: name of a layer's class, ``package>Class`` -> how it is lowered.
        reads: the quantizer through which a layer reads one of its inputs, or None.
    """

    rules: Mapping[str, Rule]
    reads: Callable[[Any, int], Quantizer | None]


@dataclass(eq=False)
class Walk:
    """The state of reading one model."""

    language: Language
    draft: Draft = field(default_factory=Draft)
    tables: int = 0

    def graph(self, model: Any, meta: dict[str, str | int | float]) -> Graph:
        """The whole model.

        Raises:
            ImportRefused: at the first layer that has no exact counterpart, by its name.
        """
        functional = _functional(model)
        ports = [self._port(functional, i, tensor) for i, tensor in enumerate(functional.inputs)]
        outputs = []
        for i, made in enumerate(self._along(functional, list(ports))):
            name = str(functional.outputs[i]._keras_history.operation.name)
            if isinstance(made, Curve):
                raise ImportRefused(f"output {name!r} is {made.label}, whose result is not quantized: quantize it")
            outputs.append((name, made))
        return fused(self.draft.graph(outputs, meta))

    def _along(self, functional: Any, inputs: list[Tensor]) -> list[Tensor]:
        known = {id(t): v for t, v in zip(functional.inputs, inputs, strict=True)}
        for node in _nodes(functional):
            read = [known[id(t)] for t in node.arguments.keras_tensors]
            for tensor, made in zip(node.outputs, self._lower(node, read), strict=True):
                known[id(tensor)] = made
        return [known[id(t)] for t in functional.outputs]

    def _lower(self, node: Any, read: list[Tensor]) -> list[Tensor]:
        operation = node.operation
        if hasattr(operation, "layers"):
            inner = _functional(operation)
            return self._along(inner, read)
        kind = called(operation)
        rule = self.language.rules.get(kind)
        label = f"layer {operation.name!r} ({kind})"
        try:
            if kind == "keras>GetItem":
                return [self._slice(self.exact(read[0]), node.arguments.args[1], str(operation.name))]
            if rule is None:
                raise ImportRefused(f"not supported; supported are {', '.join(sorted(self.language.rules))}")
            return [rule(self, operation, read)]
        except (ImportRefused, GraphError) as error:
            raise ImportRefused(f"{label}: {error}") from None
        except (AttributeError, TypeError, ValueError, LookupError) as error:  # a layer that was built some other way
            raise ImportRefused(f"{label}: can't be read ({type(error).__name__}: {error})") from error

    def _slice(self, value: Value, key: Any, name: str) -> Value:
        """``x[:, a:b]``: a range of positions along some axes, the events' apart."""
        keys = list(key) if isinstance(key, tuple | list) else [key]
        rank = len(value.order) + 1
        if Ellipsis in keys:
            at = keys.index(Ellipsis)
            keys[at : at + 1] = [slice(None)] * (rank - len(keys) + 1)
        if len(keys) > rank or not all(isinstance(k, slice) for k in keys) or keys[0] != slice(None):
            raise ImportRefused(f"its index {key} is not supported: only ranges behind the events' axis are")
        for axis, part in enumerate(keys[1:]):
            chosen = range(self.draft.shape(value)[axis])[part]
            if not chosen:
                raise ImportRefused(f"its index {key} chooses nothing")
            value = self.draft.take(value, chosen, axis, name)
        return value

    def _port(self, functional: Any, place: int, tensor: Any) -> Value:
        """An input, as wide as the quantizers that read it together need it."""
        shape = tuple(tensor.shape[1:])
        name = str(tensor._keras_history.operation.name)
        if not shape or any(n is None for n in shape):
            raise ImportRefused(f"input {name!r} has the shape {shape}: build the model with fixed sizes")
        found: list[Quantizer] = []
        for node in _nodes(functional):
            for i, t in enumerate(node.arguments.keras_tensors):
                if t is tensor:
                    label = f"{node.operation.name!r} ({called(node.operation)})"
                    try:
                        quantizer = self.language.reads(node.operation, i)
                    except (ImportRefused, GraphError) as error:
                        raise ImportRefused(f"layer {label}: {error}") from None
                    if quantizer is None:
                        raise ImportRefused(f"input {name!r} is read by {label} as it is: quantize the input first")
                    found.append(quantizer)
        if not found:
            raise ImportRefused(f"input {name!r} is read by no layer")
        try:
            return self.draft.input(shape, union(found, shape), name)
        except (ImportRefused, GraphError) as error:
            raise ImportRefused(f"input {name!r}: {error}") from None

    def exact(self, tensor: Tensor) -> Value:
        """A tensor that has to be exact."""
        if isinstance(tensor, Curve):
            raise ImportRefused(f"it reads {tensor.label}, whose result is not quantized: put a quantizer behind that")
        return tensor

    def quantized(self, tensor: Tensor, to: Quantizer, real: Callable[[Any], Any], name: str) -> Value:
        """A quantizer, on an exact tensor or as a table behind a curve.

        Args:
            tensor: what it reads.
            to: what it does.
            real: the same, as the framework computes it.
            name: of the layer.
        """
        if isinstance(tensor, Value):
            return self.draft.requant(tensor, to, name)
        if any(np.size(z) != 1 for z in (to.signed, to.width, to.frac)):
            return self._tabulated_each(tensor, real, name)
        return self.tabulated(tensor, real, name)

    def _tabulated_each(self, tensor: Curve, real: Callable[[Any], Any], name: str) -> Value:
        """The same where each element has a quantizer of its own."""
        shape, domain = self.draft.shape(tensor.value), self.draft.domain(tensor.value).astype(np.float32)
        if domain.size * math.prod(shape) > MAX_RESULTS:
            raise ImportRefused(f"its {math.prod(shape)} tables of {domain.size} entries are too many")
        every = np.broadcast_to(domain.reshape(-1, *(1,) * len(shape)), (domain.size, *shape))
        self.tables += 1
        return self.draft.tables(tensor.value, np.asarray(real(tensor.function(every)), np.float64), name)

    def tabulated(self, tensor: Tensor, real: Callable[[Any], Any], name: str) -> Value:
        """A function of one number as a table, with the framework's own float32 results."""
        value = tensor.value if isinstance(tensor, Curve) else tensor
        domain = self.draft.domain(value).astype(np.float32).reshape(-1, *(1,) * len(value.order))
        inner = tensor.function(domain) if isinstance(tensor, Curve) else domain
        entries, frac = exact(np.asarray(real(inner), np.float64).ravel(), "results")
        self.tables += 1
        return self.draft.table(value, entries, frac, name)


def union(quantizers: Sequence[Quantizer], shape: tuple[int, ...]) -> Formats:
    """Formats on the finest grid that hold every number any of the quantizers gives, element by element.

    >>> from trigger_ml.fixed import Overflow, Rounding
    >>> quantizers = [Quantizer(0, 4, f, Rounding.TRN, Overflow.SAT) for f in (0, 2)]
    >>> union(quantizers, (3,)).single
    ap_ufixed<6,4>
    """
    whole: Any = np.full(shape, -(1 << 20))
    finest, signed = -(1 << 20), np.zeros(shape, np.int64)
    for to in quantizers:
        s, w, f = (spread(z, shape).astype(np.int64) for z in (to.signed, to.width, to.frac))
        live = w > 0
        whole = np.maximum(whole, np.where(live, w - f - s, whole))
        signed |= np.where(live, s, 0)
        finest = max(finest, int(f[live].max(initial=finest)))
    width = np.maximum(whole + finest + signed, 0)
    if finest < -62 or not width.any():
        raise ImportRefused("it is always quantized to zero")
    return Formats.of(signed, width, finest)


def called(operation: Any) -> str:
    """``package>Class`` of an operation."""
    kind = type(operation)
    return f"{kind.__module__.split('.')[0]}>{kind.__name__}"


def _functional(model: Any) -> Any:
    """The graph of layers behind a model."""
    found = getattr(model, "_functional", None) or model
    if not hasattr(found, "_nodes_by_depth"):
        raise ImportRefused(f"{called(model)} is no functional or sequential model: rebuild it as one")
    return found


def _nodes(functional: Any) -> list[Any]:
    by_depth = functional._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    return [node for node in nodes if not node.is_input]


def oracle(model: Any) -> Oracle:
    """The model's own forward, float32."""

    def run(feed: Floats) -> Floats:
        import keras

        parts: list[list[NDArray[Any]]] = []
        for start in range(0, len(feed[0]), BLOCK):
            block = [x[start : start + BLOCK] for x in feed]
            answer = model(keras.tree.pack_sequence_as(model.input, block), training=False)
            parts.append([np.asarray(keras.ops.convert_to_numpy(y)) for y in keras.tree.flatten(answer)])
        return [np.concatenate(z) for z in zip(*parts, strict=True)]

    return run
