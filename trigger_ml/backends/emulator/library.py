"""The compiled emulator from Python: one array in, integers out, through its C interface."""

from __future__ import annotations

import ctypes
import shutil
import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import ArtifactError, GraphError

ABI = 1
STATUS = {2: "an argument is not valid", 3: "there is not enough memory"}


class _Port(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("elements", ctypes.c_int32),
        ("frac", ctypes.c_int32),
        ("lo", ctypes.POINTER(ctypes.c_int64)),
        ("hi", ctypes.POINTER(ctypes.c_int64)),
    )


_Evaluate = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32, ctypes.c_int32,
    ctypes.POINTER(ctypes.c_int64),
)  # fmt: skip


class _Emulator(ctypes.Structure):
    _fields_ = (
        ("abi", ctypes.c_uint32),
        ("name", ctypes.c_char_p),
        ("digest", ctypes.c_char_p),
        ("n_inputs", ctypes.c_int32),
        ("n_outputs", ctypes.c_int32),
        ("inputs", ctypes.POINTER(_Port)),
        ("outputs", ctypes.POINTER(_Port)),
        ("n_kernels", ctypes.c_int32),
        ("kernels", ctypes.POINTER(ctypes.c_char_p)),
        ("best_kernel", ctypes.CFUNCTYPE(ctypes.c_int32)),
        ("evaluate", _Evaluate),
    )


class Library:
    """A shared library that follows ``firmware/emulator/trigger_emulator.h``.

    Attributes:
        name: of the model.
        digest: of its graph.
        inputs: name -> elements of each input port.
        outputs: name -> elements of each output port.
        kernels: names of the kernels, the portable one first.
    """

    def __init__(self, path: Path, mode: int = ctypes.RTLD_LOCAL) -> None:
        """Load it; with ``RTLD_LOCAL`` its symbols are its own, but it bears ``RTLD_GLOBAL`` beside others as well.

        Raises:
            ArtifactError: if it can't be loaded, or follows another version of the interface.
        """
        try:
            self._library = _loaded(path, mode)
            opened = self._library.trigger_emulator
        except (OSError, AttributeError) as e:
            raise ArtifactError(f"{path} is no emulator that this machine can load ({e}): build it again") from None
        opened.restype = ctypes.POINTER(_Emulator)
        self._emulator = opened().contents
        if self._emulator.abi != ABI:
            raise ArtifactError(f"{path} has interface version {self._emulator.abi}, not {ABI}: build it again")
        self.name = self._emulator.name.decode()
        self.digest = self._emulator.digest.decode()
        self.kernels = tuple(self._emulator.kernels[i].decode() for i in range(self._emulator.n_kernels))

    @cached_property
    def inputs(self) -> dict[str, int]:
        """Elements of each input port."""
        return {p.name.decode(): p.elements for p in self._emulator.inputs[: self._emulator.n_inputs]}

    @cached_property
    def outputs(self) -> dict[str, int]:
        """Elements of each output port."""
        return {p.name.decode(): p.elements for p in self._emulator.outputs[: self._emulator.n_outputs]}

    @property
    def best_kernel(self) -> str:
        """The kernel that is used unless another is asked for."""
        return self.kernels[self._emulator.best_kernel()]

    def evaluate(
        self, inputs: Mapping[str, NDArray[Any]], threads: int = 1, kernel: str | None = None
    ) -> dict[str, NDArray[np.int64]]:
        """Evaluate hardware integers ``(events, ...)``; returns ``(events, elements)`` for each output.

        int16, int32 and int64 arrays in C order are read where they are; others are copied.

        Raises:
            GraphError: an integer out of range, with the event, or arrays of other shapes.
        """
        arrays = {name: np.asarray(inputs[name]) for name in self.inputs}
        kind = np.result_type(np.int16, *(a.dtype for a in arrays.values()))
        if kind not in (np.int16, np.int32, np.int64):
            raise GraphError(f"inputs are {kind}: give hardware integers")
        count = len(next(iter(arrays.values())))
        for name, elements in self.inputs.items():
            if arrays[name].size != count * elements:
                raise GraphError(f"input {name!r} has shape {arrays[name].shape}: give {elements} integers an event")
        data = [np.ascontiguousarray(a, kind) for a in arrays.values()]
        out = {name: np.empty((count, elements), np.int64) for name, elements in self.outputs.items()}
        bad = ctypes.c_int64(-1)
        status = self._emulator.evaluate(
            (ctypes.c_void_p * len(data))(*(a.ctypes.data for a in data)),
            kind.itemsize,
            (ctypes.c_void_p * len(out))(*(a.ctypes.data for a in out.values())),
            count,
            -1 if kernel is None else self.kernels.index(kernel),
            threads,
            ctypes.byref(bad),
        )
        if status == 1:
            raise GraphError(f"event {bad.value} holds an integer outside its input format")
        if status:
            raise GraphError(f"the emulator refused the call: {STATUS.get(status, status)}")
        return out


def _loaded(path: Path, mode: int) -> ctypes.CDLL:
    """The library under a name of its own: the loader takes a file that was built again for the one it has already."""
    with tempfile.TemporaryDirectory(prefix="trigger_ml_") as folder:
        own = Path(folder) / path.name
        shutil.copyfile(path, own)
        return ctypes.CDLL(str(own), mode)
