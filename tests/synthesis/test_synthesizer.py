"""The synthesizer with a very small model: voices, lengths, reproducibility, and errors for bad input."""

from pathlib import Path

import made_model
import numpy as np
import pytest

from myxtts.audio import waveform
from myxtts.errors import CheckpointError, ConfigError, DataError
from myxtts.synthesis import Speech, Synthesizer, VoicePart
from myxtts.synthesis.opened import language_index, open_checkpoint

TEXT = "A good day to all of you."


def notes_of(speech: Speech) -> tuple[str, ...]:
    """Its notes, without the one that an untrained model, far too loud, always gets."""
    return tuple(note for note in speech.notes if not note.endswith("dB to prevent clipping"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_model.save_run(tmp_path_factory.mktemp("run"), made_model.resolved())


@pytest.fixture(scope="module")
def synthesizer(run: Path) -> Synthesizer:
    return Synthesizer.load(run)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("recordings")
    return [made_model.save_recording(folder / f"{hz:.0f}.wav", 2.0, tone_hz=hz) for hz in (110.0, 260.0)]


def test_speech_has_the_length_of_its_mel(synthesizer: Synthesizer) -> None:
    speech = synthesizer.speak(TEXT, speaker="bob")
    assert speech.sample_rate_hz == 22_050 and speech.samples.dtype == np.float32
    assert len(speech.samples) == 256 * len(speech.mel_MC) and speech.mel_MC.shape[1] == 80
    assert speech.seconds == len(speech.samples) / 22_050
    assert np.abs(speech.samples).max() <= 1.0 and np.abs(speech.samples).max() > 0.0
    assert speech.mel_MC.min() >= np.float32(np.log(1e-5))
    assert speech.voice == "training speaker 'bob'" and speech.language == "en-us" and notes_of(speech) == ()
    assert speech.real_time_factor > 0.0
    assert [sentence.text for sentence in speech.sentences] == [TEXT]


def test_durations_of_the_tokens_of_a_recording(synthesizer: Synthesizer, recordings: list[Path]) -> None:
    samples_N = waveform.read(recordings[0], made_model.AUDIO)
    found = synthesizer.token_durations(TEXT, samples_N, speaker="bob")
    assert found is not None
    in_recording_T, predicted_T = found
    assert in_recording_T.shape == predicted_T.shape and in_recording_T.sum() == 173, "its mel frames"
    assert predicted_T.sum() == len(synthesizer.speak(TEXT, speaker="bob").mel_MC)
    assert synthesizer.token_durations(TEXT, samples_N[:2_000], speaker="bob") is None, "too short for the text"
    assert synthesizer.token_durations("Many words. " * 100, samples_N, speaker="bob") is None, "too long to learn"
    with pytest.raises(DataError, match="speaker 'bop'"):
        synthesizer.token_durations(TEXT, samples_N, speaker="bop")


def test_the_same_seed_gives_the_same_samples(synthesizer: Synthesizer, run: Path) -> None:
    first = synthesizer.speak(TEXT, speaker="bob", seed=3)
    again = synthesizer.speak(TEXT, speaker="bob", seed=3)
    assert np.array_equal(first.samples, again.samples) and np.array_equal(first.mel_MC, again.mel_MC)
    assert not np.array_equal(synthesizer.speak(TEXT, speaker="bob", seed=4).samples, first.samples)
    assert np.array_equal(Synthesizer.load(run).speak(TEXT, speaker="bob", seed=3).samples, first.samples)


def test_speed_changes_the_length(synthesizer: Synthesizer) -> None:
    plain, fast, slow = (synthesizer.speak(TEXT, speaker="bob", speed=speed) for speed in (1.0, 2.0, 0.5))
    assert fast.seconds == pytest.approx(plain.seconds / 2, abs=0.02)
    assert slow.seconds == pytest.approx(plain.seconds * 2, abs=0.02)


def test_pitch_and_energy_reach_the_mel(synthesizer: Synthesizer) -> None:
    plain = synthesizer.speak(TEXT, speaker="bob")
    for other in (
        synthesizer.speak(TEXT, speaker="bob", pitch=4.0),
        synthesizer.speak(TEXT, speaker="bob", energy=6.0),
    ):
        assert other.seconds == plain.seconds and not np.allclose(other.mel_MC, plain.mel_MC, atol=1e-3)


def test_speakers_differ_and_the_first_one_is_the_default(synthesizer: Synthesizer) -> None:
    default = synthesizer.speak(TEXT)
    assert notes_of(default) == ("no voice was given: using the first training speaker 'ann'",)
    assert np.array_equal(default.mel_MC, synthesizer.speak(TEXT, speaker="ann").mel_MC)
    bob = synthesizer.speak(TEXT, speaker="bob")
    assert bob.mel_MC.shape != default.mel_MC.shape or not np.allclose(bob.mel_MC, default.mel_MC, atol=1e-3)


def test_references_are_averaged(synthesizer: Synthesizer, recordings: list[Path]) -> None:
    made = [synthesizer.make_voice(references) for references in (recordings[:1], recordings[1:], recordings)]
    low, high, both = (one.voice for one in made)
    name, _, names = (one.description for one in made)
    assert name.startswith("reference '") and names.startswith("mean of references '")
    mean = low.voice_E + high.voice_E
    assert np.allclose(both.voice_E, mean / np.linalg.norm(mean), atol=1e-5)
    assert np.allclose(both.style_Y, (low.style_Y + high.style_Y) / 2, atol=1e-5)
    assert not np.allclose(low.voice_E, high.voice_E, atol=1e-4)
    assert synthesizer.speak(TEXT, references=recordings).voice == names


def test_samples_are_a_reference_too(synthesizer: Synthesizer, recordings: list[Path]) -> None:
    from myxtts.audio import waveform

    samples = waveform.read(recordings[0], synthesizer.config.audio)
    from_samples, from_file = (synthesizer.make_voice([it]).voice for it in (samples, recordings[0]))
    assert np.array_equal(from_samples.voice_E, from_file.voice_E)


def test_text_of_any_length_in_one_graph(synthesizer: Synthesizer) -> None:
    synthesizer.speak(TEXT, speaker="bob")
    traced = synthesizer.model.generator.traces
    steps: list[tuple[str, int, int]] = []
    long = "One. Two words! " + "And a sentence that goes on and on, " * 12 + "until here."
    speech = synthesizer.speak(long, speaker="bob", progress=lambda *step: steps.append(step))
    assert synthesizer.model.generator.traces == traced
    assert len(speech.sentences) >= 4 and steps[-1] == ("synthesis", len(speech.sentences), len(speech.sentences))
    starts = [sentence.start_seconds for sentence in speech.sentences]
    assert starts == sorted(starts) and starts[0] == 0.0
    last = speech.sentences[-1]
    assert last.start_seconds + last.seconds == pytest.approx(speech.seconds, abs=1e-6)
    assert synthesizer.speak("I.", speaker="bob").seconds > 0.0


def test_a_note_on_symbols_that_cannot_be_spoken(synthesizer: Synthesizer) -> None:
    speech = synthesizer.speak("Snow \u2603 falls. \u2026 *** \u2026", speaker="bob")
    assert any("omitted, not pronounceable in en-us: '\u2603' (U+2603)" in note for note in speech.notes)
    with pytest.raises(DataError, match=r"nothing in '\?!' can be spoken in en-us; write words, .*\(en-us, fa\)"):
        synthesizer.speak("?!", speaker="bob")


def test_languages(synthesizer: Synthesizer) -> None:
    speech = synthesizer.speak("\u0633\u0644\u0627\u0645", speaker="bob", language="fa")
    assert speech.language == "fa" and notes_of(speech) == ()
    assert synthesizer.speak("\u0633\u0644\u0627\u0645!", speaker="bob").language == "fa", "by its letters"
    assert synthesizer.speak("Hello \u0633\u0644\u0627\u0645", speaker="bob").language == "en-us"
    assert language_index(synthesizer.opened, "EN_us") == (0, "en-us")
    for code, hint in (
        ("de", "language 'de' is not in this model; "),
        ("fa-x", "did you mean 'fa'? available: 'en-us', 'fa'"),
    ):
        with pytest.raises(DataError) as caught:
            synthesizer.speak(TEXT, language=code)
        assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"text": " \n"}, DataError, "the text is empty"),
        ({"text": "a" * 100_001}, DataError, "100001 characters, at most 100000"),
        ({"speed": 9.0}, ConfigError, "speed is 9.0, expected 0.25 to 4 times"),
        ({"pitch": float("nan")}, ConfigError, "pitch is nan, expected -24 to 24 semitones"),
        ({"steps": -1}, ConfigError, "steps is -1, expected 0 to 200"),
        (
            {"speaker": "bop"},
            DataError,
            "speaker 'bop' is not in this model; did you mean 'bob'? available: 'ann', 'bob'",
        ),
        ({"voices": VoicePart("speaker", "bob")}, DataError, "write voices=[...]"),
        ({"voices": ["bob"]}, DataError, "voices contains 'bob', expected VoicePart(kind, what, weight)"),
        ({"voices": [VoicePart("speaker", "bob", 0.0)]}, DataError, "the weight is 0.0, expected a number over 0"),
        ({"voices": [VoicePart("random", -1)]}, DataError, "-1 is not valid for 'random'"),
        ({"vary": -1.0}, ConfigError, "vary is -1.0, expected 0 to 2"),
        ({"references": "x.wav"}, DataError, "write references=[...]"),
        ({"references": ["nowhere.wav"]}, DataError, "reference 'nowhere.wav': cannot be opened"),
    ],
)
def test_bad_input_gets_one_line(
    synthesizer: Synthesizer, changes: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        synthesizer.speak(**{"text": TEXT, **changes})  # type: ignore[arg-type]
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_checkpoint_that_cannot_speak(tmp_path: Path) -> None:
    settings = made_model.resolved()
    with pytest.raises(CheckpointError, match="does not exist: give a run directory"):
        Synthesizer.load(tmp_path / "nowhere")
    other = made_model.corpus(mel_fingerprint="0123456789abcdef")
    with pytest.raises(CheckpointError, match="mels of another definition"):
        open_checkpoint(made_model.save_run(tmp_path / "mel", settings, other))
    with pytest.raises(CheckpointError, match="no averaged weights"):
        Synthesizer.load(made_model.save_run(tmp_path / "bare", settings, average=None))
    with pytest.raises(CheckpointError, match="holds 1; take another one"):
        Synthesizer.load(made_model.save_run(tmp_path / "few", settings, average={"x": np.zeros(1, np.float32)}))


def test_a_checkpoint_without_voices_speaks_with_references(tmp_path: Path, recordings: list[Path]) -> None:
    mute = Synthesizer.load(made_model.save_run(tmp_path, made_model.resolved(), voices=None))
    with pytest.raises(CheckpointError, match="contains no voice of speaker 'ann'; give a recording"):
        mute.speak(TEXT)
    assert mute.speak(TEXT, references=recordings[:1]).seconds > 0.0
