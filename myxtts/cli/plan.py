"""What a run will do, estimated before it starts: updates, time, memory. Formulas, not measurements; they are rough."""

from __future__ import annotations

import os
from dataclasses import dataclass

from myxtts.config.hardware import processor_has_bf16
from myxtts.config.schema import Config, ModelConfig
from myxtts.data.plan import IntArray, batches_per_epoch, total_updates
from myxtts.units import frames_of_seconds, seconds_of_frames

MATRIX_FLOPS_PER_THREAD = 8.0e10
"""Matrix work of one processor thread in training, fp32."""
_BF16_GAIN = 1.4
SECONDS_A_FRAME = 1.1e-4
"""Of one thread for what is no matrix work, in fp32 and bf16 alike. All three were fitted to what trainings of one
thread said, frames/s: 3,100 at size tiny in fp32, 3,550 in bf16, 1,550 at small in bf16."""
_UNDECODED_SHARE = 0.2
"""Of that time for frames that do not go through the decoder."""
_PROCESS_BYTES = 900e6
_FLOATS_KEPT_PER_WEIGHT = 5
"""The weight, its gradient, two moments, the average."""
_TABLE_ROWS = 200


@dataclass(frozen=True)
class Plan:
    """What a run will do. Times and memory are estimates; `updates` and `seconds` end where max_minutes ends them."""

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


def part_weights(model: ModelConfig, channels: int) -> dict[str, int]:
    """Weights of the network's parts by what they run over: tokens, frames, reference; norms and biases left out."""
    width, predictor, speaker = model.width, model.predictor_width, model.speaker_width
    condition = model.voice_width + model.style_width
    prenet, aligner = 2 * 3 * width**2, 3 * width**2 + width * channels
    blocks = model.text_blocks * 12 * width**2
    predictors = 3 * (2 * 3 * predictor**2 + (width + condition) * predictor)
    # a patch of frames is one position: its layers run once for all of them
    told = width + 2 * channels + 5
    decoder = _backbone(model, model.decoder_blocks, told, channels)
    source = 2 * 4 * predictor**2 + (width + 5) * predictor
    reference = 8 * channels * speaker + 3 * 4 * speaker**2 + speaker**2
    once = 2 * _TABLE_ROWS * width + model.decoder_blocks * 2 * width * condition
    once += (4 * speaker + 2 * channels) * condition + 2 * 2 * predictor * condition
    once += sum(weights for weights, _ in _critic_layers(model, channels))
    if model.decoder == "flow":
        decoder = _backbone(model, model.decoder_blocks, told + 2 * channels, channels)
        decoder += _backbone(model, model.flow_draft_blocks, told, channels)
        once += 64 * width + width**2 + 2 * width * (model.decoder_blocks * width + model.flow_draft_blocks * condition)
    return {
        "tokens": prenet + blocks + predictors,
        "aligner": aligner,
        "frames": decoder + source,
        "reference": reference,
        "once": once,
    }


def _backbone(model: ModelConfig, blocks: int, told: int, channels: int) -> int:
    """Weights of a mel decoder's blocks, its first and its last layer."""
    return blocks * 8 * model.width**2 + model.decoder_patch * (told + channels) * model.width


def _critic_layers(model: ModelConfig, channels: int) -> list[tuple[int, float]]:
    """Weights of the critic's convolutions, and how often each is used a frame."""
    widths = [3, *(model.critic_width * 2**i for i in range(3))]
    return [(9 * widths[i] * widths[i + 1], channels / 4 ** (i + 1)) for i in range(3)]


def _is_bf16(config: Config) -> bool:
    precision = config.training.precision
    return precision == "bf16" or (precision == "auto" and processor_has_bf16())


def frame_rate(config: Config, tokens_per_frame: float, decoded_share: float = 1.0) -> float:
    """Mel frames a second that training reaches by formula; a calibration may put a measured figure in its place.

    `decoded_share` of the frames go through the decoder, and of the tokens through the text encoder
    (training.segment_seconds).
    """
    channels = config.audio.mel_channels
    parts = part_weights(config.model, channels)
    # Forward and backward are six operations a weight; the decoder works on patches, the speaker encoder on a quarter
    # of the frames of a reference and of the prediction.
    work = 6.0 * (
        decoded_share * parts["frames"] / config.model.decoder_patch
        + (decoded_share * parts["tokens"] + parts["aligner"]) * tokens_per_frame
        + parts["reference"] / 2
        # a true mel, a made one, and the made one as the decoder hears it judged
        + decoded_share * 3 * sum(weights * uses for weights, uses in _critic_layers(config.model, channels))
    )
    threads = config.training.threads or os.cpu_count() or 1
    gain = _BF16_GAIN if _is_bf16(config) else 1.0
    other = SECONDS_A_FRAME * (_UNDECODED_SHARE + (1.0 - _UNDECODED_SHARE) * decoded_share)
    return threads / (work / (MATRIX_FLOPS_PER_THREAD * gain) + other)


