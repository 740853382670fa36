"""What is kept of a recording that a voice is made from: seconds, pauses, level, and what is wrong with its sound."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from myxtts.audio import decoding, mel, waveform
from myxtts.audio.activity import measure_sound, speech_frames
from myxtts.audio.reference_check import reference_problem
from myxtts.config.schema import Config
from myxtts.data.corpus import Corpus
from myxtts.data.references import prepare_reference
from myxtts.errors import DataError
from myxtts.models.prosody import FloatArray
from myxtts.synthesis.voices import LONGEST_REFERENCE_SECONDS, SHORTEST_REFERENCE_SECONDS
from myxtts.units import seconds_of_frames

_CLIPPED_SHARE = 1e-3
_QUIET_DB = -35.0
_LITTLE_SECONDS = 3.0


@dataclass(frozen=True, eq=False)
class ExaminedRecording:
    """A recording, decoded, and what the speaker encoder sees of it.

    Attributes:
        samples_N: mono float32[N] at the model's rate, without silent ends.
        sample_rate_hz: of the samples.
        seconds: length of the recording.
        kept_seconds: of speech, without silent ends and long pauses.
        level_db: of the speech in dB of full scale.
        problem: why it may not be the speech of one person; "" where it is.
        warnings: what would make the voice better, one line each.
    """

    samples_N: FloatArray
    sample_rate_hz: int
    seconds: float
    kept_seconds: float
    level_db: float
    problem: str
    warnings: tuple[str, ...]

    @property
    def cut_seconds(self) -> float:
        """Silence and pauses that were cut."""
        return max(0.0, self.seconds - self.kept_seconds)


def examine_recording(path: Path, config: Config, corpus: Corpus) -> ExaminedRecording:
    """Decodes a recording in a separate process and measures it.

    Raises DataError for a file that is not audio, damaged, silent, too short or longer than ten minutes.
    """
    audio = config.audio
    recording = decoding.recording_isolated(path, audio, LONGEST_REFERENCE_SECONDS)
    samples_N, rate = recording.samples_N, audio.sample_rate_hz
    if waveform.is_silent(samples_N):
        raise DataError("the recording is silent; check the microphone, and record speech")
    trimmed_N = waveform.trim(samples_N, audio)
    if len(trimmed_N) < SHORTEST_REFERENCE_SECONDS * rate:
        raise DataError(
            f"the recording has {len(trimmed_N) / rate:.2f} s of sound, at least {SHORTEST_REFERENCE_SECONDS:g} s are "
            "needed; three to ten seconds of clean speech work best"
        )
    mel_MC = mel.log_mel(trimmed_N, audio)
    kept_MC = prepare_reference(mel_MC[speech_frames(trimmed_N, audio)[: len(mel_MC)]], corpus, audio)
    kept = min(seconds_of_frames(len(kept_MC), rate, audio.hop_samples), len(samples_N) / rate)
    level_db = measure_sound(trimmed_N, audio)[1]
    warnings = []
    if kept < _LITTLE_SECONDS:
        warnings.append(f"{kept:.1f} s of speech are little; three to ten seconds work best")
    if recording.clipped > _CLIPPED_SHARE:
        warnings.append(f"{recording.clipped:.1%} of it is clipped; record again at a lower level")
    if level_db < _QUIET_DB:
        warnings.append(f"it is very quiet ({level_db:.0f} dBFS); go nearer to the microphone")
    if recording.inverted:
        warnings.append("its channels cancel each other; one of them is used")
    problem = reference_problem(trimmed_N, audio)
    return ExaminedRecording(trimmed_N, rate, len(samples_N) / rate, kept, level_db, problem, tuple(warnings))
