"""Speech sentence by sentence: the same sound, no clipping, and files that are whole at every moment."""

import io
import os
import threading
import time
from pathlib import Path

import made_model
import numpy as np
import pytest
import soundfile

from myxtts.errors import ConfigError, DataError, NonFiniteError
from myxtts.synthesis import Synthesizer
from myxtts.synthesis.speech import HIGHEST_PEAK
from myxtts.synthesis.stream import SoundWriter, limited, pcm16, wav_header

TEXT = "One. Two words! And a third sentence, which is longer than those."
RATE = 22_050


@pytest.fixture(scope="module")
def synthesizer(tmp_path_factory: pytest.TempPathFactory) -> Synthesizer:
    return Synthesizer.load(made_model.save_run(tmp_path_factory.mktemp("run"), made_model.resolved()))


def test_a_stream_is_the_same_speech(synthesizer: Synthesizer) -> None:
    told: list[tuple[str, int, int]] = []
    pieces = list(synthesizer.stream(TEXT, speaker="bob", progress=lambda *step: told.append(step)))
    speech = synthesizer.speak(TEXT, speaker="bob")
    assert [piece.number for piece in pieces] == [1, 2, 3] and {piece.total for piece in pieces} == {3}
    assert told == [("synthesis", done, 3) for done in range(4)]
    samples = np.concatenate([piece.samples for piece in pieces])
    assert np.array_equal(np.concatenate([piece.mel_MC for piece in pieces]), speech.mel_MC)
    assert tuple(piece.sentence for piece in pieces) == speech.sentences
    softer = f"all of it was made {-20 * np.log10(speech.gain):.1f} dB softer, so that no peak clips"
    assert pieces[0].voice == speech.voice and (*pieces[0].notes, softer) == speech.notes
    assert len(samples) == len(speech.samples) and np.abs(samples).max() <= HIGHEST_PEAK + 1e-6


