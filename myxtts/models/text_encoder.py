"""Text encoder: tokens and language -> one contextual vector a token."""

from __future__ import annotations

import keras
import tensorflow as tf

from myxtts.config.schema import ModelConfig
from myxtts.models.elementwise import add, times
from myxtts.models.layers import Convolution, Module, Norm, TransformerBlock, dropout, gelu, sequence_mask
from myxtts.models.recompute import run_blocks

PRENET_LAYERS = 2
SALT = 100


class TextEncoder(Module):
    """Embedding, convolutional prenet, transformer blocks with rotary positions.

    Source: prenet as in Matcha-TTS, arXiv 2309.03199 sec. 3.2; blocks see layers.TransformerBlock.
    """

    def __init__(
        self, model: ModelConfig, symbols: int, languages: int, *, recompute: bool = False, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        policy, width, self.recompute = self.dtype_policy, model.width, recompute
        normal = keras.initializers.RandomNormal(stddev=1.0)
        small = keras.initializers.RandomNormal(stddev=0.1)
        self.rate = model.dropout
        self.symbol = keras.layers.Embedding(symbols, width, embeddings_initializer=normal, name="symbol", dtype=policy)
        self.language = keras.layers.Embedding(
            languages, width, embeddings_initializer=small, name="language", dtype=policy
        )
        self.convolutions = [Convolution(width, 3, name=f"prenet_{i}", dtype=policy) for i in range(PRENET_LAYERS)]
        self.norms = [Norm(name=f"prenet_norm_{i}", dtype=policy) for i in range(PRENET_LAYERS)]
        self.blocks = [
            TransformerBlock(width, model.heads, model.dropout, SALT + 10 * (i + 1), name=f"block_{i}", dtype=policy)
            for i in range(model.text_blocks)
        ]
        self.norm = Norm(name="norm", dtype=policy)

    def call(
        self, text_BT: tf.Tensor, text_length_B: tf.Tensor, language_B: tf.Tensor, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Token ids (B, T) int32, lengths (B,), language ids (B,) -> (B, T, D); zero at padding."""
        mask = sequence_mask(text_length_B, tf.shape(text_BT)[1])
        x = times(add(self.symbol(text_BT), tf.expand_dims(self.language(language_B), 1), axes=(1,)), mask)
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            y = dropout(gelu(norm(convolution(x))), self.rate, seed, SALT + i)
            x = times(add(x, y), mask)
        x = run_blocks(self.blocks, x, mask, seed, recompute=self.recompute)
        return times(self.norm(x), mask)
