"""How processes, working points and numbers are written for people."""

from __future__ import annotations

import math

from trigger_ml.physics.intervals import Estimate
from trigger_ml.physics.result import FEWEST
from trigger_ml.physics.roc import Point

PROCESSES = {
    "background": "background",
    "LQ_to_btau": "LQ → bτ",
    "A_to_4l": "A → 4ℓ",
    "hC_to_taunu": "h± → τν",
    "h0_to_tautau": "h⁰ → ττ",
    "g": "gluon",
    "top": "top",
    "ttbar": "top pair",
}

QUANTITIES = {
    "lut": "LUT",
    "ff": "FF",
    "dsp": "DSP",
    "bram": "BRAM",
    "carry8": "CARRY8",
    "latency_cycles": "latency",
    "latency_ns": "latency",
    "initiation_interval": "initiation interval",
    "logic_levels": "levels of logic",
    "path_ns": "longest path",
    "hold_slack_ns": "hold slack",
    "ebops": "EBOPs",
    "product_cycles": "cycles of the products",
}


TAUGHT = ("teacher", "float", "quantized")
"""A distilled score's teacher and its students, in the order in which they learned."""


def process(name: str) -> str:
    """A process for people; its own name where there is none."""
    return PROCESSES.get(name, name.replace("_", " "))


def quantity(name: str) -> str:
    """A quantity for people."""
    return QUANTITIES.get(name, name.replace("_", " "))


def taught(name: str) -> str:
    """A distilled score or its teacher for people."""
    return name if name == "teacher" else f"{name} student"


def point(name: str) -> str:
    """A working point: ``rate_10_khz`` is "10 kHz", ``fpr_1e-05`` is "FPR 10⁻⁵".

    >>> point("rate_10_khz"), point("fpr_1e-05"), point("fpr_0.002"), point("unique_10_khz")
    ('10 kHz', 'FPR 10⁻⁵', 'FPR 0.002', '10 kHz unique')
    """
    kind, _, rest = name.partition("_")
    if kind in ("rate", "unique"):
        return f"{rest.removesuffix('_khz')} kHz{' unique' if kind == 'unique' else ''}"
    if kind == "fpr":
        power = math.log10(float(rest))
        return f"FPR {power_of_ten(round(power))}" if math.isclose(power, round(power)) else f"FPR {rest}"
    return f"{name} threshold"


def set_on(p: Point) -> str:
    """The part of the sample on which a working point's threshold was set; its rate is always that of the test part."""
    return "validation" if p.target is None else "test"


def power_of_ten(exponent: int) -> str:
    """10 to a whole power, in superscript digits."""
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def few(p: Point) -> bool:
    """True where fewer background events stand behind a point than make it meaningful."""
    return p.events < FEWEST


def number(value: float) -> str:
    """A whole number with thousands separators, anything else with four digits."""
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


def rounded(e: Estimate, scale: float = 1.0, sign: bool = False) -> tuple[str, str, str]:
    """A value and its upward and downward errors, to two digits of the larger error and at most five decimals.

    Args:
        e: the estimate.
        scale: factor, 100 for per cent.
        sign: write the sign of positive values too.
    """
    up, down = (e.high - e.value) * scale, (e.value - e.low) * scale
    largest = max(up, down)
    digits = min(max(1 - math.floor(math.log10(largest)), 0), 5) if largest > 0 else 4
    value = f"{e.value * scale:{'+' if sign else ''}.{digits}f}".replace("-", "−")
    return value, f"{up:.{digits}f}", f"{down:.{digits}f}"


def measured(e: Estimate, scale: float = 1.0, sign: bool = False) -> str:
    """A value with its errors as text.

    >>> measured(Estimate(0.051234, 0.0480, 0.0549), 100)
    '5.12 +0.37 −0.32'
    >>> measured(Estimate(0.95, 0.949, 0.951))
    '0.9500 ± 0.0010'
    """
    value, up, down = rounded(e, scale, sign)
    return f"{value} ± {up}" if up == down else f"{value} +{up} −{down}"
