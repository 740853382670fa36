"""Trimming in noise: how much is kept before and after the speech, for clean recordings between two pauses.

python -m bench.noise_floor --root DATA --clips 7
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench import results
from myxtts.audio import waveform
from myxtts.audio.activity import speech_bounds
from myxtts.cli.screen import guarded
from myxtts.config.schema import AudioConfig
from myxtts.data.manifest import read_root
from myxtts.errors import EXIT_DONE

AUDIO = AudioConfig()
PAUSE_SECONDS, SPEECH_DB = 2.0, -23.0
KINDS, LEVELS_DB = ("white", "pink", "room", "hum"), (-70, -56, -45, -35)


def noise(kind: str, samples: int, decibels: float) -> npt.NDArray[np.float64]:
    """Noise float64[samples] of a kind in KINDS, at a level in dB of full scale (RMS)."""
    rate = AUDIO.sample_rate_hz
    white = np.random.default_rng(0).standard_normal(samples)
    spectrum, hz = np.fft.rfft(white), np.fft.rfftfreq(samples, 1 / rate)
    if kind == "pink":
        spectrum /= np.sqrt(np.maximum(hz, hz[1]))
    elif kind == "room":
        spectrum /= 1.0 + (hz / 300.0) ** 2
    made = np.fft.irfft(spectrum, samples)
    if kind == "hum":
        turns = 2 * np.pi * 50 * np.arange(samples) / rate
        made = 0.1 * white + np.sin(turns + 1) + np.sin(2 * turns + 2) / 2 + np.sin(3 * turns + 3) / 3
    return np.asarray(10.0 ** (decibels / 20.0) * made / made.std())


def kept_seconds(speech_N: waveform.Array, kind: str, decibels: float) -> tuple[float, float]:
    """Seconds that are kept before and after the speech; negative where speech is cut."""
    pause = np.zeros(round(PAUSE_SECONDS * AUDIO.sample_rate_hz))
    clip = np.concatenate([pause, speech_N, pause])
    bounds = speech_bounds((clip + noise(kind, len(clip), decibels)).astype(np.float32), AUDIO)
    start, end = bounds or (0, 0)
    begin, stop = start * AUDIO.hop_samples, (end + 1) * AUDIO.hop_samples
    return (len(pause) - begin) / AUDIO.sample_rate_hz, (stop - len(pause) - len(speech_N)) / AUDIO.sample_rate_hz


def main(argv: Sequence[str] | None = None) -> int:
    """Prints how much is kept before and after the speech, by kind and level of noise."""
    parser = results.parser("noise_floor", "trimming of clean recordings between two pauses, over noise")
    parser.add_argument("--root", type=Path, required=True, help="data root of clean recordings")
    parser.add_argument("--clips", type=int, default=7, help="clips, spread evenly over the root")
    given = parser.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: argparse.Namespace) -> int:
    rows = read_root(given.root, "train", "en-us").utterances
    chosen = rows[:: max(1, len(rows) // given.clips)][: given.clips]
    clips = [waveform.trim(waveform.read(u.audio_path, AUDIO), AUDIO) for u in chosen]
    clips = [(clip / clip.std() * 10 ** (SPEECH_DB / 20.0)).astype(np.float32) for clip in clips]
    figures: dict[str, object] = {"clips": len(clips)}
    table = [("noise", "dBFS", "before, s", "least", "most", "after, s", "least", "most")]
    for kind in KINDS:
        for decibels in LEVELS_DB:
            kept = np.array([kept_seconds(clip, kind, decibels) for clip in clips])
            figures[f"{kind} {decibels}"] = kept.tolist()
            cells = [f"{function(side):.2f}" for side in kept.T for function in (np.median, np.min, np.max)]
            table.append((kind, str(decibels), *cells))  # type: ignore[arg-type]
    results.show("Seconds kept around the speech", table, figures, given.json, heads=True)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
