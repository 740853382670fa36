"""Model sizes and optimization levels as data: which settings each one sets; levels give a reason for every value.

No code asks for the name of a size or level. A value of a level that depends on the model size is in `by_size`.
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
        "alike with inverse_sqrt up to update 3,000; beyond it the two are not yet compared",
    ),
    Override(
        "schedule.diagonal_prior_updates", 1_000, "at this learning rate the aligner needs longer to leave the diagonal"
    ),
    Override("optimizer.clip_norm", 0.3, "0.8 let single clips move the weights too far"),
    Override("training.batch_size", 16, "half the memory of 32 at the same effective batch"),
    Override("training.grad_accum", 4, "16 x 4 keeps the effective batch at 64"),
    Override("training.precision", "fp32", "half precision overflowed"),
    Override("loss.mel_weight", 1.0, "2.5 let one term dominate the gradient"),
    Override("loss.flow_weight", 1.0, "as the mel; without effect on the regression decoder"),
    Override("loss.kl_weight", 0.5, "1.8 collapsed the style posterior"),
    Override("loss.voice_similarity_weight", 1.5, "half of 3.0"),
    Override("loss.speaker_classification_weight", 0.75, "half of 1.5"),
    Override("loss.voice_reconstruction_weight", 1.0, "half of 2.0"),
    Override("loss.prosody_matching_weight", 0.5, "half of 1.0"),
    Override("loss.spectral_consistency_weight", 0.75, "half of 1.5"),
    Override("loss.duration_weight", 0.1, "0.8 pulled the text encoder towards durations before it knew sounds"),
    Override("loss.pitch_weight", 0.05, "0.12 before"),
    Override("loss.energy_weight", 0.05, "0.12 before"),
    Override("loss.huber_delta", 0.0, "plain L1: its gradient is bounded whatever the error"),
    Override("loss.label_smoothing", 0.0, "off: one thing less that changes the loss"),
    Override("loss.adaptive_weights", False, "learned weights chased the noisiest term"),
    Override("optimizer.name", "adamw", "the best understood"),
    Override("optimizer.beta_1", 0.9, "standard"),
    Override("optimizer.beta_2", 0.999, "standard"),
    Override("optimizer.epsilon", 1e-8, "standard"),
    Override("optimizer.weight_decay", 1e-7, "5e-7 before; next to none at this learning rate"),
    Override("model.decoder", "regression", "the decoder proved most stable"),
    Override("model.critic_width", 0, "one network less that can go wrong"),
    Override("training.checkpoint_every_updates", 1_000, "2,000 lost more work at each crash"),
    Override("training.validation_every_updates", 500, "1,000 saw trouble late"),
    Override("training.log_every_updates", 25, "50 before"),
    Override("training.early_stopping_validations", 20, "40 before"),
    Override("training.early_stopping_min_delta", 0.001, "0.00005 counted noise as progress"),
)

_FAST = (
    Override(
        "training.precision",
        "auto",
        "bf16 where it is native: at tiny, 16 clips, 745 updates in the time of 581 in fp32, none refused "
        "(docs/measurements.md)",
    ),
    Override(
        "optimizer.learning_rate",
        1e-3,
        "swept at tiny, 16 clips, 10 minutes: half of it is behind in likeness, twice as much differs by less than two "
        "runs do, so the lower stays; at small 2e-3 is behind; normal and big not swept (docs/measurements.md)",
        by_size={"small": 7e-4, "normal": 4e-4, "big": 2e-4},
    ),
    Override(
        "schedule.warmup_updates",
        200,
        "swept at tiny, 16 clips, 10 minutes: 50 is ahead in nothing, 800 behind in likeness; normal and big not swept "
        "(docs/measurements.md)",
        by_size={"normal": 500, "big": 1_000},
    ),
    Override(
        "schedule.decay",
        "inverse_sqrt",
        "needs no length of the run; swept at tiny, 10 minutes (16 clips) and 25 (8): a constant rate is ahead by no more "
        "than about what two runs differ by; stays for runs of hours, not compared (docs/measurements.md)",
    ),
    Override(
        "schedule.diagonal_prior_updates",
        400,
        "with this length speech was intelligible after 1,150 updates of 16 clips",
    ),
    Override(
        "optimizer.clip_norm",
        1.0,
        "the norm falls under it within the first hundred updates on healthy data; swept at tiny, 16 clips, 10 minutes: "
        "0.3 is ahead in nothing by more than two runs differ",
    ),
    Override("optimizer.beta_2", 0.99, "follows the shrinking gradient of a short run; not swept"),
    Override("optimizer.weight_decay", 0.01, "customary; times the learning rate it is next to nothing in a short run"),
    Override(
        "training.batch_size",
        16,
        "swept at tiny, 10 minutes: 8 clips are ahead of 16 in likeness (SECS 0.74 against 0.71 and 0.69), 32 far behind; "
        "at small, 21 minutes: 8 ahead; normal and big not swept (docs/measurements.md)",
        by_size={"tiny": 8, "small": 8},
    ),
    Override("training.grad_accum", 1, "no need to accumulate: what counts in a short run is the number of updates"),
    Override(
        "training.ema_decay",
        0.998,
        "averages the last few epochs of a small corpus; swept at tiny, 16 clips, 10 minutes: 0.99 differs by less than "
        "two runs do",
    ),
    Override(
        "data.augment_band",
        0.4,
        "with noise: strangers told apart through a telephone, equal error rate 15% against 45% "
        "(20 people, one seed; docs/measurements.md)",
    ),
    Override(
        "data.augment_noise_db",
        15.0,
        "with the band: the same under noise, 15% against 25%, which is two of 20 people, one seed; SECS of clean "
        "references 0.57 against 0.59 after 12 minutes",
    ),
)

_CRITIC = (
    Override(
        "model.critic_width",
        24,
        "strangers' voices after 42 minutes: likeness 0.71 against 0.67, DNSMOS 2.78 against 2.63, a run and "
        "its branch (docs/measurements.md)",
    ),
    Override(
        "training.best_tolerance",
        0.03,
        "with a critic speech gets better while its distance stays: the best by it, update 3,000, against 7,217: "
        "word error 0.20 and 0.12, likeness 0.62 and 0.68 (docs/measurements.md)",
    ),
)

_FINE_TUNING = (
    Override(
        "optimizer.learning_rate",
        1e-4,
        "the weights are good and shall be moved, not made: at 2e-4 DNSMOS was 2.23 against 2.39 and likeness 0.78 "
        "against 0.80 after 8 minutes on one processor (docs/synthesis.md)",
    ),
    Override("schedule.warmup_updates", 50, "Adam's second moment starts anew; 1 / (1 - beta_2) is 100; not yet swept"),
    Override("schedule.decay", "constant", "the run is a few hundred updates long; not yet compared with others"),
    Override("schedule.diagonal_prior_updates", 0, "the aligner knows its alignment; the prior would pull it off it"),
    Override("optimizer.clip_norm", 1.0, "as in the first training of these weights"),
    Override("optimizer.beta_2", 0.99, "0.999 remembers more updates than the run has"),
    Override("optimizer.weight_decay", 0.01, "customary; times the learning rate it is next to nothing in a short run"),
    Override("training.batch_size", 8, "two minutes are some twenty clips: more updates an epoch; not yet swept"),
    Override("training.grad_accum", 1, "no need to accumulate: there are few clips"),
    Override("training.precision", "auto", "bf16 where it is native: more updates in the same time"),
    Override("training.ema_decay", 0.99, "averages the last hundred updates of a few hundred; not yet swept"),
    Override("training.validation_every_updates", 50, "little data overfits within minutes: seen early, best kept"),
    Override("training.log_every_updates", 25, "the same as at the other levels"),
    Override("training.checkpoint_every_updates", 500, "the run is short; best and last are kept besides"),
    Override("training.early_stopping_validations", 10, "500 updates without improvement: it has learned the clips"),
    Override("loss.speaker_classification_weight", 0.0, "there is nothing to tell apart with one speaker"),
    Override(
        "loss.pitch_weight",
        0.0,
        "the melody stays that of the first training: two minutes are learned by heart, which costs words and DNSMOS "
        "(docs/synthesis.md)",
    ),
)

LEVELS: Mapping[str, tuple[Override, ...]] = {
    "basic": _BASIC,
    "enhanced": (*_FAST, *_CRITIC),
    "experimental": (
        *_FAST,
        Override("training.precision", "bf16", "everywhere, also where it is emulated and slow"),
        Override(
            "optimizer.name",
            "muon",
            "promising on matrices; swept at tiny, 16 clips, 10 minutes: on one processor its updates cost half as much "
            "again, the mel is behind, what the judge says differs by less than two runs do; at small far behind "
            "(docs/measurements.md)",
        ),
        Override(
            "model.decoder",
            "flow",
            "a draw where regression is a mean; after 22 minutes its words are behind (docs/measurements.md)",
        ),
        Override("training.best_metric", "total", "the mel term is that of the flow's draft alone"),
    ),
    "plateau_breaker": (
        *_FAST,
        *_CRITIC,
        Override("schedule.decay", "cosine_restarts", "warm restarts leave a plateau"),
        Override("schedule.decay_updates", 2_000, "a restart every few epochs of a small corpus, then less often"),
        Override("schedule.warmup_updates", 300, "re-warm before the first full step"),
    ),
    "fine_tuning": _FINE_TUNING,
}

LEVEL_SUMMARIES: Mapping[str, str] = {
    "basic": "the stable settings: slow, and as safe as settings can make it",
    "enhanced": "the fast settings: intelligible speech on a laptop in minutes; the default of train_main.py",
    "experimental": "promising and not yet proved: bf16, Muon, flow matching",
    "plateau_breaker": "for a run that no longer falls: warm restarts of the learning rate",
    "fine_tuning": "for a trained run (`--init-from`) and a few minutes of one new speaker: nearer to the person, the melody as it was",
}

BUILT_IN_CORPUS_OVERRIDES: tuple[Override, ...] = (
    Override("training.max_minutes", 9.0, "a first run on the built-in corpus ends in about ten minutes"),
)
"""What a run on the built-in corpus sets, unless the user set a length."""
