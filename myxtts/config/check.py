"""Settings that contradict each other. (The range of a single setting is in the schema.)"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from myxtts.config.schema import Config
from myxtts.units import samples_of_seconds

MIN_PERTURBATION = 0.01


@dataclass(frozen=True)
class Contradiction:
    """Settings that cannot hold together: what is wrong, the keys, and what to do."""

    message: str
    keys: tuple[str, ...]
    advice: str


def contradictions(config: Config, chosen: frozenset[str] = frozenset()) -> Iterator[Contradiction]:
    """Every contradiction in `config`. `chosen`: keys that the user set to another value than the level does."""
    yield from _audio(config)
    yield from _data(config)
    yield from _model(config)
    yield from _length(config, chosen)
    yield from _decay(config)


def _audio(config: Config) -> Iterator[Contradiction]:
    audio = config.audio
    half = audio.sample_rate_hz / 2
    if audio.mel_high_hz > half:
        yield Contradiction(
            f"the mel bands end above half the sample rate, {half:g} Hz",
            ("audio.mel_high_hz", "audio.sample_rate_hz"),
            "lower audio.mel_high_hz",
        )
    if audio.mel_low_hz >= audio.mel_high_hz:
        yield Contradiction(
            "the mel bands end at or below their lower edge", ("audio.mel_low_hz", "audio.mel_high_hz"), "swap the two"
        )
    if audio.hop_samples > audio.fft_samples:
        yield Contradiction(
            "the hop is longer than the window, so samples between frames are ignored",
            ("audio.hop_samples", "audio.fft_samples"),
            "a hop of a quarter of the window is usual",
        )
    if audio.mel_channels > audio.fft_samples // 2:
        yield Contradiction(
            "there are more mel bands than frequency bins in a frame",
            ("audio.mel_channels", "audio.fft_samples"),
            "lower audio.mel_channels",
        )
    if audio.pitch_low_hz >= audio.pitch_high_hz:
        yield Contradiction(
            "the pitch range is empty", ("audio.pitch_low_hz", "audio.pitch_high_hz"), "raise audio.pitch_high_hz"
        )
    if audio.pitch_high_hz > half:
        yield Contradiction(
            f"the pitch range ends above half the sample rate, {half:g} Hz",
            ("audio.pitch_high_hz", "audio.sample_rate_hz"),
            "lower audio.pitch_high_hz",
        )


def _data(config: Config) -> Iterator[Contradiction]:
    data, audio = config.data, config.audio
    if data.min_clip_seconds >= data.max_clip_seconds:
        yield Contradiction(
            "every clip would be rejected",
            ("data.min_clip_seconds", "data.max_clip_seconds"),
            "raise data.max_clip_seconds",
        )
    half_window = audio.fft_samples // 2
    if samples_of_seconds(data.min_clip_seconds, audio.sample_rate_hz) <= half_window:
        yield Contradiction(
            f"the shortest clip must be longer than half a window, {half_window / audio.sample_rate_hz:.3f} s",
            ("data.min_clip_seconds", "audio.fft_samples", "audio.sample_rate_hz"),
            "raise data.min_clip_seconds",
        )
    if 0.0 < data.perturbed_voices < MIN_PERTURBATION:
        yield Contradiction(
            f"so small a change of speed does not change the voice: at least {MIN_PERTURBATION:g}, or 0 for none",
            ("data.perturbed_voices",),
            "use 0.1",
        )


def _model(config: Config) -> Iterator[Contradiction]:
    step = 2 * config.model.heads
    if config.model.width % step:
        lower = config.model.width // step * step
        nearest = f"{lower} or {lower + step}" if lower else f"{step}"
        yield Contradiction(
            f"the width must be a multiple of twice the heads, {step} (rotary positions pair the channels of a head)",
            ("model.width", "model.heads"),
            f"use a width of {nearest}",
        )
    if config.model.decoder == "flow" and config.model.flow_guidance and not config.model.flow_unguided_share:
        yield Contradiction(
            "guidance needs a decoder that is also trained unconditionally",
            ("model.flow_guidance", "model.flow_unguided_share"),
            "use a share of 0.15, or a guidance of 0",
        )
    adversarial = config.loss.adversarial_weight + config.loss.feature_matching_weight
    if config.model.critic_width and adversarial and not config.loss.critic_weight:
        yield Contradiction(
            "the decoder would train against a critic that never learns",
            ("model.critic_width", "loss.critic_weight"),
            "use a critic_weight of 0.1, or a critic_width of 0",
        )


def _length(config: Config, chosen: frozenset[str]) -> Iterator[Contradiction]:
    """A warmup longer than the run is an error if the user set the warmup.

    If the level sets it, a short run may end within its warmup, such as the first 2,050 updates at level basic.
    """
    last, warmup = config.training.max_updates, config.schedule.warmup_updates
    if last and warmup > last and "schedule.warmup_updates" in chosen:
        yield Contradiction(
            f"the warmup ends after the run: the learning rate would reach {last / warmup:.0%} of its value",
            ("schedule.warmup_updates", "training.max_updates"),
            f"use a warmup of at most {last} updates, or more updates",
        )


def _decay(config: Config) -> Iterator[Contradiction]:
    """A cosine that reaches 0 before the run ends; if `epochs` ends the run, training/schedule.py checks it."""
    last, schedule = config.training.max_updates, config.schedule
    end = schedule.warmup_updates + schedule.decay_updates
    if schedule.decay == "cosine" and not schedule.floor_share and last > end:
        yield Contradiction(
            f"the learning rate reaches 0 at update {end}, and nothing is learned after it",
            ("schedule.floor_share", "schedule.decay_updates", "training.max_updates"),
            f"use a floor_share above 0, or at most {end} updates",
        )
