"""Every setting of MyXTTS: its default, unit, range and meaning.

A field's meaning is the string beneath it; `docs/configuration.md` is generated from here. Order of precedence:
schema default < model size < optimization level < run of --init-from < settings file < command line (see resolve.py).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

MODEL_SIZES = ("tiny", "small", "normal", "big")
BEST_METRICS = (
    "total", "mel", "alignment", "duration", "spectral_consistency",
    "voice_equal_error_rate", "mcd_db", "pitch_error_semitones", "voicing_error", "length_error",
    "likeness_error",
)  # fmt: skip
OPTIMIZATION_LEVELS = ("basic", "enhanced", "experimental", "plateau_breaker", "fine_tuning")


@dataclass(frozen=True)
class Leaf:
    """What a setting accepts. `low` and `high` are inclusive; `above` is exclusive; `why` says what they prevent."""

    unit: str = ""
    low: float | None = None
    high: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    why: str = ""


def leaf(default: Any, unit: str = "", **accepts: Any) -> Any:
    """A setting with its default and what it accepts (see Leaf)."""
    return field(default=default, metadata={"leaf": Leaf(unit=unit, **accepts)})


@dataclass(frozen=True)
class AudioConfig:
    """The mel convention. Change it only if no public vocoder shall stand behind the model."""

    sample_rate_hz: int = leaf(22_050, "Hz", low=8_000, high=48_000)
    """Rate that every recording is resampled to."""
    fft_samples: int = leaf(1_024, "samples", low=128, high=8_192)
    """Length of the Fourier transform and of its Hann window."""
    hop_samples: int = leaf(256, "samples", low=32, high=4_096)
    """Distance between two mel frames."""
    mel_channels: int = leaf(80, "channels", low=8, high=256)
    """Mel bands of a frame."""
    mel_low_hz: float = leaf(0.0, "Hz", low=0.0)
    """Lower edge of the lowest mel band."""
    mel_high_hz: float = leaf(8_000.0, "Hz", above=0.0)
    """Upper edge of the highest mel band; at most half the sample rate."""
    log_floor: float = leaf(1e-5, "", above=0.0, high=1.0)
    """Smallest magnitude inside the logarithm."""
    pitch_low_hz: float = leaf(65.0, "Hz", low=20.0)
    """Lowest fundamental frequency that the pitch tracker looks for."""
    pitch_high_hz: float = leaf(600.0, "Hz", above=0.0)
    """Highest fundamental frequency that the pitch tracker looks for."""
    trim_db: float = leaf(45.0, "dB", low=0.0, high=120.0)
    """Leading and trailing audio this far under the clip's peak is cut off (a little is kept); 0 cuts nothing."""


@dataclass(frozen=True)
class TextConfig:
    """How text becomes tokens."""

    symbols: str = leaf("phonemes", choices=("phonemes", "characters"))
    """What a token is: an IPA symbol from eSpeak NG, or a character of the normalized text."""
    language: str = leaf("en-us")
    """Language of rows that name none, as eSpeak NG calls it (en-us, en-gb, fa, ...)."""
    blank_between: bool = leaf(True)
    """A blank token between every two tokens; helps the aligner with pauses and long sounds."""