def test_without_peaks_the_samples_are_those_of_speak_to_the_bit(
    synthesizer: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from myxtts.synthesis import synthesizer as module

    softly = module.waveform_of_mel

    def soft(*args: object, **more: object) -> np.ndarray:
        wave = softly(*args, **more)
        return (wave * (0.5 / max(0.5, float(np.abs(wave).max())))).astype(np.float32)

    monkeypatch.setattr(module, "waveform_of_mel", soft)
    speech = synthesizer.speak(TEXT, speaker="bob")
    samples = np.concatenate([piece.samples for piece in synthesizer.stream(TEXT, speaker="bob")])
    assert speech.gain == 1.0 and np.array_equal(samples, speech.samples)


def test_everything_is_checked_before_the_first_sentence(synthesizer: Synthesizer) -> None:
    with pytest.raises(ConfigError, match="speed is 9"):
        synthesizer.stream(TEXT, speed=9)
    with pytest.raises(DataError, match="speaker 'bop' is not in this model"):
        synthesizer.stream(TEXT, speaker="bop")
    with pytest.raises(TypeError, match="spead"):
        synthesizer.stream(TEXT, spead=1.0)  # type: ignore[call-arg]


def test_a_sentence_is_made_when_it_is_asked_for(synthesizer: Synthesizer, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    generate = synthesizer.generator.generate_mel
    monkeypatch.setattr(synthesizer.generator, "generate_mel", lambda *args: made.append(1) or generate(*args))
    pieces = synthesizer.stream(TEXT, speaker="bob")
    assert made == []
    next(pieces)
    assert len(made) == 1


def tone(seconds: float, loudness: float, hz: float = 200.0) -> np.ndarray:
    return (loudness * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def test_the_limiter_touches_nothing_that_does_not_clip() -> None:
    soft = tone(1.0, 0.9)
    assert limited(soft, RATE) is soft
    assert limited(np.zeros(0, np.float32), RATE).size == 0


@pytest.mark.parametrize("loudness", [1.0, 3.0, 1e4])
def test_the_limiter_lets_no_peak_clip_and_leaves_the_rest(loudness: float) -> None:
    samples = np.concatenate([tone(0.5, 0.5), tone(0.2, loudness), tone(0.5, 0.5)])
    found = limited(samples, RATE)
    assert found.dtype == np.float32 and np.abs(found).max() <= HIGHEST_PEAK + 1e-6
    assert np.abs(found).max() > 0.9 * HIGHEST_PEAK
    far = round(0.05 * RATE)
    edge = round(0.5 * RATE) - far
    assert np.allclose(found[:edge], samples[:edge], atol=1e-6)
    assert np.allclose(found[-edge:], samples[-edge:], atol=1e-6)


def test_the_limiter_bends_no_wave() -> None:
    """A steady tone that is too loud comes out as the same tone, softer: next to no harmonics."""
    found = limited(tone(1.0, 2.0), RATE)[RATE // 4 : 3 * RATE // 4]
    power = np.abs(np.fft.rfft(found * np.hanning(len(found)))) ** 2
    at = round(200.0 * len(found) / RATE)
    assert power[3 * at - 20 :].sum() < 1e-5 * power[at - 5 : at + 6].sum()


@pytest.mark.parametrize("place", [0, RATE - 1])
def test_a_peak_at_an_end_is_limited_too(place: int) -> None:
    samples = np.zeros(RATE, np.float32)
    samples[place] = -5.0
    assert np.abs(limited(samples, RATE)).max() == pytest.approx(HIGHEST_PEAK, abs=1e-5)


def test_a_header_of_unknown_length_is_read_to_the_end(tmp_path: Path) -> None:
    samples = tone(0.5, 0.5)
    file = io.BytesIO()
    writer = SoundWriter(file, RATE, raw=False, rewrites_header=False)
    writer.write(samples)
    assert (
        writer.seconds == pytest.approx(0.5) and file.getvalue()[40:44] == b"\xff\xff\xff\xff" == file.getvalue()[4:8]
    )
    path = tmp_path / "a.wav"
    path.write_bytes(file.getvalue())
    found, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE and np.array_equal(found, np.frombuffer(pcm16(samples), "<i2"))
    assert wav_header(RATE, 1 << 33)[40:44] == b"\xff\xff\xff\xff"


def test_a_file_is_a_whole_wav_after_each_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with path.open("wb", buffering=0) as file:
        writer = SoundWriter(file, RATE, raw=False, rewrites_header=True)
        for count in range(1, 4):
            writer.write(tone(0.1, 0.5))
            found, _ = soundfile.read(path)
            assert len(found) == count * 2_205
            assert int.from_bytes(path.read_bytes()[4:8], "little") == path.stat().st_size - 8


def test_raw_is_the_samples_alone() -> None:
    file = io.BytesIO()
    writer = SoundWriter(file, RATE, raw=True, rewrites_header=True)
    writer.write(np.array([0.0, 1.0, -2.0], np.float32))
    writer.write(np.array([0.5], np.float32))
    assert np.frombuffer(file.getvalue(), "<i2").tolist() == [0, 32_767, -32_767, 16_384]
    with pytest.raises(NonFiniteError, match="not finite; take another checkpoint"):
        writer.write(np.array([np.nan], np.float32))


def test_a_file_that_takes_little_at_a_time_gets_all() -> None:
    class Slow(io.BytesIO):
        def write(self, content: object) -> int:
            return super().write(bytes(content)[:100])  # type: ignore[call-overload]

    file = Slow()
    SoundWriter(file, RATE, raw=True, rewrites_header=False).write(tone(0.1, 0.5))
    assert file.getvalue() == pcm16(tone(0.1, 0.5))


def test_a_full_pipe_that_never_waits_gets_all_once() -> None:
    """As a stdout may be that another program set so: a write takes what there is room for, or says there is none."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    got = bytearray()

    def drain() -> None:
        time.sleep(0.8)  # it is full by then
        while part := os.read(reading, 20_000):
            got.extend(part)
            time.sleep(0.01)

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    samples = tone(5.0, 0.5)  # several times what a pipe holds
    with os.fdopen(writing, "wb", buffering=0) as file:
        writer = SoundWriter(file, RATE, raw=True, rewrites_header=False)
        used = time.thread_time()
        writer.write(samples)
        used = time.thread_time() - used
    reader.join(20.0)
    os.close(reading)
    assert bytes(got) == pcm16(samples) and writer.seconds == pytest.approx(5.0)
    assert used < 0.2, "it waits, and does not try again and again"


def test_a_reader_of_a_full_pipe_that_leaves_ends_the_wait() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    threading.Timer(0.2, os.close, [reading]).start()
    with os.fdopen(writing, "wb", buffering=0) as file, pytest.raises(BrokenPipeError):
        SoundWriter(file, RATE, raw=True, rewrites_header=False).write(tone(5.0, 0.5))
