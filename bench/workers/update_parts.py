"""The parts of updates in a checkout of MyXTTS: `python update_parts.py OPTIONS.json`, started in that checkout.

It runs the checkout's own training command and replaces nothing of it, so that older versions can be measured, too.
After some updates, each further one is repeated: for its time, operation by operation for the shapes of its products,
and under TensorFlow's profiler for the time of each kernel. The weights change with the repetitions, the work does not.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf

SIDE = 2_048
"""Rows and columns of the matrices whose product is the peak."""
PRODUCTS = 7
PROFILES = 3
"""Profiled repetitions; the shortest time of each kernel counts, so that other work on the machine does not."""
PARTS = {
    "dense layers": ("MatMul",),
    "convolutions": ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter"),
    "depthwise convolutions": (
        "DepthwiseConv2dNative",
        "DepthwiseConv2dNativeBackpropInput",
        "DepthwiseConv2dNativeBackpropFilter",
    ),
    "attention and alignment": ("Einsum", "BatchMatMulV2", "BatchMatMulV3", "Softmax", "LogSoftmax", "PyFunc"),
}
"""Part of an update -> TensorFlow's operations that belong to it."""
REST, OPTIMIZER = "elementwise and the rest", "clipping, optimizer, average"
Call = Callable[[], object]


class Probe:
    """Lets the training pass until its warm-up is over, and then measures windows of micro-batches.

    Args:
        options: updates of the warm-up, windows and repeats as `warm_up`, `windows` and `repeats`.
        done: called with the figures.
    """

    def __init__(self, options: Mapping[str, Any], done: Callable[[dict[str, Any]], None]) -> None:
        self.options, self.done = options, done
        self.updates, self.measuring, self.frames = 0, False, 0
        self.micros: list[Call] = []
        self.peaks: dict[str, float] = {}
        self.windows: list[dict[str, Any]] = []

    def install(self, step: type) -> None:
        """Wrap the methods of the class Step."""
        micro, update = step.micro, step.update  # type: ignore[attr-defined]

        def watched_micro(this: Any, batch: Any, **rest: Any) -> Any:
            self.peaks = self.peaks or {kind: peak(kind) for kind in ("fp32", "bf16")}
            if not self.measuring:
                self.micros.append(lambda: micro(this, batch, **rest))
                self.frames += int(batch["mel_length_B"].sum())
            return micro(this, batch, **rest)

        def watched_update(this: Any, *given: Any, **rest: Any) -> Any:
            result = update(this, *given, **rest)
            self.updates += 1
            micros, self.micros = self.micros, []
            if self.updates > self.options["warm_up"]:
                self.measuring = True
                self.windows.append(self._measured(micros, lambda: update(this, *given, **rest)))
                self.measuring = False
                print(f"window {len(self.windows)} of {self.options['windows']}", file=sys.stderr, flush=True)
            self.frames = 0
            if len(self.windows) == self.options["windows"]:
                self.done({"peaks": self.peaks, "windows": self.windows})
            return result

        step.micro, step.update = watched_micro, watched_update  # type: ignore[attr-defined]

    def _measured(self, micros: Sequence[Call], update: Call) -> dict[str, Any]:
        def once() -> None:
            for micro in micros:
                micro()
            update()

        return {
            "frames": self.frames,
            "seconds": statistics.median(cpu_seconds(once) for _ in range(self.options["repeats"])),
            "operations": operations_of(once),
            "kernel_seconds": kernel_seconds(micros, update),
        }


def cpu_seconds(call: Call) -> float:
    """CPU seconds of this process that a call takes."""
    begun = time.process_time()
    call()
    return time.process_time() - begun


def peak(kind: str) -> float:
    """Operations a CPU second of a large matrix product in `kind`."""
    dtype = {"fp32": tf.float32, "bf16": tf.bfloat16}[kind]
    matrix = tf.cast(tf.random.stateless_normal([SIDE, SIDE], [1, 2]), dtype)
    product = tf.function(tf.matmul, autograph=False)
    product(matrix, matrix).numpy()
    return 2.0 * SIDE**3 / min(cpu_seconds(lambda: product(matrix, matrix).numpy()) for _ in range(PRODUCTS))


def operations_of(call: Call) -> dict[str, float]:
    """Multiplications and additions of a call by part; its graphs are computed operation by operation."""
    from tensorflow.python.framework import op_callbacks

    found: dict[str, float] = defaultdict(float)

    def note(name: str | bytes, inputs: Any, attributes: Any, outputs: Any, *_: Any, **__: Any) -> None:
        kind = name.decode() if isinstance(name, bytes) else name
        part = part_of(kind)
        if part != REST:
            shapes = [list(map(int, x.shape)) for x in inputs], [list(map(int, x.shape)) for x in outputs]
            found[part] += operations(kind, *shapes, dict(zip(attributes[::2], attributes[1::2], strict=True)))

    tf.config.run_functions_eagerly(True)
    op_callbacks.add_op_callback(note)
    try:
        call()
    finally:
        op_callbacks.remove_op_callback(note)
        tf.config.run_functions_eagerly(False)
    return dict(found)


