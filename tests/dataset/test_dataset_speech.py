"""Phrases, music and noise in a long recording; its samples and levels are on the disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from long_recordings import LongRecording

from myxtts.dataset.recordings import find_recordings, mono_blocks
from myxtts.dataset.sound import Sound, forget_sound, load_sound
from myxtts.dataset.speech import find_phrases
from myxtts.errors import DataError
from myxtts.progress import silent


def sound_of(path: Path, work: Path, rate: int = 0) -> Sound:
    work.mkdir(exist_ok=True)
    (one,) = find_recordings(path)
    return load_sound(one, rate or one.sample_rate_hz, work, silent)


@pytest.mark.parametrize(
    ("name", "rate"), [("a.wav", 22_050), ("a.flac", 44_100), ("a.mp3", 24_000), ("a.ogg", 16_000)]
)
def test_speech_music_and_noise_are_found(chapter: LongRecording, tmp_path: Path, name: str, rate: int) -> None:
    sound = sound_of(chapter.write(tmp_path / name, rate), tmp_path / "work")
    assert sound.seconds == pytest.approx(len(chapter.samples) / 22_050, abs=0.06)
    phrases = find_phrases(sound, silent, "speech")
    for start, end, kind, text in chapter.truth:
        of_it = [p for p in phrases if start - 0.1 < 0.5 * (p.start + p.end) < end + 0.1]
        problems = sum(p.seconds for p in of_it if p.problem)
        if kind == "speech":
            assert problems == 0 and of_it[0].start < start + 0.2 and of_it[-1].end > end - 0.4, text
        else:
            assert problems > 0.8 * (end - start), kind
    pauses = [0.5 * (one[1] + other[0]) for one, other in zip(chapter.truth, chapter.truth[1:], strict=False)]
    assert not [pause for pause in pauses if any(p.start < pause < p.end for p in phrases)]


def test_silence_has_no_phrases(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(66_150), 22_050)
    assert find_phrases(sound_of(tmp_path / "a.wav", tmp_path / "work"), silent, "speech") == []


def test_an_inverted_channel_does_not_cancel_the_other(tmp_path: Path, chapter: LongRecording) -> None:
    mono = chapter.samples[:66_150]
    soundfile.write(tmp_path / "a.wav", np.stack([mono, -0.9 * mono], axis=1), 22_050)
    found = np.concatenate(list(mono_blocks(tmp_path / "a.wav")))
    assert np.std(found) == pytest.approx(np.std(mono), rel=0.01)


def test_samples_that_are_not_finite_are_an_error_with_their_time(tmp_path: Path) -> None:
    samples = np.zeros(44_100, np.float32)
    samples[22_050] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 22_050, subtype="FLOAT")
    with pytest.raises(DataError, match=r"a\.wav.*1\.00 s is nan.*16-bit"):
        list(mono_blocks(tmp_path / "a.wav"))


def test_work_files_are_used_again_and_can_be_deleted(tmp_path: Path, chapter: LongRecording) -> None:
    path, work = chapter.write(tmp_path / "a.wav"), tmp_path / "work"
    first = sound_of(path, work)
    (one,) = find_recordings(path)
    path.write_bytes(b"")
    again = load_sound(one, 22_050, work, silent)
    assert np.array_equal(first.level_M, again.level_M) and np.array_equal(first.samples_N, again.samples_N)
    forget_sound(one, 22_050, work)
    assert list(work.iterdir()) == []


def test_recordings_in_order_with_folders_and_unique_names(tmp_path: Path, chapter: LongRecording) -> None:
    for name in ("ch 10.wav", "ch 2.wav", "anna/ch 2.flac", "notes.txt", ".hidden/x.wav"):
        place = tmp_path / name
        place.parent.mkdir(exist_ok=True)
        soundfile.write(place, chapter.samples[:22_050], 22_050) if place.suffix != ".txt" else place.write_text("x")
    found = find_recordings(tmp_path)
    assert [(one.path.name, one.folder) for one in found] == [
        ("ch 2.flac", "anna"), ("ch 2.wav", ""), ("ch 10.wav", ""),
    ]  # fmt: skip
    assert [one.name for one in found] == ["ch-2", "ch-2-2", "ch-10"]


@pytest.mark.parametrize(
    ("content", "fact"),
    [(None, "no such file"), (b"", "0 bytes"), (b"hello", "not a readable recording"), (b"RIFF", "not a readable")],
)
def test_bad_recordings(tmp_path: Path, content: bytes | None, fact: str) -> None:
    path = tmp_path / "x.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=fact):
        find_recordings(path)


def test_a_folder_without_recordings(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no recordings; expected"):
        find_recordings(tmp_path)