@dataclass(frozen=True)
class DataConfig:
    """Where recordings are, which are taken, and how batches are made of them."""

    train_path: str = leaf("../dataset/dataset_train")
    """Root of the training data, or several with the system's path separator (: or, on Windows, ;) between them. Where
    this default does not exist, the built-in corpus takes its place."""
    val_path: str = leaf("../dataset/dataset_eval")
    """Root of the validation data, or several. Where this default does not exist, or the training data is not the
    default one: the training root's own metadata_eval.csv, else a fixed share of it."""
    cache_path: str = leaf("~/.cache/myxtts")
    """Folder of computed features and of the built-in corpus."""
    min_clip_seconds: float = leaf(0.3, "seconds", above=0.0)
    """A shorter clip is rejected."""
    max_clip_seconds: float = leaf(12.0, "seconds", above=0.0, high=60.0)
    """A longer clip is rejected whole, never cut. The memory of a batch grows with it."""
    max_text_tokens: int = leaf(600, "tokens", low=8, high=10_000)
    """A text of more tokens (blanks counted) is rejected whole."""
    max_rejected_share: float = leaf(0.05, "", low=0.0, high=1.0)
    """The run stops before it starts if a larger share of the clips is rejected."""
    validation_share: float = leaf(0.05, "", above=0.0, high=0.5)
    """Share of the training data kept for validation where there is no validation data."""
    reference_seconds: float = leaf(10.0, "seconds", low=0.5, high=30.0)
    """Longest reference that the speaker encoder hears: pieces of other recordings of the same speaker in training."""
    reference_min_seconds: float = leaf(3.0, "seconds", low=0.1, high=30.0)
    """Shortest reference in training, where the speaker has so much; the length is drawn anew for every utterance."""
    held_out_speakers: int = leaf(0, "speakers", low=0, high=100_000)
    """Speakers that are never trained on: all their clips validate, and two or more show how strangers are told apart.
    Always the same ones, chosen by their names."""
    perturbed_voices: float = leaf(0.0, "", low=0.0, high=0.3)
    """Training speakers with little speech are heard twice more, by this share slower and faster, their voices so much
    lower and higher: as speakers of their own. 0 turns it off."""
    augment_band: float = leaf(0.0, "", low=0.0, high=0.9)
    """References in training lose up to this share of the mel channels from the top, and up to a quarter of it from the
    bottom, softly; 0 turns it off."""
    augment_noise_db: float = leaf(0.0, "dB", low=0.0, high=100.0)
    """References in training get noise that is at least so far under the speech, up to 30 dB more, before they lose
    channels; 0 turns it off."""
    length_buckets: int = leaf(12, "", low=1, high=64)
    """Number of batch shapes; more means less padding (allison_en: 25% with 6, 16% with 12) and more set-up."""
    num_workers: int = leaf(0, "processes", low=0, high=256)
    """Processes that compute features; 0 takes one per processor."""
    hang_seconds: float = leaf(60.0, "seconds", low=1.0, high=86_400.0)
    """A loader that gives no batch for so long is stuck: stacks are written, it is started again once, then the run
    ends."""


@dataclass(frozen=True)
class ModelConfig:
    """Widths and depths. The sizes tiny, small, normal and big set most of them."""

    width: int = leaf(256, "", low=8, high=4_096)
    """Width of the text encoder and of the decoder; a multiple of twice `heads`."""
    heads: int = leaf(4, "", low=1, high=64)
    """Attention heads of the text encoder."""
    text_blocks: int = leaf(2, "", low=1, high=64)
    """Transformer blocks of the text encoder."""
    decoder_blocks: int = leaf(5, "", low=1, high=64)
    """ConvNeXt blocks of the mel decoder."""
    decoder_patch: int = leaf(2, "frames", low=1, high=8)
    """Neighbouring frames that the mel decoder works on as one position; its cost falls with it."""
    predictor_width: int = leaf(128, "", low=8, high=4_096)
    """Width of the duration, pitch and energy predictors."""
    speaker_width: int = leaf(160, "", low=8, high=4_096)
    """Width of the speaker encoder."""
    voice_width: int = leaf(128, "", low=4, high=2_048)
    """Width of the voice embedding (unit length)."""
    style_width: int = leaf(16, "", low=1, high=512)
    """Width of the style posterior."""
    decoder: str = leaf("regression", choices=("regression", "flow"))
    """Mel decoder: regression predicts the mel at once, flow matching (arXiv 2210.02747) in a few Euler steps."""
    flow_steps: int = leaf(8, "steps", low=0, high=200)
    """Euler steps of the flow decoder at synthesis; 0 speaks its draft alone."""
    flow_draft_blocks: int = leaf(3, "", low=1, high=64)
    """ConvNeXt blocks of the draft that the flow decoder starts from; the flow itself has `decoder_blocks`."""
    flow_guidance: float = leaf(1.0, "", low=0.0, high=10.0)
    """How much further than told the flow decoder goes towards text and voice at synthesis (classifier-free guidance,
    arXiv 2207.12598); 0: not, in half the time."""
    flow_unguided_share: float = leaf(0.15, "", low=0.0, high=0.9)
    """Share of the utterances that train the flow decoder without text and voice, which guidance needs."""
    critic_width: int = leaf(0, "", low=0, high=1_024)
    """Filters of the first layer of the critic, which tells recorded mels from made ones in training; 0: no critic."""
    dropout: float = leaf(0.1, "", low=0.0, high=0.9)
    """Dropout in the text encoder and the decoder."""
    predictor_dropout: float = leaf(0.3, "", low=0.0, high=0.9)
    """Dropout in the duration, pitch and energy predictors, which overfit first."""


