"""Mels and alignments as small PNG images with a palette, low frequencies and first tokens at the bottom."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shades = NDArray[np.uint8]

_PALETTE_POINTS: Mapping[str, Sequence[tuple[int, int, int]]] = {
    # Evenly spaced points of colour scales with monotonically increasing lightness: loud or likely is bright.
    "ember": (
        (0, 0, 6),
        (24, 15, 62),
        (68, 16, 120),
        (114, 31, 130),
        (160, 48, 126),
        (206, 66, 112),
        (240, 100, 92),
        (253, 152, 105),
        (254, 204, 145),
        (252, 250, 192),
    ),
    "moss": (
        (66, 4, 84),
        (70, 40, 122),
        (60, 76, 138),
        (46, 108, 142),
        (34, 140, 140),
        (38, 170, 128),
        (90, 198, 98),
        (168, 218, 52),
        (252, 230, 38),
    ),
}


def palette(name: str) -> Shades:
    """The 256 colours of palette `ember` (for mels) or `moss` (for alignments): uint8[256, 3]."""
    points = np.asarray(_PALETTE_POINTS[name], np.float64)
    at = np.linspace(0, len(points) - 1, 256)
    channels = [np.interp(at, np.arange(len(points)), points[:, channel]) for channel in range(3)]
    return np.round(np.stack(channels, axis=1)).astype(np.uint8)


def mel_range(*log_mels_MC: NDArray[Any]) -> tuple[float, float]:
    """A common range of log-mel values for images of these mels: 1st to 99.9th percentile of all values."""
    values = [np.asarray(mel, np.float64).ravel() for mel in log_mels_MC]
    finite = np.concatenate([value[np.isfinite(value)] for value in values]) if values else np.zeros(0)
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, (1.0, 99.9))
    return float(low), float(max(high, low + 1e-3))


def mel_shades(log_mel_MC: NDArray[Any], value_range: tuple[float, float] | None = None) -> Shades:
    """A mel as shades 0..255, uint8[C, M], lowest band in the last row; NaN is drawn darkest."""
    low, high = value_range if value_range is not None else mel_range(log_mel_MC)
    return _shades(np.asarray(log_mel_MC, np.float64).T[::-1], low, high)


def alignment_shades(alignment_TM: NDArray[Any]) -> Shades:
    """An alignment of values 0..1 as shades 0..255, uint8[T, M], first token in the last row."""
    return _shades(np.asarray(alignment_TM, np.float64)[::-1], 0.0, 1.0)


def _shades(values_HW: NDArray[np.float64], low: float, high: float) -> Shades:
    scaled = (np.nan_to_num(values_HW, nan=low, posinf=high, neginf=low) - low) / (high - low)
    return np.round(np.clip(scaled, 0.0, 1.0) * 255).astype(np.uint8)


def png(shades_HW: Shades, palette_name: str) -> bytes:
    """An indexed-colour PNG file of the shades, one byte per pixel before compression."""
    height, width = shades_HW.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row starts with filter type 0
    rows[:, 1:] = shades_HW
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", palette(palette_name).tobytes()),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def mel_png(log_mel_MC: NDArray[Any], value_range: tuple[float, float] | None = None) -> bytes:
    """A mel as a PNG file of M x C pixels, low frequencies at the bottom."""
    return png(mel_shades(log_mel_MC, value_range), "ember")


def alignment_png(alignment_TM: NDArray[Any]) -> bytes:
    """An alignment as a PNG file of M x T pixels, first token at the bottom."""
    return png(alignment_shades(alignment_TM), "moss")
