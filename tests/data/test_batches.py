import dataclasses

import numpy as np
import pytest
from made_clips import make_clip

from myxtts import batch as contract
from myxtts.config.schema import Config, DataConfig, TrainingConfig
from myxtts.data.batches import Batches, buckets_of, reference_frames, shape_of_reference
from myxtts.data.corpus import measure_corpus
from myxtts.data.feature_store import FeatureStore


def settings(batch_size=4, seed=1, **training):
    training = TrainingConfig(batch_size=batch_size, seed=seed, **training)
    return Config(data=DataConfig(length_buckets=3), training=training)


@pytest.fixture
def batches(store):
    return Batches(store, measure_corpus(store, {}, ""), buckets_of([store], 3), settings())


def epoch_of(batches, epoch):
    return [batches.build(planned, epoch) for planned in batches.plan(epoch)]


def test_batches_follow_the_contract_and_have_every_clip_once(batches):
    made = epoch_of(batches, 0)
    assert len(made) == len(batches) == 3
    for batch in made:
        assert contract.problems(batch) == []
        assert batch["text_BT"].shape[0] == 4
        assert batch["reference_BRC"].shape[1] == shape_of_reference(batch["reference_length_B"].max(), 864) <= 864
        assert (batch["mel_length_B"] <= batch["mel_BMC"].shape[1]).all()
        filled = batch["weight_B"] == 0
        assert (batch["utterance_B"][filled] == -1).all() and not batch["mel_BMC"][filled].any()
    rows = np.concatenate([batch["utterance_B"][batch["weight_B"] == 1] for batch in made])
    assert sorted(rows.tolist()) == list(range(9))


def test_references_have_one_of_a_few_shapes():
    assert reference_frames(settings()) == 864
    shapes = [shape_of_reference(longest, 864) for longest in range(1, 865)]
    assert len(set(shapes)) == 11 and shapes[-1] == 864 and shapes == sorted(shapes)
    assert all(longest <= shape < longest + 80 for longest, shape in enumerate(shapes, 1))
    assert [shape_of_reference(longest, 48) for longest in (1, 16, 17, 48)] == [16, 16, 32, 48]


def test_a_row_holds_its_utterance(batches, store):
    batch = epoch_of(batches, 0)[0]
    row = int(batch["utterance_B"][0])
    tokens, frames = len(store.text_tokens(row)), len(store.mel(row))
    corpus = batches.corpus
    assert batch["text_BT"][0, :tokens].tolist() == store.text_tokens(row).tolist()
    assert not batch["text_BT"][0, tokens:].any() and batch["text_length_B"][0] == tokens
    assert np.array_equal(batch["mel_BMC"][0, :frames], corpus.normalize_mel(store.mel(row)))
    assert not batch["mel_BMC"][0, frames:].any() and batch["mel_length_B"][0] == frames
    assert np.array_equal(batch["voiced_BM"][0, :frames] == 1, store.features(row)[1] > 0)
    assert not batch["pitch_BM"][0][batch["voiced_BM"][0] == 0].any()
    assert np.array_equal(batch["energy_BM"][0, :frames], corpus.normalize_energy(store.features(row)[2]))
    speaker = corpus.speakers.index(store.speakers[row])
    assert batch["speaker_B"][0] == speaker and batch["language_B"][0] == 0
    assert np.array_equal(batch["spectrum_BC"][0], corpus.speaker_spectrum_ZC[speaker])
    used = int(batch["reference_length_B"][0])
    assert batch["reference_BRC"][0, :used].any() and not batch["reference_BRC"][0, used:].any()


def test_an_epoch_is_bit_exact_and_differs_from_others(batches, store):
    again = Batches(store, batches.corpus, batches.buckets, settings())
    for first, second in zip(epoch_of(batches, 5), epoch_of(again, 5), strict=True):
        assert all(np.array_equal(first[key], second[key]) for key in first)
    other = Batches(store, batches.corpus, batches.buckets, settings(seed=2))
    for changed in (epoch_of(batches, 6), epoch_of(other, 5)):
        same = [np.array_equal(a["seed_B"], b["seed_B"]) for a, b in zip(epoch_of(batches, 5), changed, strict=True)]
        assert not any(same)


