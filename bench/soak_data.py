"""A data root for the soak: the recordings of another one, and bad rows that the audit must reject, every one."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from bench.results import write_json
from myxtts.data.manifest import read_root
from myxtts.data.records import Utterance
from myxtts.errors import DataError
from myxtts.progress import Progress

BAD_SHARE = 0.03
"""Share of all rows; at most 5% may be rejected unless the settings allow more."""
MANY_SHARE = 0.045
"""Above this share, data.max_rejected_share must be raised."""
RATE = 22_050
_HEADER = "id\ttext\tspeaker\tlanguage"
_TEXT = "This row must never reach the training"
"""The text of a bad row, followed by its kind: equal texts would stop the audit."""


@dataclass(frozen=True)
class SoakRoot:
    """The data: its root, the ids of the bad and of the nasty rows, and the share of bad rows."""

    path: str
    bad: int
    kinds: int
    nasty: int
    rejected_share: float

    @property
    def settings(self) -> list[str]:
        """The settings that a training on it needs."""
        return ["data.max_rejected_share=0.99"] if self.rejected_share > MANY_SHARE else []


def _sound(seconds: float, random_generator: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return 0.1 * random_generator.standard_normal(int(seconds * RATE))


def _truncated(path: Path, made: np.random.Generator) -> None:
    """A truncated header."""
    soundfile.write(path, _sound(1.0, made), RATE)
    path.write_bytes(path.read_bytes()[:30])


def _not_a_number(path: Path, made: np.random.Generator) -> None:
    samples = _sound(2.0, made)
    samples[1_000:1_010] = np.nan
    soundfile.write(path, samples, RATE, subtype="FLOAT")


def _infinite(path: Path, made: np.random.Generator) -> None:
    samples = _sound(2.0, made)
    samples[5] = np.inf
    soundfile.write(path, samples, RATE, subtype="FLOAT")


BAD_FILES: dict[str, Callable[[Path, np.random.Generator], object]] = {
    "empty": lambda path, made: path.write_bytes(b""),
    "truncated": _truncated,
    "random-bytes": lambda path, made: path.write_bytes(made.bytes(40_000)),
    "text-named-wav": lambda path, made: path.write_text("no sound in here\n" * 200),
    "folder-named-wav": lambda path, made: path.mkdir(),
    "pipe-named-wav": lambda path, made: os.mkfifo(path),
    "one-sample": lambda path, made: soundfile.write(path, _sound(1.0, made)[:1], RATE),
    "too-short": lambda path, made: soundfile.write(path, _sound(0.1, made), RATE),
    "too-long": lambda path, made: soundfile.write(path, np.zeros(75 * 8_000), 8_000),
    "silent": lambda path, made: soundfile.write(path, np.zeros(2 * RATE), RATE),
    "nan-floats": _not_a_number,
    "inf-floats": _infinite,
    "far-over-full-scale": lambda path, made: soundfile.write(path, 1e6 * _sound(2.0, made), RATE, subtype="FLOAT"),
}
"""Recordings that must never be used for training."""

BAD_TEXTS = {
    "no-text": "",
    "blank-text": " ‌ ",
    "unknown-symbols": "☃ ☂ ☁ 😀",
    "far-too-long-text": "never " * 4_000,
    "control-character": "a bell \x07 in here",
}
"""Texts that must never be used for training, each with a good recording."""

BAD_ROWS = ("missing-file", "../outside-the-root", "duplicate")


def _clipped(made: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.clip(30.0 * _sound(3.0, made), -1.0, 1.0)


NASTY: dict[str, Callable[[np.random.Generator], np.ndarray[tuple[int], np.dtype[np.float64]]]] = {
    "clipped": _clipped,
    "loud-noise": lambda made: np.clip(5.0 * _sound(6.0, made), -0.99, 0.99),
    "dc-offset": lambda made: np.clip(_sound(4.0, made) + 0.5, -0.99, 0.99),
}
"""Bad recordings that pass the audit: the text does not belong to the sound."""


def make_root(source: Path, target: Path, language: str, *, nasty: bool, seed: int, progress: Progress) -> SoakRoot:
    """Links or copies the recordings of `source` to `target` and puts bad rows between them, in seeded places.

    An existing root is used as it is. Raises DataError for data that cannot be used.
    """
    record = target / "soak_root.json"
    if record.is_file():
        return SoakRoot(**json.loads(record.read_text(encoding="utf-8")))
    shutil.rmtree(target, ignore_errors=True)  # of an interrupted one
    train = read_root(source, "train", language)
    held = read_root(source, "val", language)
    if not train.utterances:
        raise DataError(f"{source}: no row of {train.metadata} can be used; give another --data")
    files = _linked(train.utterances, target, progress)
    rows = list(map(_row, files, train.utterances))
    bad = _bad_rows(target, rows, train.utterances[0], max(len(rows), 1), seed)
    wild = _nasty_rows(target, train.utterances[0], seed) if nasty else []
    chance = random.Random(seed)
    for row in (*bad, *wild):
        rows.insert(chance.randint(1, len(rows)), row)
    own_validation = held.metadata != train.metadata
    name = "metadata_train.csv" if own_validation else "metadata.csv"
    (target / name).write_text("\n".join([_HEADER, *rows]) + "\n", encoding="utf-8")
    if own_validation:
        rows = list(map(_row, _linked(held.utterances, target, progress), held.utterances))
        (target / "metadata_eval.csv").write_text("\n".join([_HEADER, *rows]) + "\n", encoding="utf-8")
    kinds = len(BAD_FILES) + len(BAD_TEXTS) + len(BAD_ROWS)
    share = len(bad) / (len(bad) + len(train.utterances))
    made = SoakRoot(str(target), len(bad), kinds, len(wild), share)
    write_json(record, vars(made))
    return made


def _linked(utterances: Sequence[Utterance], target: Path, progress: Progress) -> list[str]:
    """Recordings under their ids in the new root; hard links where the file system has them, else copies."""
    names = []
    for number, utterance in enumerate(utterances, 1):
        name = f"wavs/{utterance.id}{utterance.audio_path.suffix}"
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            try:
                os.link(os.path.realpath(utterance.audio_path), place)
            except OSError:
                shutil.copyfile(utterance.audio_path, place)
        names.append(name)
        progress("linking recordings", number, len(utterances))
    return names


def _row(name: str, utterance: Utterance) -> str:
    """A tab-separated row; no text of a manifest contains tabs."""
    return "\t".join((name, utterance.text, utterance.speaker, utterance.language))


def _bad_rows(target: Path, rows: Sequence[str], like: Utterance, clips: int, seed: int) -> list[str]:
    """Every kind once, and again until BAD_SHARE is reached; their files are written to wavs/soak-bad/."""
    folder = target / "wavs" / "soak-bad"
    folder.mkdir(parents=True)
    behind = f"{like.speaker}\t{like.language}"
    count = len(BAD_FILES) + len(BAD_TEXTS) + len(BAD_ROWS)
    made: list[str] = []
    for number in range(max(1, round(BAD_SHARE * clips / count))):
        random_generator = np.random.default_rng([seed, number])
        for kind, write in BAD_FILES.items():
            write(folder / f"{kind}-{number}.wav", random_generator)
            made.append(f"wavs/soak-bad/{kind}-{number}.wav\t{_TEXT}, {kind} {number}.\t{behind}")
        for kind, text in BAD_TEXTS.items():
            soundfile.write(folder / f"{kind}-{number}.wav", _sound(2.0, random_generator), RATE)
            made.append(f"wavs/soak-bad/{kind}-{number}.wav\t{text}\t{behind}")
        made.append(f"soak-bad/gone-{number}\t{_TEXT}, gone {number}.\t{behind}")
        made.append(f"../outside-{number}.wav\t{_TEXT}, outside {number}.\t{behind}")
        made.append(rows[number % len(rows)])  # a second row of a recording
    return made


def _nasty_rows(target: Path, like: Utterance, seed: int) -> list[str]:
    folder = target / "wavs" / "soak-nasty"
    folder.mkdir(parents=True)
    random_generator = np.random.default_rng([seed, 99])
    made = []
    for kind, samples in NASTY.items():
        soundfile.write(folder / f"{kind}.wav", samples(random_generator), RATE)
        made.append(f"wavs/soak-nasty/{kind}.wav\t{like.text}\t{like.speaker}\t{like.language}")
    return made
