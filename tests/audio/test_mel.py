"""The mel against librosa, its frame count, short clips and its fingerprint."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from myxtts.audio import mel
from myxtts.config.schema import AudioConfig

AUDIO = AudioConfig()

# librosa 0.11: melspectrogram(reflect-padded clip, center=False, power=1, norm="slaney", htk=False), natural log of
# max(x, 1e-5); rows: frames 0, 7, 20 of `stored_clip`; columns: channels 0, 10, 30, 60, 79.
STORED = np.array(
    [
        [-1.2508451, 0.6882223, -3.3719587, -3.7924560, -3.7599378],
        [-4.5576196, 0.2026388, -3.0626268, -3.7748392, -3.7361789],
        [-2.2107950, 0.4516195, -3.5937357, -3.6779294, -3.6125110],
    ]
)


def stored_clip() -> np.ndarray:
    t = np.arange(22_050 // 4) / 22_050
    tone = 0.3 * np.sin(2 * np.pi * 440 * t) + 0.1 * np.sin(2 * np.pi * (300 + 4_000 * t) * t)
    pulses = np.zeros_like(t)
    pulses[::200] = 0.5
    return (tone + pulses).astype(np.float32)


def librosa_mel(samples: np.ndarray, audio: AudioConfig) -> np.ndarray:
    import librosa

    hop, fft = audio.hop_samples, audio.fft_samples
    frames = -(-len(samples) // hop)
    left = (fft - hop) // 2
    padded = np.pad(samples, (left, (frames - 1) * hop + fft - left - len(samples)), mode="reflect")
    basis = librosa.filters.mel(
        sr=audio.sample_rate_hz, n_fft=fft, n_mels=audio.mel_channels, fmin=audio.mel_low_hz, fmax=audio.mel_high_hz
    )
    spectrum = np.abs(librosa.stft(padded, n_fft=fft, hop_length=hop, center=False))
    return np.log(np.maximum(basis @ spectrum, audio.log_floor)).T


@pytest.mark.parametrize("samples", [22_050, 12_345, 1_024, 256 * 9])
@pytest.mark.parametrize("audio", [AUDIO, AudioConfig(16_000, 512, 200, 40, 50.0, 7_600.0)])
def test_log_mel_is_librosas(samples: int, audio: AudioConfig) -> None:
    clip = (0.1 * np.random.default_rng(samples).standard_normal(samples)).astype(np.float32)
    ours = mel.log_mel(clip, audio)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, librosa_mel(clip, audio), atol=2e-4)


def test_log_mel_is_the_stored_one() -> None:
    ours = mel.log_mel(stored_clip(), AUDIO)
    np.testing.assert_allclose(ours[[0, 7, 20]][:, [0, 10, 30, 60, 79]], STORED, atol=1e-3)


@pytest.mark.parametrize("samples", [1, 2, 255, 256, 257, 639, 640, 1_023, 1_024, 1_025, 5_000])
def test_frames_are_samples_over_hop_rounded_up(samples: int) -> None:
    clip = np.full(samples, 0.25, np.float32)
    log_mel, energy = mel.features(clip, AUDIO)
    assert log_mel.shape == (-(-samples // 256), 80)
    assert energy.shape == (len(log_mel),)
    assert np.isfinite(log_mel).all() and np.isfinite(energy).all()


def test_no_samples_have_no_frames() -> None:
    assert mel.log_mel(np.zeros(0, np.float32), AUDIO).shape == (0, 80)


def test_silence_is_the_floor() -> None:
    log_mel, energy = mel.features(np.zeros(3_000, np.float32), AUDIO)
    assert np.all(log_mel == np.float32(np.log(np.float32(1e-5))))
    assert np.all(energy == np.float32(np.log(np.float32(1e-5))))


def test_energy_is_the_norm_of_the_magnitudes_and_follows_loudness() -> None:
    clip = stored_clip()
    quiet, loud = (mel.features(x, AUDIO)[1] for x in (clip, 2.0 * clip))
    np.testing.assert_allclose(loud - quiet, np.log(2.0), atol=1e-4)


def test_long_clips_are_cut_into_blocks_without_a_seam() -> None:
    clip = np.random.default_rng(0).standard_normal(256 * 1_030).astype(np.float32)
    tail = mel.log_mel(clip[256 * 1_000 :], AUDIO)
    np.testing.assert_allclose(mel.log_mel(clip, AUDIO)[1_005:], tail[5:], atol=1e-4)


def test_fingerprint_follows_what_defines_the_mel_and_nothing_else() -> None:
    assert mel.fingerprint(AUDIO) == mel.fingerprint(AudioConfig())
    assert len(mel.fingerprint(AUDIO)) == 16
    for change in ({"hop_samples": 200}, {"mel_high_hz": 7_600.0}, {"log_floor": 1e-4}):
        assert mel.fingerprint(dataclasses.replace(AUDIO, **change)) != mel.fingerprint(AUDIO)
    assert mel.fingerprint(dataclasses.replace(AUDIO, trim_db=0.0, pitch_low_hz=50.0)) == mel.fingerprint(AUDIO)


def test_basis_cannot_be_changed_by_a_caller() -> None:
    with pytest.raises(ValueError, match="read-only"):
        mel.mel_basis(AUDIO)[0, 0] = 1.0
