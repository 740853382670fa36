"""Reference recordings as the speaker encoder heard them in training: trimmed, at a known level, in short pieces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from myxtts.audio import decoding, mel, waveform
from myxtts.config.schema import AudioConfig, Config
from myxtts.data.batches import reference_frames
from myxtts.data.corpus import Corpus
from myxtts.data.references import prepare_reference
from myxtts.errors import DataError
from myxtts.messages import quoted as shown
from myxtts.units import frames_of_seconds, seconds_of_frames

FloatArray = npt.NDArray[np.float32]

SHORTEST_SECONDS = 0.5
LONGEST_SECONDS = 600.0
MOST_PIECES = 8


@dataclass(frozen=True, eq=False)
class Pieces:
    """A reference cut up: normalized mels float32[N, R, C], zero behind their frames int32[N].

    `note`: what a user should know of it, None where nothing.
    """

    mel_NRC: FloatArray
    length_N: npt.NDArray[np.int32]
    note: str | None = None


def pieces_of(reference: Path | str | FloatArray, number: int, config: Config, corpus: Corpus) -> Pieces:
    """A reference, a recording's path or mono samples at the model's rate, as the speaker encoder takes it.

    `number` names samples in a message, from 1. Raises DataError for one that cannot be used.
    """
    audio = config.audio
    if isinstance(reference, (str, Path)):
        name = f"reference {shown(str(reference), 200)}"
        try:
            samples_N = decoding.read_apart(Path(reference), audio, LONGEST_SECONDS)
        except DataError as error:
            raise DataError(f"reference {error}") from error
    else:
        name = f"reference {number}"
        samples_N = _checked(reference, name, audio)
    if waveform.is_silent(samples_N):
        raise DataError(f"{name}: silence; give a recording in which somebody speaks")
    samples_N = waveform.trim(samples_N, audio)
    if len(samples_N) < SHORTEST_SECONDS * audio.sample_rate_hz:
        raise DataError(
            f"{name}: {len(samples_N) / audio.sample_rate_hz:.2f} s of sound, at least {SHORTEST_SECONDS:g} s are "
            "needed; three to ten seconds of clean speech are best"
        )
    mel_MC = prepare_reference(mel.log_mel(samples_N, audio), corpus, audio)
    pieces = cut(mel_MC, reference_frames(config), frames_of_seconds(1.0, audio.sample_rate_hz, audio.hop_samples))
    return replace(pieces, note=_short_note(name, len(mel_MC), config))


def _short_note(name: str, frames: int, config: Config) -> str | None:
    """The note where all of a reference is shorter than the least that the encoder heard in training.

    On a trained model, cosine to the voice of the other half of the recording, mean over 15 readers: 0.66 at 0.6 s,
    0.69 at 1 s, 0.79 at 2 s, 0.81 at 3 s, 0.88 for the whole half.
    """
    least, audio = config.data.reference_min_seconds, config.audio
    seconds = seconds_of_frames(frames, audio.sample_rate_hz, audio.hop_samples)
    if seconds >= least:
        return None
    return (
        f"{name}: {seconds:.1f} s of speech, and this model has learned from {least:g} s and more "
        "(data.reference_min_seconds): the voice will be less alike; three to ten seconds of clean speech are best"
    )


def _checked(samples: FloatArray, name: str, audio: AudioConfig) -> FloatArray:
    array = np.asarray(samples)
    if array.ndim != 1 or array.dtype.kind != "f":
        raise DataError(
            f"{name}: {array.dtype} of shape {array.shape}, expected float samples [N], mono, at "
            f"{audio.sample_rate_hz} Hz"
        )
    if not np.isfinite(array).all():
        raise DataError(f"{name}: {int((~np.isfinite(array)).sum())} samples are not finite; take them out")
    if len(array) > LONGEST_SECONDS * audio.sample_rate_hz:
        raise DataError(f"{name}: longer than {LONGEST_SECONDS:g} s; cut it")
    return np.ascontiguousarray(array, np.float32)


def cut(mel_MC: FloatArray, longest: int, step: int) -> Pieces:
    """A mel in at most 8 pieces of `longest` frames, spread evenly, starting `step` frames apart or more; padded."""
    frames, channels = mel_MC.shape
    spare = max(0, frames - longest)
    count = min(MOST_PIECES, 1 + -(-spare // max(1, step)))
    starts = np.linspace(0, spare, count).round().astype(np.int64) if count > 1 else np.zeros(1, np.int64)
    pieces = np.zeros((count, longest, channels), np.float32)
    length = min(frames, longest)
    for at, start in enumerate(starts):
        pieces[at, :length] = mel_MC[start : start + length]
    return Pieces(pieces, np.full(count, length, np.int32))
