"""Mel decoders: aligned text and voice -> the mel as a residual on the aligner's mean. One interface, two kinds.

A decoder gives, in training, an `estimate_BMC` of the residual (with a gradient) and its own loss a frame; at
synthesis, the residual. The regression decoder predicts it at once; the flow decoder (conditional flow matching)
carries noise to it in a few Euler steps.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from myxtts.config.schema import ModelConfig
from myxtts.models.elementwise import times
from myxtts.models.layers import ConvBlock, Dense, Module, gelu, normalize_channels
from myxtts.models.recompute import run_blocks

EXPANSION = 4
TIME_FEATURES = 64
SALT, DRAFT_SALT = 300, 400


class Backbone(Module):
    """ConvNeXt blocks with a condition -> one vector of C channels a frame.

    Works on patches of `decoder_patch` neighbouring frames: half the positions, half the cost of every block.
    """

    def __init__(
        self,
        model: ModelConfig,
        blocks: int,
        channels: int,
        salt: int = SALT,
        *,
        recompute: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        policy, width, self.recompute = self.dtype_policy, model.width, recompute
        self.patch, self.channels = model.decoder_patch, channels
        self.front = Dense(width, name="front", dtype=policy)
        self.blocks = [
            ConvBlock(width, EXPANSION, model.dropout, salt + i, conditioned=True, name=f"block_{i}", dtype=policy)
            for i in range(blocks)
        ]
        small = keras.initializers.VarianceScaling(scale=0.01)
        self.out = Dense(channels * self.patch, kernel_initializer=small, name="out", dtype="float32")

    def call(
        self, x_BMD: tf.Tensor, condition_BE: tf.Tensor, mask_BM1: tf.Tensor, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """(B, M, any), condition (B, E), mask (B, M, 1) -> (B, M, C) fp32; zero at padding."""
        x, mask = self._patches(times(x_BMD, mask_BM1)), self._patches(mask_BM1)[:, :, :1]
        x = times(self.front(tf.cast(x, self.compute_dtype)), mask)
        x = run_blocks(self.blocks, x, mask, condition_BE, seed, recompute=self.recompute)
        y = tf.reshape(self.out(normalize_channels(x)), [tf.shape(x)[0], -1, self.channels])
        cut = tf.slice(y, [0, 0, 0], tf.stack([tf.shape(x)[0], tf.shape(x_BMD)[1], self.channels]))
        return times(cut, mask_BM1)

    def _patches(self, x_BMD: tf.Tensor) -> tf.Tensor:
        """(B, M, D) -> (B, ceil(M / patch), patch x D), filled up with zeros."""
        shape = tf.shape(x_BMD)
        missing = (self.patch - shape[1] % self.patch) % self.patch
        x = tf.pad(x_BMD, [[0, 0], [0, missing], [0, 0]])
        return tf.reshape(x, [shape[0], tf.shape(x)[1] // self.patch, self.patch * x_BMD.shape[-1]])


class RegressionDecoder(Module):
    """Predicts the residual at once; trained with L1 or Huber by the losses."""

    def __init__(self, model: ModelConfig, channels: int, *, recompute: bool = False, **kwargs: object) -> None:
        super().__init__(**kwargs)
        blocks, policy = model.decoder_blocks, self.dtype_policy
        self.backbone = Backbone(model, blocks, channels, recompute=recompute, name="backbone", dtype=policy)

    def call(
        self,
        x_BMD: tf.Tensor,
        condition_BE: tf.Tensor,
        mask_BM1: tf.Tensor,
        target_BMC: tf.Tensor,
        noise_seed_B: tf.Tensor,
        seed: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Training. Aligned text (B, M, D), condition (B, E), target residual (B, M, C) -> estimate_BMC."""
        return {"estimate_BMC": self.backbone(x_BMD, condition_BE, mask_BM1, seed)}

    def generate(
        self,
        x_BMD: tf.Tensor,
        condition_BE: tf.Tensor,
        mask_BM1: tf.Tensor,
        steps: tf.Tensor,
        noise_BMC: tf.Tensor,
    ) -> tf.Tensor:
        """Synthesis: the residual (B, M, C). `steps` and `noise_BMC` mean nothing here."""
        return self.backbone(x_BMD, condition_BE, mask_BM1)


def time_features(time_B: tf.Tensor) -> tf.Tensor:
    """Sinusoids (B, 64) of a time in 0 to 1 (arXiv 1706.03762, sec. 3.5, with the time times 1,000)."""
    half = TIME_FEATURES // 2
    frequency = tf.pow(10_000.0, -tf.range(half, dtype=tf.float32) / half)
    angle = 1_000.0 * time_B[:, None] * frequency[None, :]
    return tf.concat([tf.cos(angle), tf.sin(angle)], axis=-1)


