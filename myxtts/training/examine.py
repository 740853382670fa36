"""What a validation measures beyond the losses: the voices and spoken sentences of a voice model, and the sentences
of a vocoder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from myxtts.audio import pitch
from myxtts.audio.distances import COEFFICIENTS, ClipDistances, clip_distances
from myxtts.audio.mel import log_mel
from myxtts.audio.waveform import write_wav
from myxtts.config.schema import AudioConfig, Config
from myxtts.data.batches import Batches
from myxtts.data.corpus import Corpus
from myxtts.data.feature_store import FeatureStore
from myxtts.data.records import Utterance
from myxtts.models.build import weights_of
from myxtts.models.generate import Generator
from myxtts.storage.files import write_text_atomic
from myxtts.training.run_context import RunContext
from myxtts.training.step import Step
from myxtts.training.voices import VoiceVerification, speaker_similarity_error, speaker_voices, verify_voices
from myxtts.vocoder.files import NEURAL, open_vocoder
from myxtts.vocoder.neural import NeuralVocoder
from myxtts.vocoder.segments import Segments

SAMPLES = 3
DISTANCE_METRICS = ("mcd_db", "pitch_error_semitones", "voicing_error", "length_error")
"""Mean distances of the samples to their recordings (audio.distances); `speaker_similarity_error` is added."""
FloatArray = npt.NDArray[np.float32]


class Examiner(Protocol):
    """Examines the averaged weights of a run, besides the loss terms."""

    def training_voices(self) -> dict[str, FloatArray]:
        """The voices of the training speakers, for a checkpoint; nothing for a vocoder."""

    def verification(self) -> VoiceVerification | None:
        """Speaker verification over the validation speakers, if there is any."""

    def speak(self, update: int) -> dict[str, float]:
        """Write the samples of an update, and log them; returns their mean distances to the recordings."""


@dataclass(frozen=True)
class ValidationSample:
    """One validation sentence: natural-log mels (M, C), alignment (T, M; none of a vocoder), and its WAV file."""

    name: str
    utterance: Utterance
    predicted_mel_MC: FloatArray
    true_mel_MC: FloatArray
    alignment_TM: npt.NDArray[np.float16] | None
    wav_path: Path
    seconds: float
    distances: ClipDistances | None
    """Distances to its recording; None with too few mel channels for a cepstrum."""
    speaker_similarity_error: float | None
    """Distance of its voice to that of its reference (training.voices)."""


def sample_rows(store: FeatureStore) -> list[int]:
    """Fixed utterances to speak: of medium length, of different speakers if there are several."""
    order = np.argsort(store.lengths[1], kind="stable")
    middle = np.roll(order, -(len(order) // 2)).tolist()
    speakers = store.speakers
    first_of: dict[str, int] = {}
    for row in middle:
        first_of.setdefault(speakers[row], row)
        if len(first_of) == SAMPLES:
            break
    chosen = list(first_of.values())
    return (chosen + [row for row in middle[: 2 * SAMPLES] if row not in chosen])[:SAMPLES]


def speak_samples(
    generator: Generator, step: Step, batches: Batches, corpus: Corpus, config: Config, folder: Path
) -> list[ValidationSample]:
    """Speak the fixed validation sentences with the voice of their reference; write audio, mels and alignments.

    The predicted mel uses predicted durations; the alignment is the aligner's, of the recording.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = sample_rows(batches.store)
    samples: list[ValidationSample] = []
    audio = config.audio
    vocoder = open_vocoder(NEURAL, audio)
    for batch in batches.all():
        wanted = np.isin(batch["utterance_B"], rows).any()
        path_BMT = step.validate(batch)[1]["path_BMT"] if wanted else None
        for at, row in enumerate(batch["utterance_B"].tolist()):
            if row not in rows or path_BMT is None:
                continue
            frames, tokens = int(batch["mel_length_B"][at]), int(batch["text_length_B"][at])
            reference = batch["reference_BRC"][at : at + 1]
            voice = generator.voices(reference, batch["reference_length_B"][at : at + 1])[0]
            spoken = generator.generate_mel(
                batch["text_BT"][at, :tokens], int(batch["language_B"][at]), voice, seed=config.training.seed
            )
            predicted = corpus.denormalize_mel(spoken.mel_MC)
            pitch_hz_M = corpus.pitch_hz(spoken.frame_pitch_M, spoken.voiced_M, audio)
            wave_N = vocoder(predicted, pitch_hz_M, config.training.seed)
            error = speaker_similarity_error(generator, predicted, voice, batches.reference_frames, corpus, config)
            alignment_TM = path_BMT[at, :frames, :tokens].T.astype(np.float16)
            samples.append(
                _written(folder, rows.index(row), batches.store, row, wave_N, predicted, audio, alignment_TM, error)
            )
    _write_index(folder, samples)
    return samples


