"""The checks of `myxtts doctor --gpu`: whether a GPU computes the same as a processor, and what is missing.

It needs no data and trains nothing that is kept. Where there is no GPU, the processor is tried against itself.
"""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from myxtts import __version__
from myxtts.audio import mel
from myxtts.batch import BLANK_TOKEN, FIELDS, PROSODY_FIGURES, Batch
from myxtts.config.resolve import Given, Layer, Rank, resolve
from myxtts.config.schema import Config
from myxtts.data.batches import empty_batch
from myxtts.data.corpus import Corpus
from myxtts.data.plan import Bucket
from myxtts.errors import ConfigError
from myxtts.text.symbols import default_table
from myxtts.training.gpu import Machine, check_gpu, prepare_tensorflow
from myxtts.training.graph_figures import Count, TracedGraph
from myxtts.training.rescue import memory_errors
from myxtts.training.step import Step
from myxtts.training.trainer import Trainer

UPDATES, TIMED_UPDATES = 3, 5
LARGEST_DIFFERENCE = 1e-3
"""Of the losses of the updates, relative: more is a fault of a device or of a kernel."""
SMALL = {
    "model.width": 32,
    "model.heads": 2,
    "model.text_blocks": 1,
    "model.decoder_blocks": 1,
    "model.predictor_width": 16,
    "model.speaker_width": 16,
    "model.voice_width": 16,
    "model.style_width": 4,
    "data.reference_seconds": 1.0,
    "data.reference_min_seconds": 0.5,
}
"""A model with every part of a large one, whose graphs are made of the same operations."""
ROWS, TOKENS, FRAMES = 4, 32, 64
SEARCH_OPERATION, PROCESSOR = "PyFunc", "/device:CPU:0"
"""The alignment search, which is not in the graphs where there is a GPU."""
_NO_REASON = " ", "Graph execution error:", "Detected at node ", "<stack traces unavailable>"
"""How lines of an error of TensorFlow begin that are before its reason."""


@dataclass(frozen=True)
class TrialLine:
    """A line of the report; `failed` says that something is wrong."""

    text: str
    failed: bool = False


def trial_config(*, small: bool) -> Config:
    """The default settings in fp32 on one device, which all machines share; with a small model if requested."""
    values = {"training.precision": "fp32", "training.devices": 1, **(SMALL if small else {})}
    settings = tuple(Given(key, value, "doctor --gpu") for key, value in values.items())
    return resolve([Layer(Rank.COMMAND_LINE, "doctor --gpu", settings)]).config


def try_gpu(config: Config, counted: Config) -> Iterator[TrialLine]:
    """Findings one by one, each as soon as it is known.

    Args:
        config: the settings whose updates are computed.
        counted: the settings whose graphs are counted, which takes a quarter of a minute for a model of size tiny.
    """
    prepare_tensorflow(dataclasses.replace(config.training, deterministic="off"))
    yield from _tried("reading what is installed", _facts())
    yield from _tried("trying the device", _on_device(config, counted))


def _tried(what: str, findings: Iterator[TrialLine]) -> Iterator[TrialLine]:
    """The findings of a part; an error of TensorFlow, or memory that runs out, ends it and is one, too."""
    try:
        yield from findings
    except (tf.errors.OpError, MemoryError) as error:
        lines = (line for line in str(error).splitlines() if line.strip() and not line.startswith(_NO_REASON))
        yield TrialLine(f"{what} fails: {type(error).__name__}: {next(lines, 'no reason given')}", failed=True)


def _on_device(config: Config, counted: Config) -> Iterator[TrialLine]:
    gpus = tf.config.list_logical_devices("GPU")
    device = (gpus or tf.config.list_logical_devices("CPU"))[0].name
    yield TrialLine(f"tried: {_short(device)}, against CPU:0")
    yield from _tried("counting kernel launches", _counted(counted, has_gpu=bool(gpus)))
    yield from _tried(f"training on {_short(device)}", _updates(config, device))
    yield _without_memory(config, device)


