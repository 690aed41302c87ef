"""Which function does an objective."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from trigger_ml.offline.networks import Precision
from trigger_ml.offline.sources.source import Source
from trigger_ml.offline.tasks.measured import Measured
from trigger_ml.offline.training import Place

Task = Callable[[Place, Source, Precision], Measured]

FUNCTIONS: dict[str, str] = {
    "classifier": "classify:classify",
    "omnifold": "omnifold:omnifold",
    "flow_matching": "flow:flow",
    "direct_diffusion": "flow:flow",
    "score_vp": "flow:flow",
    "score_sub_vp": "flow:flow",
    "score_ve": "flow:flow",
    "coupling_flow": "flow:flow",
    "spline_flow": "flow:flow",
    "bridge": "flow:flow",
    "latent_diffusion": "latent:latent_diffusion",
    "vld": "latent:vld",
    "gan": "gan:gan",
}
"""Objective -> module of this folder and function."""


def task(objective: str) -> Task:
    """The function of an objective."""
    module, _, name = FUNCTIONS[objective].partition(":")
    found: Task = getattr(importlib.import_module(f"trigger_ml.offline.tasks.{module}"), name)
    return found
