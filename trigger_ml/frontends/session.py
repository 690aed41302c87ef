"""One way to start Keras 3 on TensorFlow: the same threads, seeds and deterministic kernels in every process."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

from trigger_ml.errors import ToolMissing

THREADS = 1
"""Threads of one operation. The networks are tiny; with one thread sums have one order on any number of cores."""


def start(*packages: str) -> None:
    """Prepare Keras on TensorFlow, for the first import and for later ones.

    Args:
        packages: others that must be importable, e.g. ``hgq``.

    Raises:
        ToolMissing: if a package is not installed, or Keras already runs on another backend.
    """
    for package in ("tensorflow", "keras", *packages):
        if importlib.util.find_spec(package) is None:
            raise ToolMissing(f"training needs the Python package {package}: pip install 'trigger_ml[train]'")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with _quiet():
        import keras
        import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # devices in use already: then this was done before
            tf.config.set_visible_devices([], "GPU")
    if keras.backend.backend() != "tensorflow":
        raise ToolMissing(f"Keras runs on {keras.backend.backend()} here: unset KERAS_BACKEND or set it to tensorflow")
    try:
        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
        tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    except RuntimeError:
        raise ToolMissing("TensorFlow is already running with other thread counts: train in a fresh process") from None
    tf.config.experimental.enable_op_determinism()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide what TensorFlow's C++ prints about absent GPUs before its log level counts; Python's errors come through."""
    try:
        kept = os.dup(2)
    except OSError:
        yield  # no stderr to keep quiet
        return
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
