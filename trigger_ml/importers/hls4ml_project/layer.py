"""One layer's call while it is read: its tensors, types, configuration, weights and tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trigger_ml.importers.hls4ml_project.ap_types import ApType, held
from trigger_ml.importers.hls4ml_project.net import Net
from trigger_ml.importers.hls4ml_project.program import Array, Call, Config, Program
from trigger_ml.importers.hls4ml_project.tokens import refused

MAX_TABLE = 1 << 20


@dataclass(frozen=True)
class Probe:
    """A piece of the project's own C++ that is run on integers, so that a table is data and not a formula of ours.

    Attributes:
        body: statements that fill ``out[0...count-1]`` from ``in[0...count-1]``.
        uses: which tables it gives, for messages.
    """

    body: str
    uses: str


class Tables(Protocol):
    """Runs probes."""

    def ask(self, call: Call, key: str, x: NDArray[np.int64]) -> NDArray[np.int64]:
        """The integers that a call's probe gives."""


Weights = Mapping[str, tuple[Fraction, ...]]


@dataclass(frozen=True)
class Layer:
    """A call, and what it may look at."""

    call: Call
    program: Program
    net: Net
    arrays: Mapping[str, Array]  # parameters and locals by name
    nodes: Mapping[str, str]  # the node of each array that was written
    weights: Weights
    tables: Tables | None

    @property
    def config(self) -> Config:
        """The configuration, the last template argument."""
        return self.program.config_of(self.call.template[-1] if self.call.template else (), self.call.at)

    def array(self, k: int) -> Array:
        """The array that is argument ``k``."""
        name = self.call.argument(k)
        if name not in self.arrays:
            raise refused(self.call.at, f"{self.call.function} uses {name!r}, which is no array of this function")
        return self.arrays[name]

    def kind(self, k: int) -> ApType:
        """The element type of the array that is argument ``k``."""
        kind = self.array(k).type
        if not isinstance(kind, ApType):
            raise refused(self.call.at, f"the type of {self.call.argument(k)} {kind.why}")
        return kind

    def tensor(self, k: int, size: int | None = None) -> str:
        """The node of argument ``k``, flat."""
        name = self.array(k).name
        if name not in self.nodes:
            raise refused(self.call.at, f"{self.call.function} reads {name!r} before anything was written to it")
        node = self.net.flat(self.nodes[name])
        if size is not None and self.net.size(node) != size:
            raise refused(
                self.call.at, f"{self.call.function} reads {size} elements of {name!r}, which has {self.net.size(node)}"
            )
        return node

    def numbers(self, k: int, size: int) -> tuple[NDArray[Any], ApType]:
        """The integers of the weights that are argument ``k``, dtype object, and their type."""
        name = self.call.argument(k)
        array = self.program.arrays.get(name)
        if array is None:
            raise refused(self.call.at, f"{self.call.function} reads the weights {name!r}, which are nowhere defined")
        if not isinstance(array.type, ApType):
            raise refused(array.at, f"the type of {name} {array.type.why}")
        if name not in self.weights:
            raise refused(array.at, f"the weights {name} have no numbers, in a header or in a text file")
        if len(self.weights[name]) != size:
            raise refused(
                self.call.at, f"{self.call.function} reads {size} weights, {name} has {len(self.weights[name])}"
            )
        return held(list(self.weights[name]), array.type, array.at), array.type

    def table(self, a: str, kind: ApType, frac: int, key: str = "") -> str:
        """Each element through a probe: evaluated by the project's C++ at every integer that can occur.

        Args:
            a: the tensor.
            kind: the type that the probe takes; the tensor's values are among its values.
            frac: fraction length of what the probe gives.
            key: which probe of the call.
        """
        t = self.net.known[a]
        lo, hi, shift = min(t.lo.flat), max(t.hi.flat), kind.frac - t.frac
        if hi - lo >= MAX_TABLE:
            raise refused(
                self.call.at, f"{self.call.function} would be a table of {hi - lo + 1} entries: {MAX_TABLE} at most"
            )
        return self.tabulate(a, lambda x: self.asked(x << shift, key), frac)

    def tabulate(self, a: str, f: Callable[[NDArray[np.int64]], NDArray[np.int64]], frac: int) -> str:
        """Each element through a function of its integer."""
        from trigger_ml.ir import ops

        t = self.net.known[a]
        x = np.arange(min(t.lo.flat), max(t.hi.flat) + 1, dtype=np.int64)
        return self.net.add(ops.Table(ops.integers(f(x)), int(x[0]), frac), a)

    def asked(self, x: NDArray[np.int64], key: str = "") -> NDArray[np.int64]:
        """What the probe says to these integers."""
        if self.tables is None:
            raise refused(
                self.call.at, f"{self.call.function} needs a table of the project's C++, which was not compiled"
            )
        return self.tables.ask(self.call, key, x)


Lower = Callable[[Layer], str]
Probes = Callable[[Layer], dict[str, Probe]]


@dataclass(frozen=True)
class Rule:
    """How a function of nnet_utils is read.

    Attributes:
        lower: adds its nodes; gives the node of the result.
        output: which argument is written.
        probes: tables that it needs from the project's C++.
    """

    lower: Lower
    output: int = 1
    probes: Probes | None = None
