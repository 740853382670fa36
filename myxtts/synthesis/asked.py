"""What may be asked of a text that is spoken, and what follows from it for the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from myxtts.data.corpus import Corpus
from myxtts.errors import ConfigError, DataError
from myxtts.messages import quoted as shown
from myxtts.models.generate import Voice
from myxtts.models.prosody import Manner, shift_of_decibels, shift_of_semitones
from myxtts.synthesis.limits import limit_problems
from myxtts.synthesis.reading import Reading
from myxtts.synthesis.voice_sources import VoiceSource

Reference = Path | str | npt.NDArray[np.float32]


class Asked(TypedDict, total=False):
    """Arguments of `Synthesizer.speak` and `Synthesizer.stream`; each may be left out."""

    references: Sequence[Reference]
    """Recordings of the voice, paths or mono float32 samples at the model's rate; averaged."""
    speaker: str | None
    """A training speaker. Without any voice, the first training speaker is used."""
    voices: Sequence[VoiceSource]
    """Parts of the voice with weights: recordings, training speakers, saved and random voices. All given parts are
    mixed."""
    language: str | None
    """Language of the text, one that the model was trained on; None: the default of its settings."""
    speed: float
    """0.25 to 4, 2 is twice as fast (1)."""
    pitch: float
    """-24 to 24 semitones (0)."""
    pitch_range: float
    """Scales the range of the intonation, 0 to 4 times what the model predicts (1); 0 is monotone."""
    energy: float
    """-30 to 30 dB (0)."""
    vary: float
    """Varies the style of the voice: scale of the noise added to it, 0 to 2 (0)."""
    seed: int
    """Random seed of style, decoder noise and phases; the same seed gives the same samples (1)."""
    temperature: float
    """Noise of the flow decoder, 0 to 2 (0.667)."""
    steps: int | None
    """Euler steps of the flow decoder; None: as in the model's settings."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A text that is checked and ready to be spoken."""

    reading: Reading
    language: int
    code: str
    voice: Voice
    voice_told: str
    manner: Manner
    energy_db: float
    notes: tuple[str, ...]


def parts_of(references: Sequence[Reference], speaker: str | None, voices: Sequence[VoiceSource]) -> list[VoiceSource]:
    """One list of everything that a voice is to be made of. Raises DataError."""
    if isinstance(references, (str, Path, np.ndarray)):
        raise DataError("references is one recording, expected a list; write references=[...]")
    if isinstance(voices, VoiceSource):
        raise DataError("voices is one source, expected a list; write voices=[...]")
    for voice in voices:
        if not isinstance(voice, VoiceSource):
            raise DataError(f"voices holds {shown(voice)}, expected VoiceSource(kind, what, weight)")
    listed = [VoiceSource("reference", reference) for reference in references]
    listed += [VoiceSource("speaker", speaker)] if speaker is not None else []
    return [*listed, *voices]


def manner_of(
    corpus: Corpus,
    longest_token: int,
    longest: int,
    *,
    speed: float,
    pitch: float,
    pitch_range: float,
    energy: float,
    vary: float,
    seed: int,
    temperature: float,
    steps: int | None,
) -> Manner:
    """The manner for a model of this corpus. Raises ConfigError for numbers that are out of range."""
    numbers: dict[str, float | None] = {
        "speed": speed, "pitch": pitch, "pitch_range": pitch_range, "energy": energy, "vary": vary,
        "temperature": temperature, "steps": steps, "seed": seed,
    }  # fmt: skip
    if problems := limit_problems(numbers):
        raise ConfigError(problems)
    return Manner(
        speed=speed,
        pitch_shift=shift_of_semitones(pitch, corpus.pitch_std),
        pitch_range=pitch_range,
        energy_shift=shift_of_decibels(energy, corpus.energy_std),
        seed=seed,
        temperature=temperature,
        steps=steps,
        longest_token=longest_token,
        longest=longest,
    )
