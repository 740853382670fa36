"""Recordings that resemble a voice, a gliding harmonic tone, in files of any format."""

from pathlib import Path

import numpy as np
import soundfile


def buzz(seconds: float, rate: int = 22_050, hz: float = 140.0, seed: int = 0) -> np.ndarray:
    """A gliding harmonic tone with a little noise, float32 [N]."""
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(hz * (1 + 0.2 * np.sin(2 * np.pi * 0.8 * time))) / rate
    tone = sum(np.sin(k * phase) / k for k in range(1, 20))
    noise = np.random.default_rng(seed).normal(0, 0.01, len(time))
    return (0.2 * tone * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * time)) + noise).astype(np.float32)


def write(path: Path, seconds: float, rate: int = 22_050, hz: float = 140.0, channels: int = 1, seed: int = 0) -> None:
    """A recording in the format of the path's suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = buzz(seconds, rate, hz, seed)
    soundfile.write(path, np.stack([samples] * channels, axis=1) if channels > 1 else samples, rate)


def make_root(root: Path, clips: int = 8, speakers: int = 2) -> Path:
    """A data root with header `id|text|speaker`, clips of 1 to 2 s in four formats, at four rates."""
    formats = [("wav", 22_050, 1), ("flac", 16_000, 2), ("ogg", 44_100, 1), ("mp3", 24_000, 1)]
    rows = ["id|text|speaker"]
    for index in range(clips):
        ending, rate, channels = formats[index % 4]
        write(
            root / "wavs" / f"c{index}.{ending}", 1.0 + index / 8, rate, 110 + 60 * (index % speakers), channels, index
        )
        rows.append(f"c{index}|Say number {'abcdefghijklmnop'[index]}.|s{index % speakers}")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    return root
