"""Jets of other people's files, block by block, into the hardware integers of ours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SampleError
from trigger_ml.samples.jet_maker import SHARES
from trigger_ml.samples.jet_scales import (
    FEATURE_SCALES,
    TAU_SCALES,
    encode_constituents,
    encode_jet,
    encode_table,
)
from trigger_ml.samples.jet_views import Hardware, Jets

ADVICE = "get the file again, or correct the program that wrote it"
_ANGLE_MAX = 3.2


@dataclass(frozen=True)
class Block:
    """Some jets of a file.

    Attributes:
        where: file, for errors.
        first: number of the first jet in its file.
        part: 0, 1 or 2 (train, validation, test), or None where the file doesn't say.
        kind: (jets,) class of each.
        jet: (jets, 4) pT in GeV, eta, phi, mass in GeV.
        constituents: (jets, K, 3) pT in GeV, eta and phi relative to the axis, zeros where there is none, in any
            order; or None.
        features: (jets, 16) in the order of ``jet_features.NAMES``; or None.
    """

    where: Path
    first: int
    part: int | None
    kind: NDArray[np.str_]
    jet: NDArray[np.float64]
    constituents: NDArray[np.float64] | None
    features: NDArray[np.float64] | None


def collect(blocks: Iterable[Block], kinds: tuple[str, ...], needs: tuple[str, ...], where: Path) -> dict[str, Jets]:
    """The jets of the classes ``kinds``; what a view ``needs`` (see ``jet_views.View``) and the file lacks is computed.

    Files that don't say so are cut into train, validation and test part in their order, class by class.

    Raises:
        SampleError: if jets hold impossible values, a class is absent, or the file lacks what the view needs.
        ToolMissing: if features have to be computed and FastJet or numba isn't installed.
    """
    found: dict[str, list[tuple[int | None, dict[str, Hardware]]]] = {kind: [] for kind in kinds}
    for block in blocks:
        block = _checked(block)
        for kind in kinds:
            mine = block.kind == kind
            if mine.any():
                found[kind].append((block.part, _encoded(block, mine, needs)))
    for kind, pieces in found.items():
        if not pieces:
            raise SampleError(f"{where} has no jets of the class {kind}: choose another variant, or other files")
    return {kind: _joined(pieces, f"{where}: class {kind}") for kind, pieces in found.items()}


def _joined(pieces: list[tuple[int | None, dict[str, Hardware]]], where: str) -> Jets:
    given = [part for part, _ in pieces]
    ordered = sorted(pieces, key=lambda piece: -1 if piece[0] is None else piece[0])
    columns = {key: np.concatenate([piece[key] for _, piece in ordered]) for key in pieces[0][1]}
    number = len(columns["jet"])
    if None in given:
        edges = np.rint(np.cumsum((0.0, *SHARES)) * number).astype(int)
        sizes = np.diff(edges).tolist()
    else:
        sizes = [sum(len(piece["jet"]) for part, piece in pieces if part == i) for i in range(3)]
    if min(sizes) < 1:
        raise SampleError(f"{where} has {number} jets, too few for train, validation and test part: add files")
    return Jets(**columns, event=np.arange(number, dtype=np.int32), parts=(sizes[0], sizes[1], sizes[2]))


def _encoded(block: Block, mine: NDArray[np.bool_], needs: tuple[str, ...]) -> dict[str, Hardware]:
    number = int(mine.sum())
    nothing = np.zeros((number, 0), np.int16)
    out = {"constituents": np.zeros((number, 0, 3), np.int16), "features": nothing, "taus": nothing}
    out["jet"] = encode_jet(block.jet[mine])
    if needs == ("features",) and block.features is not None:
        out["features"] = encode_table(block.features[mine], FEATURE_SCALES)
        return out
    if block.constituents is None:
        raise SampleError(f"{block.where} has no constituents: only the view features can be read from it")
    from trigger_ml.samples import jet_features

    values = block.constituents[mine]
    if "features" in needs:
        out["features"] = encode_table(jet_features.high_level(values), FEATURE_SCALES)
    if "taus" in needs:
        out["taus"] = encode_table(jet_features.subjettiness(values), TAU_SCALES)
    if "constituents" in needs:
        out["constituents"] = encode_constituents(values)
    return out


def _checked(block: Block) -> Block:
    """The block with constituents by falling pT.

    Raises:
        SampleError: at the first jet that can't be one.
    """
    for name, values in (("jet", block.jet), ("features", block.features), ("constituents", block.constituents)):
        if values is not None:
            finite = np.isfinite(values).reshape(len(values), -1).all(1)
            _refuse(~finite, block, f"has {name} that are NaN or infinite")
    _refuse(block.jet[:, 0] <= 0, block, "has no pT")
    if block.constituents is None:
        return block
    pt, angles = block.constituents[..., 0], block.constituents[..., 1:]
    _refuse((pt < 0).any(1), block, "has a constituent of negative pT")
    _refuse(~(pt > 0).any(1), block, "has no constituents")
    far = (np.abs(angles).max(-1) > _ANGLE_MAX) & (pt > 0)
    _refuse(far.any(1), block, f"has a constituent more than {_ANGLE_MAX} from its axis")
    order = np.argsort(-pt, axis=1, kind="stable")
    values = np.take_along_axis(block.constituents * (pt > 0)[..., None], order[..., None], 1)
    return Block(block.where, block.first, block.part, block.kind, block.jet, values, block.features)


def _refuse(bad: Any, block: Block, what: str) -> None:
    if np.any(bad):
        raise SampleError(f"{block.where}: jet {block.first + int(np.flatnonzero(bad)[0])} {what}: {ADVICE}")
