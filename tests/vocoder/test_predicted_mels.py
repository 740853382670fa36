"""Mels that a voice model predicts for recordings belong to them frame by frame, and a vocoder trains on them."""

from __future__ import annotations

import sys
from pathlib import Path

import made_model
import numpy as np
import pytest
import tensorflow as tf

from myxtts.config.schema import AudioConfig
from myxtts.data.batches import Batches, buckets_of
from myxtts.data.prepare import PreparedData, prepare
from myxtts.data.references import prepare_reference
from myxtts.errors import CheckpointError
from myxtts.models.build import load_weights
from myxtts.progress import silent
from myxtts.training.task import VoiceTask
from myxtts.training.teacher_forced import PredictedMels, VoiceSource

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
import made_run
from test_training import TINY

pytestmark = [pytest.mark.graph, pytest.mark.timeout(600)]
PREDICTED = {**TINY, "vocoder__predicted_share": 1.0, "vocoder__blur_share": 0.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root and a voice model that was trained on it."""
    folder = tmp_path_factory.mktemp("predicted")
    made_run.make_root(folder / "root", clips=8)
    assert made_run.train(folder, "voice", training__max_updates=3)[0] == 3
    return folder


@pytest.fixture(scope="module")
def mels(folder: Path) -> tuple[VoiceSource, PreparedData, PredictedMels]:
    prepared = prepare(made_run.resolved(folder, "voice").config, silent, named={"data.train_path"})
    source = VoiceSource.open(folder / "voice", AudioConfig())
    return source, prepared, PredictedMels(source, prepared.train, silent)


def test_they_are_what_the_model_predicts_in_training(mels: tuple[VoiceSource, PreparedData, PredictedMels]) -> None:
    source, prepared, predicted = mels
    store, corpus = prepared.train, source.corpus
    assert predicted.count == len(store)
    model = VoiceTask(source.config, corpus).build("fp32")
    load_weights(model, source.average)
    batches = Batches(store, corpus, buckets_of([store], 1), source.config, training=False)
    for batch in batches.all():
        rows, _, channels = batch["reference_BRC"].shape
        batch["reference_BRC"] = np.zeros([rows, batches.reference_frames, channels], np.float32)
        for at, row in enumerate(batch["utterance_B"].tolist()):
            if row >= 0:  # the clip is its own reference
                reference_RC = prepare_reference(store.mel(row), corpus, source.config.audio)[
                    : batches.reference_frames
                ]
                batch["reference_BRC"][at, : len(reference_RC)] = reference_RC
                batch["reference_length_B"][at] = len(reference_RC)
                frames = batch["mel_length_B"][at]
                batch["spectrum_BC"][at] = batch["mel_BMC"][at, :frames].mean(axis=0)
        outputs = model({key: tf.constant(value) for key, value in batch.items()}, tf.constant(0.0))
        for at, row in enumerate(batch["utterance_B"].tolist()):
            if row >= 0:
                expected_MC = corpus.denormalize_mel(outputs["mel_BSC"].numpy()[at, : batch["mel_length_B"][at]])
                found_MC = predicted.mel(row)
                assert found_MC is not None and found_MC.shape == store.mel(row).shape
                np.testing.assert_allclose(found_MC, expected_MC, atol=0.02)  # kept in half precision


def test_damaged_entries_are_computed_again(
    mels: tuple[VoiceSource, PreparedData, PredictedMels], folder: Path
) -> None:
    source, prepared, _ = mels
    path = next((folder / "cache").rglob("mels/*/*.npy"))
    kept = path.read_bytes()
    path.write_bytes(kept[:-1])
    again = PredictedMels(source, prepared.train, silent)
    assert path.read_bytes() == kept and again.count == len(prepared.train)


def test_a_vocoder_trains_on_them_and_resumes_bit_exact(folder: Path) -> None:
    settings = {**PREDICTED, "vocoder__mels_from": str(folder / "voice")}
    made_run.train(folder, "whole", **settings, training__max_updates=8)
    made_run.train(folder, "parts", **settings, training__max_updates=3)
    made_run.train(folder, "parts", **settings, training__max_updates=8)
    assert made_run.losses(folder / "parts") == made_run.losses(folder / "whole")
    made_run.train(folder, "recorded", **{**PREDICTED, "training__max_updates": 8})
    assert made_run.losses(folder / "recorded") != made_run.losses(folder / "whole")


def test_a_vocoder_is_no_source(folder: Path) -> None:
    made_run.train(folder, "vocoder", **TINY, training__max_updates=3)
    with pytest.raises(CheckpointError, match=r"vocoder\.mels_from .*vocoder"):
        VoiceSource.open(folder / "vocoder", AudioConfig())


def test_another_mel_convention_is_an_error(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"vocoder\.mels_from .*definition"):
        VoiceSource.open(folder / "voice", AudioConfig(mel_high_hz=7_000.0))


def test_settings_of_a_model_that_the_weights_cannot_be_of_are_an_error_before_it_is_built(tmp_path: Path) -> None:
    huge = made_model.resolved(model__width=4_096, model__heads=4)
    run = made_model.save_run(tmp_path, huge, average={"voice_cloner/x": np.zeros(8, np.float32)})
    with pytest.raises(CheckpointError, match=r"vocoder\.mels_from .*model\.width 4096"):
        VoiceSource.open(run, AudioConfig())