GAME_TERMS = ("critic", "adversarial", "feature_matching")
"""Loss terms of the game with the critic: none of these falls as a run goes well, so they are no part of the total that
a person is shown."""


@dataclass(frozen=True)
class LossConfig:
    """Weights of the loss terms (each a masked mean in fp32) and their variants."""

    mel_weight: float = leaf(1.0, "", low=0.0, high=1e3)
    """Predicted against true mel."""
    flow_weight: float = leaf(1.0, "", low=0.0, high=1e3)
    """Velocity of the flow decoder; 0 with the regression decoder. The mel term is that of its draft."""
    alignment_weight: float = leaf(1.0, "", low=0.0, high=1e3)
    """Gaussian likelihood of the mel under the aligner's means."""
    kl_weight: float = leaf(0.5, "", low=0.0, high=1e3)
    """KL divergence of the style posterior to the standard normal."""
    duration_weight: float = leaf(0.1, "", low=0.0, high=1e3)
    """Predicted log-durations against those of the aligner."""
    pitch_weight: float = leaf(0.05, "", low=0.0, high=1e3)
    """Predicted pitch of each token and of each voiced frame, and which frames are voiced."""
    energy_weight: float = leaf(0.05, "", low=0.0, high=1e3)
    """Predicted energy of each token."""
    voice_similarity_weight: float = leaf(1.5, "", low=0.0, high=1e3)
    """1 - cosine between the voice of the prediction and of the reference; the gradient reaches what made
    the prediction, not the encoder that hears it."""
    speaker_classification_weight: float = leaf(0.75, "", low=0.0, high=1e3)
    """Margin softmax over the training speakers, divided by its chance level; 0 with one speaker."""
    voice_reconstruction_weight: float = leaf(1.0, "", low=0.0, high=1e3)
    """The speaker's long-term spectrum, predicted from the voice embedding."""
    prosody_matching_weight: float = leaf(0.5, "", low=0.0, high=1e3)
    """The speaker's pitch mean, pitch range and rate, predicted from the voice embedding."""
    spectral_consistency_weight: float = leaf(0.75, "", low=0.0, high=1e3)
    """L1 between time and frequency differences of predicted and true mel."""
    critic_weight: float = leaf(0.1, "", low=0.0, high=1e3)
    """The critic's own loss, in telling recorded mels from made ones; it trains nothing else. 0 without a critic."""
    adversarial_weight: float = leaf(0.1, "", low=0.0, high=1e3)
    """What the critic finds made in the prediction; it trains what made the prediction, not the critic. 0 without a
    critic."""
    feature_matching_weight: float = leaf(0.5, "", low=0.0, high=1e3)
    """How far the prediction lies from the recording in the critic's features; trains what made the prediction. 0
    without a critic."""
    kl_free_bits: float = leaf(0.05, "nats", low=0.0, high=10.0)
    """KL of each style dimension that costs nothing."""
    huber_delta: float = leaf(0.0, "", low=0.0, high=100.0)
    """Over 0: the mel loss is Huber with this delta instead of L1."""
    label_smoothing: float = leaf(0.0, "", low=0.0, high=0.5)
    """Label smoothing of the speaker classification."""
    adaptive_weights: bool = leaf(False)
    """Learn a bounded log-variance per term but the critic's (arXiv 1705.07115) on top of the fixed weights."""


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer and its clipping."""

    name: str = leaf("adamw", choices=("adamw", "muon"))
    """AdamW, or Muon (Keras) with AdamW for what is no matrix."""
    learning_rate: float = leaf(1e-5, "", above=0.0, high=1.0)
    """Learning rate at the end of the warmup."""
    beta_1: float = leaf(0.9, "", low=0.0, high=0.9999)
    """Decay of the first moment."""
    beta_2: float = leaf(0.999, "", low=0.0, high=0.999999)
    """Decay of the second moment."""
    epsilon: float = leaf(
        1e-8, "", low=1e-16, high=1e-2, why="a smaller one does not bound the step where a squared gradient vanishes"
    )
    """Added to the root of the second moment."""
    weight_decay: float = leaf(1e-7, "", low=0.0, high=1.0)
    """Decoupled weight decay, times the learning rate, an update."""
    clip_norm: float = leaf(0.3, "", above=0.0, high=1e6)
    """Largest gradient norm, model and critic each by itself, measured over all micro-batches and devices."""


@dataclass(frozen=True)
class ScheduleConfig:
    """The learning rate and the aligner's prior as closed forms of the update number."""

    warmup_updates: int = leaf(3_000, "updates", low=0, high=10_000_000)
    """The learning rate rises linearly from 0 to its full value over these updates."""
    decay: str = leaf("constant", choices=("constant", "inverse_sqrt", "cosine", "cosine_restarts"))
    """What follows the warmup."""
    decay_updates: int = leaf(20_000, "updates", low=1, high=100_000_000)
    """Length of the cosine after the warmup, or of the first period with restarts."""
    restart_growth: float = leaf(1.5, "", low=1.0, high=10.0)
    """Each restart's period is this much longer than the one before; under 1 the periods would sum to a finite end."""
    floor_share: float = leaf(0.05, "", low=0.0, high=1.0)
    """The cosine falls to this share of the learning rate."""
    diagonal_prior_updates: int = leaf(400, "updates", low=0, high=10_000_000)
    """The aligner's diagonal prior falls linearly to nothing over these updates."""
    adversarial_start_updates: int = leaf(2_000, "updates", low=0, high=10_000_000)
    """From then on the decoder hears the critic, which learns from one ramp before on; until then it is left out."""
    adversarial_ramp_updates: int = leaf(1_000, "updates", low=0, high=10_000_000)
    """From then on the weights by which the decoder hears it rise linearly to their full values over these updates."""


