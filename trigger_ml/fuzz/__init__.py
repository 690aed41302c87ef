"""Random graphs and events (``graphs``), played on an engine (``playing``): ``python -m trigger_ml.fuzz``."""

from trigger_ml.fuzz.graphs import random_events, random_graph
from trigger_ml.fuzz.playing import differing

__all__ = ["differing", "random_events", "random_graph"]
