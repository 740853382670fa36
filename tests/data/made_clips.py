"""Clips with made-up features, written as the cache writes them."""

from pathlib import Path

import numpy as np

from myxtts.data.feature_store import ClipFacts, StoredClip, write_entry
from myxtts.data.records import Utterance

CHANNELS = 80


def make_clip(
    folder: Path, name: str, speaker: str, frames: int, tokens: int, seed: int = 0, voiced: bool = True
) -> StoredClip:
    random = np.random.default_rng([seed, frames])
    mel = random.normal(-5.0, 2.0, (frames, CHANNELS)).astype(np.float32)
    pitch = np.where(random.random(frames) < 0.5, random.uniform(100, 200, frames), 0.0).astype(np.float32)
    energy = random.normal(0.0, 1.5, frames).astype(np.float32)
    facts = ClipFacts(frames, CHANNELS, 22_050, 1, frames * 256, frames * 256)
    path = folder / f"{name}.f32"
    write_entry(path, facts, mel, pitch * voiced, energy)
    utterance = Utterance(name, folder / f"{name}.wav", "x", speaker, "en-us", f"metadata.csv:{seed + 1}")
    return StoredClip(utterance, random.integers(3, 40, tokens).astype(np.int32), path, facts)
