"""`--batch-size auto`: the largest micro-batch that the memory of a GPU holds, with the same effective batch.

A GPU computes one large micro-batch faster than several small ones, and both train the same. A processor does not, so
there the batch size of the level stays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from myxtts.config.files import config_of_file
from myxtts.config.resolve import Resolved
from myxtts.config.schema import Config
from myxtts.data.plan import PlannedBatch
from myxtts.data.prepare import PreparedData
from myxtts.errors import ConfigError
from myxtts.storage.run_directory import RunDirectory
from myxtts.training.gpu import prepare_tensorflow
from myxtts.training.trainer import Trainer

OPTION = "--batch-size auto"
SPARE = 8
"""A batch must fit with one more clip for each so many, so that memory is left for the update and for validation."""


def with_automatic_batch(
    resolved: Resolved, prepared: PreparedData, say: Callable[..., None], *, fresh: bool = False
) -> Resolved:
    """The settings with the batch size that `--batch-size auto` means here.

    A run that exists keeps the batch size that it has, so that it continues where it was.

    Args:
        resolved: batch size and gradient accumulation give the effective batch, which stays the same.
        prepared: the data; its longest clips are tried.
        say: prints lines.
        fresh: a run that exists is moved aside.

    Raises:
        ConfigError: the memory does not hold one clip, or the run trains a vocoder.
    """
    config, training = resolved.config, resolved.config.training
    if config.trains != "voice":
        raise ConfigError(f"{OPTION} is for voice models: the segments of a vocoder have one length, so name a size")
    written = RunDirectory(Path(training.checkpoint_dir).expanduser()).config_path
    if written.exists() and not fresh:
        before = config_of_file(written).training
        say(f"{OPTION}: {_words(before.batch_size, before.grad_accum)}, as this run was started with.")
        return _with(resolved, before.batch_size, before.grad_accum)
    prepare_tensorflow(training)
    if not tf.config.list_physical_devices("GPU"):
        say(f"{OPTION}: {_words(training.batch_size, training.grad_accum)}, as configured: there is no GPU to fill.")
        return resolved
    effective = training.batch_size * training.grad_accum
    trial = Trial(config, prepared)
    size = largest_batch(training.batch_size, effective, trial.fits, recompute=training.recompute)
    say(f"{OPTION}: {_words(size, effective // size)}, the largest of them that the memory of the GPU holds.")
    if size < training.batch_size and not training.recompute:
        say("Larger ones may fit with --set training.recompute=true, which takes longer (gradient checkpointing).")
    return _with(resolved, size, effective // size)


def _words(size: int, accumulated: int) -> str:
    return f"{size} clips x {accumulated} micro-batches"


def _with(resolved: Resolved, size: int, accumulated: int) -> Resolved:
    values = {"training.batch_size": size, "training.grad_accum": accumulated}
    return resolved.changed(values, f"command line {OPTION}", "the same effective batch")


def largest_batch(start: int, effective: int, fits: Callable[[int], bool], *, recompute: bool = False) -> int:
    """The largest batch size that fits among `start` doubled or halved; the effective batch is a multiple of it.

    `recompute`: whether gradient checkpointing is on already; else the error names it.

    Raises:
        ConfigError: not even the smallest of them fits.
    """
    if fits(start):
        while effective % (2 * start) == 0 and fits(2 * start):
            start *= 2
        return start
    while start % 2 == 0:
        start //= 2
        if fits(start):
            return start
    recomputing = "" if recompute else "set training.recompute=true, or "
    raise ConfigError(
        f"{OPTION}: the memory does not hold {start} of the longest clips: {recomputing}lower data.max_clip_seconds or "
        "the size"
    )


class Trial:
    """Tries batches of the longest clips on models of their own.

    Args:
        config: the settings of the run.
        prepared: its data.
    """

    def __init__(self, config: Config, prepared: PreparedData) -> None:
        self.step = Trainer(config, prepared.corpus).step
        self.config, self.prepared = config, prepared
        self.longest = np.argsort(-prepared.train.lengths[1], kind="stable").tolist()

    def fits(self, size: int) -> bool:
        """Whether the gradient of a batch of this size, and a few clips more, can be computed."""
        count = size + -(-size // SPARE)
        rows = tuple(self.longest[at % len(self.longest)] for at in range(count))
        training = dataclasses.replace(self.config.training, batch_size=count)
        batches = self.prepared.training_batches(dataclasses.replace(self.config, training=training))
        batch = batches.build(PlannedBatch(self.prepared.buckets[-1], rows), 0)
        missing = batches.reference_frames - batch["reference_BRC"].shape[1]  # other batches may have longer references
        batch["reference_BRC"] = np.pad(batch["reference_BRC"], ((0, 0), (0, missing), (0, 0)))
        try:
            self.step.micro(batch, seed=(training.seed, 1), prior_strength=1.0)
            self.step.discard()
        except tf.errors.ResourceExhaustedError:
            return False
        return True
