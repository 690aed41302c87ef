"""Collisions from Pythia 8, in batches of flat arrays. The only module that imports Pythia (extra ``datagen``)."""

from __future__ import annotations

from typing import Any

import numpy as np

from trigger_ml.errors import SampleError, ToolMissing
from trigger_ml.samples.detector import Ints, Particles
from trigger_ml.samples.processes import COMMON

BATCH = 500
"""Collisions asked of Pythia at once."""


class Collider:
    """A seeded Pythia for one process, started when first asked; its collisions come in one order, however asked for.

    Args:
        lines: settings on top of :data:`trigger_ml.samples.processes.COMMON`.
        seed: 1...900,000,000.

    Raises (when first asked):
        ToolMissing: without pythia8mc.
        SampleError: if Pythia refuses a setting.
    """

    def __init__(self, lines: tuple[str, ...], seed: int) -> None:
        self._lines = (*COMMON, *lines, "Random:setSeed = on", f"Random:seed = {seed}")
        self._pythia: Any = None

    def next(self, count: int) -> tuple[Particles, np.ndarray]:
        """The next ``count`` collisions: stable particles, and the hardest parton scattering's pT in GeV of each."""
        if count == 0:
            empty: Ints = np.zeros(0, np.int64)
            return Particles(empty, empty, *(np.zeros(0) for _ in range(3))), np.zeros(0)
        import awkward as ak

        batch = self.records(count)
        return stable(batch.prt), np.sqrt(ak.to_numpy(batch.info.pT2Hat).astype(np.float64))

    def records(self, count: int) -> Any:
        """The next ``count`` collisions as Pythia's awkward array: ``prt`` with the whole record, ``info``."""
        if self._pythia is None:
            self._pythia = _start(self._lines)
        batch = self._pythia.nextBatch(count)
        if len(batch) != count:
            raise SampleError(f"Pythia gave {len(batch)} of {count} collisions: the process may be impossible")
        return batch

    def particles(self, count: int) -> Particles:
        """The next ``count`` collisions' stable particles."""
        return self.next(count)[0]


def stable(record: Any) -> Particles:
    """The stable particles of collisions' records (awkward, ``prt`` of :meth:`Collider.records`)."""
    import awkward as ak

    found = record[record.status > 0]
    counts = ak.to_numpy(ak.num(found)).astype(np.int64)
    pid = ak.to_numpy(ak.flatten(found.id)).astype(np.int64)
    momentum = (ak.to_numpy(ak.flatten(found.p[axis])).astype(np.float64) for axis in ("px", "py", "pz"))
    return Particles(counts, pid, *momentum)


def _start(lines: tuple[str, ...]) -> Any:
    """An initialised Pythia."""
    try:
        import pythia8mc
    except ImportError:
        raise ToolMissing("pythia8mc is not installed: pip install 'trigger_ml[datagen]'") from None
    pythia = pythia8mc.Pythia("", False)
    for line in lines:
        if not pythia.readString(line):
            raise SampleError(f'Pythia refuses the setting "{line}": correct it in samples/processes.py')
    if not pythia.init():
        raise SampleError(f"Pythia does not start with {', '.join(lines)}: correct them in samples/processes.py")
    return pythia
