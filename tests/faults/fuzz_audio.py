"""Fuzzed recordings, through data.prepare with its worker processes, into features and batches."""

# Tables, one row a line.
# ruff: noqa: E501

from __future__ import annotations

import os
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from myxtts.config.schema import Config, DataConfig, TextConfig, TrainingConfig
from myxtts.data.audit import Audit
from myxtts.data.prepare import PreparedData, prepare
from myxtts.errors import DataError
from myxtts.progress import silent
from tests.data.made_recordings import buzz
from tests.faults.fuzzed import Expected, Outcome, chosen_items, described, judged, nonfinite_in_batch

GROUP = 50
Maker = Callable[[Path, np.random.Generator], None]


def _wave(random: np.random.Generator, low: float = 0.5, high: float = 1.2, rate: int = 22_050) -> np.ndarray:
    return buzz(float(random.uniform(low, high)), rate, float(random.uniform(80, 300)), int(random.integers(1 << 30)))


def _write(path: Path, samples: np.ndarray, rate: int = 22_050, subtype: str | None = None, kind: str = "WAV") -> None:
    with path.open("wb") as file:
        soundfile.write(file, samples, rate, subtype=subtype, format=kind)


def _coded(subtype: str, kind: str = "WAV") -> Maker:
    return lambda path, random: _write(path, _wave(random), subtype=subtype, kind=kind)


def _channels(path: Path, random: np.random.Generator) -> None:
    _write(path, np.stack([_wave(random, 0.6, 0.6)] * int(random.integers(1, 9)), axis=1))


def _rate(rate: int) -> Maker:
    return lambda path, random: _write(path, _wave(random, rate=22_050), rate)


def _rate_384k(path: Path, random: np.random.Generator) -> None:
    _write(path, _wave(random, 0.4, 0.6, 384_000), 384_000)


def _values(value: float, share: float) -> Maker:
    def make(path: Path, random: np.random.Generator) -> None:
        samples = _wave(random).astype(np.float64)
        samples[random.random(len(samples)) < share] = value
        samples[int(random.integers(len(samples)))] = value
        _write(path, samples, subtype=str(random.choice(["FLOAT", "DOUBLE"])))

    return make


def _constant(value: float) -> Maker:
    return lambda path, random: _write(path, np.full(int(random.integers(8_000, 30_000)), value))


def _clipped(path: Path, random: np.random.Generator) -> None:
    _write(path, np.clip(_wave(random) * float(random.uniform(5, 100)), -1, 1))


def _samples(low: int, high: int) -> Maker:
    return lambda path, random: _write(path, buzz(1.0)[: int(random.integers(low, high))])


def _header(path: Path, random: np.random.Generator, at: int, form: str, value: int, subtype: str = "PCM_16") -> None:
    _write(path, _wave(random), subtype=subtype)
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, at, value)
    path.write_bytes(content)


def _ten_hours(path: Path, random: np.random.Generator) -> None:
    _header(path, random, 40, "<I", 36_000 * 22_050 * 2)


