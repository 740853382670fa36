"""Model sizes and optimization levels as data: which settings each one sets; levels give a reason for every value.

No code depends on the name of a size or level. A value of a level that depends on the model size is in `by_size`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Override:
    """One setting that a level changes, and why."""

    key: str
    value: object
    reason: str
    by_size: Mapping[str, object] = field(default_factory=dict)

    def value_for(self, size: str) -> object:
        """The value at model size `size`."""
        return self.by_size.get(size, self.value)


SIZES: Mapping[str, Mapping[str, object]] = {
    "tiny": {
        "model.width": 256,
        "model.heads": 4,
        "model.text_blocks": 2,
        "model.decoder_blocks": 5,
        "model.predictor_width": 128,
        "model.speaker_width": 160,
        "model.voice_width": 128,
        "model.style_width": 16,
        "data.max_clip_seconds": 12.0,
        "data.max_text_tokens": 600,
    },
    "small": {
        "model.width": 384,
        "model.heads": 6,
        "model.text_blocks": 3,
        "model.decoder_blocks": 8,
        "model.predictor_width": 256,
        "model.speaker_width": 320,
        "model.voice_width": 192,
        "model.style_width": 24,
        "data.max_clip_seconds": 14.0,
        "data.max_text_tokens": 700,
    },
    "normal": {
        "model.width": 576,
        "model.heads": 8,
        "model.text_blocks": 5,
        "model.decoder_blocks": 11,
        "model.predictor_width": 384,
        "model.speaker_width": 512,
        "model.voice_width": 256,
        "model.style_width": 32,
        "data.max_clip_seconds": 16.0,
        "data.max_text_tokens": 800,
    },
    "big": {
        "model.width": 768,
        "model.heads": 12,
        "model.text_blocks": 7,
        "model.decoder_blocks": 16,
        "model.predictor_width": 512,
        "model.speaker_width": 768,
        "model.voice_width": 256,
        "model.style_width": 32,
        "data.max_clip_seconds": 20.0,
        "data.max_text_tokens": 1000,
    },
}
"""Model size -> the settings it sets."""

WEIGHTS: Mapping[str, Mapping[str, int]] = {
    "regression": {"tiny": 6_868_745, "small": 22_414_953, "normal": 66_604_057, "big": 157_302_809},
    "flow": {"tiny": 9_726_377, "small": 29_552_137, "normal": 84_277_049, "big": 193_990_329},
}
"""Decoder -> model size -> weights of the network, counted by `python -m bench.model_sizes` (`--decoder flow`)."""

_BASIC = (
    Override("optimizer.learning_rate", 1e-5, "8e-5 is where runs diverged; eight times lower"),
    Override("schedule.warmup_updates", 3_000, "1,500 updates were too short for Adam's second moment to settle"),
    Override(
        "schedule.decay",
        "constant",
        "the same as inverse_sqrt up to update 3,000; not compared beyond it",
    ),
    Override(
        "schedule.diagonal_prior_updates", 1_000, "at this learning rate the aligner needs longer to leave the diagonal"
    ),
    Override("optimizer.clip_norm", 0.3, "0.8 let single clips move the weights too far"),
    Override("training.batch_size", 16, "half the memory of 32 at the same effective batch"),
    Override(
        "training.min_updates",
        10_250,
        "its measured length, fifty epochs of 13,100 clips; 500 epochs of under 384 clips would end within its warmup",
    ),
    Override("training.grad_accum", 4, "16 x 4 keeps the effective batch at 64"),
    Override("training.precision", "fp32", "half precision overflowed"),
    Override("loss.mel_weight", 1.0, "2.5 let one term dominate the gradient"),
    Override("loss.flow_weight", 1.0, "the same as for the mel; no effect on the regression decoder"),
    Override("loss.kl_weight", 0.5, "1.8 collapsed the style posterior"),
    Override("loss.voice_similarity_weight", 1.5, "halved from 3.0"),
    Override("loss.speaker_classification_weight", 0.75, "halved from 1.5"),
    Override("loss.voice_reconstruction_weight", 1.0, "halved from 2.0"),
    Override("loss.prosody_matching_weight", 0.5, "halved from 1.0"),
    Override("loss.spectral_consistency_weight", 0.75, "halved from 1.5"),
    Override("loss.duration_weight", 0.1, "0.8 pulled the text encoder towards durations before it knew sounds"),
    Override("loss.pitch_weight", 0.05, "lowered from 0.12"),
    Override("loss.energy_weight", 0.05, "lowered from 0.12"),
    Override("loss.huber_delta", 0.0, "plain L1: its gradient is bounded whatever the error"),
    Override("loss.label_smoothing", 0.0, "off, so that it does not change the loss"),
    Override("loss.adaptive_weights", False, "learned weights chased the noisiest term"),
    Override("optimizer.name", "adamw", "the best-understood optimizer"),
    Override("optimizer.beta_1", 0.9, "standard"),
    Override("optimizer.beta_2", 0.999, "standard"),
    Override("optimizer.epsilon", 1e-8, "standard"),
    Override("optimizer.weight_decay", 1e-7, "lowered from 5e-7; negligible at this learning rate"),
    Override("model.decoder", "regression", "the decoder that proved most stable"),
    Override("model.critic_width", 0, "one network fewer that can fail"),
    Override("training.checkpoint_every_updates", 1_000, "2,000 lost more work at each crash"),
    Override("training.validation_every_updates", 500, "with 1,000, trouble was detected late"),
    Override("training.log_every_updates", 25, "lowered from 50"),
    Override("training.early_stopping_validations", 20, "lowered from 40"),
    Override("training.early_stopping_min_delta", 0.001, "0.00005 counted noise as progress"),
)

_FAST = (
    Override(
        "training.precision",
        "auto",
        "bf16 where the hardware supports it: at tiny, 16 clips, 745 updates in the time of 581 in fp32, none skipped "
        "(docs/log)",
    ),
    Override(
        "optimizer.learning_rate",
        1e-3,
        "swept at tiny, 16 clips, 10 minutes: half of it gives lower speaker similarity, twice as much is within the noise "
        "between two seeds, so the lower rate stays; at small 2e-3 is worse; normal and big not swept (docs/log)",
        by_size={"small": 7e-4, "normal": 4e-4, "big": 2e-4},
    ),
    Override(
        "schedule.warmup_updates",
        200,
        "swept at tiny, 16 clips, 10 minutes: 50 improves nothing, 800 gives lower speaker similarity; normal and big "
        "not swept (docs/log)",
        by_size={"normal": 500, "big": 1_000},
    ),
    Override(
        "schedule.decay",
        "inverse_sqrt",
        "does not depend on the length of the run; swept at tiny, 10 minutes (16 clips) and 25 (8): a constant rate is "
        "better by about the noise between two seeds; runs of hours not compared (docs/log)",
    ),
    Override(
        "schedule.diagonal_prior_updates",
        400,
        "speech was intelligible after 1,150 updates of 16 clips",
    ),
    Override(
        "optimizer.clip_norm",
        1.0,
        "the norm falls below it within the first hundred updates on healthy data; swept at tiny, 16 clips, 10 minutes: "
        "0.3 is within the noise between two seeds",
    ),
    Override("optimizer.beta_2", 0.99, "follows the shrinking gradient of a short run; not swept"),
    Override("optimizer.weight_decay", 0.01, "the usual value; negligible in a short run"),
    Override(
        "training.batch_size",
        16,
        "swept at tiny, 10 minutes: 8 clips give a higher speaker similarity than 16 (SECS 0.74 against 0.71 and 0.69), 32 a "
        "much lower one; at small, 21 minutes: 8 better; normal and big not swept (docs/log)",
        by_size={"tiny": 8, "small": 8},
    ),
    Override("training.grad_accum", 1, "in a short run the number of updates matters most"),
    Override(
        "training.ema_decay",
        0.998,
        "averages the last few epochs of a small corpus; swept at tiny, 16 clips, 10 minutes: 0.99 is within the noise "
        "between two seeds",
    ),
    Override(
        "data.augment_band",
        0.4,
        "with augment_noise_db: speaker verification of unseen speakers over a telephone band, equal error rate 15% "
        "against 45% (20 speakers, one seed; docs/log)",
    ),
    Override(
        "data.augment_noise_db",
        15.0,
        "with augment_band: the same under noise, 15% against 25% (two of 20 speakers, one seed); SECS with clean references "
        "0.57 against 0.59 after 12 minutes",
    ),
)

_CRITIC = (
    Override(
        "model.critic_width",
        24,
        "unseen speakers after 42 minutes: SECS 0.71 against 0.67, DNSMOS 2.78 against 2.63, two branches of one run "
        "(docs/log)",
    ),
    Override(
        "training.best_tolerance",
        0.03,
        "with a critic speech improves while the mel distance stays flat: lowest distance (update 3,000) against update "
        "7,217: word error 0.20 and 0.12, SECS 0.62 and 0.68 (docs/log)",
    ),
)

_FINE_TUNING = (
    Override(
        "optimizer.learning_rate",
        1e-4,
        "at 2e-4 DNSMOS was 2.23 against 2.39 and SECS 0.78 against 0.80 after 8 minutes on one processor (docs/log)",
    ),
    Override("schedule.warmup_updates", 50, "Adam's second moment is reset; 1 / (1 - beta_2) is 100; not swept"),
    Override("schedule.decay", "constant", "the run is a few hundred updates long; other schedules not compared"),
    Override("schedule.diagonal_prior_updates", 0, "the alignment is already learned; the prior would disturb it"),
    Override("optimizer.clip_norm", 1.0, "as in the first training of these weights"),
    Override("optimizer.beta_2", 0.99, "0.999 remembers more updates than the run has"),
    Override("optimizer.weight_decay", 0.01, "the usual value; negligible in a short run"),
    Override("training.batch_size", 8, "two minutes are about twenty clips: more updates per epoch; not swept"),
    Override("training.grad_accum", 1, "there are few clips, so no accumulation is needed"),
    Override("training.precision", "auto", "bf16 where the hardware supports it: more updates in the same time"),
    Override("training.ema_decay", 0.99, "averages the last hundred updates of a few hundred; not swept"),
    Override(
        "training.validation_every_updates",
        50,
        "little data overfits within minutes: detected early, the best checkpoint is kept",
    ),
    Override("training.log_every_updates", 25, "the same as at the other levels"),
    Override("training.checkpoint_every_updates", 500, "the run is short; the best and the last are kept in addition"),
    Override("training.early_stopping_validations", 10, "500 updates without improvement: the model overfits"),
    Override("loss.speaker_classification_weight", 0.0, "with one speaker there is nothing to classify"),
    Override(
        "loss.pitch_weight",
        0.0,
        "keeps the intonation of the base run: the pitch predictor overfits two minutes, which costs words and DNSMOS "
        "(docs/log)",
    ),
)

_VOCODER = (
    *_BASIC,
    Override("trains", "vocoder", "the level of `myxtts vocoder train`"),
    Override("optimizer.learning_rate", 1e-3, "the value of the first trials; not swept"),
    Override("optimizer.beta_2", 0.99, "the loss is a distance of random draws, and its scale changes quickly"),
    Override("optimizer.weight_decay", 0.01, "the value of the first trials; not swept"),
    Override("optimizer.clip_norm", 5.0, "gradient norms are near 0.3 after the first updates"),
    Override("schedule.warmup_updates", 200, "the prior envelope makes the first losses small"),
    Override("schedule.decay", "inverse_sqrt", "does not need the length of the run"),
    Override("schedule.diagonal_prior_updates", 0, "a vocoder has no aligner"),
    Override("training.batch_size", 12, "as in the first trials"),
    Override("training.grad_accum", 1, "a batch of twelve segments is stable"),
    Override("training.segment_seconds", 0.55, "48 frames, of which 40 are compared"),
    Override("training.best_metric", "total", "a vocoder has no mel loss"),
    Override("training.validation_every_updates", 1_000, "a validation takes as long as about fifty updates"),
    Override("training.log_every_updates", 50, "updates are short"),
    Override("data.max_clip_seconds", 20.0, "segments are cut from clips of any length"),
    Override("data.max_text_tokens", 1_000, "texts are not used"),
)

LEVELS: Mapping[str, tuple[Override, ...]] = {
    "basic": _BASIC,
    "enhanced": (*_FAST, *_CRITIC),
    "experimental": (
        *_FAST,
        Override("training.precision", "bf16", "on every device, also where it is emulated and slow"),
        Override(
            "optimizer.name",
            "muon",
            "swept at tiny, 16 clips, 10 minutes: on one processor an update costs half as much again, the mel term is worse, "
            "judged quality is within the noise between two seeds; at small far worse (docs/log)",
        ),
        Override(
            "model.decoder",
            "flow",
            "samples the mel, where regression predicts its mean; after 22 minutes its word error is higher (docs/log)",
        ),
        Override("training.best_metric", "total", "the mel term covers only the draft of the flow decoder"),
    ),
    "plateau_breaker": (
        *_FAST,
        *_CRITIC,
        Override("schedule.decay", "cosine_restarts", "warm restarts leave a plateau"),
        Override("schedule.decay_updates", 2_000, "a restart every few epochs of a small corpus, then less often"),
        Override("schedule.warmup_updates", 300, "a warmup before the first full step"),
    ),
    "fine_tuning": _FINE_TUNING,
    "vocoder": _VOCODER,
}

LEVEL_SUMMARIES: Mapping[str, str] = {
    "basic": "the most stable settings, and slow; the level of `train_stable.py`",
    "enhanced": "the best measured quality per minute of training; the default of `train_main.py`",
    "experimental": "bf16, Muon and flow matching; measured, and not better so far",
    "plateau_breaker": "warm restarts of the learning rate, for a run whose loss no longer falls; not measured",
    "fine_tuning": "a trained run (`--init-from`) learns one new speaker from a few minutes of speech",
    "vocoder": "trains a neural vocoder instead of a voice (`myxtts vocoder train`)",
}

BUILT_IN_CORPUS_OVERRIDES: tuple[Override, ...] = (
    Override("training.max_minutes", 9.0, "a first run on the built-in corpus ends in about ten minutes"),
)
"""What a run on the built-in corpus sets, unless the user set a length."""