def _counted(config: Config, *, has_gpu: bool) -> Iterator[TrialLine]:
    yield from graph_findings(_step(config), has_gpu=has_gpu)


def _updates(config: Config, device: str) -> Iterator[TrialLine]:
    """Updates on the processor and on a device, their time, and one with deterministic kernels."""
    losses = []
    for name in (PROCESSOR, device):
        step, begun = _step(config, name), time.perf_counter()
        losses.append(_losses(step, config, name, UPDATES))
        taken = time.perf_counter() - begun
        yield TrialLine(f"{UPDATES} updates on {_short(name)}: {taken:.0f} s including building the graphs")
    yield _compared(*losses)
    begun = time.perf_counter()
    _losses(step, config, device, TIMED_UPDATES)
    milliseconds = (time.perf_counter() - begun) / TIMED_UPDATES * 1e3
    yield TrialLine(f"an update of the trial's model on {_short(device)}: {milliseconds:.0f} ms")
    yield from _tried("an update with training.deterministic on", _deterministic(step, config, device))


def _short(device: str) -> str:
    """CPU:0 for "/device:CPU:0"."""
    return device.rpartition("device:")[2]


def _facts() -> Iterator[TrialLine]:
    """Versions, GPUs, and a GPU that TensorFlow cannot use."""
    build = tf.sysconfig.get_build_info()
    cuda = f"CUDA {build.get('cuda_version', '?')}, cuDNN {build.get('cudnn_version', '?')}"
    yield TrialLine(
        f"MyXTTS {__version__}, Python {platform.python_version()}, TensorFlow {tf.__version__} "
        f"({cuda if build.get('is_cuda_build') else 'built without CUDA'}), {platform.platform()}"
    )
    driver = Machine().card()
    yield TrialLine(f"NVIDIA card: {driver or 'none'}")
    for gpu in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpu)
        capability = ".".join(map(str, details.get("compute_capability", ("?",))))
        yield TrialLine(f"{gpu.name}: {details.get('device_name', '?')}, compute capability {capability}")
    if warning := check_gpu():
        yield TrialLine(warning, failed=True)


def _step(config: Config, device: str | None = None) -> Step:
    with tf.device(device):
        return Trainer(config, trial_corpus(config)).step


def graph_findings(step: Step, *, has_gpu: bool) -> Iterator[TrialLine]:
    """Operations without a kernel for GPUs, and kernel launches of an update, counted from the graphs."""
    graphs = {name: TracedGraph(traced) for name, traced in step.graphs().items()}
    lacking = sorted({name for graph in graphs.values() for name in graph.without_gpu_kernel()})
    if not has_gpu:
        lacking = [name for name in lacking if name != SEARCH_OPERATION]
    words = f"operations without a GPU kernel: {', '.join(lacking) or 'none'}"
    yield TrialLine(words, failed=bool(lacking))
    counts = {name: graph.count() for name, graph in graphs.items()}
    parts = ", ".join(f"{name} {count.launches:,} of {count.nodes:,} nodes" for name, count in counts.items())
    update = sum((counts[name] for name in counts if name != "validation"), Count(0, 0))
    yield TrialLine(f"likely kernel launches of an update: {update.launches:,} ({parts})")


def _losses(step: Step, config: Config, device: str, count: int) -> list[float]:
    """Losses of a few updates on the same batches."""
    found = []
    with tf.device(device):
        for number in range(count):
            result = step.micro(trial_batch(config, number), seed=(1, number), prior_strength=1.0)
            step.update(1e-3)
            found.append(float(result.total_B.mean()))
    return found


def _compared(expected: list[float], found: list[float]) -> TrialLine:
    """The largest relative difference of the losses."""
    apart = float(np.max(np.abs(np.array(found) - expected) / np.maximum(np.abs(expected), 1e-9)))
    values = ", ".join(f"{f:.5f}" for f in found)
    is_same = bool(apart <= LARGEST_DIFFERENCE)  # not, if one of them is not finite
    return TrialLine(
        f"losses {values}: at most {apart:.1e} apart from the CPU's, {LARGEST_DIFFERENCE:g} is allowed", not is_same
    )


