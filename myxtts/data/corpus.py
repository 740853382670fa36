"""Facts about the training data that a model needs: statistics, speakers, languages, symbols."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from myxtts.batch import PROSODY_FIGURES
from myxtts.config.schema import AudioConfig
from myxtts.data.clip_sums import Totals, total
from myxtts.data.feature_store import FeatureStore, FloatArray
from myxtts.data.records import name_problem
from myxtts.errors import CheckpointError, DataError
from myxtts.messages import has_control_character, quoted
from myxtts.speakers import count_speakers
from myxtts.storage.files import strict_json
from myxtts.text.symbols import SymbolTable

MEL_STD_FLOOR = 0.1
PITCH_STD_FLOOR = 0.05
ENERGY_STD_FLOOR = 0.1
DEFAULT_PITCH = (5.0, 0.3)
"""Mean and deviation of ln F0 for a corpus without voiced frames."""
PROSODY_STD_FLOOR = (0.02, 0.01, 0.005)
"""A prosody figure that varies less than this over the speakers carries no information."""
SPEAKER_PROSODY_LIMIT = 5.0
_ARRAYS = ("mel_mean_C", "mel_std_C", "speaker_spectrum_ZC", "speaker_prosody_ZQ", "prosody_mean_Q", "prosody_std_Q")
_NUMBERS = ("pitch_mean", "pitch_std", "energy_mean", "energy_std")
_RANGES = {
    "mel_mean_C": (-1e3, 100.0),
    "mel_std_C": (1e-3, 1e3),
    "pitch_mean": (0.0, 12.0),
    "pitch_std": (1e-3, 10.0),
    "energy_mean": (-1e3, 100.0),
    "energy_std": (1e-3, 1e3),
    "speaker_spectrum_ZC": (-1e5, 1e5),
    "speaker_prosody_ZQ": (-1e3, 1e3),
    "prosody_mean_Q": (-1e3, 1e3),
    "prosody_std_Q": (0.0, 1e3),
}
"""Accepted values, far wider than those of any recordings: logarithms of magnitudes and Hz, and normalized values."""


@dataclass(frozen=True)
class SpeakerFigures:
    """Long-term figures of speakers: float32 [Z, C] mean normalized mel, float32 [Z, Q] raw prosody."""

    names: list[str]
    spectrum_ZC: FloatArray
    raw_prosody_ZQ: FloatArray


@dataclass(frozen=True)
class Corpus:
    """Statistics of the training set, stored with the model; `to_json` and `from_json` are bit-exact."""

    mel_mean_C: FloatArray
    mel_std_C: FloatArray
    pitch_mean: float
    pitch_std: float
    energy_mean: float
    energy_std: float
    speakers: list[str]
    speaker_spectrum_ZC: FloatArray
    speaker_prosody_ZQ: FloatArray
    prosody_mean_Q: FloatArray
    prosody_std_Q: FloatArray
    languages: list[str]
    symbols: Any
    mel_fingerprint: str
    dictionary: dict[str, str] = field(default_factory=dict)
    """The user's pronunciations, so that the model speaks as it was trained wherever their file is."""

    def normalize_mel(self, mel_MC: FloatArray) -> FloatArray:
        """Log-mel [..., C], scaled to zero mean and unit deviation of every channel over the corpus."""
        centred = mel_MC - self.mel_mean_C
        centred /= self.mel_std_C
        return np.asarray(centred, dtype=np.float32)

    def denormalize_mel(self, mel_MC: FloatArray) -> FloatArray:
        """Inverse of `normalize_mel`."""
        return np.asarray(mel_MC * self.mel_std_C + self.mel_mean_C, dtype=np.float32)

    def normalize_pitch(self, pitch_hz: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Normalized ln F0 (0 where unvoiced) and voicing (1 or 0) of a pitch track in Hz (0 unvoiced)."""
        voiced = pitch_hz > 0
        log_pitch = np.log(np.where(voiced, pitch_hz, 1.0))
        normalized = np.where(voiced, (log_pitch - self.pitch_mean) / self.pitch_std, 0.0)
        return normalized.astype(np.float32), voiced.astype(np.float32)

    def pitch_hz(self, pitch_M: FloatArray, voiced_M: npt.NDArray[np.bool_], audio: AudioConfig) -> FloatArray:
        """Inverse of `normalize_pitch` for predicted pitch: in Hz, within the tracker's range, 0 where unvoiced."""
        log_pitch = pitch_M.astype(np.float64) * self.pitch_std + self.pitch_mean
        low, high = math.log(audio.pitch_low_hz), math.log(audio.pitch_high_hz)
        return np.where(voiced_M, np.exp(np.clip(log_pitch, low, high)), 0.0).astype(np.float32)

    def normalize_energy(self, energy: FloatArray) -> FloatArray:
        """Log frame energy, scaled to zero mean and unit deviation over the corpus."""
        return np.asarray((energy - self.energy_mean) / self.energy_std, dtype=np.float32)

    def normalize_prosody(self, raw_ZQ: FloatArray) -> FloatArray:
        """Prosody figures [..., Q] relative to the training speakers, -5 to 5; 0 where these do not differ."""
        spread = self.prosody_std_Q > 0
        figures = np.where(spread, (raw_ZQ - self.prosody_mean_Q) / np.where(spread, self.prosody_std_Q, 1.0), 0.0)
        return np.clip(figures, -SPEAKER_PROSODY_LIMIT, SPEAKER_PROSODY_LIMIT).astype(np.float32)

    @cached_property
    def mel_level(self) -> float:
        """Mean of the natural-log mel over channels and frames of the corpus."""
        return float(self.mel_mean_C.mean(dtype=np.float64))

    @property
    def speaker_count(self) -> int:
        """Number of training speakers, not counting speed-perturbed copies."""
        return count_speakers(self.speakers)

    def speaker_index(self, name: str) -> int:
        """Index of a training speaker; -1 for an unseen one."""
        return self.index_of_speaker.get(name, -1)

    @cached_property
    def index_of_speaker(self) -> dict[str, int]:
        """Index of every training speaker by name."""
        return {name: index for index, name in enumerate(self.speakers)}

    def to_json(self) -> dict[str, Any]:
        """As plain values, bit-exact."""
        values: dict[str, Any] = {}
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            values[item.name] = value.tolist() if isinstance(value, np.ndarray) else value
        if not self.dictionary:
            del values["dictionary"]  # as in the files of runs without one
        return values

    def trained_on(self) -> dict[str, Any]:
        """As `to_json`, without the dictionary: the clips and their statistics."""
        return {name: value for name, value in self.to_json().items() if name != "dictionary"}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Corpus:
        """Inverse of `to_json`. Errors: DataError if the values are not those of a corpus."""
        names = [item.name for item in dataclasses.fields(cls) if item.name != "dictionary"]
        missing = [name for name in names if name not in values]
        if missing:
            raise DataError(f"corpus: {', '.join(missing)} missing; found {quoted(', '.join(map(str, values)), 200)}")
        made: dict[str, Any] = {name: values[name] for name in names}
        made["dictionary"] = _checked_dictionary(values.get("dictionary", {}))
        for name in ("speakers", "languages"):
            _check_names(name, made[name])
        for name in _NUMBERS:
            low, high = _RANGES[name]
            if type(made[name]) not in (int, float) or not low <= made[name] <= high:
                raise DataError(f"corpus: {name} is {quoted(made[name])}, expected {low:g} to {high:g}")
        try:
            with np.errstate(over="ignore"):  # too large a value becomes infinite, and fails the range check
                for name in _ARRAYS:
                    made[name] = np.array(values[name], dtype=np.float32)
            channels, speakers = len(made["mel_mean_C"]), len(made["speakers"])
            made["speaker_spectrum_ZC"] = made["speaker_spectrum_ZC"].reshape(speakers, channels)
            made["speaker_prosody_ZQ"] = made["speaker_prosody_ZQ"].reshape(speakers, len(PROSODY_FIGURES))
            for name, length in (("mel_std_C", channels), ("prosody_mean_Q", 3), ("prosody_std_Q", 3)):
                made[name] = made[name].reshape(length)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(f"corpus: an array has the wrong shape or no numbers ({quoted(str(error))})") from error
        for name in _ARRAYS:
            low, high = _RANGES[name]
            bad = ~((made[name] >= low) & (made[name] <= high))  # NaN too
            if bad.any():
                place = tuple(int(i) for i in np.argwhere(bad)[0])
                value = made[name][place]
                raise DataError(f"corpus: {name}{list(place)} is {value:g}, expected {low:g} to {high:g}")
        return cls(**made)


def parse_corpus(content: bytes | bytearray) -> Corpus:
    """The corpus in the bytes of a corpus.json, symbols checked. Errors: DataError if they are not a valid corpus."""
    try:
        stored = strict_json(content)
        if not isinstance(stored, dict):
            raise ValueError("not a JSON object")
        corpus = Corpus.from_json(stored)
        SymbolTable.from_json(corpus.symbols)
    except (ValueError, CheckpointError) as error:
        raise DataError(f"corpus: {error}") from error
    if not corpus.languages:
        raise DataError("corpus: languages are [], expected at least one")
    return corpus


def _check_names(what: str, names: Any) -> None:
    """Raises DataError unless `names` is a list of distinct names without control characters."""
    texts = isinstance(names, list) and all(isinstance(name, str) and name for name in names)
    if not texts or len(set(names)) < len(names) or any(name_problem(what, name) for name in names):
        raise DataError(f"corpus: {what} are {quoted(str(names))}, expected a list of distinct names")


def _checked_dictionary(entries: Any) -> dict[str, str]:
    """The entries of a dictionary. Raises DataError unless they are pairs of texts without control characters."""
    if not isinstance(entries, dict):
        raise DataError(f"corpus: dictionary has {quoted(entries, 60)}, expected words with pronunciations")
    for word, pronunciation in entries.items():
        texts = isinstance(word, str) and isinstance(pronunciation, str)
        if not texts or not word or has_control_character(word + pronunciation):
            raise DataError(f"corpus: dictionary has {quoted(word, 60)}, expected words with pronunciations")
    return dict(entries)


def measure_corpus(store: FeatureStore, symbols: Any, mel_fingerprint: str, base: Corpus | None = None) -> Corpus:
    """Statistics of a training set.

    Args:
        store: the training clips, at least one.
        symbols: the symbol table as plain values.
        mel_fingerprint: fingerprint of the mel convention of the features.
        base: for fine-tuning, the corpus of the initial weights. Its scales and language indices are kept, so that
            the weights keep their meaning; only the speakers are those of the store.

    Errors: DataError if the base has another mel convention.
    """
    if base is not None and base.mel_fingerprint != mel_fingerprint:
        raise DataError("--init-from: that run was trained with another mel convention (section audio); use the same")
    mel_mean_C, mel_std_C, pitch, energy = _moments(store) if base is None else _scales_of(base)
    languages = sorted(set(store.languages))
    if base is not None:
        languages = [*base.languages, *(code for code in languages if code not in base.languages)]
    bare = Corpus(
        mel_mean_C=mel_mean_C,
        mel_std_C=mel_std_C,
        pitch_mean=pitch[0],
        pitch_std=pitch[1],
        energy_mean=energy[0],
        energy_std=energy[1],
        speakers=[],
        speaker_spectrum_ZC=np.zeros((0, len(mel_mean_C)), np.float32),
        speaker_prosody_ZQ=np.zeros((0, 3), np.float32),
        prosody_mean_Q=np.zeros(3, np.float32),
        prosody_std_Q=np.zeros(3, np.float32),
        languages=languages,
        symbols=symbols,
        mel_fingerprint=mel_fingerprint,
    )
    figures = measure_speakers(store, bare)
    raw = figures.raw_prosody_ZQ.astype(np.float64)
    mean, spread = raw.mean(axis=0), raw.std(axis=0)
    spread = np.where(spread >= PROSODY_STD_FLOOR, spread, 0.0)
    if base is not None:
        mean, spread = base.prosody_mean_Q, base.prosody_std_Q
    measured = dataclasses.replace(
        bare,
        speakers=figures.names,
        speaker_spectrum_ZC=figures.spectrum_ZC,
        prosody_mean_Q=mean.astype(np.float32),
        prosody_std_Q=spread.astype(np.float32),
    )
    return dataclasses.replace(measured, speaker_prosody_ZQ=measured.normalize_prosody(figures.raw_prosody_ZQ))


def _scales_of(base: Corpus) -> tuple[FloatArray, FloatArray, tuple[float, float], tuple[float, float]]:
    pitch, energy = (base.pitch_mean, base.pitch_std), (base.energy_mean, base.energy_std)
    return base.mel_mean_C, base.mel_std_C, pitch, energy


def _moments(store: FeatureStore) -> tuple[FloatArray, FloatArray, tuple[float, float], tuple[float, float]]:
    """Mean and deviation of mel channels, ln F0 of voiced frames, and energy, in double precision."""
    of = Totals.of(total(store.sums_in_parts(np.arange(len(store)))))
    mean = of.mel_C / of.frames
    std = np.sqrt(np.maximum(of.mel_squares_C / of.frames - mean * mean, MEL_STD_FLOOR**2))
    energy_mean = of.energy / of.frames
    energy_std = max(float(np.sqrt(max(of.energy_squares / of.frames - energy_mean**2, 0.0))), ENERGY_STD_FLOOR)
    pitch_figures = DEFAULT_PITCH
    if of.voiced:
        pitch_mean, pitch_std = of.pitch_figures
        pitch_figures = (pitch_mean, max(pitch_std, PITCH_STD_FLOOR))
    return mean.astype(np.float32), std.astype(np.float32), pitch_figures, (energy_mean, energy_std)


def measure_speakers(store: FeatureStore, corpus: Corpus) -> SpeakerFigures:
    """Long-term figures of the speakers of a store, sorted by name.

    The raw prosody is mean and deviation of ln F0 (those of the corpus for a speaker without voiced frames), and
    tokens per frame.
    """
    rows: dict[str, list[int]] = {}
    for row, speaker in enumerate(store.speakers):
        rows.setdefault(speaker, []).append(row)
    names = sorted(rows)
    spectrum = np.zeros((len(names), len(corpus.mel_mean_C)), np.float32)
    prosody = np.zeros((len(names), len(PROSODY_FIGURES)), np.float32)
    text_lengths, _ = store.lengths
    for index, name in enumerate(names):
        own = np.array(rows[name])
        of = Totals.of(total(store.sums_in_parts(own)))
        pitch = of.pitch_figures if of.voiced else (corpus.pitch_mean, corpus.pitch_std)
        spectrum[index] = corpus.normalize_mel((of.mel_C / of.frames).astype(np.float32))
        prosody[index] = (*pitch, text_lengths[own].sum() / of.frames)
    return SpeakerFigures(names, spectrum, prosody)
