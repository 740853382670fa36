"""Voices for one model: from recordings, training speakers, saved files and random seeds, and mixtures of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from myxtts.audio import decoding, mel, waveform
from myxtts.audio.activity import speech_frames
from myxtts.audio.denoising import without_noise
from myxtts.audio.reference_check import reference_problem
from myxtts.config.schema import AudioConfig, Config
from myxtts.data.batches import reference_frames
from myxtts.data.corpus import Corpus
from myxtts.data.references import prepare_reference
from myxtts.errors import CheckpointError, DataError
from myxtts.messages import quoted
from myxtts.models.prosody import FloatArray
from myxtts.models.voice import Voice, mean_voice
from myxtts.runtime.interface import AcousticModel, OpenedModel
from myxtts.speakers import ENOUGH_SPEAKERS
from myxtts.synthesis.opened import speaker_index
from myxtts.synthesis.options import HIGHEST_SEED
from myxtts.synthesis.voice_file import compatibility_note, read_voice, voice_problem
from myxtts.synthesis.voice_parts import VoicePart, describe, shares_of
from myxtts.units import frames_of_seconds, seconds_of_frames

Float64 = npt.NDArray[np.float64]
Reference = Path | str | FloatArray
"""Path of a recording, or mono float32 samples at the model's rate."""

SHORTEST_REFERENCE_SECONDS = 0.5
LONGEST_REFERENCE_SECONDS = 600.0
MOST_SEGMENTS = 8
FEWEST_SPEAKERS = 2
_RANDOM_VOICE_STREAM, _STYLE_STREAM = 211, 223
"""Separate the random numbers of voices and styles from others drawn with the same seed."""
_SMALLEST_NORM = 1e-3


@dataclass(frozen=True, eq=False)
class MadeVoice:
    """A voice ready to speak.

    Attributes:
        voice: speaker embedding and style.
        description: what it was made of.
        made_from: the same without folders, for a file that is passed on.
        notes: what a user should know, one line each.
    """

    voice: Voice
    description: str
    made_from: str
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ReferenceSegments:
    """A reference split into segments: normalized mels float32[A, R, C], zero-padded, with their lengths int32[A].

    `note`: what a user should know of its length, `problem`: why it may not be the speech of one person; None where
    nothing.
    """

    mel_ARC: FloatArray
    length_A: npt.NDArray[np.int32]
    note: str | None = None
    problem: str | None = None


def voice_parts(references: Sequence[Reference], speaker: str | None, voices: Sequence[VoicePart]) -> list[VoicePart]:
    """All parts of a voice in one list. Raises DataError for arguments that are not lists of parts."""
    if isinstance(references, (str, Path, np.ndarray)):
        raise DataError("references is one recording, expected a list; write references=[...]")
    if isinstance(voices, VoicePart):
        raise DataError("voices is one part, expected a list; write voices=[...]")
    for voice in voices:
        if not isinstance(voice, VoicePart):
            raise DataError(f"voices contains {quoted(voice)}, expected VoicePart(kind, what, weight)")
    listed = [VoicePart("reference", reference) for reference in references]
    listed += [VoicePart("speaker", speaker)] if speaker is not None else []
    return [*listed, *voices]


