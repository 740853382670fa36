import json

import numpy as np
import pytest
from made_clips import make_clip

from myxtts.config.schema import AudioConfig
from myxtts.data.corpus import Corpus, measure_corpus, measure_speakers
from myxtts.data.feature_store import FeatureStore
from myxtts.errors import DataError


def test_statistics_are_those_of_all_frames(store):
    corpus = measure_corpus(store, {"a": 3}, "abcd")
    mel = np.concatenate([store.mel(row) for row in range(len(store))]).astype(np.float64)
    pitch = np.concatenate([store.features(row)[1] for row in range(len(store))])
    energy = np.concatenate([store.features(row)[2] for row in range(len(store))])
    assert np.allclose(corpus.mel_mean_C, mel.mean(0), atol=1e-5)
    assert np.allclose(corpus.mel_std_C, mel.std(0), atol=1e-5)
    assert corpus.pitch_mean == pytest.approx(np.log(pitch[pitch > 0]).mean(), abs=1e-6)
    assert corpus.pitch_std == pytest.approx(np.log(pitch[pitch > 0]).std(), abs=1e-6)
    assert (corpus.energy_mean, corpus.energy_std) == pytest.approx((energy.mean(), energy.std()), abs=1e-5)
    normalized = corpus.normalize_mel(mel.astype(np.float32))
    assert np.abs(normalized.mean(0)).max() < 1e-3 and np.abs(normalized.std(0) - 1).max() < 1e-3
    assert np.allclose(corpus.denormalize_mel(normalized), mel, atol=1e-4)


def test_pitch_is_zero_where_unvoiced(store):
    corpus = measure_corpus(store, {}, "")
    pitch, voiced = corpus.normalize_pitch(np.array([0.0, np.exp(corpus.pitch_mean), 0.0], np.float32))
    assert pitch.tolist() == pytest.approx([0, 0, 0], abs=1e-5) and voiced.tolist() == [0, 1, 0]
    assert (pitch.dtype, voiced.dtype) == (np.float32, np.float32)


def test_predicted_pitch_in_hertz(store):
    corpus = measure_corpus(store, {}, "")
    hz = np.array([0.0, 110.0, 220.0], np.float32)
    normalized, voiced = corpus.normalize_pitch(hz)
    np.testing.assert_allclose(corpus.pitch_hz(normalized, voiced > 0, AudioConfig()), hz, rtol=1e-5)
    wild = corpus.pitch_hz(np.array([-1e9, 1e9], np.float32), np.array([True, True]), AudioConfig())
    np.testing.assert_allclose(wild, [65.0, 600.0], rtol=1e-5)


def test_speakers_spectrum_and_prosody(store):
    corpus = measure_corpus(store, {}, "")
    assert corpus.speakers == ["ann", "bob", "eve"]
    eve = np.concatenate([corpus.normalize_mel(store.mel(row)) for row in (5, 6, 7)]).mean(0)
    assert np.allclose(corpus.speaker_spectrum_ZC[2], eve, atol=1e-5)
    spread = corpus.prosody_std_Q > 0
    assert spread[2]
    assert np.allclose(corpus.speaker_prosody_ZQ.mean(0), 0, atol=1e-4)
    assert np.allclose(corpus.speaker_prosody_ZQ.std(0)[spread], 1, atol=1e-3)
    assert (corpus.speaker_index("eve"), corpus.speaker_index("zoe")) == (2, -1)


def test_one_speaker_has_no_prosody_of_its_own(tmp_path):
    store = FeatureStore([make_clip(tmp_path, "a", "bob", 90, 20), make_clip(tmp_path, "b", "bob", 70, 10)])
    corpus = measure_corpus(store, {}, "")
    assert corpus.speaker_prosody_ZQ.tolist() == [[0.0, 0.0, 0.0]]
    figures = measure_speakers(FeatureStore([make_clip(tmp_path, "c", "eve", 50, 30)]), corpus)
    assert corpus.normalize_prosody(figures.raw_prosody_ZQ).tolist() == [[0.0, 0.0, 0.0]]


def test_a_corpus_without_voice_or_with_constant_channels_stays_finite(tmp_path):
    clip = make_clip(tmp_path, "a", "bob", 40, 5, voiced=False)
    clip.entry.unlink()
    from myxtts.data.feature_store import write_entry

    write_entry(clip.entry, clip.facts, np.full((40, 80), -11.5, np.float32), np.zeros(40), np.full(40, -11.5))
    corpus = measure_corpus(FeatureStore([clip]), {}, "")
    assert corpus.mel_std_C.min() == pytest.approx(0.1, abs=1e-3)
    assert (corpus.pitch_mean, corpus.pitch_std) == (5.0, 0.3)
    assert np.isfinite(corpus.speaker_spectrum_ZC).all() and np.isfinite(corpus.speaker_prosody_ZQ).all()


def test_json_round_trip_is_exact(store):
    corpus = measure_corpus(store, {"symbols": ["a", "ʃ"]}, "abcd")
    back = Corpus.from_json(json.loads(json.dumps(corpus.to_json(), allow_nan=False)))
    assert back.to_json() == corpus.to_json()
    assert np.array_equal(back.mel_mean_C, corpus.mel_mean_C) and back.mel_mean_C.dtype == np.float32
    assert back.speaker_spectrum_ZC.shape == (3, 80)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mel_mean_C": None}, "wrong shape or no numbers"),
        ({"mel_mean_C": [float("nan")] * 80}, r"mel_mean_C\[0\] is nan, expected -1000 to 100"),
        ({"mel_std_C": [0.0] * 80}, r"mel_std_C\[0\] is 0, expected 0.001 to 1000"),
        ({"speaker_spectrum_ZC": [[1.0]]}, "wrong shape"),
    ],
)
def test_a_damaged_corpus_is_rejected(store, change, message):
    values = {**measure_corpus(store, {}, "").to_json(), **change}
    with pytest.raises(DataError, match=message):
        Corpus.from_json(values)
    del values["energy_mean"]
    with pytest.raises(DataError, match="energy_mean missing"):
        Corpus.from_json(values)


def test_fine_tuning_keeps_scales_and_languages(store, tmp_path):
    base = measure_corpus(store, {"a": 3}, "abcd")
    quiet = FeatureStore([make_clip(tmp_path, f"n{i}", "new", 50 + 10 * i, 14, seed=90 + i) for i in range(3)])
    own, based = measure_corpus(quiet, {"a": 3}, "abcd"), measure_corpus(quiet, {"a": 3}, "abcd", base)
    for name in ("mel_mean_C", "mel_std_C", "prosody_mean_Q", "prosody_std_Q"):
        assert np.array_equal(getattr(based, name), getattr(base, name))
        assert not np.array_equal(getattr(own, name), getattr(base, name))
    assert (based.pitch_mean, based.energy_std) == (base.pitch_mean, base.energy_std)
    assert based.speakers == ["new"] and based.speaker_spectrum_ZC.shape == (1, 80)
    assert based.languages[: len(base.languages)] == base.languages
    raw = measure_speakers(quiet, base).raw_prosody_ZQ
    assert np.array_equal(based.speaker_prosody_ZQ, base.normalize_prosody(raw))
    with pytest.raises(DataError, match=r"--init-from: .*another mel convention"):
        measure_corpus(quiet, {"a": 3}, "other", base)