def part_of(kind: str) -> str:
    """The part of an update that an operation belongs to, by its name in TensorFlow or in oneDNN."""
    plain = kind.removeprefix("_Mkl").removeprefix("_").removeprefix("Native").removeprefix("Fused")
    return next((part for part, kinds in PARTS.items() if plain in kinds), REST)


def operations(
    kind: str, inputs: Sequence[Sequence[int]], outputs: Sequence[Sequence[int]], attributes: Mapping[str, Any]
) -> float:
    """Multiplications and additions of a matrix product or convolution; 0 for any other operation.

    Args:
        kind: TensorFlow's name of the operation.
        inputs, outputs: shapes.
        attributes: its attributes by name.
    """
    if kind == "MatMul":
        return 2.0 * math.prod(outputs[0]) * inputs[0][0 if attributes["transpose_a"] else 1]
    if kind in ("BatchMatMulV2", "BatchMatMulV3"):
        return 2.0 * math.prod(outputs[0]) * inputs[0][-2 if attributes["adj_x"] else -1]
    if kind == "Einsum" and len(inputs) == 2:
        equation = attributes["equation"]
        letters = (equation.decode() if isinstance(equation, bytes) else equation).partition("->")[0].split(",")
        sizes = {c: n for term, shape in zip(letters, inputs, strict=True) for c, n in zip(term, shape, strict=True)}
        return 2.0 * math.prod(sizes.values())
    if kind in PARTS["convolutions"]:
        image, kernel = _image_and_kernel(kind, inputs, outputs)
        return 2.0 * math.prod(image) * math.prod(kernel[:3])
    if kind in PARTS["depthwise convolutions"]:
        image, kernel = _image_and_kernel(kind, inputs, outputs)
        return 2.0 * math.prod(image) * math.prod(kernel[:2])
    return 0.0


def _image_and_kernel(
    kind: str, inputs: Sequence[Sequence[int]], outputs: Sequence[Sequence[int]]
) -> tuple[Sequence[int], Sequence[int]]:
    """Shapes of the result of a convolution and of its kernel, of the convolution itself or a gradient of it.

    The gradients take the gradient of the result as their third input, and the other two in turn (the input as
    sizes where its gradient is computed, the kernel as sizes where the kernel's is).
    """
    if kind.endswith("BackpropInput"):
        return inputs[2], inputs[1]
    if kind.endswith("BackpropFilter"):
        return inputs[2], outputs[0]
    return outputs[0], inputs[1]


def kernel_seconds(micros: Sequence[Call], update: Call) -> dict[str, float]:
    """Seconds of the kernels of micro-batches and their update by part, each kernel at its shortest."""
    found: dict[str, float] = defaultdict(float)
    for calls, fixed in ((micros, None), ([update], OPTIMIZER)):
        runs = [_kernels(calls) for _ in range(PROFILES)]
        shortest: dict[tuple[str, int], float] = {}
        for run in runs:
            counts: dict[str, Iterator[int]] = defaultdict(itertools.count)
            for name, seconds in run:
                key = name, next(counts[name])
                shortest[key] = min(seconds, shortest.get(key, math.inf))
        for (name, _), seconds in shortest.items():
            found[fixed or part_of(name.rpartition(":")[2])] += seconds
    return dict(found)


def _kernels(calls: Sequence[Call]) -> list[tuple[str, float]]:
    """Name (NODE:OPERATION) and seconds of every kernel, those inside of others not counted again."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    with _folder() as folder:
        options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=2, python_tracer_level=0)
        tf.profiler.experimental.start(str(folder), options=options)
        for call in calls:
            call()
        tf.profiler.experimental.stop()
        [path] = folder.rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
    found = []
    for plane in space.planes:
        for line in plane.lines:
            end = 0
            for event in sorted(line.events, key=lambda e: (e.offset_ps, -e.duration_ps)):
                name = plane.event_metadata[event.metadata_id].name
                if _is_kernel(name) and event.offset_ps >= end:
                    found.append((name, event.duration_ps / 1e12))
                    end = event.offset_ps + event.duration_ps
    return found


def _is_kernel(name: str) -> bool:
    """Whether an event is a kernel, NODE:OPERATION, and not a piece of the runtime such as Executor::Process."""
    node, colon, kind = name.rpartition(":")
    return bool(colon) and not node.endswith(":") and kind.isidentifier() and " " not in node


@contextmanager
def _folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="myxtts-profile-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def main() -> None:
    """Trains as the options say, until everything is measured."""
    options = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    from myxtts.cli.train import main as train
    from myxtts.training.step import Step

    def done(figures: dict[str, Any]) -> None:
        Path(options["out"]).write_text(json.dumps(figures), encoding="utf-8")
        os._exit(0)  # the run is of no use: nothing is saved

    Probe(options, done).install(Step)
    sys.argv = ["train_main.py", *options["words"]]
    sys.exit(train(program="train_main.py", default_checkpoint_dir="./checkpoints"))


if __name__ == "__main__":
    main()
