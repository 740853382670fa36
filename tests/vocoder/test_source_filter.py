"""Source-filter synthesis in NumPy, and the same with gradients."""

from __future__ import annotations

import numpy as np
import pytest

from myxtts.audio import source_filter
from myxtts.audio.mel import log_mel
from myxtts.config.schema import AudioConfig
from myxtts.vocoder.waves import bandwidth_hz

AUDIO = AudioConfig()
RATE, HOP = AUDIO.sample_rate_hz, AUDIO.hop_samples
FRAMES = 40


def neutral_filters(frames: int, harmonic: float, noise: float) -> np.ndarray:
    filters = np.zeros([2 * frames, source_filter.KINDS, source_filter.bins(AUDIO)], np.float32)
    filters[:, 0], filters[:, 2] = harmonic, noise
    return filters


def test_the_transform_is_inverted() -> None:
    samples = np.random.default_rng(1).standard_normal(FRAMES * HOP).astype(np.float32)
    again = source_filter.inverse(source_filter.transform(samples, AUDIO), AUDIO)
    assert len(again) == len(samples)
    np.testing.assert_allclose(again[HOP:-HOP], samples[HOP:-HOP], atol=1e-4)


def test_pulses_have_the_pitch_and_the_density_of_noise() -> None:
    pitch = np.full(FRAMES, 200.0, np.float32)
    excitation = source_filter.excite(pitch, AUDIO)
    spectrum = np.abs(np.fft.rfft(excitation.pulses_N))
    hz = np.fft.rfftfreq(len(excitation.pulses_N), 1 / RATE)
    strongest = hz[np.argsort(spectrum)[-30:]]
    assert (np.abs(strongest - 200.0 * np.round(strongest / 200.0)) < 3.0).all()
    assert np.var(excitation.pulses_N) == pytest.approx(1.0, abs=0.1)
    assert np.var(excitation.noise_N) == pytest.approx(1.0, abs=0.05)


def test_unvoiced_speech_has_an_excitation_too() -> None:
    excitation = source_filter.excite(np.zeros(FRAMES, np.float32), AUDIO)
    assert np.isfinite(excitation.pulses_N).all() and len(excitation.pulses_N) == FRAMES * HOP
    assert (source_filter.filled_pitch(np.zeros(FRAMES, np.float32), AUDIO) > 0).all()


def test_a_seed_determines_the_noise() -> None:
    pitch = np.zeros(FRAMES, np.float32)
    one, same, other = (source_filter.excite(pitch, AUDIO, seed).noise_N for seed in (3, 3, 4))
    assert one.tobytes() == same.tobytes() != other.tobytes()


def test_the_envelope_of_white_noise_is_flat_and_at_its_level() -> None:
    noise = np.random.default_rng(2).standard_normal(400 * HOP).astype(np.float32)
    matrix, offset = source_filter.envelope_matrix(AUDIO)
    envelope = log_mel(noise, AUDIO).mean(axis=0) @ matrix + offset
    assert np.abs(envelope[5:]).max() < 0.15


def test_gradients_do_not_change_what_is_synthesized() -> None:
    from myxtts.vocoder import distance

    random = np.random.default_rng(5)
    pitch = np.where(random.random(FRAMES) < 0.7, 150.0, 0.0).astype(np.float32)
    excitation = source_filter.excite(pitch, AUDIO)
    filters = random.normal(0.0, 0.3, [2 * FRAMES, source_filter.KINDS, source_filter.bins(AUDIO)]).astype(np.float32)
    plain = source_filter.synthesize(filters, excitation, AUDIO)
    parts = distance.harmonic_part(filters[None], excitation.pulses_N[None], AUDIO)
    parts += distance.noise_part(filters[None], excitation.noise_N[None], excitation.phase_N[None], AUDIO)
    np.testing.assert_allclose(distance.synthesize(parts, AUDIO).numpy()[0], plain, atol=2e-5)


def test_the_gain_of_the_noise() -> None:
    filters = neutral_filters(FRAMES, 0.0, 1.0)
    excitation = source_filter.excite(np.zeros(FRAMES, np.float32), AUDIO)
    assert np.abs(source_filter.synthesize(0.0 * filters, excitation, AUDIO)).max() == 0.0
    assert np.std(source_filter.synthesize(filters, excitation, AUDIO)) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("edge", [4_000, 8_000])
def test_the_bandwidth_of_a_resampled_recording(edge: int) -> None:
    import soxr

    noise = np.random.default_rng(4).standard_normal(2 * edge * 2).astype(np.float32)
    found = bandwidth_hz(soxr.resample(noise, 2 * edge, RATE), RATE)
    assert 0.9 * edge < found <= edge


def test_a_full_band_recording_keeps_its_bandwidth() -> None:
    random = np.random.default_rng(4)
    noise = np.cumsum(random.standard_normal(RATE)).astype(np.float32)  # falls by 6 dB per octave
    assert bandwidth_hz(noise, RATE) == RATE / 2
    assert bandwidth_hz(noise[:100], RATE) == RATE / 2
