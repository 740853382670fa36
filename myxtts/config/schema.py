"""Every setting of MyXTTS: its default, unit, range and meaning.

A field's meaning is the string below it; `docs/reference/configuration.md` is generated from here. Order of precedence:
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
    "speaker_similarity_error",
)  # fmt: skip
DATA_LAYOUTS = (
    "auto", "table", "vctk", "json_lines", "huggingface", "kaldi", "common_voice", "libritts", "librispeech",
    "audacity", "text_files",
)  # fmt: skip
OPTIMIZATION_LEVELS = ("basic", "enhanced", "experimental", "plateau_breaker", "fine_tuning", "vocoder")
NO_MODEL = "none"
"""The value of vocoder.mels_from without a voice model."""
NO_DICTIONARY = "none"
"""The value of text.dictionary without one."""


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
    """The mel convention. Changing it breaks compatibility with public HiFi-GAN vocoders."""

    sample_rate_hz: int = leaf(22_050, "Hz", low=8_000, high=48_000)
    """Sample rate that every recording is resampled to."""
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
    """Lower limit of the magnitude before the logarithm."""
    pitch_low_hz: float = leaf(65.0, "Hz", low=20.0)
    """Lowest fundamental frequency of the pitch tracker."""
    pitch_high_hz: float = leaf(600.0, "Hz", above=0.0)
    """Highest fundamental frequency of the pitch tracker."""
    trim_db: float = leaf(45.0, "dB", low=0.0, high=120.0)
    """Leading and trailing audio this far below the peak of the clip is trimmed (50 ms are kept); 0 turns it off."""


@dataclass(frozen=True)
class TextConfig:
    """How text becomes tokens."""

    symbols: str = leaf("phonemes", choices=("phonemes", "characters"))
    """What a token is: an IPA symbol from eSpeak NG, or a character of the normalized text."""
    language: str = leaf("en-us")
    """Language of rows that name none, an eSpeak NG code (en-us, en-gb, fa, ...)."""
    blank_between: bool = leaf(True)
    """Insert a blank token between every two tokens; helps the aligner with pauses and long sounds."""
    dictionary: str = leaf(NO_DICTIONARY)
    """Pronunciation dictionary of the user: a text file with a word, a tab, and its phonemes or a respelling in each
    line, which wins over eSpeak NG; none: there is none. The model keeps a copy and speaks with it."""


@dataclass(frozen=True)
class DataConfig:
    """Where the recordings are, which of them are used, and how they are batched."""

    train_path: str = leaf("../dataset/dataset_train")
    """Root of the training data, or several separated by a colon. If this default does not exist, the built-in corpus
    is used."""
    val_path: str = leaf("../dataset/dataset_eval")
    """Root of the validation data, or several separated by a colon. If this default does not exist or the training data
    is not the default: metadata_eval.csv of the training root, else a fixed share of the training data."""
    layout: str = leaf("auto", choices=DATA_LAYOUTS)
    """Layout of the data roots. auto recognizes it by the files that are there; the audit names it."""
    columns: str = leaf("auto")
    """Columns of the metadata table in their order, such as id,speaker,text; - is a column that is not read. auto: by
    the header, else by their contents. Names: id, text, normalized, speaker, language."""
    follow_links: bool = leaf(False)
    """Follow symbolic links in the data roots that lead out of them. A path in the metadata never does; false: such
    recordings are rejected."""
    max_suspect_share: float = leaf(0.5, "", low=0.0, high=1.0)
    """If a larger share of the rows has a text or a speaker that cannot be right (the same text, a text as speaker,
    phonemes as text, another script than that of the language), the run stops before training; 1 turns it off."""
    cache_path: str = leaf("~/.cache/myxtts")
    """Folder for computed features and the built-in corpus."""
    min_clip_seconds: float = leaf(0.3, "seconds", above=0.0)
    """Shorter clips are rejected."""
    max_clip_seconds: float = leaf(12.0, "seconds", above=0.0, high=60.0)
    """Longer clips are rejected, never cut. The memory of a batch grows with this limit."""
    max_text_tokens: int = leaf(600, "tokens", low=8, high=10_000)
    """Texts with more tokens (blanks included) are rejected."""
    max_rejected_share: float = leaf(0.05, "", low=0.0, high=1.0)
    """If a larger share of the clips is rejected, the run stops before training."""
    validation_share: float = leaf(0.05, "", above=0.0, high=0.5)
    """Share of the training data used for validation if there is no validation data."""
    validation_max_clips: int = leaf(2_000, "clips", low=1, high=10_000_000)
    """Most validation clips; every validation goes through all of them. Of more, as many as this are drawn, the same
    in every run and evenly over the speakers."""
    reference_seconds: float = leaf(10.0, "seconds", low=0.5, high=30.0)
    """Longest reference of the speaker encoder; in training, segments of other recordings of the same speaker."""
    reference_min_seconds: float = leaf(3.0, "seconds", low=0.1, high=30.0)
    """Shortest reference in training, if the speaker has that much; the length is drawn for every utterance."""
    held_out_speakers: int = leaf(0, "speakers", low=0, high=100_000)
    """Number of speakers kept out of training. Their clips are used for validation; with two or more, speaker
    verification is measured on unseen speakers. The choice depends only on the names."""
    perturbed_voices: float = leaf(0.0, "", low=0.0, high=0.3)
    """Speed perturbation: every speaker with under two minutes of training speech also appears at speed 1 - p
    and 1 + p, as two new speakers. 0 turns it off."""
    augment_band: float = leaf(0.0, "", low=0.0, high=0.9)
    """Augmentation of training references: random band limit. Removes up to this share of the mel channels at the top
    and up to a quarter of it at the bottom; 0 turns it off."""
    augment_noise_db: float = leaf(0.0, "dB", low=0.0, high=100.0)
    """Augmentation of training references: noise at a signal-to-noise ratio from this value to 30 dB above it, added
    before the band limit; 0 turns it off."""
    augment_share: float = leaf(1.0, "", low=0.0, high=1.0)
    """Share of the training references that augment_band and augment_noise_db change; the others stay clean."""
    length_buckets: int = leaf(12, "", low=1, high=64)
    """Number of batch shapes; more shapes mean less padding and a longer start."""
    num_workers: int = leaf(0, "processes", low=0, high=256)
    """Processes that compute features; 0 means one per processor."""
    hang_seconds: float = leaf(60.0, "seconds", low=1.0, high=86_400.0)
    """If the loader produces no batch for this long, thread stacks are written and it is restarted once; then the run
    ends."""


@dataclass(frozen=True)
class ModelConfig:
    """Widths and depths of the networks. The model size sets most of them."""

    width: int = leaf(256, "", low=8, high=4_096)
    """Width of the text encoder and of the decoder; a multiple of twice `heads`."""
    heads: int = leaf(4, "", low=1, high=64)
    """Attention heads of the text encoder."""
    text_blocks: int = leaf(2, "", low=1, high=64)
    """Transformer blocks of the text encoder."""
    decoder_blocks: int = leaf(5, "", low=1, high=64)
    """ConvNeXt blocks of the mel decoder."""
    decoder_patch: int = leaf(2, "frames", low=1, high=8)
    """Neighbouring frames that the mel decoder processes as one position; a larger patch is cheaper."""
    predictor_width: int = leaf(128, "", low=8, high=4_096)
    """Width of the duration, pitch and energy predictors."""
    speaker_width: int = leaf(160, "", low=8, high=4_096)
    """Width of the speaker encoder."""
    voice_width: int = leaf(128, "", low=4, high=2_048)
    """Width of the voice embedding (unit length)."""
    style_width: int = leaf(16, "", low=1, high=512)
    """Width of the style posterior."""
    decoder: str = leaf("regression", choices=("regression", "flow"))
    """Mel decoder: regression predicts the mel in one step, flow matching (arXiv 2210.02747) in a few Euler steps."""
    flow_steps: int = leaf(8, "steps", low=0, high=200)
    """Euler steps of the flow decoder at synthesis; 0 uses only its draft."""
    flow_draft_blocks: int = leaf(3, "", low=1, high=64)
    """ConvNeXt blocks of the draft that the flow decoder starts from; the flow itself has `decoder_blocks`."""
    flow_guidance: float = leaf(1.0, "", low=0.0, high=10.0)
    """Strength of classifier-free guidance (arXiv 2207.12598) of the flow decoder at synthesis; 0 turns it off and
    halves the time."""
    flow_unguided_share: float = leaf(0.15, "", low=0.0, high=0.9)
    """Share of the utterances that train the flow decoder without text and voice, for guidance."""
    critic_width: int = leaf(0, "", low=0, high=1_024)
    """Filters of the first layer of the critic, a discriminator of recorded and generated mels; 0 turns it off."""
    dropout: float = leaf(0.1, "", low=0.0, high=0.9)
    """Dropout in the text encoder and the decoder."""
    predictor_dropout: float = leaf(0.3, "", low=0.0, high=0.9)
    """Dropout in the duration, pitch and energy predictors, which overfit first."""


@dataclass(frozen=True)
class VocoderConfig:
    """The network of the neural vocoder and how it is trained (`myxtts vocoder train`)."""

    width: int = leaf(192, "", low=8, high=4_096)
    """Width of the network."""
    blocks: int = leaf(6, "", low=1, high=64)
    """ConvNeXt blocks of the network."""
    expansion: int = leaf(3, "", low=1, high=16)
    """Width inside a block, relative to `width`."""
    compile: bool = leaf(True)
    """Compile the training step with XLA: updates are faster, the start takes one to three minutes longer."""
    blur_share: float = leaf(0.5, "", low=0.0, high=1.0)
    """Share of the training segments with a recorded mel in which it is smoothed at random, so that the vocoder expects
    the smooth mels that a voice model predicts."""
    repulsion: float = leaf(0.65, "", low=0.0, high=1.0)
    """Weight of the distance between two draws of the noise in the loss. At 1 noise is as loud as in recordings."""
    mels_from: str = leaf(NO_MODEL)
    """Voice model whose predicted mels take turns with the recorded ones: a run, a step folder, or `starter`. They have
    the timing, pitch and energy of the recordings. `none`: recorded mels only."""
    predicted_share: float = leaf(0.5, "", low=0.0, high=1.0)
    """Share of the training segments whose mel is one that `mels_from` predicts."""


@dataclass(frozen=True)
class LossConfig:
    """Weights of the loss terms (each a masked mean in fp32) and their variants."""

    mel_weight: float = leaf(1.0, "", low=0.0, high=1e3)
    """L1 between predicted and recorded mel."""
    flow_weight: float = leaf(1.0, "", low=0.0, high=1e3)
    """Velocity of the flow decoder; 0 with the regression decoder. The mel term then covers the draft."""
    alignment_weight: float = leaf(1.0, "", low=0.0, high=1e3)
    """Gaussian likelihood of the mel under the aligner's means."""
    kl_weight: float = leaf(0.5, "", low=0.0, high=1e3)
    """KL divergence between the style posterior and the standard normal distribution."""
    duration_weight: float = leaf(0.1, "", low=0.0, high=1e3)
    """Predicted log-durations against the durations of the aligner."""
    pitch_weight: float = leaf(0.05, "", low=0.0, high=1e3)
    """Pitch of each token and each voiced frame, and the voicing of the frames."""
    energy_weight: float = leaf(0.05, "", low=0.0, high=1e3)
    """Energy of each token."""
    voice_similarity_weight: float = leaf(1.5, "", low=0.0, high=1e3)
    """1 - cosine between the voice embeddings of the prediction and the reference. The gradient does not reach the
    weights of the speaker encoder."""
    speaker_classification_weight: float = leaf(0.75, "", low=0.0, high=1e3)
    """Margin softmax over the training speakers, relative to chance; 0 with one speaker."""
    voice_reconstruction_weight: float = leaf(1.0, "", low=0.0, high=1e3)
    """Long-term spectrum of the speaker, predicted from the voice embedding."""
    prosody_matching_weight: float = leaf(0.5, "", low=0.0, high=1e3)
    """Mean pitch, pitch range and speaking rate of the speaker, predicted from the voice embedding."""
    spectral_consistency_weight: float = leaf(0.75, "", low=0.0, high=1e3)
    """L1 between the time and frequency differences of the predicted and the recorded mel."""
    critic_weight: float = leaf(0.1, "", low=0.0, high=1e3)
    """Loss of the critic in classifying recorded and generated mels; trains only the critic. 0 without a critic."""
    adversarial_weight: float = leaf(0.1, "", low=0.0, high=1e3)
    """Adversarial loss of the generator; does not train the critic. 0 without a critic."""
    feature_matching_weight: float = leaf(0.5, "", low=0.0, high=1e3)
    """L1 between the features of the critic for prediction and recording; trains the generator. 0 without a critic."""
    spectral_distance_weight: float = leaf(1.0, "", low=0.0, high=1e3)
    """Spectral energy distance (arXiv 2008.01160) of a vocoder; no other term trains it."""
    kl_free_bits: float = leaf(0.05, "nats", low=0.0, high=10.0)
    """Free bits: KL of each style dimension up to this value has no cost."""
    huber_delta: float = leaf(0.0, "", low=0.0, high=100.0)
    """Above 0, the mel loss is Huber with this delta instead of L1."""
    label_smoothing: float = leaf(0.0, "", low=0.0, high=0.5)
    """Label smoothing of the speaker classification."""
    adaptive_weights: bool = leaf(False)
    """Learn a bounded log-variance for each term but the adversarial ones (arXiv 1705.07115), besides the weights."""


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer and its clipping."""

    name: str = leaf("adamw", choices=("adamw", "muon"))
    """AdamW, or Muon (Keras) with AdamW for weights that are not matrices."""
    learning_rate: float = leaf(1e-5, "", above=0.0, high=1.0)
    """Learning rate at the end of the warmup."""
    beta_1: float = leaf(0.9, "", low=0.0, high=0.9999)
    """Decay of the first moment."""
    beta_2: float = leaf(0.999, "", low=0.0, high=0.999999)
    """Decay of the second moment."""
    epsilon: float = leaf(
        1e-8, "", low=1e-16, high=1e-2, why="a smaller one does not bound the step where a squared gradient vanishes"
    )
    """Added to the square root of the second moment."""
    weight_decay: float = leaf(1e-7, "", low=0.0, high=1.0)
    """Decoupled weight decay per update, multiplied by the learning rate."""
    clip_norm: float = leaf(0.3, "", above=0.0, high=1e6)
    """Gradients are clipped to this norm, separately for model and critic, over all micro-batches and processes."""


@dataclass(frozen=True)
class ScheduleConfig:
    """The learning rate and the aligner's prior as closed forms of the update number."""

    warmup_updates: int = leaf(3_000, "updates", low=0, high=10_000_000)
    """The learning rate rises linearly from 0 to its full value over this many updates."""
    decay: str = leaf("constant", choices=("constant", "inverse_sqrt", "cosine", "cosine_restarts"))
    """Shape of the learning rate after the warmup."""
    decay_updates: int = leaf(20_000, "updates", low=1, high=100_000_000)
    """Length of the cosine after the warmup, or of the first period with restarts."""
    restart_growth: float = leaf(1.5, "", low=1.0, high=10.0)
    """Each period is longer than the previous one by this factor; below 1 the periods would sum to a finite end."""
    floor_share: float = leaf(0.05, "", low=0.0, high=1.0)
    """The cosine falls to this share of the learning rate."""
    diagonal_prior_updates: int = leaf(400, "updates", low=0, high=10_000_000)
    """The diagonal prior of the aligner falls linearly to 0 over this many updates."""
    adversarial_start_updates: int = leaf(2_000, "updates", low=0, high=10_000_000)
    """Update at which the decoder starts to learn from the critic. The critic is trained from one ramp earlier."""
    adversarial_ramp_updates: int = leaf(1_000, "updates", low=0, high=10_000_000)
    """The adversarial weights then rise linearly to their full values over this many updates."""


