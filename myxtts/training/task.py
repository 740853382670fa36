"""What a run trains: its model, loss terms, batches and validation outputs; the loop around them is the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf

from myxtts.audio.harmonics import harmonic_table
from myxtts.batch import FIELDS, PROSODY_FIGURES, Field
from myxtts.config.schema import Config
from myxtts.data.corpus import Corpus
from myxtts.loss_terms import TERMS, VOCODER_TERMS
from myxtts.models.build import build_voice_cloner
from myxtts.models.layers import Module
from myxtts.models.voice_cloner import PRECISIONS, VoiceCloner
from myxtts.text.symbols import SymbolTable
from myxtts.training import losses
from myxtts.vocoder import segments
from myxtts.vocoder.distance import energy_distance, harmonic_part, noise_part, spectra, synthesize
from myxtts.vocoder.network import FilterNetwork, build_network

Tensors = Mapping[str, tf.Tensor]


class Task(Protocol):
    """What a run trains. Terms, fields and signature belong to one another and never change during a run."""

    config: Config
    term_weights: dict[str, float]
    """Weight x scale of each term."""
    signature: dict[str, tf.TensorSpec]
    """The shapes of a batch; None where batches differ."""
    compiled: bool
    """Whether XLA compiles the training step: it pays for few, fixed shapes."""
    has_critic: bool

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the loss terms, in the order of every array of terms."""

    @property
    def fields(self) -> Sequence[Field]:
        """The arrays of a batch."""

    def build(self, precision: str) -> Module:
        """A model whose weights follow from the seed of the run."""

    def losses(
        self, model: Any, batch: Tensors, prior: tf.Tensor, seed: tf.Tensor, critic_plays: bool
    ) -> dict[str, tf.Tensor]:
        """Every loss term (B,) of a training batch."""

    def validation(self, model: Any, batch: Tensors) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Every loss term (B,) of a validation batch, and the outputs that validation looks at."""


def task_of(config: Config, corpus: Corpus) -> Task:
    """The task that `config.trains` names."""
    return VocoderTask(config) if config.trains == "vocoder" else VoiceTask(config, corpus)


def signature_of(fields: Sequence[Field], sizes: Mapping[str, int]) -> dict[str, tf.TensorSpec]:
    """The signature of a batch; letters that are not in `sizes` may have any size."""
    return {f.key: tf.TensorSpec([sizes.get(letter) for letter in f.letters], f.dtype, f.key) for f in fields}


class VoiceTask:
    """A voice model: text, voice and style -> mel (models.voice_cloner)."""

    terms = tuple(TERMS)
    fields = FIELDS
    compiled = False

    def __init__(self, config: Config, corpus: Corpus | None = None) -> None:
        """`corpus` is needed by `build` alone."""
        self.config, self.corpus = config, corpus
        self.term_weights = losses.weights_of(config.loss)
        self.has_critic = config.model.critic_width > 0
        # any B, T, M and R: one graph serves every bucket
        sizes = {"C": config.audio.mel_channels, "Q": len(PROSODY_FIGURES)}
        self.signature = signature_of(FIELDS, sizes)

    def build(self, precision: str) -> VoiceCloner:
        """A voice cloner for the symbols, languages and speakers of the corpus."""
        config, corpus = self.config, self.corpus
        if corpus is None:
            raise ValueError("a voice model is built for a corpus")
        return build_voice_cloner(
            config.model,
            channels=config.audio.mel_channels,
            symbols=len(SymbolTable.from_json(corpus.symbols)),
            languages=len(corpus.languages),
            speakers=max(1, len(corpus.speakers)),
            harmonics=harmonic_table(config.audio, corpus.pitch_mean, corpus.pitch_std),
            precision=precision,
            seed=config.training.seed,
            mel_std_C=corpus.mel_std_C,
            recompute=config.training.recompute,
        )

    def losses(
        self, model: VoiceCloner, batch: Tensors, prior: tf.Tensor, seed: tf.Tensor, critic_plays: bool
    ) -> dict[str, tf.Tensor]:
        """See Task."""
        outputs = model(batch, prior, seed, critic_plays=critic_plays)
        return losses.terms(outputs, batch, self.config.loss)

    def validation(self, model: VoiceCloner, batch: Tensors) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """See Task; the outputs are the predicted mel (B, S, C) and the alignment (B, M, T)."""
        outputs = model(batch, tf.constant(0.0))
        terms = losses.terms(outputs, batch, self.config.loss)
        return terms, {name: outputs[name] for name in ("mel_BSC", "path_BMT")}


class VocoderTask:
    """A neural vocoder: mel and pitch -> waveform (myxtts.vocoder)."""

    terms = tuple(VOCODER_TERMS)
    fields = segments.FIELDS
    has_critic = False

    def __init__(self, config: Config) -> None:
        self.config = config
        self.term_weights = {"spectral_distance": config.loss.spectral_distance_weight}
        self.compiled = config.vocoder.compile
        frames = segments.segment_frames(config)
        sizes = {"C": config.audio.mel_channels, "M": frames, "N": frames * config.audio.hop_samples}
        self.signature = signature_of(self.fields, sizes)

    def build(self, precision: str) -> FilterNetwork:
        """A filter network for the mel convention of the settings."""
        config = self.config
        policy = keras.DTypePolicy(PRECISIONS[precision])
        return build_network(config.vocoder, config.audio, policy=policy, seed=config.training.seed)

    def losses(
        self, model: FilterNetwork, batch: Tensors, prior: tf.Tensor, seed: tf.Tensor, critic_plays: bool
    ) -> dict[str, tf.Tensor]:
        """See Task. The noise of both draws is in the batch; the aligner's prior and dropout do not exist here."""
        audio = self.config.audio
        filters = model(batch["mel_BMC"], batch["pitch_BM"], batch["voiced_BM"])
        harmonic = harmonic_part(filters, batch["pulses_BN"], audio)
        margin = segments.MARGIN_FRAMES * audio.hop_samples
        signals = [batch["wave_BN"]] + [
            synthesize(harmonic + noise_part(filters, batch[key], batch["phase_BN"], audio), audio)
            for key in ("noise_BN", "other_noise_BN")
        ]
        true, one, other = (spectra(x[:, margin:-margin]) for x in signals)
        bandwidth_hz_B, repulsion = batch["bandwidth_hz_B"], self.config.vocoder.repulsion
        distance_B = energy_distance(true, one, other, bandwidth_hz_B, audio.sample_rate_hz, repulsion)
        return {"spectral_distance": distance_B}

    def validation(self, model: FilterNetwork, batch: Tensors) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """See Task; there are no further outputs."""
        nothing = tf.zeros([2], tf.int32)
        return self.losses(model, batch, tf.constant(0.0), nothing, False), {}
