"""Pictures of mels and alignments: the right way up, readable by any PNG reader."""

import struct
import zlib

import numpy as np
import pytest

from myxtts.audio.drawing import alignment_png, alignment_shades, mel_png, mel_range, mel_shades, palette, png


def decoded(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and palette of a PNG of filter type 0, read chunk by chunk with its checksums."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        name, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        assert struct.unpack(">I", content[at + 8 + length : at + 12 + length])[0] == zlib.crc32(name + body)
        chunks[name] = body
        at += 12 + length
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colour) == (8, 3)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return rows[:, 1:], np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(256, 3)


def test_low_frequencies_are_at_the_bottom_and_time_goes_right() -> None:
    mel_MC = np.full((7, 5), -11.0, np.float32)
    mel_MC[6, 0] = 2.0  # last frame, lowest band
    pixels, _ = decoded(mel_png(mel_MC))
    assert pixels.shape == (5, 7)
    assert pixels[4, 6] == 255 and pixels.sum() == 255


def test_first_token_is_at_the_bottom() -> None:
    alignment_TM = np.zeros((3, 4), np.float16)
    alignment_TM[0, 0] = 1.0
    shades = alignment_shades(alignment_TM)
    assert shades[2, 0] == 255 and shades.sum() == 255
    assert decoded(alignment_png(alignment_TM))[0].shape == (3, 4)


def test_two_mels_share_a_range() -> None:
    quiet, loud = np.full((4, 4), -10.0), np.full((4, 4), 1.0)
    value_range = mel_range(quiet, loud)
    assert mel_shades(quiet, value_range).max() == 0
    assert mel_shades(loud, value_range).min() == 255


def test_what_is_not_finite_is_dark() -> None:
    mel_MC = np.array([[np.nan, 1.0], [-np.inf, 0.0]])
    assert mel_shades(mel_MC)[:, 0].tolist() == [255, 0]
    assert mel_shades(np.full((2, 2), np.nan)).max() == 0


@pytest.mark.parametrize("name", ["ember", "moss"])
def test_palettes_grow_lighter(name: str) -> None:
    lightness = palette(name).astype(float) @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) > -0.75).all() and lightness[-1] - lightness[0] > 150


def test_png_is_small() -> None:
    shades = np.random.default_rng(0).integers(0, 256, (80, 500)).astype(np.uint8)
    content = png(shades, "ember")
    assert len(content) < shades.size + 2_000
    assert (decoded(content)[0] == shades).all()