def _written(
    folder: Path,
    number: int,
    store: FeatureStore,
    row: int,
    wave_N: FloatArray,
    mel_MC: FloatArray,
    audio: AudioConfig,
    alignment_TM: npt.NDArray[np.float16] | None = None,
    speaker_similarity_error: float | None = None,
) -> ValidationSample:
    """Writes the sound and the arrays of a sample, and compares it with its recording."""
    true_mel_MC, true_hz_M, _ = store.features(row)
    distances = None
    if audio.mel_channels > COEFFICIENTS:
        distances = clip_distances(true_mel_MC, true_hz_M, mel_MC, pitch.track(wave_N, audio))
    name, utterance = f"sample-{number + 1}", store.utterances[row]
    write_wav(folder / f"{name}.wav", wave_N, audio.sample_rate_hz)
    arrays: dict[str, Any] = {
        "predicted_mel_MC": mel_MC.astype(np.float16),
        "true_mel_MC": true_mel_MC.astype(np.float16),
    }
    if alignment_TM is not None:
        arrays["alignment_TM"] = alignment_TM
    np.savez_compressed(folder / f"{name}.npz", **arrays)
    return ValidationSample(
        name=name,
        utterance=utterance,
        predicted_mel_MC=mel_MC,
        true_mel_MC=true_mel_MC,
        alignment_TM=alignment_TM,
        wav_path=folder / f"{name}.wav",
        seconds=len(wave_N) / audio.sample_rate_hz,
        distances=distances,
        speaker_similarity_error=speaker_similarity_error,
    )


def _write_index(folder: Path, samples: list[ValidationSample]) -> None:
    index = [
        {
            "name": sample.name,
            "text": sample.utterance.text,
            "speaker": sample.utterance.speaker,
            "language": sample.utterance.language,
            "wav": f"{sample.name}.wav",
            "npz": f"{sample.name}.npz",
            "seconds": sample.seconds,
        }
        for sample in samples
    ]
    write_text_atomic(folder / "index.json", json.dumps(index, ensure_ascii=False, indent=1))


class VoiceExaminer:
    """Examines a voice model.

    Args:
        run: the run.
        training: training batches, whose speakers get voices.
        batches: validation batches.
    """

    def __init__(self, run: RunContext, training: Batches, batches: Batches) -> None:
        self.run, self.training, self.batches = run, training, batches
        self.generator = Generator(run.trainer.average)

    def training_voices(self) -> dict[str, FloatArray]:
        """See Examiner."""
        return speaker_voices(self.generator, self.training, self.run.trainer.corpus, self.run.config)

    def verification(self) -> VoiceVerification | None:
        """See Examiner."""
        return verify_voices(self.generator, self.batches, self.run.trainer.corpus, self.run.config)

    def speak(self, update: int) -> dict[str, float]:
        """See Examiner."""
        run = self.run
        folder = run.directory.samples_of_update(update)
        samples = speak_samples(self.generator, run.trainer.step, self.batches, run.trainer.corpus, run.config, folder)
        return _logged(run, update, samples)


class VocoderExaminer:
    """Examines a vocoder: it turns the recorded mels of a few validation clips back into speech.

    Args:
        run: the run.
        segments: validation segments.
    """

    def __init__(self, run: RunContext, segments: Segments) -> None:
        self.run, self.segments = run, segments

    def training_voices(self) -> dict[str, FloatArray]:
        """See Examiner."""
        return {}

    def verification(self) -> None:
        """See Examiner."""

    def speak(self, update: int) -> dict[str, float]:
        """See Examiner."""
        run, store, audio = self.run, self.segments.store, self.run.config.audio
        folder = run.directory.samples_of_update(update)
        folder.mkdir(parents=True, exist_ok=True)
        vocoder = NeuralVocoder(weights_of(run.trainer.average), run.config.vocoder, audio)
        samples: list[ValidationSample] = []
        for number, row in enumerate(sample_rows(store)):
            true_MC, hz_M, _ = store.features(row)
            wave_N = vocoder(true_MC, hz_M, run.config.training.seed)
            samples.append(_written(folder, number, store, row, wave_N, log_mel(wave_N, audio), audio))
        _write_index(folder, samples)
        return _logged(run, update, samples)


def _logged(run: RunContext, update: int, samples: list[ValidationSample]) -> dict[str, float]:
    """Log samples to TensorBoard; returns their mean distances to recordings and voices."""
    for sample in samples:
        run.log.tensorboard.sample(
            update,
            sample.name,
            predicted_mel_MC=sample.predicted_mel_MC,
            true_mel_MC=sample.true_mel_MC,
            alignment_TM=sample.alignment_TM,
            wav_path=sample.wav_path,
        )
    distances = [sample.distances for sample in samples if sample.distances is not None]
    found = {name: [getattr(one, name) for one in distances] for name in DISTANCE_METRICS}
    found["speaker_similarity_error"] = [sample.speaker_similarity_error for sample in samples]
    known = {name: [value for value in values if value is not None] for name, values in found.items()}
    return {name: float(np.mean(values)) for name, values in known.items() if values}
