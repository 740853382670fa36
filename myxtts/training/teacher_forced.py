"""Mels that a trained voice model predicts for recordings, with the recordings' own timing, pitch and energy.

They belong to the waveforms frame by frame and are as smooth as the mels that the voice model will speak with, so a
vocoder that is trained on them expects what it gets. One cache file per clip; its name holds the clip, its tokens and
the weights of the voice model.
"""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from myxtts.audio.mel import fingerprint
from myxtts.config.files import config_of_file
from myxtts.config.schema import AudioConfig, Config
from myxtts.data.batches import reference_frames
from myxtts.data.corpus import Corpus, parse_corpus
from myxtts.data.feature_store import FeatureStore, FloatArray, TokenArray, write_to_cache
from myxtts.data.references import prepare_reference
from myxtts.errors import CheckpointError, ConfigError, DataError, StorageError
from myxtts.messages import quoted
from myxtts.models.aligner import path_of
from myxtts.models.build import check_size, load_weights
from myxtts.models.generate import FRAME_STEP, Generator
from myxtts.models.layers import sequence_mask
from myxtts.models.predictors import token_means
from myxtts.progress import Progress
from myxtts.storage.files import read_regular_file
from myxtts.storage.find_checkpoint import find
from myxtts.storage.tensors import Array
from myxtts.text.symbols import SymbolTable
from myxtts.text.tokenizer import Tokenizer
from myxtts.training.task import VoiceTask

_LARGEST_FILE = 1 << 26


@dataclass(frozen=True)
class VoiceSource:
    """A voice model whose mels a vocoder is trained on.

    Raises CheckpointError if it cannot be used, or computes mels of another definition than `audio`.
    """

    path: Path
    config: Config
    corpus: Corpus
    average: dict[str, Array]
    update: int
    key: str
    """Of the weights: it names the folder of the cache."""

    @classmethod
    def open(cls, path: Path, audio: AudioConfig) -> VoiceSource:
        """Reads the averaged weights of the best checkpoint of a run, of a step folder, or of the starter."""
        checkpoint = find(path)
        where = f"vocoder.mels_from {quoted(str(path), 200)}"
        try:
            config = config_of_file(checkpoint.path / "config.yaml")
            corpus = parse_corpus(checkpoint.texts["corpus.json"].encode("utf-8", "surrogatepass"))
            average = dict(checkpoint.arrays["average"])
        except (ConfigError, DataError, KeyError) as error:
            raise CheckpointError(f"{where} holds no voice model ({error}); name another run") from error
        if config.trains != "voice":
            raise CheckpointError(f"{where} holds a vocoder, not a voice model; name another run")
        own, needed = fingerprint(config.audio), fingerprint(audio)
        if own != needed:
            raise CheckpointError(
                f"{where} predicts mels of another definition ({own}, here {needed}); name another run"
            )
        check_size(
            sum(array.size for array in average.values()),
            where,
            config.model,
            channels=config.audio.mel_channels,
            symbols=len(SymbolTable.from_json(corpus.symbols)),
            languages=len(corpus.languages),
            speakers=max(1, len(corpus.speakers)),
        )
        digest = hashlib.sha256()
        for name in sorted(average):
            digest.update(name.encode() + np.ascontiguousarray(average[name]).tobytes())
        return cls(checkpoint.path, config, corpus, average, checkpoint.update, digest.hexdigest()[:16])


class PredictedMels:
    """The predicted mels of the clips of a feature store, by row.

    Args:
        source: the voice model.
        store: the clips.
        progress: called for the task "predicted mels".

    Raises StorageError if the cache cannot be written.
    """

    def __init__(self, source: VoiceSource, store: FeatureStore, progress: Progress) -> None:
        tokens = _tokens_of(source, store)
        self._paths = [None if t is None else _place(source, store.entry_path(row), t) for row, t in enumerate(tokens)]
        self._frames = store.lengths[1]
        missing = [row for row, path in enumerate(self._paths) if path is not None and self._read(row) is None]
        model = _VoiceModel(source) if missing else None
        for done, row in enumerate(missing, 1):
            path, tokens_T = self._paths[row], tokens[row]
            if model is not None and path is not None and tokens_T is not None:
                language = source.corpus.languages.index(store.utterances[row].language)
                mel_MC = model.predict(tokens_T, language, store.features(row))
                if mel_MC is None:
                    self._paths[row] = None
                else:
                    _write(path, mel_MC)
            progress("predicted mels", done, len(missing))

    @property
    def count(self) -> int:
        """Clips that have a predicted mel."""
        return sum(path is not None for path in self._paths)

    def mel(self, row: int) -> FloatArray | None:
        """Natural-log mel (M, C) of a clip; None where the voice model cannot speak it. Raises StorageError."""
        if self._paths[row] is None:
            return None
        found = self._read(row)
        if found is None:
            what = f"{self._paths[row]}: the cached mel is missing or truncated"
            raise StorageError(f"{what}; start the same command again")
        return found

    def _read(self, row: int) -> FloatArray | None:
        """The cached mel of a clip; None if it is absent or damaged."""
        path = self._paths[row]
        if path is None:
            return None
        try:
            content = bytes(read_regular_file(path, _LARGEST_FILE))
            check, body = content[:16], content[16:]
            if hashlib.blake2b(body, digest_size=16).digest() != check:
                return None
            mel_MC = np.load(io.BytesIO(body), allow_pickle=False).astype(np.float32)
        except (OSError, ValueError):
            return None
        return mel_MC if len(mel_MC) == self._frames[row] else None


