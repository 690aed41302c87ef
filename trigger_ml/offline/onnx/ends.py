"""Networks before and behind a sampler's loop, in the same ONNX model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from trigger_ml.errors import GraphError
from trigger_ml.offline.layers import Network, Shape, Weights
from trigger_ml.offline.onnx.model import digest
from trigger_ml.offline.onnx.rules import emit
from trigger_ml.offline.onnx.writer import Writer


@dataclass(frozen=True, eq=False)
class Ends:
    """What stands around the loop, once an event.

    Attributes:
        given: from its port ``x``, what is measured, to the step network's ``condition``; None: that is what is given.
        decoder: from its port ``x``, the state at the loop's end, to the output; None: that state is the output.
        weights: of both.
    """

    given: Network | None = None
    decoder: Network | None = None
    weights: Weights = field(default_factory=dict)

    def told(self, w: Writer, others: dict[str, Any]) -> dict[str, Any]:
        """The values of the step network's other ports; writes the layers of ``given``."""
        if self.given is None:
            return others
        return {**others, "condition": emit(w, self.given, self.weights, {"x": others["condition"]})}

    def decoded(self, w: Writer, end: Any) -> Any:
        """The output; writes the layers of ``decoder``."""
        return end if self.decoder is None else emit(w, self.decoder, self.weights, {"x": end})

    def shapes(self, network: Network) -> tuple[dict[str, Shape], Shape]:
        """The inputs beside the noise, and the output, of a sampler with this step network."""
        others = {p.name: p.shape for p in network.ports if p.name not in ("x", "time")}
        if self.given is not None:
            if others.get("condition") != self.given.shapes[self.given.output]:
                raise GraphError("what is given must come out as the step network's condition takes it in")
            others["condition"] = self.given.shapes["x"]
        if self.decoder is None:
            return others, network.shapes["x"]
        if self.decoder.shapes["x"] != network.shapes["x"]:
            raise GraphError("the decoder must take the step network's state in")
        return others, self.decoder.shapes[self.decoder.output]

    def digests(self) -> list[str]:
        """Of the networks that there are."""
        return [digest(network, self.weights) for network in (self.given, self.decoder) if network is not None]