def _lying_header(path: Path, random: np.random.Generator) -> None:
    at, form = [(4, "<I"), (16, "<I"), (20, "<H"), (22, "<H"), (24, "<I"), (28, "<I"), (32, "<H"), (34, "<H"),
                (40, "<I")][int(random.integers(9))]  # fmt: skip
    most = 0xFFFF if form == "<H" else 0xFFFF_FFFF
    value = int(random.choice([0, 1, 2, 3, 7, most, most - 1, most // 2, int(random.integers(most))]))
    _header(path, random, at, form, value)


def _some_format(path: Path, random: np.random.Generator) -> bytearray:
    kind, subtype = [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"),
                     ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_24"), ("WAV", "IMA_ADPCM"), ("WAV", "GSM610"),
                     ("CAF", "ALAC_16"), ("W64", "PCM_16"), ("RF64", "FLOAT")][int(random.integers(12))]  # fmt: skip
    rate = 24_000 if subtype == "OPUS" else 22_050
    _write(path, _wave(random, 0.4, 0.8), rate, subtype, kind)
    return bytearray(path.read_bytes())


def _truncated(path: Path, random: np.random.Generator) -> None:
    content = _some_format(path, random)
    path.write_bytes(content[: int(random.integers(len(content)))])


def _mutated(path: Path, random: np.random.Generator) -> None:
    content = _some_format(path, random)
    reach = len(content) if random.random() < 0.4 else min(len(content), 200)
    for _ in range(int(random.integers(1, 12))):
        content[int(random.integers(reach))] = int(random.integers(256))
    if random.random() < 0.3:  # a few hundred bytes of a good file: libsndfile has hung on such
        content = content[: int(random.integers(20, 400))]
    path.write_bytes(content)


def _noise_with_magic(path: Path, random: np.random.Generator) -> None:
    magic = [b"RIFF\xff\xff\xff\xffWAVEfmt ", b"fLaC", b"OggS", b"\xff\xfb\x90\x00", b"ID3", b"FORM\0\0\1\0AIFF", b"caff",
             b".snd", b"riff", b"", b"Creative Voice File", b"MThd"][int(random.integers(12))]  # fmt: skip
    path.write_bytes(magic + random.bytes(int(random.integers(0, 5000))))


def _mp3(path: Path, random: np.random.Generator) -> None:
    _write(path, _wave(random, 0.7), kind="MP3", subtype="MPEG_LAYER_III")


def _directory(path: Path, random: np.random.Generator) -> None:
    path.mkdir()


def _loop(path: Path, random: np.random.Generator) -> None:
    path.symlink_to(path.name)


def _outside(path: Path, random: np.random.Generator) -> None:
    path.symlink_to("/etc/hostname")


ITEMS: dict[str, tuple[Expected, Maker]] = {
    "empty": ("reject", lambda path, random: path.touch()),
    "one sample": ("reject", _samples(1, 2)),
    "ten hours by its header": ("any", _ten_hours),
    "silence": ("reject", _constant(0.0)),
    "DC": ("reject", _constant(0.5)),
    "clipped": ("accept", _clipped),
    "NaN": ("reject", _values(np.nan, 0.001)),
    "Inf": ("reject", _values(np.inf, 0.001)),
    "1e38": ("reject", _values(1e38, 0.01)),
    "8 bit": ("accept", _coded("PCM_U8")),
    "24 bit": ("accept", _coded("PCM_24")),
    "32 bit": ("accept", _coded("PCM_32")),
    "float64": ("accept", _coded("DOUBLE")),
    "mu-law": ("accept", _coded("ULAW")),
    "1 to 8 channels": ("accept", _channels),
    "1 Hz": ("reject", _rate(1)),
    "2 GHz": ("reject", _rate(2_000_000_000)),
    "384 kHz": ("accept", _rate_384k),
    "truncated": ("any", _truncated),
    "header that lies": ("any", _lying_header),
    "wrong extension": ("accept", _coded("PCM_16", "FLAC")),
    "MP3 named .wav": ("accept", _mp3),
    "directory": ("reject", _directory),
    "FIFO": ("reject", lambda path, random: os.mkfifo(path)),
    "link loop": ("reject", _loop),
    "link out of the root": ("reject", _outside),
    "shorter than a window": ("reject", _samples(2, 1024)),
    "shorter than its text": ("reject", _samples(6_700, 7_500)),
    "changed bytes": ("any", _mutated),
    "noise behind a magic number": ("any", _noise_with_magic),
}
WEIGHTS = {"changed bytes": 8, "truncated": 3, "header that lies": 6, "noise behind a magic number": 3}


def config_for(root: Path, cache: Path) -> Config:
    """Settings under which all that is bad in a root is reported and the rest is taken."""
    return Config(
        text=TextConfig(symbols="characters"),
        data=DataConfig(
            train_path=str(root), cache_path=str(cache), num_workers=2, max_rejected_share=1.0, length_buckets=2
        ),
        training=TrainingConfig(batch_size=8),
    )


def fuzz(count: int, seed: int, done: Callable[[int], None]) -> Iterator[Outcome]:
    """Audio inputs in datasets of 50."""
    random = np.random.default_rng([seed, 1])
    items = chosen_items(ITEMS, WEIGHTS, count, random)
    for start in range(0, count, GROUP):
        yield from dataset(items[start : start + GROUP], random)
        done(min(GROUP, count - start))


def dataset(items: list[str], random: np.random.Generator) -> Iterator[Outcome]:
    """One data root with a good clip and a clip for each item, prepared; what came of each item."""
    folder = Path(tempfile.mkdtemp(prefix="myxtts-fuzz-"))
    try:
        root = folder / "root"
        (root / "wavs").mkdir(parents=True)
        soundfile.write(root / "wavs" / "good.wav", buzz(1.0), 22_050)
        rows = ["id|text|speaker", "good|A good one.|s0"]
        for number, item in enumerate(items):
            name = f"f{number}.{random.choice(['wav', 'flac', 'ogg', 'mp3'])}"
            ITEMS[item][1](root / "wavs" / name, random)
            text = (
                "Many words for so short a clip, far too many." if item == "shorter than its text" else f"Say {number}."
            )
            rows.append(f"{name}|{text}|s{number % 3}")
        (root / "metadata.csv").write_text("\n".join(rows) + "\n")
        config = config_for(root, folder / "cache")
        try:
            prepared = prepare(config, silent, named={"data.train_path"})
        except DataError as error:
            raise AssertionError(f"a root with a good clip was rejected: {error}") from error
        except Exception as error:
            state, message = described(error)
            yield from (Outcome(item, state, message) for item in items)
            return
        yield from _outcomes(items, root, prepared, config)
    finally:
        shutil.rmtree(folder)


def _outcomes(items: list[str], root: Path, prepared: PreparedData, config: Config) -> Iterator[Outcome]:
    rejected = rejected_by_line(prepared.audit)
    bad = nonfinite_values(prepared, config)
    for number, item in enumerate(items):
        source = f"{root}/metadata.csv:{number + 3}"
        outcome = judged(item, ITEMS[item][0], "accepted", "")
        if source in rejected:
            outcome = judged(item, ITEMS[item][0], "rejected", rejected[source], [source])
        outcome.nonfinite = bad.pop(f"f{number}", 0)
        yield outcome
    if bad:
        yield Outcome("batches", "wrong", f"values that are not finite in {bad}", sum(bad.values()))


def rejected_by_line(audit: Audit) -> dict[str, str]:
    """file:line -> the whole report of a rejected row, as it goes into the log of rejections."""
    return {r.source: f"{r.source}: {r.reason}: {r.value}" for r in audit.rejections}


def nonfinite_values(prepared: PreparedData, config: Config) -> dict[str, int]:
    """Values that are not finite, by clip, and those of whole batches and tables; empty if all is well."""
    found: dict[str, int] = {}
    for store in (prepared.train, prepared.validation):
        for row, utterance in enumerate(store.utterances):
            found[utterance.id] = sum(int((~np.isfinite(a)).sum()) for a in store.features(row))
    for batches in (prepared.training_batches(config), prepared.validation_batches(config)):
        for planned in batches.plan(0):
            try:
                found["batches"] = found.get("batches", 0) + nonfinite_in_batch(batches.build(planned, 0))
            except Exception as error:  # a traceback of the batches, reported with the kind of error
                found[f"batches: {error!r}"] = 1
    found["audit"] = sum(not line.isprintable() for line in prepared.audit.table() + prepared.notes)
    return {name: count for name, count in found.items() if count}
