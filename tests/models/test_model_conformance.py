"""Every layer of myxtts.models held to the same rules; a layer without a descriptor fails the suite."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import made_batch
import numpy as np
import pytest
import tensorflow as tf
from made_batch import CHANNELS, LANGUAGES, SPEAKERS, SYMBOLS, model_config

import myxtts.models
from myxtts.config.presets import SIZES
from myxtts.config.schema import LossConfig
from myxtts.errors import CheckpointError
from myxtts.models.aligner import Aligner
from myxtts.models.build import build_voice_cloner, load_weights, weights_of
from myxtts.models.critic import Critic
from myxtts.models.layers import (
    ConvBlock,
    Convolution,
    Depthwise,
    FeedForward,
    Module,
    Norm,
    TransformerBlock,
    sequence_mask,
)
from myxtts.models.mel_decoder import Backbone, FlowDecoder, RegressionDecoder
from myxtts.models.predictors import Predictor
from myxtts.models.source_predictor import SourcePredictor
from myxtts.models.speaker_encoder import SpeakerEncoder, VoiceHeads
from myxtts.models.text_encoder import TextEncoder
from myxtts.models.voice_cloner import PRECISIONS, VoiceCloner
from myxtts.training import losses

B, T, D, E = 2, 5, 16, 12
LENGTHS = tf.constant([5, 3])
MASK = sequence_mask(LENGTHS, T)
SEED = tf.constant([1, 2])
MODEL = model_config(critic_width=4)


def normal(*shape: int, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


@dataclass(frozen=True)
class Descriptor:
    """A layer: how to make it, what to call it with, and the shape and precision of what it gives.

    A precision of "compute" follows the policy; "float32" does not.
    """

    kind: type[Module]
    make: Callable[..., Module]
    inputs: Callable[[], tuple[Any, ...]]
    outputs: dict[str, tuple[tuple[int, ...], str]]


def masked(width: int) -> tf.Tensor:
    return normal(B, T, width) * MASK


def batch_and_prior() -> tuple[Any, ...]:
    return made_batch.tensors(made_batch.make_batch((0, 1))), tf.constant(0.5), SEED


CONDITION = normal(B, E, seed=3)
IDS = tf.constant([[1, 4, 1, 6, 1], [1, 7, 1, 0, 0]])
DECODER_IN = (masked(D), CONDITION, MASK, masked(CHANNELS), SEED)
COMPUTE = "compute"

DESCRIPTORS = [
    Descriptor(Norm, Norm, lambda: (masked(D),), {"": ((B, T, D), COMPUTE)}),
    Descriptor(Depthwise, lambda **k: Depthwise(3, **k), lambda: (masked(D),), {"": ((B, T, D), COMPUTE)}),
    Descriptor(Convolution, lambda **k: Convolution(6, 4, 2, **k), lambda: (masked(D),), {"": ((B, 3, 6), COMPUTE)}),
    Descriptor(FeedForward, lambda **k: FeedForward(D, 2, **k), lambda: (masked(D),), {"": ((B, T, D), COMPUTE)}),
    Descriptor(
        TransformerBlock,
        lambda **k: TransformerBlock(D, 2, 0.0, 0, **k),
        lambda: (masked(D), MASK),
        {"": ((B, T, D), "float32")},
    ),
    Descriptor(
        ConvBlock,
        lambda **k: ConvBlock(D, 2, 0.0, 0, conditioned=True, **k),
        lambda: (masked(D), MASK, CONDITION),
        {"": ((B, T, D), "float32")},
    ),
    Descriptor(
        TextEncoder,
        lambda **k: TextEncoder(MODEL, SYMBOLS, LANGUAGES, **k),
        lambda: (IDS, LENGTHS, tf.constant([0, 1])),
        {"": ((B, T, D), COMPUTE)},
    ),
    Descriptor(
        Aligner,
        lambda dtype, **k: Aligner(MODEL, SYMBOLS, CHANNELS, dtype="float32", **k),
        lambda: (IDS, LENGTHS),
        {"": ((B, T, CHANNELS), "float32")},
    ),
    Descriptor(
        SpeakerEncoder,
        lambda **k: SpeakerEncoder(MODEL, **k),
        lambda: (normal(B, 11, CHANNELS), tf.constant([11, 6])),
        {
            "voice_BE": ((B, 8), "float32"),
            "style_mean_BY": ((B, 4), "float32"),
            "style_log_variance_BY": ((B, 4), "float32"),
        },
    ),
    Descriptor(
        VoiceHeads,
        lambda dtype, **k: VoiceHeads(MODEL, SPEAKERS, CHANNELS, dtype="float32", **k),
        lambda: (tf.math.l2_normalize(normal(B, 8), axis=-1),),
        {
            "spectrum_BC": ((B, CHANNELS), "float32"),
            "prosody_BQ": ((B, 3), "float32"),
            "cosine_BZ": ((B, SPEAKERS), "float32"),
        },
    ),
    Descriptor(
        Predictor,
        lambda **k: Predictor(MODEL, 2, 0, **k),
        lambda: (masked(D), CONDITION, MASK),
        {"": ((B, T, 2), "float32")},
    ),
    Descriptor(
        SourcePredictor,
        lambda **k: SourcePredictor(MODEL, made_batch.HARMONICS, **k),
        lambda: (masked(D + 3), masked(2), CONDITION, MASK),
        {"pitch_BM": ((B, T), "float32"), "voicing_BM": ((B, T), "float32")},
    ),
    Descriptor(
        Backbone,
        lambda **k: Backbone(MODEL, 1, CHANNELS, **k),
        lambda: (masked(D), CONDITION, MASK),
        {"": ((B, T, CHANNELS), "float32")},
    ),
    Descriptor(
        RegressionDecoder,
        lambda **k: RegressionDecoder(MODEL, CHANNELS, **k),
        lambda: DECODER_IN,
        {"estimate_BMC": ((B, T, CHANNELS), "float32")},
    ),
    Descriptor(
        FlowDecoder,
        lambda **k: FlowDecoder(MODEL, CHANNELS, **k),
        lambda: DECODER_IN,
        {"estimate_BMC": ((B, T, CHANNELS), "float32"), "velocity_error_BMC": ((B, T, CHANNELS), "float32")},
    ),
    Descriptor(
        Critic,
        lambda **k: Critic(MODEL, CHANNELS, **k),
        lambda: (masked(CHANNELS), masked(CHANNELS), CONDITION, MASK),
        {
            "score_BJL": ((B, 1, 1), "float32"),
            "features_0": ((B, 3, 4, 4), COMPUTE),
            "features_1": ((B, 2, 2, 8), COMPUTE),
            "features_2": ((B, 1, 1, 16), COMPUTE),
        },
    ),
    Descriptor(
        VoiceCloner,
        lambda dtype, **k: VoiceCloner(
            MODEL, precision={v: p for p, v in PRECISIONS.items()}[dtype.name], **made_batch.SIZES
        ),
        batch_and_prior,
        {
            "mel_BSC": ((B, 19, CHANNELS), "float32"),
            "target_BSC": ((B, 19, CHANNELS), "float32"),
            "aligner_BMC": ((B, 19, CHANNELS), "float32"),
            "centered_BMC": ((B, 19, CHANNELS), "float32"),
            "duration_BU": ((B, 7), "int32"),
            "path_BMT": ((B, 19, 7), "float32"),
            "log_duration_BU": ((B, 7), "float32"),
            "pitch_BU": ((B, 7), "float32"),
            "energy_BU": ((B, 7), "float32"),
            "token_pitch_BU": ((B, 7), "float32"),
            "token_energy_BU": ((B, 7), "float32"),
            "token_spoken_BU": ((B, 7), "float32"),
            "voice_BE": ((B, 8), "float32"),
            "predicted_voice_BE": ((B, 8), "float32"),
            "known_spectrum_BC": ((B, CHANNELS), "float32"),
            "known_prosody_BQ": ((B, 3), "float32"),
            "cosine_BZ": ((B, SPEAKERS), "float32"),
            "true_score_BJL": ((B, 3, 1), "float32"),
            "made_score_BJL": ((B, 3, 1), "float32"),
            "generator_score_BJL": ((B, 3, 1), "float32"),
            "score_mask_BJ1": ((B, 3, 1), "float32"),
            "feature_distance_B": ((B,), "float32"),
        },
    ),
]
by_kind = pytest.mark.parametrize("descriptor", DESCRIPTORS, ids=lambda d: d.kind.__name__)


MADE: dict[tuple[type[Module], str, int], Module] = {}


def make(descriptor: Descriptor, precision: str = "fp32", seed: int = 1) -> Module:
    """The layer with its weights made and stirred, once for all tests: they leave the weights of seed 1 as they are."""
    key = (descriptor.kind, precision, seed)
    if key not in MADE:
        keras.utils.set_random_seed(seed)
        layer = descriptor.make(dtype=keras.DTypePolicy(PRECISIONS[precision]))
        layer(*prepared(descriptor, layer))
        made_batch.stir(layer.trainable_variables, seed)
        MADE[key] = layer
    return MADE[key]


def prepared(descriptor: Descriptor, layer: Module) -> tuple[Any, ...]:
    """Inputs as the layer gets them inside the model: the stream in the compute precision."""
    if descriptor.kind in (TransformerBlock, ConvBlock):
        first, *rest = descriptor.inputs()
        return tf.cast(first, layer.compute_dtype), *rest
    return descriptor.inputs()


def call(descriptor: Descriptor, layer: Module) -> dict[str, tf.Tensor]:
    found = layer(*prepared(descriptor, layer))
    return found if isinstance(found, dict) else {"": found}


def test_every_layer_has_a_descriptor() -> None:
    for module in pkgutil.iter_modules(myxtts.models.__path__):
        importlib.import_module(f"myxtts.models.{module.name}")

    def kinds(of: type) -> set[type]:
        return {of} | {kind for below in of.__subclasses__() for kind in kinds(below)}

    own = {kind for kind in kinds(Module) - {Module} if kind.__module__.startswith("myxtts.models.")}
    assert own == {d.kind for d in DESCRIPTORS}
    assert len(DESCRIPTORS) == len(own)


@pytest.mark.parametrize("precision", PRECISIONS)
@by_kind
def test_shapes_precision_and_finite_output(descriptor: Descriptor, precision: str) -> None:
    layer = make(descriptor, precision)
    found = call(descriptor, layer)
    if "" in descriptor.outputs:
        assert set(found) == {""}
    for key, (shape, dtype) in descriptor.outputs.items():
        assert tuple(found[key].shape) == shape, key
        stream = descriptor.kind in (TransformerBlock, ConvBlock)
        assert found[key].dtype.name == (layer.compute_dtype if dtype == COMPUTE or stream else dtype), key
        assert np.isfinite(found[key].numpy().astype(np.float64)).all(), key
    assert all(v.dtype == "float32" for v in layer.trainable_variables)
    assert not layer.non_trainable_variables, "state that no checkpoint keeps"


@by_kind
def test_half_precision_is_near_full_precision(descriptor: Descriptor) -> None:
    full = make(descriptor)
    half = make(descriptor, "bf16")
    for into, value in zip(half.trainable_variables, full.trainable_variables, strict=True):
        into.assign(value)
    expected, found = call(descriptor, full), call(descriptor, half)
    for key in descriptor.outputs:
        size = np.abs(expected[key].numpy()).max()
        # many layers one behind the other, their weights stirred
        share = 0.08 if descriptor.kind is VoiceCloner else 0.05
        np.testing.assert_allclose(
            tf.cast(found[key], tf.float32), tf.cast(expected[key], tf.float32), atol=share * size, err_msg=key
        )


@by_kind
def test_every_weight_receives_a_gradient(descriptor: Descriptor) -> None:
    layer = make(descriptor)
    variables = [v.value for v in layer.trainable_variables]
    with tf.GradientTape() as tape:
        found = call(descriptor, layer)
        if descriptor.kind is VoiceCloner:
            batch = descriptor.inputs()[0]
            objective = tf.add_n([tf.reduce_sum(v) for v in losses.terms(found, batch, LossConfig()).values()])
        else:
            objective = tf.add_n([tf.reduce_sum(v * normal(*v.shape, seed=i)) for i, v in enumerate(found.values(), 1)])
    gradients = tape.gradient(objective, variables, unconnected_gradients="zero")
    for variable, gradient in zip(layer.trainable_variables, gradients, strict=True):
        size = np.abs(tf.convert_to_tensor(gradient).numpy()).max()
        assert size > 1e-6, (variable.path, size)


@by_kind
def test_saved_and_restored_weights_give_the_same_outputs(descriptor: Descriptor) -> None:
    one, other = make(descriptor, seed=1), make(descriptor, seed=2)
    names = [v.path.split("/", 1)[1] for v in one.trainable_variables]
    assert names == [v.path.split("/", 1)[1] for v in other.trainable_variables]
    assert len(set(names)) == len(names)
    before, expected = call(descriptor, other), call(descriptor, one)
    for into, value in zip(other.trainable_variables, one.trainable_variables, strict=True):
        into.assign(value.numpy())
    found = call(descriptor, other)
    for key in descriptor.outputs:
        np.testing.assert_array_equal(found[key].numpy(), expected[key].numpy())
    assert any(not np.array_equal(before[k].numpy(), found[k].numpy()) for k in descriptor.outputs)


@pytest.mark.parametrize("decoder", ["regression", "flow"])
def test_weights_go_out_and_in_by_name(decoder: str) -> None:
    one, other = made_batch.build(1, decoder=decoder), made_batch.build(2, decoder=decoder)
    arrays = weights_of(one)
    assert list(arrays) == list(weights_of(other)), "names do not depend on what was built before"
    assert len(arrays) == len(one.trainable_variables)
    report = load_weights(other, arrays)
    assert len(report.loaded) == len(arrays) and report.lines() == [f"{len(arrays)} tensors loaded"]
    inputs = batch_and_prior()
    np.testing.assert_array_equal(one(*inputs)["mel_BSC"], other(*inputs)["mel_BSC"])


def test_the_seed_alone_determines_the_weights() -> None:
    built = [build_voice_cloner(MODEL, seed=seed, **made_batch.SIZES) for seed in (4, 4, 5)]
    first, same, different = (weights_of(cloner) for cloner in built)
    for name, value in first.items():
        np.testing.assert_array_equal(value, same[name])
    changed = {n for n in first if not np.array_equal(first[n], different[n])}
    constant = {n for n in first if np.ptp(first[n]) == 0.0}
    assert changed == set(first) - constant


def test_what_does_not_fit_is_named() -> None:
    cloner = made_batch.build(1)
    arrays: dict[str, Any] = weights_of(cloner)
    before = {n: v.copy() for n, v in arrays.items()}
    odd = dict(arrays)
    shape = odd["voice_cloner/voice_heads/speaker"].shape
    odd["voice_cloner/voice_heads/speaker"] = np.ones((7, 8), np.float32)
    del odd["voice_cloner/prosody_in/bias"]
    odd["voice_cloner/nowhere"] = np.zeros(3, np.float32)
    with pytest.raises(CheckpointError) as caught:
        load_weights(cloner, odd)
    message = str(caught.value)
    assert f"voice_cloner/voice_heads/speaker (7, 8), model {shape}" in message and "3 tensors in all" in message
    assert "--init-from" in message and "\n" not in message
    for name, value in weights_of(cloner).items():
        np.testing.assert_array_equal(value, before[name], err_msg="a refused load must change nothing")
    lines = load_weights(cloner, odd, strict=False).lines()
    assert lines[0] == f"{len(arrays) - 2} tensors loaded" and len(lines) == 4
    assert any("prosody_in/bias" in line and "initial values" in line for line in lines)


def test_two_random_draws_of_a_network_never_share_their_salt() -> None:
    """Each call of dropout draws from (seed, salt): two of the same salt would drop alike."""
    for size, settings in SIZES.items():
        for decoder in ("regression", "flow"):
            assert_salts_differ(size, settings, decoder)


def assert_salts_differ(size: str, settings: Mapping[str, object], decoder: str) -> None:
    given = {k.removeprefix("model."): v for k, v in settings.items() if k.startswith("model.")}
    deep = {k: given[k] for k in ("text_blocks", "decoder_blocks", "flow_draft_blocks") if k in given}
    cloner = VoiceCloner(model_config(**deep, decoder=decoder), **made_batch.SIZES)
    salts = salts_of(cloner)
    assert len(salts) == len(set(salts)) > 10, size


def salts_of(cloner: VoiceCloner) -> list[int]:
    from myxtts.models import text_encoder
    from myxtts.models.predictors import LAYERS

    found = [text_encoder.SALT + i for i in range(text_encoder.PRENET_LAYERS)]
    for block in cloner.text_encoder.blocks:
        found += [block.salt, block.salt + 1]
    for predictor in (cloner.duration, cloner.pitch, cloner.energy):
        found += [predictor.salt + i for i in range(LAYERS)]
    found += [block.salt for block in cloner.source_predictor.blocks]
    found += [block.salt for block in cloner.decoder.backbone.blocks]
    if hasattr(cloner.decoder, "draft"):
        found += [block.salt for block in cloner.decoder.draft.blocks]
    return found
