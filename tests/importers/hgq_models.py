"""Random small HGQ2 models with bit widths of their own in every element."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


class Dice:
    """Draws models."""

    def __init__(self, seed: int) -> None:
        import keras

        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        self.rng = np.random.default_rng([seed, 78])

    def pick(self, options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def conf(self, place: str, modes: tuple[str, ...] = ("SAT", "SAT_SYM", "WRAP"), **more: Any) -> Any:
        from hgq.config import QuantizerConfig

        rounding = self.pick(["RND", "TRN", "RND_CONV"])
        return QuantizerConfig(
            "kif", place, round_mode=rounding, overflow_mode=self.pick(modes), fr=None, ir=None, **more
        )

    def scatter(self, model: Any) -> None:
        """Other widths for every element of every quantizer, some of them dead; weights of a size to match."""
        import keras

        quantizers = [v for v in model._flatten_layers() if type(v).__name__ == "FixedPointQuantizerKIF"]
        assert quantizers
        for q in quantizers:
            shape = q._i.shape
            one = () if self.rng.random() < 0.4 else shape
            q._k.assign(np.broadcast_to(self.rng.integers(0, 2, one), shape))
            q._i.assign(np.broadcast_to(self.rng.integers(-1, 4, one), shape))
            frac = np.array(np.broadcast_to(self.rng.integers(-1, 4, one), shape))
            frac.flat[0] = 3  # an input that is always zero is refused
            q._f.assign(frac)
        for v in model.trainable_variables:
            if v.name in ("kernel", "bias"):
                v.assign(keras.ops.convert_to_tensor(self.rng.normal(0, 1.5, v.shape), "float32"))

    def dense(self) -> Any:
        import keras
        from hgq.layers import QAdd, QBatchNormDense, QDense, QDot, QMultiply, QUnaryFunctionLUT

        more = {"enable_ebops": False}
        n = int(self.rng.integers(2, 6))
        x = first = keras.Input((n,), name="x")
        for _ in range(int(self.rng.integers(1, 4))):
            layer = self.pick([QDense, QBatchNormDense])
            enable = bool(self.rng.random() < 0.5)
            x = layer(
                int(self.rng.integers(1, 5)), activation=self.pick([None, "relu"]), iq_conf=self.conf("datalane"),
                kq_conf=self.conf("weight"), bq_conf=self.conf("bias"), enable_oq=enable,
                oq_conf=self.conf("datalane") if enable else None, **more,
            )(x)  # fmt: skip
            kind = self.rng.random()
            if kind < 0.2:
                x = QAdd(iq_confs=[self.conf("datalane"), self.conf("datalane")], enable_oq=False, **more)([x, x])
            elif kind < 0.4:
                x = QMultiply(iq_confs=[self.conf("datalane"), self.conf("datalane")], enable_oq=False, **more)([x, x])
            elif kind < 0.6:
                same = bool(self.rng.random() < 0.5)
                table: dict[str, Any] = {"homogeneous_axis": None, "heterogeneous_axis": ()} if same else {}
                x = QUnaryFunctionLUT(
                    self.pick(["tanh", "sigmoid"]), iq_conf=self.conf("datalane", **table),
                    oq_conf=self.conf("table", ("SAT",), **table), allow_heterogeneous_table=not same, **more,
                )(x)  # fmt: skip
        if self.rng.random() < 0.3:
            x = QDot(axes=1, iq_confs=[self.conf("datalane"), self.conf("datalane")], enable_oq=False, **more)([x, x])
        return keras.Model(first, x)

    def image(self) -> Any:
        import keras
        from hgq import layers

        more = {"enable_ebops": False}
        space = int(self.rng.integers(1, 3))
        shape = (*(int(n) for n in self.rng.integers(4, 7, space)), int(self.rng.integers(1, 3)))
        x = first = keras.Input(shape, name="x")
        x = layers.Quantizer(self.conf("datalane"))(x)
        conv = layers.QConv1D if space == 1 else layers.QConv2D
        x = conv(
            int(self.rng.integers(1, 4)), int(self.rng.integers(1, 4)), padding=self.pick(["valid", "same"]),
            strides=int(self.rng.integers(1, 3)), activation=self.pick([None, "relu"]),
            iq_conf=self.conf("datalane"), kq_conf=self.conf("weight"), bq_conf=self.conf("bias"), **more,
        )(x)  # fmt: skip
        if min(x.shape[1:-1]) >= 2:
            how = self.pick(["QMaxPooling", "QAveragePooling", "MaxPooling"])
            if how.startswith("Q"):
                pool = getattr(layers, f"{how}{space}D")(2, iq_conf=self.conf("datalane"), **more)
            else:
                pool = getattr(keras.layers, f"{how}{space}D")(2)
            x = pool(x)
        if space == 1 and self.rng.random() < 0.5:
            equation, *sizes = self.pick(
                [("abc,cd->abd", x.shape[1], 3), ("abc,bd->acd", x.shape[2], 3), ("abc,bcd->ad", 3)]
            )
            x = layers.QEinsumDense(
                equation, tuple(sizes), iq_conf=self.conf("datalane"),
                kq_conf=self.conf("weight"), bq_conf=self.conf("bias"), bias_axes=None, **more,
            )(x)  # fmt: skip
        x = keras.layers.Flatten()(x)
        x = layers.QDense(
            2, iq_conf=self.conf("datalane"), kq_conf=self.conf("weight"), bq_conf=self.conf("bias"), **more
        )(x)
        return keras.Model(first, x)


def saved(model: Any, path: Path) -> Path:
    model.save(path)
    return path
