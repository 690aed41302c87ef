"""One way to start Keras 3 on TensorFlow: the same threads, seeds and deterministic kernels in every process."""

from __future__ import annotations

import importlib.util
import os

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
    import keras
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        raise ToolMissing(f"Keras runs on {keras.backend.backend()} here: unset KERAS_BACKEND or set it to tensorflow")
    try:
        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
        tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    except RuntimeError:
        raise ToolMissing("TensorFlow is already running with other thread counts: train in a fresh process") from None
    tf.config.experimental.enable_op_determinism()
