"""Several networks with one set of weights: each keeps its layers under a prefix, so that all are trained together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from trigger_ml.offline.layers import Network, Port


def prefixed(network: Network, prefix: str, ports: bool = False) -> Network:
    """The same network with ``<prefix>_`` before the name of every layer, and of every port if ``ports``."""
    inputs = {p.name for p in network.ports}

    def renamed(name: str) -> str:
        return name if name in inputs and not ports else f"{prefix}_{name}"

    nodes = [
        dataclasses.replace(n, name=f"{prefix}_{n.name}", inputs=tuple(map(renamed, n.inputs))) for n in network.nodes
    ]
    return Network(tuple(Port(renamed(p.name), p.shape) for p in network.ports), tuple(nodes))


def together(parts: Mapping[str, Network]) -> Network:
    """Networks side by side, by prefix: the weights of all, ports ``<prefix>_<port>``, the output of the last.

    ``Trained(together(parts), ...).on(prefixed(parts[prefix], prefix), feed)`` evaluates one of them.
    """
    all_parts = [prefixed(network, prefix, ports=True) for prefix, network in parts.items()]
    return Network(
        tuple(p for network in all_parts for p in network.ports),
        tuple(n for network in all_parts for n in network.nodes),
    )