class VoiceMaker:
    """Makes voices for one model."""

    def __init__(self, opened: OpenedModel, model: AcousticModel) -> None:
        self._opened = opened
        self._model = model
        self._checked: tuple[FloatArray, FloatArray] | None = None

    def make(self, parts: Sequence[VoicePart]) -> MadeVoice:
        """The weighted mean of the parts, its embedding normalized to unit length.

        Without parts the first training speaker is used. Raises DataError for parts that cannot be used,
        CheckpointError where the checkpoint contains no voices of its speakers.
        """
        notes: list[str] = []
        speakers = self._opened.corpus.speakers
        if not parts:
            if not speakers:
                raise DataError("this model has no training speakers; give a recording of a voice as a reference")
            parts = [VoicePart("speaker", speakers[0])]
            if len(speakers) > 1:
                notes.append(f"no voice was given: using the first training speaker {quoted(speakers[0])}")
        people = self._opened.speaker_count
        if people < ENOUGH_SPEAKERS and any(part.kind == "reference" for part in parts):
            trained_on = "one voice" if people == 1 else f"{people} voices"
            notes.append(
                f"this model was trained on {trained_on}: a reference of another speaker has little effect (cloning "
                f"needs at least {ENOUGH_SPEAKERS} training speakers)"
            )
        shares = shares_of(parts)
        voices = [self._voice(part, number, notes) for number, part in enumerate(parts, start=1)]
        weighted = any(part.weight is not None for part in parts)
        try:
            voice = mean_voice(voices, shares if weighted else None)
        except ValueError as error:
            raise DataError(f"the voices have nothing in common ({error}); remove one of them") from error
        return MadeVoice(voice, describe(parts), describe(parts, full_path=False), tuple(dict.fromkeys(notes)))

    def _voice(self, part: VoicePart, number: int, notes: list[str]) -> Voice:
        what = part.what
        if part.kind == "reference" and not isinstance(what, int):
            return self._of_reference(what, number, notes)
        if part.kind == "speaker" and isinstance(what, str):
            return self._of_speaker(what)
        if part.kind == "voice" and isinstance(what, (str, Path)):
            stored = read_voice(Path(what))
            if note := compatibility_note(stored, Path(what), self._opened):
                notes.append(note)
            return mean_voice([Voice(stored.voice_E, stored.style_Y)])
        if part.kind == "random" and type(what) is int and 0 <= what <= HIGHEST_SEED:
            return self._random(what, notes)
        raise DataError(f"{part.description()}: {quoted(what)} is not valid for {quoted(part.kind)}; see VoicePart")

    def _of_reference(self, reference: Reference, number: int, notes: list[str]) -> Voice:
        segments = reference_segments(reference, number, self._opened.config, self._opened.corpus)
        notes += filter(None, (segments.problem, segments.note))
        try:
            return mean_voice(self._model.voices(segments.mel_ARC, segments.length_A))
        except ValueError as error:
            raise DataError(
                f"reference {number}: its segments have no voice in common ({error}); use a recording of one speaker"
            ) from error

    def _of_speaker(self, speaker: str) -> Voice:
        index = speaker_index(self._opened, speaker)
        voice_ZE, style_ZY = self._stored(f"voice of speaker {quoted(speaker)}; give a recording of it as a reference")
        return mean_voice([Voice(voice_ZE[index], style_ZY[index])])

    def _random(self, seed: int, notes: list[str]) -> Voice:
        voice_ZE, style_ZY = self._stored("voices of its training speakers, needed for a random one; use another one")
        voice_E, style_Y = random_voice(voice_ZE, style_ZY.shape[1], seed)
        index, cosine = nearest_voice(voice_E, voice_ZE)
        notes.append(
            f"random voice {seed} is closest to training speaker {quoted(self._opened.corpus.speakers[index])} "
            f"(cosine {cosine:.2f}) of {len(voice_ZE)}"
        )
        return Voice(voice_E, style_Y)

    def _stored(self, wanted: str) -> tuple[FloatArray, FloatArray]:
        """Voices (Z, E) and styles (Z, Y) of all training speakers; `wanted` ends the message where there are none."""
        if self._checked is None:
            voice_ZE, style_ZY = self._opened.stored_voices(wanted)
            for index, speaker in enumerate(self._opened.corpus.speakers):
                if problem := voice_problem(voice_ZE[index], style_ZY[index]):
                    raise CheckpointError(
                        f"{self._opened.where}: stored voice of speaker {quoted(speaker)}: {problem}; use another one"
                    )
            self._checked = np.asarray(voice_ZE, np.float32), np.asarray(style_ZY, np.float32)
        return self._checked