@dataclass(frozen=True)
class TrainingConfig:
    """The training loop: batch, length, precision, checkpoints, validation, stopping."""

    batch_size: int = leaf(16, "clips", low=1, high=4_096)
    """Clips per micro-batch."""
    grad_accum: int = leaf(4, "micro-batches", low=1, high=4_096)
    """Micro-batches per update; the effective batch is batch_size x grad_accum."""
    epochs: int = leaf(500, "epochs", low=1, high=1_000_000)
    """Passes over the training data; max_updates may end the run earlier."""
    max_updates: int = leaf(0, "updates", low=0, high=1_000_000_000)
    """The run ends after this many updates; 0 means no limit besides `epochs`."""
    min_updates: int = leaf(0, "updates", low=0, high=1_000_000_000)
    """If `epochs` ends the run, it has at least this many updates: a few clips would end it within the warmup. 0 if the
    user sets `epochs`."""
    max_minutes: float = leaf(0.0, "minutes", low=0.0, high=1e6)
    """The run ends after this many minutes of training and can be resumed; 0 means no limit."""
    segment_seconds: float = leaf(0.0, "seconds", low=0.0, high=60.0)
    """Train the decoder on a random segment of at most this length of each clip; the aligner sees the entire clip, the
    text encoder and predictors the segment and its neighbourhood. Makes long clips cheap; 0 means the entire clip."""
    precision: str = leaf("fp32", choices=("fp32", "bf16", "fp16", "auto"))
    """Precision of the networks; losses, normalizations, weights and moments are always fp32. auto means bf16 if the
    hardware multiplies it natively, else fp32."""
    recompute: bool = leaf(False)
    """Gradient checkpointing: the backward pass computes the activations of text encoder, speaker encoder and decoder
    a second time instead of keeping them. Trains the same in less memory and more time; a vocoder has none of them."""
    ema_decay: float = leaf(0.999, "", low=0.0, high=0.99999)
    """Decay of the averaged weights (EMA) used by validation and synthesis, reached gradually; 0 turns it off."""
    seed: int = leaf(1, "", low=0, high=2_147_483_647)
    """Random seed of initial weights, data order, dropout and noise."""
    checkpoint_dir: str = leaf("./checkpoints")
    """The run directory: settings, checkpoints, metrics, events, samples, report."""
    checkpoint_every_updates: int = leaf(1_000, "updates", low=1, high=10_000_000)
    """Interval of the regular checkpoints."""
    keep_checkpoints: int = leaf(3, "checkpoints", low=1, high=10_000)
    """Number of regular checkpoints kept; best and last are kept in addition."""
    hot_checkpoint_seconds: float = leaf(120.0, "seconds", low=1.0, high=86_400.0)
    """Longest time between two saves, and so the most work that a kill can lose."""
    candidate_every_updates: int = leaf(200, "updates", low=1, high=1_000_000)
    """Interval of the checkpoints that a rollback can use, once 100 updates without trouble have followed."""
    validation_every_updates: int = leaf(500, "updates", low=1, high=10_000_000)
    """Interval of the validations, on the averaged weights."""
    log_every_updates: int = leaf(25, "updates", low=1, high=10_000_000)
    """Interval of lines on the screen and in TensorBoard; metrics.jsonl has every update."""
    early_stopping_validations: int = leaf(20, "validations", low=1, high=1_000_000)
    """The run ends after this many validations without an improvement."""
    early_stopping_min_delta: float = leaf(0.001, "", low=0.0, high=1e3)
    """Smallest decrease of the metric that counts as an improvement."""
    best_tolerance: float = leaf(0.0, "", low=0.0, high=0.5)
    """The best checkpoint is the newest one whose metric is within this share of the lowest."""
    best_metric: str = leaf("mel", choices=BEST_METRICS)
    """Validation metric that selects the best checkpoint; lower is better. voice_equal_error_rate needs two speakers.
    The last five are means over the three sentences a validation synthesizes, so they are noisy."""
    spike_factor: float = leaf(20.0, "", above=1.0, high=1e9)
    """An update whose gradient norm exceeds the running median by this factor, and the clip, is skipped."""
    threads: int = leaf(0, "threads", low=0, high=1_024)
    """Processor threads; 0 means all."""
    deterministic: str = leaf("auto", choices=("auto", "on", "off"))
    """Deterministic kernels, with which a resumed run is bit-exact. auto: on for processors, off for GPUs, where they
    are slower. The run prints what it is."""
    devices: int = leaf(0, "devices", low=0, high=64)
    """Processes on this machine that share each batch, one for each GPU; 0 means every GPU, or one process without a
    GPU. TF_CONFIG or Slurm, which describe the processes themselves, override it."""
    join_seconds: float = leaf(60.0, "seconds", low=1.0, high=86_400.0)
    """How long a process waits at the start for the other processes of its training."""


@dataclass(frozen=True)
class Config:
    """A complete, resolved configuration."""

    model_size: str = leaf("tiny", choices=MODEL_SIZES)
    """Named size of the networks."""
    optimization_level: str = leaf("enhanced", choices=OPTIMIZATION_LEVELS)
    """Named set of optimizer, loss and schedule settings."""
    trains: str = leaf("voice", choices=("voice", "vocoder"))
    """What the run trains: a voice model, or a neural vocoder (`myxtts vocoder train`)."""
    audio: AudioConfig = AudioConfig()
    text: TextConfig = TextConfig()
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    vocoder: VocoderConfig = VocoderConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    training: TrainingConfig = TrainingConfig()

    @property
    def effective_batch(self) -> int:
        """Clips of an update: batch_size x grad_accum."""
        return self.training.batch_size * self.training.grad_accum


SECTIONS: tuple[str, ...] = tuple(f.name for f in dataclasses.fields(Config) if "leaf" not in f.metadata)
