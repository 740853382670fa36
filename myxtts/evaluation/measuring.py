"""Synthesizes the texts of clips and measures the result against the recordings; sounds are written to a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from myxtts.audio import decoding, mel, pitch, waveform
from myxtts.audio.distances import COEFFICIENTS, clip_distances, token_duration_error
from myxtts.audio.speaker_similarity import SpeakerVerification, cosine, verify_pairs, verify_speakers
from myxtts.config.schema import AudioConfig
from myxtts.errors import DataError
from myxtts.evaluation.folder import AUDIO_FOLDER
from myxtts.evaluation.selection import SelectedClip, SkippedClips
from myxtts.messages import quoted
from myxtts.progress import Progress
from myxtts.units import seconds_of_frames
from myxtts.vocoder.files import Vocoder

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]

SPOKEN, VOCODER, RECORDING, REFERENCE = "spoken", "vocoder", "recording", "reference"
"""Origin of a sound: the model; the recording through mel and vocoder; the recording; the reference."""
_LONGEST_READ_SECONDS = 120.0


class Model(Protocol):
    """A model to evaluate. All methods raise DataError for input that cannot be used."""

    def speak(self, text: str, language: str, reference_N: FloatArray) -> tuple[FloatArray, Sequence[str]]:
        """Samples float32[N] of a text in the voice of a reference, and notes about them."""

    def voice(self, samples_N: FloatArray) -> FloatArray:
        """Voice float32[E] of a recording."""

    def durations(
        self, text: str, language: str, reference_N: FloatArray, recording_N: FloatArray
    ) -> tuple[IntArray, IntArray] | None:
        """Frames int32[T] of each token, aligned to the recording and predicted; None where they do not fit."""


@dataclass
class EvaluatedClip:
    """A clip and its figures; `files`, `seconds`, `figures` and `recognized` (text) by origin (SPOKEN, ...)."""

    id: str
    text: str
    speaker: str
    language: str
    source: str
    reference: str
    own_reference: bool
    files: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    figures: dict[str, dict[str, float | None]] = field(default_factory=dict)
    recognized: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As JSON-compatible values."""
        return asdict(self)


@dataclass(frozen=True)
class Measurements:
    """The clips, and speaker verification by the model's encoder on their recordings; `pairs`: what was compared."""

    clips: list[EvaluatedClip]
    verification: SpeakerVerification
    pairs: str
    recordings: int


