"""What precision costs, as frozen values: one model at several uniform widths, at its own, and float."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trigger_ml.errors import ArtifactError
from trigger_ml.physics.intervals import Estimate

METHODS = {"ptq": "rounded after training", "qat": "trained at the width"}
"""How bits are chosen, for people."""


@dataclass(frozen=True)
class Variant:
    """The model at one precision.

    Attributes:
        auc: signal -> area under the ROC curve, DeLong error.
        ebops: effective bit operations of the integer graph; None for the float network.
        method: one of :data:`METHODS`; empty where the widths are the model's own, or there are none.
        bits: of every weight and activation; None likewise.
    """

    auc: Mapping[str, Estimate]
    ebops: int | None = None
    method: str = ""
    bits: int | None = None


@dataclass(frozen=True)
class PrecisionScan:
    """Uniform widths beside what they are compared with.

    Attributes:
        points: by method, then rising width.
        own: the model as it is; None where it wasn't converted when the scan was made.
        floating: the float network.
    """

    points: tuple[Variant, ...]
    own: Variant | None
    floating: Variant


def read(content: Mapping[str, Any]) -> PrecisionScan:
    """From ``scan.json``, as `trigger-ml scan` writes it.

    Raises:
        ArtifactError: it is something else.
    """
    try:
        own = content["own"]
        return PrecisionScan(
            tuple(_variant(point) for point in content["points"]),
            None if own is None else _variant(own),
            _variant(content["float"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"scan.json is not what `trigger-ml scan` writes ({error}): run it again") from None


def _variant(found: Mapping[str, Any]) -> Variant:
    auc = {name: Estimate(e["value"], e["low"], e["high"]) for name, e in found["auc"].items()}
    return Variant(auc, found.get("ebops"), found.get("method", ""), found.get("bits"))
