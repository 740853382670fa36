"""Speed, pitch and energy act as named, measured on the sound.

The model is small and untrained, so its decoder is replaced by one that follows its conditions exactly: a harmonic tone
with the pitch, energy and duration of each token. Everything else is the real code: predictors, shifts, rounded
durations, mel, normalization, Griffin-Lim, and the pitch tracker that measures.
"""

import copy
from pathlib import Path
from typing import Any

import made_model
import numpy as np
import pytest
import tensorflow as tf

from myxtts.audio import mel, pitch
from myxtts.models.generate import Generated
from myxtts.synthesis import Speech, Synthesizer
from myxtts.synthesis.speech import level_db as level_of_mel

TEXT = "The rain had stopped before the train came in, and nobody was there."
HOP, RATE = 256, 22_050
CORPUS = made_model.corpus(energy_std=0.7)
"""Keeps the output of an untrained predictor within the range of a mel."""


def exact_decoder(synthesizer: Synthesizer) -> object:
    """A decoder that follows its conditions exactly."""
    audio, corpus = synthesizer.config.audio, synthesizer.corpus

    def decode(text: object, mean: object, durations: tf.Tensor, pitches: tf.Tensor, energies: tf.Tensor, *_: object):
        frames_T = durations.numpy()[0]
        hz_M = np.exp(np.repeat(pitches.numpy()[0], frames_T) * corpus.pitch_std + corpus.pitch_mean)
        level_M = 0.02 * np.exp(np.repeat(energies.numpy()[0], frames_T) * corpus.energy_std)
        hz_N, level_N = np.repeat(hz_M, HOP), np.repeat(level_M, HOP)
        phase_N = 2 * np.pi * np.cumsum(hz_N) / RATE
        wave_N = sum(np.where(k * hz_N < 5000, np.sin(k * phase_N) / k, 0.0) for k in range(1, 40))
        mel_MC = corpus.normalize_mel(mel.log_mel((level_N * wave_N).astype(np.float32), audio))
        normalized_M = np.repeat(pitches.numpy()[0], frames_T)[None]
        return {
            "mel_BMC": tf.constant(mel_MC[None]),
            "pitch_BM": tf.constant(normalized_M),
            "voiced_BM": tf.ones_like(normalized_M),
        }

    return decode


@pytest.fixture(scope="module")
def synthesizer(tmp_path_factory: pytest.TempPathFactory) -> Synthesizer:
    made = Synthesizer.load(made_model.save_run(tmp_path_factory.mktemp("run"), made_model.resolved(), CORPUS))
    made.model.generator = copy.copy(made.model.generator)  # other tests have the same one
    made.model.generator._decode = exact_decoder(made)  # type: ignore[method-assign, assignment]
    return made


@pytest.fixture(scope="module")
def plain(synthesizer: Synthesizer) -> Speech:
    return synthesizer.speak(TEXT, speaker="bob")


def semitones_between(speech: Speech, other: Speech, synthesizer: Synthesizer) -> float:
    hz, other_hz = (pitch.track(s.samples, synthesizer.config.audio) for s in (speech, other))
    both = (hz > 0) & (other_hz > 0)
    assert both.sum() > 40
    return float(np.median(12 * np.log2(other_hz[both] / hz[both])))


def level_db(speech: Speech) -> float:
    samples = speech.samples.astype(np.float64) / speech.gain
    return float(10 * np.log10(np.mean(samples**2)))


@pytest.mark.parametrize("speed", [0.7, 2.0])
def test_speed_divides_the_duration(speed: float, synthesizer: Synthesizer, plain: Speech) -> None:
    other = synthesizer.speak(TEXT, speaker="bob", speed=speed)
    assert len(plain.samples) / len(other.samples) == pytest.approx(speed, rel=0.02)
    assert abs(semitones_between_medians(plain, other, synthesizer)) < 1.0  # faster is not higher


def semitones_between_medians(speech: Speech, other: Speech, synthesizer: Synthesizer) -> float:
    hz, other_hz = (pitch.track(s.samples, synthesizer.config.audio) for s in (speech, other))
    return float(12 * np.log2(np.median(other_hz[other_hz > 0]) / np.median(hz[hz > 0])))


@pytest.mark.parametrize("wanted", [-4.0, 2.0])
def test_pitch_moves_the_voice_by_semitones(wanted: float, synthesizer: Synthesizer, plain: Speech) -> None:
    other = synthesizer.speak(TEXT, speaker="bob", pitch=wanted)
    assert semitones_between(plain, other, synthesizer) == pytest.approx(wanted, abs=0.2)
    assert other.seconds == plain.seconds and level_db(other) == pytest.approx(level_db(plain), abs=1.5)


