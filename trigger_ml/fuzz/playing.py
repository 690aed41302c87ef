"""Random graphs on an engine, compared with the golden interpreter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trigger_ml import plugins
from trigger_ml.errors import Mismatch, Unsupported
from trigger_ml.fuzz.graphs import Feed, random_events, random_graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.spec import Target


def differing(want: Feed, got: Feed) -> NDArray[np.bool_]:
    """The events at which any element of any output differs."""
    bad = [(want[o] != got[o]).reshape(len(want[o]), -1).any(axis=1) for o in want]
    return np.asarray(np.any(bad, axis=0))


def play(engine: str, seed: int, size: int, events: int, folder: Path, target: Target) -> str | None:
    """One random graph through one engine.

    Returns:
        None if all events agree, the reason if the engine refuses the graph.

    Raises:
        Mismatch: with the seed and the first differing event.
    """
    graph = random_graph(seed, size)
    feed = random_events(graph, events, seed)
    backend = plugins.find("backends", engine)
    try:
        backend.check(graph, target)
    except Unsupported as refusal:
        return str(refusal)
    backend.build(graph, folder, target)
    want, got = interpret(graph, feed), backend.simulate(folder, graph, feed)
    bad = differing(want, got)
    if bad.any():
        at = int(np.argmax(bad))
        inputs = {name: x[at].tolist() for name, x in feed.items()}
        raise Mismatch(f"{engine}, seed {seed}: {bad.sum()} of {events} events differ, the first is {at}: {inputs}")
    return None
