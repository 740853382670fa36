"""Voices during training, by an encoder whose answers are known: whose recordings count, and how many of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from myxtts.config.schema import AudioConfig
from myxtts.models.voice import Voice
from myxtts.training import voices
from myxtts.training.voices import speaker_similarity_error, speaker_voices, verify_voices

CHANNELS, LONGEST = 80, 40
CONFIG: Any = SimpleNamespace(audio=AudioConfig())


class Ear:
    """A voice is the shape of the mean spectrum; nothing else matters."""

    def __init__(self) -> None:
        self.encoded = 0

    def voices(self, mel_BRC: np.ndarray, length_B: np.ndarray) -> list[Voice]:
        self.encoded += len(length_B)
        means = [mel[:length].mean(axis=0) for mel, length in zip(mel_BRC, length_B, strict=True)]
        shapes = [(mean - mean.mean(), length) for mean, length in zip(means, length_B, strict=True)]
        return [Voice(shape / np.linalg.norm(shape), np.full(2, length)) for shape, length in shapes]


def batches_of(clips: list[tuple[str, int]]) -> Any:
    """Clips as (speaker, frames); every speaker has a spectrum of his own."""
    spectra = {name: np.random.default_rng(list(name.encode())).normal(size=CHANNELS) for name, _ in clips}
    noise = np.random.default_rng(1)
    mels = [spectra[name] - 5.0 + 0.1 * noise.normal(size=(frames, CHANNELS)) for name, frames in clips]
    store = SimpleNamespace(
        speakers=[name for name, _ in clips],
        mel=lambda row: mels[row].astype(np.float32),
        lengths=(None, np.array([frames for _, frames in clips])),
    )
    return SimpleNamespace(store=store, reference_frames=LONGEST, quarantined=frozenset())


def corpus_of(*speakers: str) -> Any:
    return SimpleNamespace(
        speakers=speakers,
        speaker_index=speakers.index,
        mel_level=-5.0,
        mel_mean_C=np.full(CHANNELS, -5.0, np.float32),
        mel_std_C=np.ones(CHANNELS, np.float32),
    )


def test_two_unseen_speakers_are_verified() -> None:
    clips = [("ann", 50), ("ann", 60), ("bob", 50), ("bob", 30), ("eve", 60), ("zoe", 61)]
    ear: Any = Ear()
    found = verify_voices(ear, batches_of(clips), corpus_of("ann", "bob"), CONFIG)
    assert found is not None and ear.encoded == 4, "two halves of the only recording of each"
    assert (found.speakers, found.unseen) == (2, 2)
    figures = found.figures
    assert (figures.same_pairs, figures.other_pairs, figures.equal_error_rate) == (2, 4, 0.0)
    assert figures.same_mean > 0.9 > figures.other_mean  # type: ignore[operator]


def test_with_one_unseen_speaker_all_speakers_take_part() -> None:
    clips = [("ann", 50), ("ann", 60), ("bob", 50), ("bob", 30), ("eve", 60)]
    found = verify_voices(Ear(), batches_of(clips), corpus_of("ann", "bob"), CONFIG)  # type: ignore[arg-type]
    assert found is not None and (found.speakers, found.unseen) == (3, 1)
    assert (found.figures.same_pairs, found.figures.other_pairs) == (3, 12)


def test_training_speakers_do_not_count_as_unseen() -> None:
    clips = [("ann", 50), ("ann", 60), ("bob", 50), ("bob", 30)]
    found = verify_voices(Ear(), batches_of(clips), corpus_of("ann", "bob", "eve"), CONFIG)  # type: ignore[arg-type]
    assert found is not None and (found.speakers, found.unseen) == (2, 0)


def test_one_speaker_cannot_be_verified() -> None:
    assert verify_voices(Ear(), batches_of([("ann", 50)] * 3), corpus_of("ann"), CONFIG) is None  # type: ignore[arg-type]


def test_the_number_of_verified_speakers_is_limited() -> None:
    clips = [(f"s{number:03d}", 20) for number in range(70) for _ in range(6)]
    ear: Any = Ear()
    found = verify_voices(ear, batches_of(clips), corpus_of(), CONFIG)
    assert found is not None and (found.speakers, found.unseen) == (64, 64) and ear.encoded == 64 * 4
    assert found.figures.same_pairs == 64 * 6


def test_the_stored_voice_of_a_speaker_uses_the_longest_recordings() -> None:
    clips = [("bob" if number % 2 else "ann", 10 + number) for number in range(24)]
    given, ear = batches_of(clips), Ear()
    found = speaker_voices(ear, given, corpus_of("ann", "bob"), CONFIG)  # type: ignore[arg-type]
    assert ear.encoded == 16 and found["voice_ZE"].shape == (2, CHANNELS)
    lengths = [np.mean(range(first, 34, 2)) for first in (18, 19)]
    assert found["style_ZS"][:, 0] == pytest.approx(lengths), "eight each, the longest"
    for speaker, name in enumerate(("ann", "bob")):
        rows = [row for row, (who, _) in enumerate(clips) if who == name]
        spectrum = np.mean([given.store.mel(row).mean(axis=0) for row in rows], axis=0)
        shape = (spectrum - spectrum.mean()) / np.linalg.norm(spectrum - spectrum.mean())
        assert found["voice_ZE"][speaker] @ shape > 0.99


def test_stored_voices_are_encoded_from_a_bounded_number_of_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voices, "MOST_REFERENCES", 12)
    names = [f"s{number}" for number in range(6)]
    given, ear = batches_of([(name, 10 + at) for at in range(4) for name in names]), Ear()
    found = speaker_voices(ear, given, corpus_of(*names), CONFIG)  # type: ignore[arg-type]
    assert ear.encoded == 12 and found["style_ZS"][:, 0].tolist() == [12.5] * 6, "the two longest of each"
    monkeypatch.setattr(voices, "MOST_REFERENCES", 3)
    speaker_voices(ear, given, corpus_of(*names), CONFIG)  # type: ignore[arg-type]
    assert ear.encoded == 12 + 6, "one of each at least"
    assert [voices.voice_frames(count, 800) for count in (1, 3, 6, 1_000)] == [800, 800, 400, 128]


def test_stored_voices_leave_out_clips_in_quarantine_unless_a_speaker_has_no_others() -> None:
    given, ear = batches_of([("ann", 30), ("ann", 20), ("bob", 25)]), Ear()
    given.quarantined = frozenset({0, 2})
    found = speaker_voices(ear, given, corpus_of("ann", "bob"), CONFIG)  # type: ignore[arg-type]
    assert ear.encoded == 2 and found["style_ZS"][:, 0].tolist() == [20, 25]


def test_the_distance_of_speech_to_a_voice() -> None:
    given, corpus, ear = batches_of([("ann", 60), ("ann", 30), ("bob", 50)]), corpus_of("ann", "bob"), Ear()
    ann = ear.voices(given.store.mel(0)[None], np.array([60]))[0]
    own, other = (speaker_similarity_error(ear, given.store.mel(row), ann, LONGEST, corpus, CONFIG) for row in (1, 2))  # type: ignore[arg-type]
    assert own is not None and other is not None and 0.0 <= own < 0.1 and 0.5 < other <= 2.0
    lost = Voice(np.full(CHANNELS, np.nan, np.float32), ann.style_Y)
    assert speaker_similarity_error(ear, given.store.mel(1), lost, LONGEST, corpus, CONFIG) is None  # type: ignore[arg-type]
