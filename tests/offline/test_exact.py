"""The proof that runs behind every training: it passes for every network, and it notices one wrong code."""

from __future__ import annotations

import numpy as np
import pytest

from tests.offline.inputs import weights_of
from trigger_ml import tools
from trigger_ml.errors import Mismatch
from trigger_ml.offline import exact, networks, steps
from trigger_ml.offline.edges import Plane
from trigger_ml.offline.spec import Network
from trigger_ml.offline.steps import Wanted

pytestmark = [
    pytest.mark.needs_train,
    pytest.mark.needs_onnx,
    pytest.mark.skipif(tools.find("g++") is None, reason="needs g++"),
]

NETWORKS = {
    "residual": networks.residual_mlp(6, 4, 32, 3, "all", condition=2, timed=True),
    "int8": networks.residual_mlp(6, 4, 32, 2, "int8"),
    "binary": networks.residual_mlp(6, 4, 32, 2, "all", "binary"),
    "deep_sets": networks.deep_sets(5, 6, 2, 32, precision="central"),
    "transformer": steps.network(
        Network(kind="transformer", hidden=16, blocks=2), "no-embedding-no-last", Wanted(5, 3, 2, True)
    ),
    "particle_transformer": networks.particle_transformer(5, 6, 1, 16, 2, 4, "all"),
    "dual_attention": networks.dual_attention(5, 6, 1, 16, 2, 4, 3, Plane(2, 0.02), "all"),
}


def low(network) -> int:
    """Its low-bit layers."""
    return sum(node.op.mode != "float" for node in network.linears)


@pytest.fixture(scope="module", autouse=True)
def _framework():
    from trigger_ml.frontends import session

    session.start()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_passes(name):
    network = NETWORKS[name]
    assert exact.prove(network, weights_of(network), 1, rows=2000) == low(network) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_passes_in_full(name):
    network = NETWORKS[name]
    assert exact.prove(network, weights_of(network), 2) == low(network)


def test_one_wrong_code_is_noticed(monkeypatch):
    network = NETWORKS["binary"]
    real = exact.deployed

    def wrong(layer, weights, feed):
        kernel = next(k for k in weights if k.endswith("kernel"))
        changed = weights[kernel].copy()
        changed[0, 0] *= -1
        return real(layer, {**weights, kernel: changed}, feed)

    monkeypatch.setattr(exact, "deployed", wrong)
    with pytest.raises(Mismatch, match=r"layer linear\d+: float with 1 threads"):
        exact.prove(network, weights_of(network), 1, rows=500)


def test_inputs_hold_zeros_ties_and_many_magnitudes():
    x = exact._inputs(4000, 8, 3)
    assert np.array_equal(x, exact._inputs(4000, 8, 3))
    size = np.abs(x[~(x == 0).all(1)]).max(1)
    assert size.max() / size.min() > 1e6
    assert (x[5::31][:, :-1] % 1 == 0.5).any()
