"""Clips spoken again and measured: sounds are written to a folder, figures are returned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from myxtts.audio import decoding, mel, pitch, waveform
from myxtts.audio.distances import COEFFICIENTS, closeness, token_duration_error
from myxtts.audio.griffin_lim import waveform_of_mel
from myxtts.audio.speaker_similarity import Separation, cosine, separated, separation
from myxtts.config.schema import AudioConfig
from myxtts.errors import DataError
from myxtts.evaluation.choosing import Choice, LeftOut
from myxtts.evaluation.folder import AUDIO_FOLDER
from myxtts.messages import quoted
from myxtts.progress import Progress
from myxtts.units import seconds_of_frames

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]

SPOKEN, VOCODER, RECORDING, REFERENCE = "spoken", "vocoder", "recording", "reference"
"""The model's speech; the recording through mel and Griffin-Lim; the recording; the voice that was asked for."""
_LONGEST_READ_SECONDS = 120.0


class Model(Protocol):
    """What is measured. All raise DataError for what cannot be spoken or heard."""

    def speak(self, text: str, language: str, reference_N: FloatArray) -> tuple[FloatArray, Sequence[str]]:
        """Samples float32[N] of a text in the voice of a recording, and notes about them."""

    def voice(self, samples_N: FloatArray) -> FloatArray:
        """Voice float32[E] of a recording."""

    def durations(
        self, text: str, language: str, reference_N: FloatArray, recording_N: FloatArray
    ) -> tuple[IntArray, IntArray] | None:
        """Frames int32[T] of each token in the recording, and as predicted for a voice; None where they do not fit."""


@dataclass
class Clip:
    """A clip and its figures: `files`, `seconds`, `figures` and `heard` are by who speaks (SPOKEN, ...)."""

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
    heard: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As plain values for a JSON file."""
        return asdict(self)


@dataclass(frozen=True)
class Measured:
    """The clips, and how the model's voices part the speakers of the recordings: `pairs` says of what."""

    clips: list[Clip]
    separation: Separation
    pairs: str
    recordings: int


