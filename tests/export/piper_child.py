"""Speaks with the real Piper: `python piper_child.py MODEL.onnx TEXT...` prints a JSON line for each text."""

import json
import sys

import numpy as np
from piper import PiperVoice, SynthesisConfig

voice = PiperVoice.load(sys.argv[1])
for text in sys.argv[2:]:
    chunks = list(voice.synthesize(text, SynthesisConfig(normalize_audio=False), include_alignments=True))
    slow = list(voice.synthesize(text, SynthesisConfig(length_scale=2.0)))
    samples = np.concatenate([chunk.audio_float_array for chunk in chunks]) if chunks else np.zeros(0, np.float32)
    print(
        json.dumps(
            {
                "ids": [chunk.phoneme_ids for chunk in chunks],
                "samples": len(samples),
                "slow": int(sum(len(chunk.audio_float_array) for chunk in slow)),
                "aligned": [int(chunk.phoneme_id_samples.sum()) for chunk in chunks],
                "peak": float(np.abs(samples).max(initial=0.0)),
                "finite": bool(np.isfinite(samples).all()),
                "rate": chunks[0].sample_rate if chunks else 0,
            }
        )
    )
