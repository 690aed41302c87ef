"""The cross-entropy of taggers, float and quantized: of one logit with a label, of several with a class."""

from __future__ import annotations

from typing import Any


def cross_entropy(wanted: Any, logits: Any) -> Any:
    """The loss of each event ``(events,)``, TensorFlow float32.

    Args:
        wanted: probability of signal ``(events,)``, or of each class ``(events, classes)``; those add up to 1.
        logits: of the same shape: one is read through a sigmoid, several through a softmax.
    """
    import tensorflow as tf

    if len(wanted.shape) == 1:
        return tf.nn.sigmoid_cross_entropy_with_logits(wanted, logits)
    return tf.nn.softmax_cross_entropy_with_logits(wanted, logits)


def probabilities(logits: Any) -> Any:
    """What logits say, in the shape that :func:`cross_entropy` wants it."""
    import tensorflow as tf

    return tf.sigmoid(logits) if len(logits.shape) == 1 else tf.nn.softmax(logits)