def _tokens_of(source: VoiceSource, store: FeatureStore) -> list[TokenArray | None]:
    """The tokens of each text for the voice model; None where it does not have the language or a symbol."""
    table = SymbolTable.from_json(source.corpus.symbols)
    tokenizer = Tokenizer(source.config.text, table, dictionary=source.corpus.dictionary)
    found: list[TokenArray | None] = [None] * len(store)
    for language in sorted({utterance.language for utterance in store.utterances} & set(source.corpus.languages)):
        rows = [row for row, utterance in enumerate(store.utterances) if utterance.language == language]
        encoded = tokenizer.encode([store.utterances[row].text for row in rows], language)
        for row, text in zip(rows, encoded, strict=True):
            if not text.unknown and 0 < len(text.tokens) <= source.config.data.max_text_tokens:
                found[row] = np.asarray(text.tokens, np.int32)
    return found


def _place(source: VoiceSource, entry: Path, tokens_T: TokenArray) -> Path:
    words = hashlib.blake2b(np.ascontiguousarray(tokens_T, "<i4").tobytes(), digest_size=8).hexdigest()
    return entry.parent.parent.parent / "mels" / source.key / f"{entry.stem}-{words}.npy"


def _write(path: Path, mel_MC: FloatArray) -> None:
    body = io.BytesIO()
    np.save(body, mel_MC.astype(np.float16), allow_pickle=False)
    write_to_cache(path, hashlib.blake2b(body.getvalue(), digest_size=16).digest() + body.getvalue())


class _VoiceModel:
    """The networks of a voice model, run with the timing, pitch and energy of recordings."""

    def __init__(self, source: VoiceSource) -> None:
        self.config, self.corpus = source.config, source.corpus
        self.model = VoiceTask(source.config, source.corpus).build("fp32")
        load_weights(self.model, source.average)
        self.generator = Generator(self.model)
        width, channels = source.config.model.width, source.config.audio.mel_channels
        f32, i32 = tf.float32, tf.int32
        self._decode = tf.function(
            self._decode_graph,
            input_signature=[
                tf.TensorSpec([1, None, width], f32), tf.TensorSpec([1, None, channels], f32),
                tf.TensorSpec([1, None], i32), *[tf.TensorSpec([1, None], f32)] * 3, tf.TensorSpec([], i32),
                tf.TensorSpec([1, None], f32),
            ],
            autograph=False,
        )  # fmt: skip

    def predict(
        self, tokens_T: TokenArray, language: int, features: tuple[FloatArray, FloatArray, FloatArray]
    ) -> FloatArray | None:
        """The natural-log mel (M, C) for the mel, pitch and energy of a recording; None if it has fewer frames than
        tokens or the result is not finite."""
        raw_MC, hz_M, energy_M = features
        frames = len(raw_MC)
        if frames < len(tokens_T):
            return None
        reference_RC = prepare_reference(raw_MC, self.corpus, self.config.audio)[: reference_frames(self.config)]
        voice = self.generator.voices(reference_RC[None], np.array([len(reference_RC)], np.int32))[0]
        mel_MC = self.corpus.normalize_mel(raw_MC)
        predicted = self.generator.predict(tokens_T, language, voice)
        duration_BT = self.generator.align(predicted, tokens_T, mel_MC - mel_MC.mean(axis=0))
        pitch_M, voiced_M = self.corpus.normalize_pitch(hz_M)
        frame_features = (pitch_M, voiced_M, self.corpus.normalize_energy(energy_M))
        made = self._decode(
            predicted["text_BTD"],
            predicted["mean_BTC"],
            duration_BT,
            *(tf.constant(_padded(x), tf.float32) for x in frame_features),
            tf.constant(frames),
            tf.constant(voice.voice_E[None], tf.float32),
        )
        log_mel_MC = self.corpus.denormalize_mel(made.numpy()[0, :frames])
        if not np.isfinite(log_mel_MC).all():
            return None
        floor = np.float32(math.log(self.config.audio.log_floor))
        return np.maximum(log_mel_MC, floor)

    def _decode_graph(
        self,
        text_BTD: tf.Tensor,
        mean_BTC: tf.Tensor,
        duration_BT: tf.Tensor,
        pitch_BM: tf.Tensor,
        voiced_BM: tf.Tensor,
        energy_BM: tf.Tensor,
        frames: tf.Tensor,
        voice_BE: tf.Tensor,
    ) -> tf.Tensor:
        """The normalized mel (1, M, C), conditioned on the recording's prosody as in training."""
        model, shape = self.model, tf.shape(pitch_BM)
        mask = sequence_mask(frames[None], shape[1])
        path = path_of(duration_BT, shape[1])
        pitch_BT, _ = token_means(pitch_BM, voiced_BM, path)
        energy_BT, _ = token_means(energy_BM, mask[:, :, 0], path)
        features = model.expand_to_frames(text_BTD, mean_BTC, duration_BT, pitch_BT, energy_BT, path)
        x = model.decoder_input(features, pitch_BM, voiced_BM)
        base = (features["mean_BMC"] + model.voice_heads(voice_BE)["spectrum_BC"][:, None, :]) * mask
        steps = tf.constant(self.config.model.flow_steps)
        noise = tf.random.stateless_normal(tf.shape(base), [0, 1])
        return base + model.decoder.generate(x, model.scale_voice(voice_BE), mask, steps, noise)


def _padded(x_M: FloatArray) -> FloatArray:
    return np.pad(x_M, (0, -len(x_M) % FRAME_STEP))[None]
