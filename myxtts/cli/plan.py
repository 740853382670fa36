"""Estimates a run before it starts: updates, time, memory."""

from __future__ import annotations

import os
from dataclasses import dataclass

from myxtts.config.hardware import processor_has_bf16
from myxtts.config.presets import SIZES, WEIGHTS
from myxtts.config.schema import Config, ModelConfig
from myxtts.data.plan import IntArray, batches_per_epoch, total_updates
from myxtts.units import frames_of_seconds, seconds_of_frames

_FRAME_SECONDS, _WEIGHT_SECONDS = 1.2e-4, 2.35e-11
"""Seconds per frame and thread: a fixed part, and a part per weight. Fitted in bf16 to 7,100 frames/s at size tiny and
3,100 at small with two threads (`python -m bench.train_throughput`, `--set model_size=small`)."""
_FP32_FACTOR, _CRITIC_FACTOR = 1.4, 1.13
"""Time with fp32 instead of bf16, and with a critic."""
_UNDECODED_SHARE = 0.2
"""Share of the time that a frame outside the decoder segment takes."""
_PROCESS_BYTES = 900e6
_BYTES_PER_WEIGHT = 20
"""The weight, its gradient, two moments and the average, in fp32."""
_ACTIVATIONS_PER_WIDTH = 22
"""Values kept for the backward pass per frame, block and channel of the network's width."""

LITTLE_SPEECH_MINUTES = 10.0
"""Less speech than in any run from random weights that we measured; the least was 17 minutes."""
INTELLIGIBLE_CLIPS = 1_150 * 16
"""Clips of all updates, after which speech was intelligible at the fast levels (config.presets)."""


@dataclass(frozen=True)
class RunPlan:
    """The estimate of a run; `updates` and `seconds` are limited by training.max_minutes."""

    clips: int
    validation_clips: int
    minutes: float
    speakers: int
    weights: int
    updates_per_epoch: float
    updates: int
    epochs: float
    seconds: float
    frames_per_second: float
    memory_bytes: float
    ends_by_time: bool


def weight_count(size: str, model: ModelConfig) -> int:
    """Number of weights of the network: that of its size, scaled if its width differs."""
    scale = model.width / int(str(SIZES[size]["model.width"]))
    return round(WEIGHTS[model.decoder][size] * scale**2)


def _is_bf16(config: Config) -> bool:
    precision = config.training.precision
    return precision == "bf16" or (precision == "auto" and processor_has_bf16())


def frame_rate(config: Config, decoded_share: float = 1.0) -> float:
    """Mel frames per second in training; `decoded_share`: share that the decoder sees (training.segment_seconds)."""
    seconds = _FRAME_SECONDS + _WEIGHT_SECONDS * weight_count(config.model_size, config.model)
    seconds *= (1.0 if _is_bf16(config) else _FP32_FACTOR) * (_CRITIC_FACTOR if config.model.critic_width else 1.0)
    seconds *= _UNDECODED_SHARE + (1.0 - _UNDECODED_SHARE) * decoded_share
    return (config.training.threads or os.cpu_count() or 1) / seconds


def memory_bytes(config: Config, longest_frames: int, tokens_per_frame: float) -> float:
    """Peak memory of the training process: the weights, and the activations of the largest micro-batch."""
    model = config.model
    blocks = model.decoder_blocks + model.text_blocks * tokens_per_frame
    per_frame = _ACTIVATIONS_PER_WIDTH * model.width * blocks + 2 * longest_frames * tokens_per_frame
    bytes_each = 3 if config.training.precision == "fp16" or _is_bf16(config) else 4
    activations = config.training.batch_size * longest_frames * per_frame
    return _PROCESS_BYTES + _BYTES_PER_WEIGHT * weight_count(config.model_size, model) + bytes_each * activations


