"""What the exported graphs compute in place of NumPy: rounding of durations, and the vocoder inside a graph."""

import made_model
import numpy as np
import pytest
import tensorflow as tf

from myxtts.audio import excitation, mel, source_filter
from myxtts.audio.griffin_lim import magnitude_of_mel, waveform_of_mel
from myxtts.export.graphs import round_durations_in_graph
from myxtts.export.vocoder import GriffinLimGraph, NeuralGraph, half_phase, harmonic_sum, noise_table, vocoder_graph
from myxtts.models.prosody import round_durations
from myxtts.vocoder.files import GRIFFIN_LIM, NEURAL, find_vocoder
from myxtts.vocoder.neural import attenuate_noise

AUDIO = made_model.AUDIO


@pytest.mark.parametrize("speed", [0.25, 0.9, 1.0, 1.37, 4.0])
def test_durations_are_rounded_as_in_numpy(speed: float) -> None:
    rng = np.random.default_rng(4)
    for tokens in (1, 2, 33, 200):
        for scale in (0.3, 1.0, 3.0):
            log_duration_T = rng.normal(1.0, scale, tokens).astype(np.float32)
            spoken_T = rng.random(tokens) < 0.5
            wanted = round_durations(log_duration_T, spoken_T, speed=speed, longest_token=40, longest=900)
            frames_BT, capped_B, squeezed_B = round_durations_in_graph(
                tf.constant(log_duration_T[None]), tf.constant(spoken_T[None].astype(np.int32)), tf.constant(speed),
                40, 900,
            )  # fmt: skip
            assert frames_BT.numpy()[0].tolist() == wanted.frames_T.tolist()
            assert (int(capped_B[0]), bool(squeezed_B[0])) == (wanted.capped, wanted.squeezed)


def buzz(seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """The mel of a tone that slides, and its pitch, with an unvoiced stretch."""
    count = round(seconds * AUDIO.sample_rate_hz / AUDIO.hop_samples)
    hz_M = np.linspace(110.0, 180.0, count).astype(np.float32)
    samples = 0.05 * excitation.pulses(hz_M, AUDIO)
    samples += 0.003 * np.random.default_rng(1).normal(size=len(samples)).astype(np.float32)
    hz_M[count // 2 : count // 2 + 5] = 0.0
    return mel.log_mel(samples, AUDIO), hz_M


def test_the_vocoder_in_a_graph_is_about_as_good_as_that_in_numpy() -> None:
    mel_MC, hz_M = buzz(0.8)
    by_graph = GriffinLimGraph(AUDIO)(tf.constant(mel_MC), tf.constant(hz_M)).numpy()
    by_numpy = waveform_of_mel(mel_MC, AUDIO, seed=1, pitch_hz_M=hz_M)
    assert by_graph.shape == by_numpy.shape and by_graph.dtype == np.float32

    def error(samples: np.ndarray) -> float:
        return float(np.abs(np.maximum(mel.log_mel(samples, AUDIO), -8.0) - np.maximum(mel_MC, -8.0)).mean())

    assert error(by_graph) < 1.5 * error(by_numpy) + 0.02


def test_harmonics_and_pulses_of_the_graph_are_those_of_numpy() -> None:
    mel_MC, hz_M = buzz(0.6)
    graph = GriffinLimGraph(AUDIO)
    np.testing.assert_allclose(graph._combs(tf.constant(hz_M)), excitation.combs(hz_M, AUDIO), atol=2e-3)
    half, hz = half_phase(tf.constant(hz_M), AUDIO)
    pulses = tf.reshape(harmonic_sum(half, tf.floor(excitation.highest_hz(AUDIO) / hz)), [-1]).numpy()
    wanted = excitation.pulses(hz_M, AUDIO)
    inside = slice(AUDIO.hop_samples, -AUDIO.hop_samples)
    assert np.corrcoef(pulses[inside], wanted[inside])[0, 1] > 0.99
    found, wanted = graph._magnitude(tf.constant(mel_MC), tf.constant(hz_M)), magnitude_of_mel(mel_MC, AUDIO, hz_M)
    assert np.median(np.abs(np.log(found + 1e-5) - np.log(wanted + 1e-5))) < 0.1


def test_the_neural_vocoder_in_a_graph_equals_that_in_numpy() -> None:
    mel_MC, hz_M = buzz(0.8)
    vocoder = find_vocoder(NEURAL, AUDIO)
    assert vocoder is not None
    by_graph = NeuralGraph(vocoder)(tf.constant(mel_MC), tf.constant(hz_M)).numpy()
    network, driven = vocoder.network(), source_filter.excite(hz_M, AUDIO)
    noise_N = noise_table(tf.constant(len(driven.noise_N))).numpy()
    filled_M, voiced_M = source_filter.filled_pitch(hz_M, AUDIO), (hz_M > 0.0).astype(np.float32)
    filters = network.filters(mel_MC, filled_M, voiced_M)
    attenuate_noise(filters)
    by_numpy = source_filter.synthesize(
        filters,
        source_filter.Excitation(driven.pulses_N, driven.phase_N, noise_N),
        AUDIO,
    )
    assert by_graph.shape == by_numpy.shape
    assert np.abs(by_graph - by_numpy).max() < 0.01 * np.abs(by_numpy).max()


@pytest.mark.parametrize("frames", [1, 2, 7])
@pytest.mark.parametrize("hz", [0.0, 120.0])
@pytest.mark.parametrize("kind", [NEURAL, GRIFFIN_LIM])
def test_a_vocoder_takes_any_length_and_no_voice(frames: int, hz: float, kind: str) -> None:
    graph = vocoder_graph(find_vocoder(kind, AUDIO), AUDIO)
    samples = graph(tf.fill([frames, 80], -4.0), tf.fill([frames], hz)).numpy()
    assert samples.shape == (frames * AUDIO.hop_samples,) and np.isfinite(samples).all()