@pytest.mark.parametrize("wanted", [-6.0, 3.0])
def test_energy_moves_the_level_by_decibels(
    wanted: float, synthesizer: Synthesizer, plain: Speech, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Generated] = []
    generate = synthesizer.model.generator.generate_mel

    def kept(*args: Any, **more: Any) -> Generated:
        made.append(generate(*args, **more))
        return made[-1]

    monkeypatch.setattr(synthesizer.model.generator, "generate_mel", kept)
    other = synthesizer.speak(TEXT, speaker="bob", energy=wanted)
    assert level_db(other) - level_db(plain) == pytest.approx(wanted, abs=0.5)
    # A gain makes up for whatever the decoder does not do, so what the decoder itself made is looked at too.
    shifted, unshifted = (level_of_mel(synthesizer.corpus.denormalize_mel(one.mel_MC)) for one in made)
    assert shifted - unshifted == pytest.approx(wanted, abs=0.5)
    assert other.seconds == plain.seconds and abs(semitones_between(plain, other, synthesizer)) < 0.2


def test_a_gain_makes_up_for_a_decoder_that_follows_in_part(
    synthesizer: Synthesizer, plain: Speech, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decoder follows a third of the energy; a gain makes up the rest."""
    exact = exact_decoder(synthesizer)

    def weak(text: object, mean: object, durations: object, pitches: object, energies: tf.Tensor, *more: object):
        return exact(text, mean, durations, pitches, energies / 3.0, *more)

    monkeypatch.setattr(synthesizer.model.generator, "_decode", weak)
    soft, loud = (synthesizer.speak(TEXT, speaker="bob", energy=energy) for energy in (0.0, 6.0))
    assert level_db(loud) - level_db(soft) == pytest.approx(6.0, abs=0.2)


def test_a_note_on_reduced_level(synthesizer: Synthesizer, plain: Speech) -> None:
    loud = synthesizer.speak(TEXT, speaker="bob", energy=25.0)
    assert plain.notes == () and loud.gain < 0.5
    softer_db = -20 * np.log10(loud.gain)
    assert loud.notes == (f"the level was reduced by {softer_db:.1f} dB to prevent clipping",)
    chunks = list(synthesizer.stream(TEXT, speaker="bob", energy=25.0))
    assert min(chunk.gain for chunk in chunks) == pytest.approx(loud.gain)
    assert max(np.abs(chunk.samples).max() for chunk in chunks) <= 0.98 + 1e-6


def test_a_note_on_limited_pitch(synthesizer: Synthesizer) -> None:
    """The corpus has a mean of 148 Hz, two octaves under which are 37."""
    (kept,) = synthesizer.speak(TEXT, speaker="bob", pitch=-24.0).notes
    assert kept == "the pitch was limited to 65 to 600 Hz in 100% of the voiced frames"
    *_, chunk = chunks = list(synthesizer.stream(TEXT, speaker="bob", pitch=-24.0))
    assert chunk.pitch_limited == chunk.voiced == sum(len(chunk.mel_MC) for chunk in chunks)


def test_the_shift_is_the_same_for_every_token_of_the_decoder(synthesizer: Synthesizer, tmp_path: Path) -> None:
    """Nothing but the limits of what was learned, six deviations, stands between the option and the decoder."""
    from myxtts.models.prosody import decibels_to_deviations, semitones_to_deviations

    voice, corpus = synthesizer.make_voice(speaker="bob").voice, synthesizer.corpus
    tokens = synthesizer.tokenizer.encode([TEXT], "en-us")[0].tokens
    plain = synthesizer.model.generator.generate_mel(tokens, 0, voice)
    other = synthesizer.model.generator.generate_mel(
        tokens,
        0,
        voice,
        pitch_shift=semitones_to_deviations(3.0, corpus.pitch_std),
        energy_shift=decibels_to_deviations(4.0, corpus.energy_std),
    )
    semitones = (other.pitch_T - plain.pitch_T) * corpus.pitch_std * 12 / np.log(2)
    decibels = (other.energy_T - plain.energy_T) * corpus.energy_std * 20 / np.log(10)
    assert np.allclose(semitones, 3.0, atol=1e-4) and np.allclose(decibels, 4.0, atol=1e-4)
    assert np.array_equal(other.duration_T, plain.duration_T)