def make_plan(
    config: Config, text_lengths: IntArray, mel_lengths: IntArray, validation_clips: int, speakers: int
) -> RunPlan:
    """The plan of a run over clips of `text_lengths` tokens and `mel_lengths` frames (int64[A] each)."""
    training, audio = config.training, config.audio
    clips, frames = len(mel_lengths), float(mel_lengths.sum())
    tokens_per_frame = float(text_lengths.sum()) / max(frames, 1.0)
    segment = frames_of_seconds(training.segment_seconds, audio.sample_rate_hz, audio.hop_samples)
    decoded = float(mel_lengths.clip(max=segment).sum()) if segment else frames
    rate = frame_rate(config, decoded / max(frames, 1.0))
    batches = max(1, batches_per_epoch(clips, training.batch_size))
    per_epoch = batches / training.grad_accum
    updates = total_updates(training.max_updates, training.epochs, batches, training.grad_accum, training.min_updates)
    seconds = updates / per_epoch * frames / rate
    limit = training.max_minutes * 60
    ends_by_time = bool(limit) and seconds > limit
    if ends_by_time:
        updates, seconds = max(1, int(updates * limit / seconds)), limit
    cap = frames_of_seconds(config.data.max_clip_seconds, audio.sample_rate_hz, audio.hop_samples)
    longest = int(mel_lengths.max()) if clips else cap
    return RunPlan(
        clips=clips,
        validation_clips=validation_clips,
        minutes=seconds_of_frames(frames, audio.sample_rate_hz, audio.hop_samples) / 60,
        speakers=speakers,
        weights=weight_count(config.model_size, config.model),
        updates_per_epoch=per_epoch,
        updates=updates,
        epochs=updates / per_epoch,
        seconds=seconds,
        frames_per_second=rate,
        memory_bytes=memory_bytes(config, longest, tokens_per_frame),
        ends_by_time=ends_by_time,
    )


def duration_words(seconds: float) -> str:
    """A readable duration: '40 s', '9 min', '3.5 h', '2.1 days'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5_400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def warmup_words(updates: int, config: Config) -> str:
    """Where the learning rate is after `updates` updates, and what that means for the voice."""
    warmup, rate = config.schedule.warmup_updates, config.optimizer.learning_rate
    if updates >= warmup:
        return f"{rate:g} after a warmup of {warmup} updates"
    return (
        f"ends within its warmup of {warmup} updates, at {updates / warmup:.0%} of {rate:g}: no intelligible speech; "
        "train longer (--epochs, --max-updates), or use a level with a shorter warmup"
    )


def words_expected(updates: int, config: Config) -> str:
    """Why no intelligible speech is to be expected after `updates` updates from random weights; empty if it is."""
    if updates < config.schedule.warmup_updates:
        return f"At update {updates} this run {warmup_words(updates, config)}."
    needed = INTELLIGIBLE_CLIPS // config.effective_batch
    fine_tuning = config.schedule.diagonal_prior_updates == 0
    if fine_tuning or updates >= needed:
        return ""
    return (
        f"In our measurement speech became intelligible after {INTELLIGIBLE_CLIPS:,} clips, which are {needed:,} "
        f"updates of {config.effective_batch}; this run has {updates:,}."
    )


def floor_words(config: Config, batches: int) -> str:
    """Why the run has more updates than its epochs would give; empty if it does not."""
    training = config.training
    by_epochs = total_updates(0, training.epochs, batches, training.grad_accum)
    if training.max_updates or by_epochs >= training.min_updates:
        return ""
    return (
        f"{training.epochs} epochs of this data would be {by_epochs} updates; the run has {training.min_updates} "
        "(training.min_updates), since speech needs that many regardless of the number of clips"
    )


def little_speech_words(plan: RunPlan, config: Config) -> str:
    """What is faster than training from random weights on a few minutes of speech; empty where that is not planned."""
    fine_tuning = config.schedule.diagonal_prior_updates == 0
    if config.trains != "voice" or fine_tuning or plan.minutes >= LITTLE_SPEECH_MINUTES:
        return ""
    return (
        f"{plan.minutes:.1f} minutes of speech are little for a model from random weights; fine-tuning the starter on "
        "them takes minutes: --init-from starter --optimization-level fine_tuning"
    )


def plan_lines(plan: RunPlan, config: Config) -> list[list[str]]:
    """The plan as rows of a table."""
    per_epoch = f"{plan.updates_per_epoch:.2f}".rstrip("0").rstrip(".")
    end = ", limited by training.max_minutes" if plan.ends_by_time else ""
    return [
        ["training clips", f"{plan.clips} ({plan.minutes:.1f} minutes, speakers: {plan.speakers})"],
        ["validation clips", f"{plan.validation_clips}"],
        ["network", f"size {config.model_size}, about {plan.weights / 1e6:.1f} million weights"],
        ["updates per epoch", f"{per_epoch} (of {config.effective_batch} clips)"],
        ["updates in total", f"about {plan.updates} ({plan.epochs:.1f} epochs{end})"],
        ["learning rate", warmup_words(plan.updates, config)],
        ["time", f"about {duration_words(plan.seconds)} at about {plan.frames_per_second:,.0f} frames/s"],
        ["memory", f"about {plan.memory_bytes / 1e9:.1f} GB"],
    ]