@dataclass(frozen=True)
class TrainingConfig:
    """The loop: batch, length, precision, what is saved when, and when to stop."""

    batch_size: int = leaf(16, "clips", low=1, high=4_096)
    """Clips of a micro-batch."""
    grad_accum: int = leaf(4, "micro-batches", low=1, high=4_096)
    """Micro-batches of an update; the effective batch is batch_size x grad_accum."""
    epochs: int = leaf(500, "epochs", low=1, high=1_000_000)
    """Passes over the training data, unless max_updates ends the run first."""
    max_updates: int = leaf(0, "updates", low=0, high=1_000_000_000)
    """Updates after which the run ends; 0 leaves it to `epochs`."""
    max_minutes: float = leaf(0.0, "minutes", low=0.0, high=1e6)
    """Minutes of training after which the run ends, resumable; 0 sets no limit."""
    segment_seconds: float = leaf(0.0, "seconds", low=0.0, high=60.0)
    """The decoder makes a piece of at most this length of each clip, drawn anew every epoch; the aligner sees the
    whole, text encoder and predictors the piece and what is beside it. Long clips cost a fraction then. 0: all."""
    precision: str = leaf("fp32", choices=("fp32", "bf16", "fp16", "auto"))
    """Precision of the networks; losses, normalizations, weights and moments are fp32 always. auto: bf16 where the
    processor or the GPU multiplies it natively, else fp32."""
    ema_decay: float = leaf(0.999, "", low=0.0, high=0.99999)
    """Decay of the average of the weights that validation and synthesis use, reached gradually; 0 turns it off."""
    seed: int = leaf(1, "", low=0, high=2_147_483_647)
    """Of everything random: weights, order, dropout, noise."""
    checkpoint_dir: str = leaf("./checkpoints")
    """The run directory: settings, checkpoints, metrics, events, samples, report."""
    checkpoint_every_updates: int = leaf(1_000, "updates", low=1, high=10_000_000)
    """A checkpoint that is kept."""
    keep_checkpoints: int = leaf(3, "checkpoints", low=1, high=10_000)
    """Newest of those that are kept; best and last are kept besides."""
    hot_checkpoint_seconds: float = leaf(120.0, "seconds", low=1.0, high=86_400.0)
    """At the latest after this time the newest state is saved; what a kill can cost."""
    candidate_every_updates: int = leaf(200, "updates", low=1, high=1_000_000)
    """A checkpoint that the run goes back to in trouble, once 100 clean updates have followed it."""
    validation_every_updates: int = leaf(500, "updates", low=1, high=10_000_000)
    """A validation on the averaged weights."""
    log_every_updates: int = leaf(25, "updates", low=1, high=10_000_000)
    """A line on the screen and in TensorBoard; metrics.jsonl has every update."""
    early_stopping_validations: int = leaf(20, "validations", low=1, high=1_000_000)
    """The run ends after this many validations without improvement."""
    early_stopping_min_delta: float = leaf(0.001, "", low=0.0, high=1e3)
    """What counts as improvement of the metric."""
    best_tolerance: float = leaf(0.0, "", low=0.0, high=0.5)
    """Share above the lowest validation up to which one is as good: of these the newest is the best checkpoint."""
    best_metric: str = leaf("mel", choices=BEST_METRICS)
    """Validation metric by which the best checkpoint is chosen; lower is better. voice_equal_error_rate needs two
    speakers. The last five are means over nothing but the three sentences that a validation speaks: so few that they
    jump from one validation to the next."""
    spike_factor: float = leaf(20.0, "", above=1.0, high=1e9)
    """An update whose gradient norm exceeds the running median by this factor is skipped."""
    threads: int = leaf(0, "threads", low=0, high=1_024)
    """Processor threads; 0 takes all."""
    devices: int = leaf(0, "devices", low=0, high=64)
    """Devices of this machine that share each batch; 0 takes every GPU, or the one processor where there is none."""


@dataclass(frozen=True)
class Config:
    """A complete, resolved configuration."""

    model_size: str = leaf("tiny", choices=MODEL_SIZES)
    """Named size of the networks."""
    optimization_level: str = leaf("enhanced", choices=OPTIMIZATION_LEVELS)
    """Named set of optimizer, loss and schedule settings."""
    audio: AudioConfig = AudioConfig()
    text: TextConfig = TextConfig()
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    training: TrainingConfig = TrainingConfig()

    @property
    def effective_batch(self) -> int:
        """Clips of an update: batch_size x grad_accum."""
        return self.training.batch_size * self.training.grad_accum


SECTIONS: tuple[str, ...] = tuple(f.name for f in dataclasses.fields(Config) if "leaf" not in f.metadata)
