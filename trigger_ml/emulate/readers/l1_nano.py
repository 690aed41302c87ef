"""CMS L1 NanoAOD, decoded by ``samples/l1_nano.py``. ``--dataset L1Emul`` reads the twins of that prefix."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trigger_ml.emulate.events import BLOCK, IDS, Block, Source, Wanted, cuts, thinned
from trigger_ml.errors import SampleError
from trigger_ml.samples import l1_nano
from trigger_ml.samples.features import FEATURES

PIECE = l1_nano.PIECE


def survey(path: Path, wanted: Wanted) -> Source:
    """The branches to read; see ``samples/l1_nano.py``."""
    if wanted.elements != len(FEATURES):
        raise SampleError(f"{path} gives events of {len(FEATURES)} integers, the model reads {wanted.elements}")
    prefix = wanted.dataset or l1_nano.PREFIX
    found = l1_nano.look(path, prefix, tuple(IDS))
    kept = thinned(found.edges) if found.events else (0,)
    parts, details = ((l1_nano.TREE, found.events),), (prefix, *found.names())
    return Source(path, "l1_nano", parts, kept, ids=found.others, details=details, remark=found.remark)


def read(source: Source, start: int, stop: int) -> Iterator[Block]:
    """Events in hardware integers; see ``samples/l1_nano.py``."""

    def pieces(weight: float) -> list[int]:
        return cuts(source.edges, max(int(PIECE / max(weight, 1.0)), 1), start, stop)

    branches = l1_nano.chosen(source.path, source.details[0], source.details[1:])
    others = tuple(IDS) if source.ids else ()
    for x, ids in l1_nano.blocks(source.path, branches, pieces, others, BLOCK):
        yield Block(x, {name: values.astype(IDS[name]) for name, values in ids.items()})
