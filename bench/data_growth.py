"""Costs that grow with the data: the start from a full cache, the index, references, and the bookkeeping of a save.

The clips are synthetic: empty recordings, feature files without content (sparse), and the cache lists that belong to
them, so that 600,000 clips do not need 100 GB. The program's own code reads them, as at any start with a full cache.
"""

from __future__ import annotations

import csv
import hashlib
import json
import resource
import shutil
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import results
from myxtts.audio.activity import SoundFigures
from myxtts.cli.runtime import quiet_loading
from myxtts.cli.screen import Screen, guarded
from myxtts.config.schema import Config, DataConfig
from myxtts.data.cache import RecordingIndex, SumsFile, TokenCache, stamp_of
from myxtts.data.clip_sums import Place
from myxtts.data.feature_store import ClipFacts, FeatureStore, StoredClip, entry_bytes
from myxtts.data.features import symbol_table, text_settings
from myxtts.data.jobs import CHECKS_VERSION, AudioOutcome, TextOutcome, audio_settings, entry_path
from myxtts.data.prepare import PreparedData, prepare
from myxtts.data.records import Utterance
from myxtts.errors import EXIT_DONE
from myxtts.progress import silent

FULL_CLIPS = 600_000
"""A thousand hours; the bars on times are for this many clips."""
TOKENS_PER_SECOND, SYMBOLS, RATE_HZ, HOP = 27, 100, 22_050, 256
"""Tokens with the blanks between them, and the different ones that occur."""
CHOSEN, SAMPLED_CLIPS = 20_000, 30_000
WORDS = ("river", "stone", "light", "paper", "seven", "window", "morning", "quiet", "under", "of", "a", "in", "was")
BARS = {
    "start from a full cache, CPU seconds": 100.0,
    "index, bytes a clip": 500.0,
    "choosing a reference, microseconds": 60.0,
    "bookkeeping of a save, CPU seconds": 1.0,
    "sample_rows of 30,000 clips, CPU seconds": 0.1,
}
"""Limits; the limit of the start is scaled to the number of clips."""


