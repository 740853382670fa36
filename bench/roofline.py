"""The share of the matrix peak that a whole update reaches on one thread.

The peak is what a large matrix product reaches here, in fp32 and, where the processor has it, in bf16. The operations
of an update are those of its matrix products and convolutions, forward and backward, counted while the update is
computed operation by operation, so that the shapes are those of the batches. Everything else of an update (elementwise
operations, optimizer, average, results) counts as time only. Times are CPU seconds of this process.

For an older commit, run this file in its checkout: `PYTHONPATH=. python THIS_CHECKOUT/bench/roofline.py`.
"""

from __future__ import annotations

import itertools
import math
import statistics
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import results
from bench.stepping import add_options, resolved_with, windows
from myxtts.cli.runtime import quiet_loading
from myxtts.cli.screen import Screen, guarded
from myxtts.config.schema import DataConfig
from myxtts.errors import EXIT_DONE

SIDE = 1_024
"""Rows and columns of the matrices whose product is the peak."""
PRODUCTS = 15
RATE = 1e-6


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("roofline", "The share of the matrix peak that a whole update reaches on one thread.")
    add_options(made, "enhanced")
    made.add_argument("--windows", metavar="N", type=int, default=3, help="updates with batches of their own (3)")
    made.add_argument("--repeats", metavar="N", type=int, default=5, help="timed repetitions of each (5)")
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    from myxtts.data.prepare import prepare
    from myxtts.demo import corpus as demo_corpus

    screen = Screen()
    root = given.data or str(demo_corpus.ensure(Path(DataConfig().cache_path).expanduser(), screen.progress))
    resolved = resolved_with(given, root, ["training.threads=1"])
    config = resolved.config
    prepared = prepare(config, screen.progress, named=resolved.named)
    with quiet_loading():
        from myxtts.training.gpu import prepare_tensorflow
        from myxtts.training.trainer import Trainer
    prepare_tensorflow(config.training)
    peaks = {kind: peak(kind) for kind in _kinds()}
    step = Trainer(config, prepared.corpus).step
    numbers = itertools.count(1)

    def update(window: Sequence[Mapping[str, object]]) -> None:
        number = next(numbers)
        for batch in window:
            step.micro(batch, seed=(1, number), prior_strength=0.5)
        step.update(RATE)

    counted, spent = 0.0, 0.0
    for place, window in enumerate(itertools.islice(windows(prepared, config), given.windows)):
        counted += operations_of(update, window)
        update(window)  # the graphs, and the kernels for the shapes of this batch
        spent += statistics.median(cpu_seconds(update, window) for _ in range(given.repeats))
        screen.progress("updates", place + 1, given.windows)
    screen.close()
    precision = config.training.precision
    rate = counted / spent
    table = [("what", "10^9 operations/s", "share of it that an update reaches")]
    table += [(f"matrix product, {kind}", f"{top / 1e9:,.1f}", f"{rate / top:.1%}") for kind, top in peaks.items()]
    table.append((f"an update, {precision}", f"{rate / 1e9:,.1f}", ""))
    figures = {
        "peaks": peaks,
        "operations": counted / given.windows,
        "cpu_seconds": spent / given.windows,
        "precision": precision,
        "shares": {kind: rate / top for kind, top in peaks.items()},
    }
    clips = config.training.batch_size * config.training.grad_accum
    title = f"An update of {clips} clips, size {config.model_size}, level {config.optimization_level}, one thread"
    results.show(title, table, figures, given.json, heads=True)
    each, seconds = counted / given.windows / 1e9, spent / given.windows
    print(f"{each:,.2f} x 10^9 operations in {seconds:.3f} CPU seconds an update")
    return EXIT_DONE


def _kinds() -> Iterator[str]:
    from myxtts.config.hardware import processor_has_bf16

    yield "fp32"
    if processor_has_bf16():
        yield "bf16"


def cpu_seconds(call: Callable[..., object], *arguments: object) -> float:
    """CPU seconds of this process that a call takes."""
    begun = time.process_time()
    call(*arguments)
    return time.process_time() - begun


def peak(kind: str) -> float:
    """Operations a CPU second of a large matrix product in `kind`."""
    import tensorflow as tf

    dtype = {"fp32": tf.float32, "bf16": tf.bfloat16}[kind]
    matrix = tf.cast(tf.random.stateless_normal([SIDE, SIDE], [1, 2]), dtype)
    product = tf.function(tf.matmul, autograph=False)
    product(matrix, matrix).numpy()
    taken = statistics.median(cpu_seconds(lambda: product(matrix, matrix).numpy()) for _ in range(PRODUCTS))
    return 2.0 * SIDE**3 / taken


def operations_of(call: Callable[..., object], *arguments: object) -> float:
    """Operations of the matrix products and convolutions of a call, in which graphs are computed one by one."""
    found: list[float] = []
    with _watched(found):
        call(*arguments)
    return sum(found)


@contextmanager
def _watched(found: list[float]) -> Iterator[None]:
    import tensorflow as tf
    from tensorflow.python.framework import op_callbacks

    def note(kind: str, inputs: Any, attributes: Any, outputs: Any, *_: Any, **__: Any) -> None:
        sizes = [list(map(int, x.shape)) for x in inputs], [list(map(int, x.shape)) for x in outputs]
        found.append(operations(kind, *sizes, dict(zip(attributes[::2], attributes[1::2], strict=True))))

    tf.config.run_functions_eagerly(True)
    op_callbacks.add_op_callback(note)
    try:
        yield
    finally:
        op_callbacks.remove_op_callback(note)
        tf.config.run_functions_eagerly(False)


def operations(
    kind: str, inputs: Sequence[Sequence[int]], outputs: Sequence[Sequence[int]], attributes: Mapping[str, Any]
) -> float:
    """Multiplications and additions of a matrix product or convolution; 0 for any other operation.

    Args:
        kind: TensorFlow's name of the operation.
        inputs: shapes of its inputs.
        outputs: shapes of its results.
        attributes: its attributes by name.
    """
    if kind == "MatMul":
        rows_by_columns = math.prod(outputs[0])
        inner = inputs[0][0 if attributes["transpose_a"] else 1]
        return 2.0 * rows_by_columns * inner
    if kind in ("BatchMatMulV2", "BatchMatMulV3"):
        return 2.0 * math.prod(outputs[0]) * inputs[0][-2 if attributes["adj_x"] else -1]
    if kind == "Einsum" and len(inputs) == 2:
        equation = attributes["equation"]
        letters = (equation.decode() if isinstance(equation, bytes) else equation).partition("->")[0].split(",")
        sizes = {c: n for term, shape in zip(letters, inputs, strict=True) for c, n in zip(term, shape, strict=True)}
        return 2.0 * math.prod(sizes.values())
    if kind in ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter"):
        image = outputs[0] if kind == "Conv2D" else inputs[2]
        kernel = outputs[0] if kind == "Conv2DBackpropFilter" else inputs[1]
        return 2.0 * math.prod(image) * math.prod(kernel[:3])
    if kind.startswith("DepthwiseConv2dNative"):
        image = outputs[0] if kind == "DepthwiseConv2dNative" else inputs[2]
        kernel = outputs[0] if kind == "DepthwiseConv2dNativeBackpropFilter" else inputs[1]
        return 2.0 * math.prod(image) * math.prod(kernel[:2])
    return 0.0


if __name__ == "__main__":
    sys.exit(main())
