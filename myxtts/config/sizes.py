"""The named model sizes as data: what each sets, in settings of the schema."""

from __future__ import annotations

from collections.abc import Mapping

SIZES: Mapping[str, Mapping[str, object]] = {
    "tiny": {
        "model.width": 256,
        "model.heads": 4,
        "model.text_blocks": 2,
        "model.decoder_blocks": 5,
        "model.predictor_width": 128,
        "model.speaker_width": 160,
        "model.voice_width": 128,
        "model.style_width": 16,
        "data.max_clip_seconds": 12.0,
        "data.max_text_tokens": 600,
    },
    "small": {
        "model.width": 384,
        "model.heads": 6,
        "model.text_blocks": 3,
        "model.decoder_blocks": 8,
        "model.predictor_width": 256,
        "model.speaker_width": 320,
        "model.voice_width": 192,
        "model.style_width": 24,
        "data.max_clip_seconds": 14.0,
        "data.max_text_tokens": 700,
    },
    "normal": {
        "model.width": 576,
        "model.heads": 8,
        "model.text_blocks": 5,
        "model.decoder_blocks": 11,
        "model.predictor_width": 384,
        "model.speaker_width": 512,
        "model.voice_width": 256,
        "model.style_width": 32,
        "data.max_clip_seconds": 16.0,
        "data.max_text_tokens": 800,
    },
    "big": {
        "model.width": 768,
        "model.heads": 12,
        "model.text_blocks": 7,
        "model.decoder_blocks": 16,
        "model.predictor_width": 512,
        "model.speaker_width": 768,
        "model.voice_width": 256,
        "model.style_width": 32,
        "data.max_clip_seconds": 20.0,
        "data.max_text_tokens": 1000,
    },
}