def _deterministic(step: Step, config: Config, device: str) -> Iterator[TrialLine]:
    """An update with deterministic kernels, which some operations may lack."""
    tf.config.experimental.enable_op_determinism()
    _losses(step, config, device, 1)
    yield TrialLine("an update with training.deterministic on: done")


def _without_memory(config: Config, device: str) -> TrialLine:
    """Whether exhausted memory ends in a message; no machine has as much as is requested."""
    try:
        with memory_errors(config, [Bucket(FRAMES, TOKENS)]), tf.device(device):
            tf.zeros([1 << 24, 1 << 24])
    except ConfigError as error:
        return TrialLine(f"allocating too much memory gives the message: {error}")
    except tf.errors.OpError as error:
        return TrialLine(f"allocating too much memory gives {type(error).__name__}, not the message", failed=True)
    return TrialLine("allocating too much memory gave no error", failed=True)


def trial_corpus(config: Config) -> Corpus:
    """A corpus of two speakers and one language."""
    channels, symbols = config.audio.mel_channels, default_table(config.text.symbols)
    zeros_Q = np.zeros(len(PROSODY_FIGURES), np.float32)
    return Corpus(
        mel_mean_C=np.full(channels, -5.0, np.float32),
        mel_std_C=np.full(channels, 2.0, np.float32),
        pitch_mean=5.0,
        pitch_std=0.3,
        energy_mean=0.0,
        energy_std=1.0,
        speakers=["a", "b"],
        speaker_spectrum_ZC=np.zeros((2, channels), np.float32),
        speaker_prosody_ZQ=np.zeros((2, len(PROSODY_FIGURES)), np.float32),
        prosody_mean_Q=zeros_Q,
        prosody_std_Q=zeros_Q,
        languages=["en-us"],
        symbols=symbols.to_json(),
        mel_fingerprint=mel.fingerprint(config.audio),
    )


def trial_batch(config: Config, seed: int) -> Batch:
    """A synthetic batch with rows of several lengths."""
    random = np.random.default_rng(seed)
    channels = config.audio.mel_channels
    batch: dict[str, Any] = dict(empty_batch(ROWS, Bucket(FRAMES, TOKENS), FRAMES, FRAMES, channels))
    for field in FIELDS:
        if field.dtype == "float32":
            batch[field.key] = random.normal(size=batch[field.key].shape).astype(np.float32)
    frames_B = FRAMES - 4 * np.arange(ROWS)
    tokens_B = TOKENS - 4 * np.arange(ROWS)
    tokens_BT = random.integers(3, 40, (ROWS, TOKENS))
    tokens_BT[:, ::2] = BLANK_TOKEN
    batch["text_BT"][:] = np.where(np.arange(TOKENS) < tokens_B[:, None], tokens_BT, 0)
    batch["text_length_B"][:], batch["mel_length_B"][:] = tokens_B, frames_B
    batch["target_BS"][:], batch["target_length_B"][:] = np.arange(FRAMES), frames_B
    inside_BM = np.arange(FRAMES) < frames_B[:, None]
    batch["voiced_BM"] = ((batch["voiced_BM"] > 0.0) & inside_BM).astype(np.float32)
    batch["pitch_BM"], batch["energy_BM"] = batch["pitch_BM"] * batch["voiced_BM"], batch["energy_BM"] * inside_BM
    batch["mel_BMC"] = batch["mel_BMC"] * inside_BM[:, :, None].astype(np.float32)
    batch["reference_length_B"][:], batch["speaker_B"][:] = FRAMES, np.arange(ROWS) % 2
    batch["weight_B"], batch["utterance_B"][:] = np.ones(ROWS, np.float32), np.arange(ROWS)
    batch["seed_B"][:] = random.integers(1 << 30, size=ROWS)
    return batch