@dataclass(frozen=True)
class MadeClip:
    """A synthetic clip."""

    number: int
    seconds: float
    frames: int
    tokens: int

    @property
    def name(self) -> str:
        """Its path in the root without the ending; a folder holds a thousand."""
        return f"{self.number // 1_000:04d}/{self.number:07d}"

    @property
    def text(self) -> str:
        """A text that differs from those of all other clips."""
        words = max(3, self.tokens // 12)
        mixed = self.number * 2_654_435_761
        return " ".join(WORDS[(mixed >> at % 40) % len(WORDS)] for at in range(words)) + f" {self.number}"

    @property
    def key(self) -> str:
        """Its key in the cache."""
        return hashlib.blake2b(str(self.number).encode(), digest_size=16).hexdigest()

    @property
    def facts(self) -> ClipFacts:
        """The values that its feature file states."""
        samples = round(self.seconds * RATE_HZ)
        return ClipFacts(self.frames, 80, RATE_HZ, 1, samples, samples)


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("data_growth", "Costs that grow with the number of clips and speakers, on synthetic clips.")
    made.add_argument("--clips", metavar="N", type=int, default=FULL_CLIPS, help=f"clips ({FULL_CLIPS})")
    made.add_argument(
        "--speakers", metavar="N", type=int, nargs="+", default=[1, 1_000, 10_000], help="speakers (1 1000 10000)"
    )
    made.add_argument(
        "--work", metavar="DIR", type=Path, help="folder for the synthetic clips, which are kept (a temporary one)"
    )
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    work = given.work or Path(tempfile.mkdtemp(prefix="myxtts-growth-"))
    screen = Screen()
    try:
        config = Config(data=DataConfig(cache_path=str(work / "cache"), train_path=str(work / "root")))
        clips = list(_clips(given.clips))
        _make_cache(clips, work / "root", config, screen)
        found = [_measured(clips, speakers, work, config, screen) for speakers in given.speakers]
    finally:
        screen.close()
        if given.work is None:
            shutil.rmtree(work)
    heads = ("figure", *(f"{speakers:,} speakers" for speakers in given.speakers), "bar")
    rows: list[Sequence[str]] = [heads]
    for name in found[0]:
        bar = _bar(name, given.clips)
        cells = [_number(one[name]) + (" (over)" if bar is not None and one[name] > bar else "") for one in found]
        rows.append((name, *cells, "" if bar is None else _number(bar)))
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    figures = {"clips": given.clips, "speakers": given.speakers, "figures": found, "peak_gb": peak_gb}
    results.show(f"{given.clips:,} clips", rows, figures, given.json, heads=True)
    print(f"peak memory of this process: {peak_gb:.1f} GB")
    return EXIT_DONE


def _bar(name: str, clips: int) -> float | None:
    bar = BARS.get(name)
    return bar * clips / FULL_CLIPS if bar is not None and name.startswith("start") else bar


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _clips(count: int) -> Iterator[MadeClip]:
    """Clips of 0.7 to 12 s with a median of 5.5 s."""
    lengths = np.random.default_rng(1).lognormal(np.log(5.5), 0.5, count).clip(0.7, 11.9)
    for number, seconds in enumerate(lengths.tolist()):
        yield MadeClip(number, seconds, int(seconds * RATE_HZ / HOP), int(seconds * TOKENS_PER_SECOND))


def _make_cache(clips: Sequence[MadeClip], root: Path, config: Config, screen: Screen) -> None:
    """Recordings, feature files and the lists of the cache."""
    cache = Path(config.data.cache_path)
    root.mkdir(parents=True, exist_ok=True)
    audio = f"{audio_settings(config.audio)} {CHECKS_VERSION}"
    table = symbol_table(config)
    recordings = RecordingIndex(cache, root, audio)
    stored = SumsFile(cache, root, audio, config.audio.mel_channels)
    settings = text_settings(config, json.dumps(table.to_json(), ensure_ascii=True, sort_keys=True), {})
    tokens = TokenCache(cache, root, settings, len(table))
    random = np.random.default_rng(2)
    for clip in clips:
        recording, entry = root / "wavs" / f"{clip.name}.wav", entry_path(cache, clip.key)
        facts = clip.facts
        for path, size in ((recording, 44 + 2 * facts.samples), (entry, entry_bytes(facts))):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.truncate(size)
        outcome = AudioOutcome(
            key=clip.key, sample_rate_hz=RATE_HZ, channels=1, samples=facts.samples,
            trimmed_samples=facts.trimmed_samples, frames=facts.frames, sound=SoundFigures(1, 0, 0, 180, 23, 310),
        )  # fmt: skip
        recordings.put(recording, _stamp(recording), outcome)
        stored.put(clip.key, _stamp(entry), _sums(clip, random))
        drawn = random.integers(3, 3 + SYMBOLS, clip.tokens).astype(np.int32)
        tokens.put(clip.text, config.text.language, TextOutcome(drawn))
        if clip.number % 1_000 == 0:
            screen.progress("made-up clips", clip.number, len(clips))
    for one in (recordings, stored, tokens):
        one.save()


def _stamp(path: Path) -> tuple[int, int, int]:
    stamp = stamp_of(path)
    assert stamp is not None
    return stamp


def _sums(clip: MadeClip, random: np.random.Generator) -> Any:
    mean_C = random.normal(-5.0, 0.3, 80)
    voiced = clip.frames // 2
    pitch = random.normal(5.0, 0.2)
    rest = (voiced, voiced * pitch, voiced * (pitch**2 + 0.01), -3.0 * clip.frames, 11.0 * clip.frames, clip.frames)
    return np.concatenate([clip.frames * mean_C, clip.frames * (mean_C**2 + 4.0), rest])


def _measured(clips: Sequence[MadeClip], speakers: int, work: Path, config: Config, screen: Screen) -> dict[str, float]:
    """The figures of one number of speakers."""
    with (work / "root" / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="|")
        writer.writerow(("id", "text", "speaker"))
        writer.writerows((clip.name, clip.text, f"s{clip.number % speakers:05d}") for clip in clips)
    screen.say(f"{len(clips):,} clips, {speakers:,} speakers ...")
    prepared, start = _timed(lambda: prepare(config, silent, named={"data.train_path"}))
    batches, batches_seconds = _timed(lambda: prepared.training_batches(config))
    rows = np.random.default_rng(3).integers(len(prepared.train), size=CHOSEN).tolist()
    _, choosing = _timed(lambda: [batches._references.choose(row, 1, 0) for row in rows])
    _, planning = _timed(lambda: batches.plan(0))
    with quiet_loading():
        from myxtts.training.examine import sample_rows
    sampled = _store(clips[:SAMPLED_CLIPS], speakers)
    _, sampling = _timed(lambda: sample_rows(sampled))
    return {
        "start from a full cache, CPU seconds": start,
        "index, bytes a clip": size_of(prepared.train) / len(prepared.train),
        "choosing a reference, microseconds": choosing / CHOSEN * 1e6,
        "bookkeeping of a save, CPU seconds": _saving(prepared, batches, work),
        "sample_rows of 30,000 clips, CPU seconds": sampling,
        "batches made ready, CPU seconds": batches_seconds,
        "plan of an epoch, CPU seconds": planning,
        "validation clips": len(prepared.validation),
        "corpus.json, MB": len(json.dumps(prepared.corpus.to_json())) / 1e6,
    }


def _saving(prepared: PreparedData, batches: Any, work: Path) -> float:
    """CPU seconds of a save without the model: selecting recordings of the voices, writing what grows with the data.

    Encoding the chosen recordings is work of the model, and bounded in number.
    """
    with quiet_loading():
        from myxtts.storage.store import CheckpointStore
        from myxtts.training.run_state import RunState
        from myxtts.training.voices import voice_rows
    state, corpus = RunState(len(prepared.train)), prepared.corpus
    texts = {"corpus.json": json.dumps(corpus.to_json(), ensure_ascii=False)}
    voices = {"voice_ZE": np.ones([len(corpus.speakers), 128], np.float32)}
    store = CheckpointStore(work / "checkpoints", 1, 1)

    def save() -> None:
        voice_rows(batches, corpus)
        store.save(1, {"voices": voices, "utterances": state.clip_losses.arrays()}, state.to_json(), texts=texts)

    seconds = _timed(save)[1]
    shutil.rmtree(work / "checkpoints")
    return seconds


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result and the CPU seconds."""
    begun = time.process_time()
    result = work()
    return result, time.process_time() - begun


def _store(clips: Sequence[MadeClip], speakers: int) -> FeatureStore:
    table = np.zeros([1, 166])
    return FeatureStore(
        [
            StoredClip(
                Utterance(clip.name, Path(f"{clip.name}.wav"), clip.text, f"s{clip.number % speakers}", "en-us", "m:1"),
                np.full(clip.tokens, 5, np.int32),
                Path(clip.key),
                clip.facts,
                sums=Place(table, 0),
            )
            for clip in clips
        ]
    )


def size_of(thing: Any, seen: set[int] | None = None) -> int:
    """Bytes of an object and of what only it refers to; a view of an array counts as nothing."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, type):
        return 0
    seen.add(id(thing))
    size = sys.getsizeof(thing)
    if isinstance(thing, np.ndarray):
        return size if thing.base is None else sys.getsizeof(thing)
    if isinstance(thing, dict):
        return size + sum(size_of(key, seen) + size_of(value, seen) for key, value in thing.items())
    if isinstance(thing, list | tuple | set | frozenset):
        return size + sum(size_of(one, seen) for one in thing)
    return size + (size_of(vars(thing), seen) if hasattr(thing, "__dict__") else 0)


if __name__ == "__main__":
    sys.exit(main())
