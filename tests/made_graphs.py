"""TensorFlow's graph optimizer, on or off: without it a step is ready in about two thirds of the time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

KEY = "disable_meta_optimizer"


@contextmanager
def graph_optimizer(on: bool) -> Iterator[None]:
    """On as in production, or off for speed; a graph is compiled again if it is called both ways."""
    import tensorflow as tf

    before = tf.config.optimizer.get_experimental_options().get(KEY, False)
    tf.config.optimizer.set_experimental_options({KEY: not on})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({KEY: before})