class Measuring:
    """Speaks and measures one clip after the other, and remembers the voices of the recordings."""

    def __init__(self, model: Model, audio: AudioConfig, folder: Path, baseline: bool, seed: int) -> None:
        self.model, self.audio, self.folder, self.baseline, self.seed = model, audio, folder, baseline, seed
        self.clips: list[Clip] = []
        self._voices: dict[str, tuple[str, FloatArray]] = {}
        self._halves: list[tuple[FloatArray, FloatArray]] = []

    def run(self, choices: Iterator[Choice], count: int, left_out: LeftOut, progress: Progress) -> Measured:
        """Measures the first `count` clips that can be used; adds a line to `left_out` for each that cannot.

        Raises DataError if there is none, StorageError where the disk refuses.
        """
        progress("evaluation", 0, count)
        for choice in choices:
            try:
                self._measure(choice)
            except DataError as error:
                left_out.problems.append(f"{choice.clip.source}: {choice.clip.id}: {error}")
                continue
            progress("evaluation", len(self.clips), count)
            if len(self.clips) == count:
                break
        if not self.clips:
            raise DataError(f"no clip can be evaluated; {'; '.join(left_out.lines(1)) or 'there is none'}")
        progress("evaluation", len(self.clips), len(self.clips))
        found, pairs = self._separation()
        return Measured(self.clips, found, pairs, len(self._voices))

    def _measure(self, choice: Choice) -> None:
        recording_N = self._read(choice.clip.audio_path)
        reference_N = recording_N if choice.own_reference else self._read(choice.reference.audio_path)
        reference_E = self.model.voice(reference_N)
        spoken_N, notes = self.model.speak(choice.clip.text, choice.clip.language, reference_N)
        clip = Clip(
            choice.clip.id,
            choice.clip.text,
            choice.clip.speaker,
            choice.clip.language,
            choice.clip.source,
            choice.reference.id,
            choice.own_reference,
            notes=list(notes),
        )
        sounds = {SPOKEN: spoken_N, RECORDING: recording_N, REFERENCE: reference_N}
        true_MC, true_hz_M = self._heard(recording_N)
        if self.baseline:
            sounds[VOCODER] = waveform_of_mel(true_MC, self.audio, seed=self.seed, pitch_hz_M=true_hz_M)
        for who in (SPOKEN, VOCODER, RECORDING):
            if who in sounds:
                figures: dict[str, float | None] = {}
                if who != RECORDING and self.audio.mel_channels > COEFFICIENTS:
                    figures |= asdict(closeness(true_MC, true_hz_M, *self._heard(sounds[who])))
                if not (choice.own_reference and who == RECORDING):
                    figures["likeness"] = self._likeness(reference_E, sounds[who], who, clip)
                clip.figures[who] = figures
        found = self.model.durations(clip.text, clip.language, reference_N, recording_N)
        frame_ms = 1_000.0 * seconds_of_frames(1, self.audio.sample_rate_hz, self.audio.hop_samples)
        clip.figures[SPOKEN]["token_duration_error_ms"] = frame_ms * token_duration_error(*found) if found else None
        self._remember(choice, recording_N, reference_E, clip)
        number = len(self.clips) + 1
        for who, samples_N in sounds.items():
            clip.files[who] = f"{AUDIO_FOLDER}/{number:03d}-{who}.wav"
            clip.seconds[who] = len(samples_N) / self.audio.sample_rate_hz
            waveform.write_wav(self.folder / clip.files[who], samples_N, self.audio.sample_rate_hz)
        self.clips.append(clip)

    def _read(self, path: Path) -> FloatArray:
        samples_N = decoding.read_isolated(path, self.audio, _LONGEST_READ_SECONDS)
        if waveform.is_silent(samples_N):
            raise DataError(f"{quoted(path, 200)}: silence; leave it out")
        return waveform.trim(samples_N, self.audio)

    def _heard(self, samples_N: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log-mel [M, C] and pitch [M] of a sound, its silent ends taken off as those of training clips are."""
        samples_N = waveform.trim(samples_N, self.audio)
        return mel.log_mel(samples_N, self.audio), pitch.track(samples_N, self.audio)

    def _likeness(self, reference_E: FloatArray, samples_N: FloatArray, who: str, clip: Clip) -> float | None:
        try:
            return cosine(reference_E, self.model.voice(samples_N))
        except DataError as error:
            clip.notes.append(f"no likeness of {who}: {error}")
            return None

    def _remember(self, choice: Choice, recording_N: FloatArray, reference_E: FloatArray, clip: Clip) -> None:
        """The voices of both recordings, and of the halves of one that has no other of its speaker."""
        self._voices[choice.reference.id] = choice.reference.speaker, reference_E
        try:
            if not choice.own_reference:
                if choice.clip.id not in self._voices:
                    self._voices[choice.clip.id] = choice.clip.speaker, self.model.voice(recording_N)
            elif len(recording_N) >= 2 * self.audio.sample_rate_hz:
                first_N, second_N = np.array_split(recording_N, 2)
                self._halves.append((self.model.voice(first_N), self.model.voice(second_N)))
        except DataError as error:
            clip.notes.append(f"not counted among the voices: {error}")

    def _separation(self) -> tuple[Separation, str]:
        """Over the recordings; over halves of recordings where no speaker has two."""
        speakers = [speaker for speaker, _ in self._voices.values()]
        whole = separation(np.stack([voice for _, voice in self._voices.values()]), speakers)
        if whole.same_pairs or not self._halves:
            return whole, "recordings"
        pairs = [(a, b) for a in range(len(self._halves)) for b in range(len(self._halves))]
        cosines = [cosine(self._halves[a][0], self._halves[b][1]) for a, b in pairs]
        return separated(cosines, [a == b for a, b in pairs]), "halves of recordings"