def varied(voice: Voice, strength: float, seed: int) -> Voice:
    """The same voice in another style: adds `strength` times a draw from the prior N(0, 1) to each style dimension."""
    if strength == 0.0:
        return voice
    drawn_Y = np.random.default_rng([seed, _STYLE_STREAM]).normal(size=len(voice.style_Y))
    return Voice(voice.voice_E, (voice.style_Y + strength * drawn_Y).astype(np.float32))


def reference_segments(reference: Reference, number: int, config: Config, corpus: Corpus) -> ReferenceSegments:
    """A reference as the speaker encoder sees it: trimmed, without stationary noise, level-matched, in short segments.

    `number`, from 1, identifies samples in messages. Raises DataError for a reference that cannot be used.
    """
    audio = config.audio
    if isinstance(reference, (str, Path)):
        name = f"reference {quoted(str(reference), 200)}"
        try:
            samples_N = decoding.read_isolated(Path(reference), audio, LONGEST_REFERENCE_SECONDS)
        except DataError as error:
            raise DataError(f"reference {error}") from error
    else:
        name = f"reference {number}"
        samples_N = _checked(reference, name, audio)
    if waveform.is_silent(samples_N):
        raise DataError(f"{name}: silence; give a recording with speech")
    samples_N = waveform.trim(samples_N, audio)
    if len(samples_N) < SHORTEST_REFERENCE_SECONDS * audio.sample_rate_hz:
        raise DataError(
            f"{name}: {len(samples_N) / audio.sample_rate_hz:.2f} s of sound, at least "
            f"{SHORTEST_REFERENCE_SECONDS:g} s are needed; three to ten seconds of clean speech work best"
        )
    problem = reference_problem(samples_N, audio)
    mel_MC = mel.log_mel(without_noise(samples_N, audio), audio)
    mel_MC = prepare_reference(mel_MC[speech_frames(samples_N, audio)[: len(mel_MC)]], corpus, audio)
    step = frames_of_seconds(1.0, audio.sample_rate_hz, audio.hop_samples)
    segments = split_reference(mel_MC, reference_frames(config), step)
    if problem:
        problem = f"{name}: {problem}; three to ten seconds of one person's clean speech work best"
    return replace(segments, note=_short_note(name, len(mel_MC), config), problem=problem or None)