def noise_and_time(seed_B: tf.Tensor, frames: tf.Tensor, channels: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Noise (B, M, C) and times (B,) of the training, each utterance's from its own seed whatever its batch and M."""

    def draw(seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        noise = tf.random.stateless_normal([frames, channels], tf.stack([seed, 11]))
        return noise, tf.random.stateless_uniform([], tf.stack([seed, 13]))

    drawn: tuple[tf.Tensor, tf.Tensor] = tf.map_fn(draw, seed_B, fn_output_signature=(tf.float32, tf.float32))
    return drawn


def guided_of(seed_B: tf.Tensor, unguided_share: float) -> tf.Tensor:
    """1 for an utterance whose decoder is conditioned on text and voice, 0 for the share that is not; (B,) fp32."""
    draw = tf.map_fn(
        lambda seed: tf.random.stateless_uniform([], tf.stack([seed, 19])), seed_B, fn_output_signature=tf.float32
    )
    return tf.cast(draw >= unguided_share, tf.float32)


class FlowDecoder(Module):
    """A draft by regression, and conditional flow matching with straight paths from noise to what the draft lacks.

    The draft is a regression from text and voice: right words, blurred. The flow is conditioned on it and adds the
    detail that a mean lacks.

    In training the conditions are dropped for a share of the utterances, so that synthesis can amplify their effect:
    classifier-free guidance, at the cost of a second pass per step.

    Source: arXiv 2210.02747, eq. 20 to 23 with sigma_min = 0; the flow on top of a regressed mel as in Matcha-TTS,
    arXiv 2309.03199, sec. 3.1 (there the text encoder's own); guidance: arXiv 2207.12598, eq. 6.
    """

    def __init__(self, model: ModelConfig, channels: int, *, recompute: bool = False, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.channels, self.guidance, self.unguided_share = channels, model.flow_guidance, model.flow_unguided_share
        policy = self.dtype_policy
        common: dict[str, Any] = {"recompute": recompute, "dtype": policy}
        self.draft = Backbone(model, model.flow_draft_blocks, channels, DRAFT_SALT, name="draft", **common)
        self.backbone = Backbone(model, model.decoder_blocks, channels, name="backbone", **common)
        self.time_in = Dense(model.width, name="time_in", dtype="float32")
        self.time_out = Dense(model.width, name="time_out", dtype="float32")

    def velocity(
        self,
        condition_BMD: tf.Tensor,
        condition_BE: tf.Tensor,
        mask_BM1: tf.Tensor,
        state_BMC: tf.Tensor,
        time_B: tf.Tensor,
        seed: tf.Tensor | None,
    ) -> tf.Tensor:
        """The velocity (B, M, C) at a state and a time in 0 (noise) to 1 (what the draft lacks)."""
        time = self.time_out(gelu(self.time_in(time_features(time_B))))
        x = tf.concat([tf.cast(condition_BMD, tf.float32), state_BMC], axis=-1)
        return self.backbone(x, tf.concat([condition_BE, time], axis=-1), mask_BM1, seed)

    def call(
        self,
        x_BMD: tf.Tensor,
        condition_BE: tf.Tensor,
        mask_BM1: tf.Tensor,
        target_BMC: tf.Tensor,
        noise_seed_B: tf.Tensor,
        seed: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Training -> estimate_BMC (the draft) and velocity_error_BMC."""
        draft = self.draft(x_BMD, condition_BE, mask_BM1, seed)
        conditions = tf.concat([tf.cast(x_BMD, tf.float32), tf.stop_gradient(draft)], axis=-1)
        if seed is not None and self.unguided_share > 0.0:
            guided = guided_of(noise_seed_B, self.unguided_share)
            conditions, condition_BE = conditions * guided[:, None, None], condition_BE * guided[:, None]
        noise, time = noise_and_time(noise_seed_B, tf.shape(target_BMC)[1], self.channels)
        noise = noise * mask_BM1
        lacking = target_BMC - tf.stop_gradient(draft)
        at = time[:, None, None]
        state = (1.0 - at) * noise + at * lacking
        velocity = self.velocity(conditions, condition_BE, mask_BM1, state, time, seed)
        return {"estimate_BMC": draft, "velocity_error_BMC": velocity - (lacking - noise) * mask_BM1}

    def generate(
        self,
        x_BMD: tf.Tensor,
        condition_BE: tf.Tensor,
        mask_BM1: tf.Tensor,
        steps: tf.Tensor,
        noise_BMC: tf.Tensor,
    ) -> tf.Tensor:
        """Synthesis by Euler steps from noise (B, M, C), scaled by the temperature -> residual (B, M, C).

        `steps` is an int32 scalar; 0: the draft. One loop for every number of steps, so that a graph holds the network
        once and another number traces nothing.
        """
        draft = self.draft(x_BMD, condition_BE, mask_BM1)
        conditions = tf.concat([tf.cast(x_BMD, tf.float32), draft], axis=-1)
        count = tf.cast(steps, tf.float32)
        batch = tf.shape(x_BMD)[0]

        def step(i: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            time = tf.fill([batch], tf.cast(i, tf.float32) / count)
            velocity = self.velocity(conditions, condition_BE, mask_BM1, state, time, None)
            if self.guidance > 0.0:
                nothing = tf.zeros_like(conditions), tf.zeros_like(condition_BE)
                velocity += self.guidance * (velocity - self.velocity(*nothing, mask_BM1, state, time, None))
            return i + 1, state + velocity / count

        start = noise_BMC * mask_BM1 * tf.cast(steps > 0, tf.float32)
        _, state = tf.while_loop(lambda i, _: i < steps, step, [tf.constant(0), start])
        return draft + state


DECODERS: dict[str, type[RegressionDecoder] | type[FlowDecoder]] = {
    "regression": RegressionDecoder,
    "flow": FlowDecoder,
}
