"""Voices of a very small model: mixed by weight, saved, drawn, and spoken in another style."""

import dataclasses
from pathlib import Path

import made_model
import numpy as np
import pytest

from myxtts.errors import CheckpointError, DataError
from myxtts.synthesis import Synthesizer, VoicePart
from myxtts.synthesis.voice_file import StoredVoice, read_voice, write_voice
from myxtts.synthesis.voices import varied

TEXT = "A good day to all of you."
ANN, BOB = VoicePart("speaker", "ann"), VoicePart("speaker", "bob")


@pytest.fixture(scope="module")
def synthesizer(tmp_path_factory: pytest.TempPathFactory) -> Synthesizer:
    return Synthesizer.load(made_model.save_run(tmp_path_factory.mktemp("run"), made_model.resolved()))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_model.save_recording(tmp_path_factory.mktemp("recordings") / "tone.wav")


def weighted(source: VoicePart, weight: float) -> VoicePart:
    return dataclasses.replace(source, weight=weight)


def test_a_mixture_is_on_the_unit_sphere_and_its_style_is_the_weighted_mean(synthesizer: Synthesizer) -> None:
    ann, bob = synthesizer.make_voice(voices=[ANN]).voice, synthesizer.make_voice(voices=[BOB]).voice
    made = synthesizer.make_voice(voices=[weighted(ANN, 7), weighted(BOB, 3)])
    mean = 0.7 * ann.voice_E + 0.3 * bob.voice_E
    assert np.allclose(made.voice.voice_E, mean / np.linalg.norm(mean), atol=1e-6)
    assert np.allclose(made.voice.style_Y, 0.7 * ann.style_Y + 0.3 * bob.style_Y, atol=1e-6)
    assert made.description == "mix of 70% training speaker 'ann' and 30% training speaker 'bob'" and made.notes == ()
    alike = synthesizer.make_voice(voices=[weighted(ANN, 2), weighted(BOB, 2)]).voice
    assert np.allclose(alike.voice_E, synthesizer.make_voice(voices=[ANN, BOB]).voice.voice_E, atol=1e-6)
    alone = synthesizer.make_voice(voices=[weighted(ANN, 0.3)]).voice
    assert np.allclose(alone.voice_E, ann.voice_E, atol=1e-6)


def test_a_note_for_each_short_reference(synthesizer: Synthesizer, tmp_path: Path) -> None:
    paths = [made_model.save_recording(tmp_path / f"{seconds}.wav", seconds) for seconds in (1, 4, 2)]
    short = [note for note in synthesizer.make_voice(paths).notes if "data.reference_min_seconds" in note]
    assert ["1.0 s of speech" in short[0], "2.0 s of speech" in short[1], len(short)] == [True, True, 2]


def test_recordings_speakers_saved_and_random_voices_mix(
    synthesizer: Synthesizer, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a long path would be shortened
    made = synthesizer.make_voice(voices=[weighted(VoicePart("random", 3), 1), weighted(BOB, 1)])
    file = Path("anna.voice")
    model = synthesizer.opened.voice_model
    write_voice(file, StoredVoice(made.voice.voice_E, made.voice.style_Y, "anna", made.made_from, model))
    saved = VoicePart("voice", file, 2.0)
    speech = synthesizer.speak(TEXT, voices=[VoicePart("reference", recording, 1.0), saved])
    assert speech.voice.startswith("mix of 33.3% reference '") and speech.voice.endswith("anna.voice'")
    from_file = synthesizer.make_voice(voices=[VoicePart("voice", file)])
    assert np.allclose(from_file.voice.voice_E, made.voice.voice_E, atol=1e-6) and from_file.notes == ()
    assert read_voice(file).made_from == "mix of 50% random voice 3 and 50% training speaker 'bob'"
    both = synthesizer.make_voice([recording], "bob")
    assert both.description.startswith("mix of 50% reference '") and both.made_from.startswith(
        "mix of 50% reference 'tone"
    )


def test_a_random_voice(synthesizer: Synthesizer) -> None:
    made = synthesizer.make_voice(voices=[VoicePart("random", 3)])
    assert made.description == "random voice 3" and made.notes[0].startswith(
        "random voice 3 is closest to training speaker '"
    )
    again = synthesizer.make_voice(voices=[VoicePart("random", 3)])
    assert np.array_equal(made.voice.voice_E, again.voice.voice_E)
    assert not np.allclose(made.voice.style_Y, synthesizer.make_voice(voices=[VoicePart("random", 4)]).voice.style_Y)


def test_voices_that_cancel_out(synthesizer: Synthesizer, tmp_path: Path) -> None:
    ann = synthesizer.make_voice(voices=[ANN]).voice
    file = tmp_path / "opposite.voice"
    write_voice(file, StoredVoice(-ann.voice_E, ann.style_Y, "x", "x", synthesizer.opened.voice_model))
    with pytest.raises(DataError, match=r"nothing in common \(the voices cancel each other out\); remove one of them"):
        synthesizer.make_voice(voices=[ANN, VoicePart("voice", file)])


def test_another_style_keeps_the_voice(synthesizer: Synthesizer) -> None:
    voice = synthesizer.make_voice(voices=[ANN]).voice
    other = varied(voice, 0.5, 1)
    assert other.voice_E is voice.voice_E and not np.allclose(other.style_Y, voice.style_Y)
    assert np.array_equal(other.style_Y, varied(voice, 0.5, 1).style_Y)
    assert not np.array_equal(other.style_Y, varied(voice, 0.5, 2).style_Y)
    assert varied(voice, 0.0, 1) is voice
    draws = np.stack([varied(voice, 0.5, seed).style_Y for seed in range(400)]) - voice.style_Y
    assert np.allclose(draws.std(axis=0), 0.5, rtol=0.15)
    plain = synthesizer.speak(TEXT, speaker="ann")
    lively = synthesizer.speak(TEXT, speaker="ann", vary=1.0)
    assert lively.mel_MC.shape != plain.mel_MC.shape or not np.allclose(lively.mel_MC, plain.mel_MC, atol=1e-3)


def test_a_checkpoint_without_voices_draws_none(tmp_path: Path) -> None:
    mute = Synthesizer.load(made_model.save_run(tmp_path, made_model.resolved(), voices=None))
    with pytest.raises(CheckpointError, match="contains no voices of its training speakers, needed for a random one"):
        mute.make_voice(voices=[VoicePart("random", 1)])