def test_random_draws_do_not_depend_on_the_batch_size(batches, store):
    one = Batches(store, batches.corpus, batches.buckets, settings(batch_size=1))
    drawn = [{}, {}]
    for found, made in zip(drawn, (epoch_of(batches, 2), epoch_of(one, 2)), strict=True):
        for batch in made:
            for at in np.flatnonzero(batch["weight_B"]):
                reference = batch["reference_BRC"][at, : batch["reference_length_B"][at]].tobytes()
                found[int(batch["utterance_B"][at])] = (int(batch["seed_B"][at]), reference)
    assert drawn[0] == drawn[1]


def test_validation_is_the_same_every_time(batches, store):
    validation = Batches(store, batches.corpus, batches.buckets, settings(), training=False)
    first, second = list(validation.all()), epoch_of(validation, 17)
    assert all(np.array_equal(a[key], b[key]) for a, b in zip(first, second, strict=True) for key in a)
    rows = np.concatenate([b["utterance_B"] for b in first]).tolist()
    assert sorted(rows) == [-1, -1, -1, *range(9)] and rows[-3:] == [-1, -1, -1]


def test_an_unseen_validation_speaker(batches, tmp_path):
    held = FeatureStore([make_clip(tmp_path, "z", "zoe", 80, 20), make_clip(tmp_path, "b", "bob", 80, 20)])
    made = next(Batches(held, batches.corpus, batches.buckets, settings(), training=False).all())
    assert contract.problems(made) == []
    assert made["speaker_B"].tolist() == [-1, batches.corpus.speakers.index("bob"), 0, 0]
    assert made["spectrum_BC"][0].any()
    expected = batches.corpus.normalize_mel(np.asarray(held.mel(0))).mean(0)
    assert np.allclose(made["spectrum_BC"][0], expected, atol=1e-5)


def test_fewer_clips_than_a_batch(tmp_path):
    store = FeatureStore([make_clip(tmp_path, "a", "bob", 60, 20)])
    config = dataclasses.replace(settings(batch_size=16))
    batches = Batches(store, measure_corpus(store, {}, ""), buckets_of([store], 6), config)
    made = epoch_of(batches, 0)
    assert len(made) == 1 and contract.problems(made[0]) == []
    assert made[0]["weight_B"].sum() == 1 and made[0]["mel_BMC"].shape == (16, 64, 80)


def test_the_decoder_gets_a_segment_of_a_clip(batches, store):
    config = settings(segment_seconds=0.7)
    cut = Batches(store, batches.corpus, batches.buckets, config)
    assert cut.segment_frames == 64
    for planned in cut.plan(3):
        batch = cut.build(planned, 3)
        assert contract.problems(batch) == []
        size = min(64, planned.bucket.mel_cap)
        assert batch["target_BS"].shape == (4, size)
        for at in np.flatnonzero(batch["weight_B"]):
            frames, length = int(batch["mel_length_B"][at]), int(batch["target_length_B"][at])
            target = batch["target_BS"][at, :length]
            assert (np.diff(target) == 1).all() and target[0] >= 0 and target[-1] < frames
            alone = store.speakers[int(batch["utterance_B"][at])] == "ann"
            assert length == (min(size, -(-frames // 2)) if alone else min(size, frames))
    held = Batches(store, batches.corpus, batches.buckets, config, training=False)
    for planned in held.plan(0):
        batch = held.build(planned, 0)
        assert batch["target_BS"].shape == (4, planned.bucket.mel_cap), "validation predicts all frames"


def test_validation_has_no_augmentation(batches, store):
    noisy = dataclasses.replace(settings(), data=dataclasses.replace(settings().data, augment_noise_db=5.0))
    for training in (True, False):
        plain, other = (
            Batches(store, batches.corpus, batches.buckets, c, training=training) for c in (settings(), noisy)
        )
        same = [
            np.allclose(a["reference_BRC"], b["reference_BRC"], atol=0.1)
            for a, b in zip(epoch_of(plain, 1), epoch_of(other, 1), strict=True)
        ]
        assert all(same) == (not training)
