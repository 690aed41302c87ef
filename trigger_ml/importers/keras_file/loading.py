"""A saved Keras model, loaded without running anything that stands in it.

``.keras`` is a zip of ``config.json``, ``metadata.json`` and ``model.weights.h5``
(https://keras.io/api/models/model_saving_apis); ``.h5`` is the older format, HDF5 with the configuration in an
attribute. Lambdas and other pickled code are refused.
"""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

from trigger_ml.errors import ImportRefused

MAX_BYTES = 256 << 20
CODE = ("Lambda", "__lambda__")
"""Class names in a configuration that stand for pickled Python."""


def configuration(path: Path) -> Any:
    """The model's configuration; None if the file is none of a saved Keras model. Raises nothing."""
    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                if archive.getinfo("config.json").file_size > MAX_BYTES:
                    return None
                return json.loads(archive.read("config.json"))
        if path.suffix in (".h5", ".hdf5"):
            import h5py

            with h5py.File(path, "r") as file:
                return json.loads(file.attrs["model_config"])
    except Exception:  # a damaged file is not recognised
        return None
    return None


def mentions(config: Any, package: str) -> bool:
    """Whether a layer or quantizer of ``package`` stands in a configuration."""
    text = json.dumps(config)
    return f'"{package}>' in text or f'"{package}.' in text or f'"{package}"' in text


def load(path: Path, custom: dict[str, Any] | None = None) -> Any:
    """The model, not compiled.

    Args:
        path: a ``.keras`` or ``.h5`` file; the layers' packages are imported already.
        custom: further classes by name, for files that don't name their packages.

    Raises:
        ImportRefused: damaged, too large, or it holds code or something that can't be deserialised.
    """
    if not path.is_file():
        raise ImportRefused("it is no file: give a saved model, .keras or .h5")
    if path.stat().st_size > MAX_BYTES:
        raise ImportRefused(
            f"it has {path.stat().st_size >> 20} MB: a model of a trigger has less than {MAX_BYTES >> 20}"
        )
    config = configuration(path)
    if config is None:
        raise ImportRefused("it is no saved Keras model, or it is damaged: save it again with model.save")
    _without_code(config)
    import keras

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about optimizers and input structures, which don't matter here
            return keras.saving.load_model(path, custom_objects=custom, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever its layers raise
        raise ImportRefused(f"Keras can't load it: {_first_line(error)}") from None


def _without_code(config: Any) -> None:
    if isinstance(config, dict):
        name = config.get("class_name")
        if name in CODE:
            raise ImportRefused(f"it holds a {name}, which is Python code: replace it by layers")
        for value in config.values():
            _without_code(value)
    elif isinstance(config, list):
        for value in config:
            _without_code(value)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