class Evaluator:
    """Synthesizes and measures clip by clip, and keeps the voices of the recordings."""

    def __init__(self, model: Model, audio: AudioConfig, folder: Path, vocoder: Vocoder | None, seed: int) -> None:
        """`vocoder`: also measures the recordings through their mel and this vocoder."""
        self.model, self.audio, self.folder, self.vocoder, self.seed = model, audio, folder, vocoder, seed
        self.clips: list[EvaluatedClip] = []
        self._voices: dict[str, tuple[str, FloatArray]] = {}
        self._halves: list[tuple[FloatArray, FloatArray]] = []

    def run(
        self, selected: Iterator[SelectedClip], count: int, skipped: SkippedClips, progress: Progress
    ) -> Measurements:
        """Measures the first `count` clips that can be used; adds a line to `skipped` for each that cannot.

        Raises DataError if no clip can be used, StorageError where writing fails.
        """
        progress("evaluation", 0, count)
        for clip in selected:
            try:
                self._measure(clip)
            except DataError as error:
                skipped.problems.append(f"{clip.clip.source}: {clip.clip.id}: {error}")
                continue
            progress("evaluation", len(self.clips), count)
            if len(self.clips) == count:
                break
        if not self.clips:
            raise DataError(f"no clip can be evaluated; {'; '.join(skipped.lines(1)) or 'there is none'}")
        progress("evaluation", len(self.clips), len(self.clips))
        found, pairs = self._verification()
        return Measurements(self.clips, found, pairs, len(self._voices))

    def _measure(self, selected: SelectedClip) -> None:
        recording_N = self._read(selected.clip.audio_path)
        reference_N = recording_N if selected.own_reference else self._read(selected.reference.audio_path)
        reference_E = self.model.voice(reference_N)
        spoken_N, notes = self.model.speak(selected.clip.text, selected.clip.language, reference_N)
        clip = EvaluatedClip(
            selected.clip.id,
            selected.clip.text,
            selected.clip.speaker,
            selected.clip.language,
            selected.clip.source,
            selected.reference.id,
            selected.own_reference,
            notes=list(notes),
        )
        sounds = {SPOKEN: spoken_N, RECORDING: recording_N, REFERENCE: reference_N}
        true_MC, true_hz_M = self._features(recording_N)
        if self.vocoder is not None:
            sounds[VOCODER] = self.vocoder(true_MC, true_hz_M, self.seed)
        for who in (SPOKEN, VOCODER, RECORDING):
            if who in sounds:
                figures: dict[str, float | None] = {}
                if who != RECORDING and self.audio.mel_channels > COEFFICIENTS:
                    figures |= asdict(clip_distances(true_MC, true_hz_M, *self._features(sounds[who])))
                if not (selected.own_reference and who == RECORDING):
                    figures["speaker_similarity"] = self._speaker_similarity(reference_E, sounds[who], who, clip)
                clip.figures[who] = figures
        found = self.model.durations(clip.text, clip.language, reference_N, recording_N)
        frame_ms = 1_000.0 * seconds_of_frames(1, self.audio.sample_rate_hz, self.audio.hop_samples)
        clip.figures[SPOKEN]["token_duration_error_ms"] = frame_ms * token_duration_error(*found) if found else None
        self._keep_voices(selected, recording_N, reference_E, clip)
        number = len(self.clips) + 1
        for who, samples_N in sounds.items():
            clip.files[who] = f"{AUDIO_FOLDER}/{number:03d}-{who}.wav"
            clip.seconds[who] = len(samples_N) / self.audio.sample_rate_hz
            waveform.write_wav(self.folder / clip.files[who], samples_N, self.audio.sample_rate_hz)
        self.clips.append(clip)

    def _read(self, path: Path) -> FloatArray:
        samples_N = decoding.read_isolated(path, self.audio, _LONGEST_READ_SECONDS)
        if waveform.is_silent(samples_N):
            raise DataError(f"{quoted(path, 200)}: silence; remove it")
        return waveform.trim(samples_N, self.audio)

    def _features(self, samples_N: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log-mel [M, C] and pitch [M] of a sound, with silent ends trimmed as in training."""
        samples_N = waveform.trim(samples_N, self.audio)
        return mel.log_mel(samples_N, self.audio), pitch.track(samples_N, self.audio)

    def _speaker_similarity(
        self, reference_E: FloatArray, samples_N: FloatArray, who: str, clip: EvaluatedClip
    ) -> float | None:
        try:
            return cosine(reference_E, self.model.voice(samples_N))
        except DataError as error:
            clip.notes.append(f"no speaker similarity of {who}: {error}")
            return None

    def _keep_voices(
        self, selected: SelectedClip, recording_N: FloatArray, reference_E: FloatArray, clip: EvaluatedClip
    ) -> None:
        """Keeps the voices of clip and reference; of the halves of a clip whose speaker has no other recording."""
        self._voices[selected.reference.id] = selected.reference.speaker, reference_E
        try:
            if not selected.own_reference:
                if selected.clip.id not in self._voices:
                    self._voices[selected.clip.id] = selected.clip.speaker, self.model.voice(recording_N)
            elif len(recording_N) >= 2 * self.audio.sample_rate_hz:
                first_N, second_N = np.array_split(recording_N, 2)
                self._halves.append((self.model.voice(first_N), self.model.voice(second_N)))
        except DataError as error:
            clip.notes.append(f"not used for speaker verification: {error}")

    def _verification(self) -> tuple[SpeakerVerification, str]:
        """Speaker verification on recordings; on halves of recordings where no speaker has two."""
        speakers = [speaker for speaker, _ in self._voices.values()]
        found = verify_speakers(np.stack([voice for _, voice in self._voices.values()]), speakers)
        if found.same_pairs or not self._halves:
            return found, "recordings"
        pairs = [(a, b) for a in range(len(self._halves)) for b in range(len(self._halves))]
        cosines = [cosine(self._halves[a][0], self._halves[b][1]) for a, b in pairs]
        return verify_pairs(cosines, [a == b for a, b in pairs]), "halves of recordings"