def split_reference(mel_MC: FloatArray, longest: int, step: int) -> ReferenceSegments:
    """A mel as at most 8 segments of `longest` frames, evenly spaced, at least `step` frames apart, zero-padded."""
    frames, channels = mel_MC.shape
    spare = max(0, frames - longest)
    count = min(MOST_SEGMENTS, 1 + -(-spare // max(1, step)))
    starts = np.linspace(0, spare, count).round().astype(np.int64) if count > 1 else np.zeros(1, np.int64)
    segments = np.zeros((count, longest, channels), np.float32)
    length = min(frames, longest)
    for at, start in enumerate(starts):
        segments[at, :length] = mel_MC[start : start + length]
    return ReferenceSegments(segments, np.full(count, length, np.int32))


def _short_note(name: str, frames: int, config: Config) -> str | None:
    """A note where a reference is shorter than any in training.

    Cosine to the voice of the other half of the recording on a trained model, mean over 15 readers: 0.66 at 0.6 s,
    0.69 at 1 s, 0.79 at 2 s, 0.81 at 3 s, 0.88 for the full half.
    """
    least, audio = config.data.reference_min_seconds, config.audio
    seconds = seconds_of_frames(frames, audio.sample_rate_hz, audio.hop_samples)
    if seconds >= least:
        return None
    return (
        f"{name}: {seconds:.1f} s of speech, but the references in training had at least {least:g} s "
        "(data.reference_min_seconds): the voice will be less similar; three to ten seconds of clean speech work best"
    )


def _checked(samples: FloatArray, name: str, audio: AudioConfig) -> FloatArray:
    array = np.asarray(samples)
    if array.ndim != 1 or array.dtype.kind != "f":
        raise DataError(
            f"{name}: {array.dtype} of shape {array.shape}, expected float samples [N], mono, at "
            f"{audio.sample_rate_hz} Hz"
        )
    if not np.isfinite(array).all():
        raise DataError(f"{name}: {int((~np.isfinite(array)).sum())} samples are not finite; remove them")
    if len(array) > LONGEST_REFERENCE_SECONDS * audio.sample_rate_hz:
        raise DataError(f"{name}: longer than {LONGEST_REFERENCE_SECONDS:g} s; cut it")
    return np.ascontiguousarray(array, np.float32)


def random_voice(voice_ZE: FloatArray, style_width: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """A new voice float32[E] of unit length and a style float32[Y] from its prior N(0, 1), determined by the seed.

    The voice is drawn from a Gaussian with the mean and covariance of the training speakers' voices (Z, E), and lies in
    their span: the model has learned nothing about directions in which no two speakers differ.

    Raises DataError for fewer than two speakers, or for a draw of length zero.
    """
    speakers = len(voice_ZE)
    if speakers < FEWEST_SPEAKERS:
        raise DataError(
            f"a random voice needs at least 2 training speakers, and this model has {speakers}; give a reference, or "
            "train on more speakers"
        )
    rng = np.random.default_rng([seed, _RANDOM_VOICE_STREAM])
    mean_E, deviation_AE = voice_distribution(voice_ZE)
    drawn_E = mean_E + rng.normal(size=len(deviation_AE)) @ deviation_AE
    norm = float(np.linalg.norm(drawn_E))
    if norm <= _SMALLEST_NORM:
        raise DataError(f"random voice {seed} has length zero; use another seed")
    return (drawn_E / norm).astype(np.float32), rng.normal(size=style_width).astype(np.float32)


def voice_distribution(voice_ZE: FloatArray) -> tuple[Float64, Float64]:
    """Mean (E,) of the voices and principal directions (A, E), scaled by their shrunk standard deviations.

    Source: Chen, Wiesel, Eldar, Hero (2010), "Shrinkage algorithms for MMSE covariance estimation", eq. 23.
    Differs: covariance and shrinkage target are those of the speakers' span, not of all E dimensions.
    """
    voices = np.asarray(voice_ZE, np.float64)
    mean_E = voices.mean(axis=0)
    _, length_A, direction_AE = np.linalg.svd(voices - mean_E, full_matrices=False)
    inside = length_A > 1e-6 * max(1.0, float(length_A.max(initial=0.0)))
    variance_A, direction_AE = length_A[inside] ** 2 / (len(voices) - 1), direction_AE[inside]
    if not len(variance_A):
        return mean_E, direction_AE
    shrinkage = _shrinkage(variance_A, len(voices))
    variance_A = (1.0 - shrinkage) * variance_A + shrinkage * variance_A.mean()
    return mean_E, np.sqrt(variance_A)[:, None] * direction_AE


def _shrinkage(variance_A: Float64, samples: int) -> float:
    """Weight of the spherical target in the covariance estimate, 0 to 1."""
    size = len(variance_A)
    of_squares, squared = float((variance_A**2).sum()), float(variance_A.sum()) ** 2
    below = (samples + 1.0 - 2.0 / size) * (of_squares - squared / size)
    if below <= 0.0:
        return 1.0
    return min(1.0, max(0.0, ((1.0 - 2.0 / size) * of_squares + squared) / below))


def nearest_voice(voice_E: FloatArray, voice_ZE: FloatArray) -> tuple[int, float]:
    """Index of the most similar training speaker, and the cosine to it."""
    norms = np.linalg.norm(voice_ZE, axis=1) * np.linalg.norm(voice_E)
    cosine_Z = (voice_ZE @ voice_E) / np.maximum(norms, 1e-12)
    index = int(cosine_Z.argmax())
    return index, float(cosine_Z[index])