def memory_bytes(config: Config, longest_frames: int, tokens_per_frame: float) -> float:
    """Peak memory of the training process: what weights take, and activations of the largest micro-batch."""
    model, parts = config.model, part_weights(config.model, config.audio.mel_channels)
    per_frame: float = model.decoder_blocks * 14 * model.width + 24 * config.audio.mel_channels + 6 * model.width
    # three passes, each layer before and after its slope
    per_frame += 9 * config.audio.mel_channels * model.critic_width * (1 / 4 + 1 / 8 + 1 / 16)
    per_token = model.text_blocks * 18 * model.width + 18 * model.predictor_width
    tokens = longest_frames * tokens_per_frame
    attention = model.text_blocks * model.heads * 3 * tokens**2
    floats = config.training.batch_size * (
        longest_frames * per_frame + tokens * per_token + attention + 2 * longest_frames * tokens
    )
    scale = 3 if config.training.precision == "fp16" or _is_bf16(config) else 4
    return _PROCESS_BYTES + 4 * _FLOATS_KEPT_PER_WEIGHT * sum(parts.values()) + scale * floats


def make_plan(
    config: Config,
    text_lengths: IntArray,
    mel_lengths: IntArray,
    validation_clips: int,
    speakers: int,
    frames_per_second: float | None = None,
) -> Plan:
    """The plan of a run over clips of `text_lengths` tokens and `mel_lengths` frames (int64[N] each).

    `frames_per_second` is a measured rate, if there is one; else the formula's.
    """
    training, audio = config.training, config.audio
    clips, frames = len(mel_lengths), float(mel_lengths.sum())
    tokens_per_frame = float(text_lengths.sum()) / max(frames, 1.0)
    segment = frames_of_seconds(training.segment_seconds, audio.sample_rate_hz, audio.hop_samples)
    decoded = float(mel_lengths.clip(max=segment).sum()) if segment else frames
    rate = frames_per_second or frame_rate(config, tokens_per_frame, decoded / max(frames, 1.0))
    batches = max(1, batches_per_epoch(clips, training.batch_size))
    per_epoch = batches / training.grad_accum
    updates = total_updates(training.max_updates, training.epochs, batches, training.grad_accum)
    seconds = updates / per_epoch * frames / rate
    limit = training.max_minutes * 60
    ends_by_time = bool(limit) and seconds > limit
    if ends_by_time:
        updates, seconds = max(1, int(updates * limit / seconds)), limit
    cap = frames_of_seconds(config.data.max_clip_seconds, audio.sample_rate_hz, audio.hop_samples)
    longest = int(mel_lengths.max()) if clips else cap
    return Plan(
        clips=clips,
        validation_clips=validation_clips,
        minutes=seconds_of_frames(frames, audio.sample_rate_hz, audio.hop_samples) / 60,
        speakers=speakers,
        weights=sum(part_weights(config.model, audio.mel_channels).values()),
        updates_per_epoch=per_epoch,
        updates=updates,
        epochs=updates / per_epoch,
        seconds=seconds,
        frames_per_second=rate,
        memory_bytes=memory_bytes(config, longest, tokens_per_frame),
        ends_by_time=ends_by_time,
    )


def duration_words(seconds: float) -> str:
    """A duration for people: '40 s', '9 min', '3.5 h', '2.1 days'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5_400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def plan_lines(plan: Plan, config: Config) -> list[list[str]]:
    """The plan as rows of a table."""
    per_epoch = f"{plan.updates_per_epoch:.2f}".rstrip("0").rstrip(".")
    end = ", where training.max_minutes ends it" if plan.ends_by_time else ""
    return [
        ["training clips", f"{plan.clips} ({plan.minutes:.1f} minutes, speakers: {plan.speakers})"],
        ["validation clips", f"{plan.validation_clips}"],
        ["network", f"size {config.model_size}, about {plan.weights / 1e6:.1f} million weights"],
        ["updates an epoch", f"{per_epoch} (of {config.effective_batch} clips)"],
        ["updates in all", f"about {plan.updates} ({plan.epochs:.1f} epochs{end})"],
        ["time", f"about {duration_words(plan.seconds)} at about {plan.frames_per_second:,.0f} frames/s"],
        ["memory", f"about {plan.memory_bytes / 1e9:.1f} GB"],
    ]
