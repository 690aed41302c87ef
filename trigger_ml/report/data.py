"""What a report is made of: plain frozen values, so that the page and the JSON need no pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trigger_ml.estimators.quantity import Quantity
from trigger_ml.estimators.sharing import ReuseScan
from trigger_ml.physics.precision import PrecisionScan
from trigger_ml.physics.rate_table import RateTable
from trigger_ml.physics.result import PhysicsResult


@dataclass(frozen=True)
class Agreement:
    """One engine against the golden interpreter, integer by integer.

    Attributes:
        engine: e.g. ``hls4ml``, ``verilator``, ``icarus``, ``ghdl``, ``onnx``.
        events: events compared.
        mismatches: events with at least one differing integer.
        tool: what ran, with its version.
        first_difference: the smallest input that differs and the first node that does; None where all agree.
    """

    engine: str
    events: int
    mismatches: int
    tool: str = ""
    first_difference: str | None = None


@dataclass(frozen=True)
class Skipped:
    """A check that was not made.

    Attributes:
        engine: e.g. ``ghdl``.
        reason: one sentence.
    """

    engine: str
    reason: str


@dataclass(frozen=True)
class BudgetLine:
    """One limit of the spec.

    Attributes:
        name: of the quantity, e.g. ``lut``.
        limit: the largest value allowed.
        unit: of both; empty for a count.
        quantity: what was found; None where it could not be measured.
        unfounded: why what was found meets no limit, half a sentence; empty where it counts.
    """

    name: str
    limit: float
    unit: str
    quantity: Quantity | None
    unfounded: str = ""

    @property
    def ok(self) -> bool:
        """Measured, well founded, and within the limit."""
        return self.quantity is not None and self.quantity.value <= self.limit and not self.unfounded

    @property
    def reason(self) -> str:
        """Why it is not ok, one sentence."""
        if self.quantity is None:
            return f"{self.name} has a limit of {self.limit:,.6g} {self.unit}".rstrip() + " but was not measured."
        found = f"{self.name} is {self.quantity.value:,.6g} {self.unit}".rstrip()
        if self.quantity.value > self.limit:
            return f"{found}, over the limit of {self.limit:,.6g}."
        return f"{found}, within the limit of {self.limit:,.6g}, but {self.unfounded}."


@dataclass(frozen=True)
class Layer:
    """One box of the drawn network: an operation with the activation and rounding that follow it.

    Attributes:
        name: of the operation's node.
        op: e.g. ``Affine``.
        inputs: names of the layers that feed it.
        shape: of its result, without the event axis.
        bits: narrowest and widest live element of the result.
        dead: elements of the result that are always zero.
        weights: non-zero weights.
        weights_all: all weights.
        weight_bits: narrowest and widest non-zero weight, sign included; (0, 0) without weights.
        ebops: effective bit operations, None where not counted.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    bits: tuple[int, int]
    dead: int = 0
    weights: int = 0
    weights_all: int = 0
    weight_bits: tuple[int, int] = (0, 0)
    ebops: int | None = None


@dataclass(frozen=True)
class GraphSummary:
    """The integer graph.

    Attributes:
        digest: of the graph.
        layers: in topological order.
        outputs: C++ type of each output, by name.
    """

    digest: str
    layers: tuple[Layer, ...]
    outputs: Mapping[str, str]


@dataclass(frozen=True)
class ReportData:
    """Everything that is reported of one run.

    Attributes:
        model: name of the spec.
        agreement: every engine that was compared.
        quantities: every number about cost and latency, each with its source.
        budget: every limit of the spec.
        graph: the network.
        provenance: what went in: spec, digests, tool versions; no time and no path.
        physics: None where no sample was evaluated.
        no_physics: why not, one sentence; empty where there is physics.
        skipped: checks that were not made.
        failures: further sentences that make the verdict FAIL.
        remarks: what a reader of the cost must know, one sentence each; they change no verdict.
        clock_met: whether the longest path is within the clock period; None where no path is known.
        rates: what `trigger-ml rates` counted on a larger file; None where it was not run on this graph.
        scan: what `trigger-ml scan` found; None where it was not run.
        reuse: what `trigger-ml scan --reuse` found of this graph; None where it was not run.
    """

    model: str
    agreement: tuple[Agreement, ...]
    quantities: tuple[Quantity, ...]
    budget: tuple[BudgetLine, ...]
    graph: GraphSummary
    provenance: Mapping[str, str]
    physics: PhysicsResult | None = None
    no_physics: str = ""
    skipped: tuple[Skipped, ...] = ()
    failures: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    clock_met: bool | None = None
    rates: RateTable | None = None
    scan: PrecisionScan | None = None
    reuse: ReuseScan | None = None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the verdict is FAIL, one sentence each; empty for PASS."""
        compared = () if self.agreement else ("No engine was compared with the golden interpreter.",)
        differing = tuple(_difference(a) for a in self.agreement if a.mismatches or a.events < 1)
        over = tuple(line.reason for line in self.budget if not line.ok)
        return (*compared, *differing, *over, *self.failures)

    @property
    def verdict(self) -> str:
        """``PASS`` or ``FAIL``."""
        return "FAIL" if self.reasons else "PASS"


def _difference(found: Agreement) -> str:
    if found.events < 1:
        return f"{found.engine} was compared on no event."
    where = f": {found.first_difference}" if found.first_difference else "."
    return (
        f"{found.engine} differs from the golden interpreter in {found.mismatches:,} of {found.events:,} events{where}"
    )
