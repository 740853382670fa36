"""Fuzzed metadata files and folders: each is a data root of its own, read, and one in eight prepared to batches."""

# Tables, one row a line.
# ruff: noqa: E501

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from myxtts.data.manifest import RootManifest, read_root
from myxtts.data.prepare import prepare
from myxtts.errors import MyXTTSError
from myxtts.progress import silent
from tests.data.made_recordings import buzz
from tests.faults.fuzz_audio import config_for, nonfinite_values
from tests.faults.fuzzed import Expected, Outcome, chosen_items, described, judged, message_problem, time_limit

CLIPS = 4
PREPARED_EVERY = 8
Maker = Callable[[Path, np.random.Generator], None]
GOOD = ["id|text|speaker", *(f"c{i}|Say number {'abcd'[i]}, please.|s{i % 2}" for i in range(CLIPS))]
CELLS = ["c0", "c1.wav", "wavs/c2", "../c0", "/etc/passwd", "C:\\c0", "x" * 5000, "", " ", "a,b", '"', '""', '"a""b"', "|", "\t",
         "سلام", "\x1b[2J", "\0", "id", "text", "speaker", "path", "en-us", "../../../../etc/passwd\0.wav", "c0\u2028c1", "\ufeff",
         "~/c0", "wavs/../wavs/c3", ".", "..", "/", "wavs", "c0.wav.wav", "COM1", "c0\\c1", "%2e%2e/c0"]  # fmt: skip


def _file(content: bytes | str) -> Maker:
    data = content if isinstance(content, bytes) else content.encode()
    return lambda root, random: (root / "metadata.csv").write_bytes(data) and None


def _rows(*rows: str, end: str = "\n") -> Maker:
    return _file(end.join(rows) + end)


def _cells(root: Path, random: np.random.Generator) -> None:
    separator = str(random.choice(["|", "\t", ","]))
    rows = [GOOD[0].replace("|", separator)] if random.random() < 0.6 else []
    for _ in range(int(random.integers(1, 12))):
        row = [CELLS[int(i)] for i in random.integers(len(CELLS), size=int(random.integers(1, 7)))]
        rows.append(separator.join(row))
    rows += [row.replace("|", separator) for row in GOOD[1:]] if random.random() < 0.7 else []
    text = str(random.choice(["\n", "\r\n", "\r", "\n\n"])).join(rows)
    (root / "metadata.csv").write_bytes(text.encode("utf-8", "surrogatepass"))


def _mutated(root: Path, random: np.random.Generator) -> None:
    data = bytearray("\n".join(GOOD).encode())
    for _ in range(int(random.integers(1, 10))):
        at, how = int(random.integers(len(data))), random.random()
        if how < 0.5:
            data[at] = int(random.integers(256))
        elif how < 0.8:
            data[at:at] = bytes([int(random.choice([*b'|,\t"\n\r \0', 0xFF, 0x1B]))])
        else:
            del data[at : at + int(random.integers(1, 9))]
        data = data or bytearray(b"x")
    (root / "metadata.csv").write_bytes(data)


def _noise(root: Path, random: np.random.Generator) -> None:
    (root / "metadata.csv").write_bytes(random.bytes(int(random.integers(0, 3000))))


def _special(make: Callable[[Path], object]) -> Maker:
    return lambda root, random: make(root / "metadata.csv") and None


def _vctk(root: Path, random: np.random.Generator) -> None:
    for speaker in ("p1", "p2"):
        (root / "wav48" / speaker).mkdir(parents=True)
        (root / "txt" / speaker).mkdir(parents=True)
        for i in range(3):
            os.link(root / "wavs" / f"c{i}.wav", root / "wav48" / speaker / f"{speaker}_{i}.wav")
            text = root / "txt" / speaker / f"{speaker}_{i}.txt"
            how = int(random.integers(8))
            if how == 0:
                text.write_bytes(random.bytes(50))
            elif how == 1:
                os.mkfifo(text)
            elif how == 2:
                text.mkdir()
            elif how == 3:
                text.symlink_to("/etc/hostname")
            elif how == 4:
                text.write_bytes(b"x" * 200_000)
            elif how == 5:
                text.symlink_to(text.name)
            else:
                text.write_text(f"Say number {'abc'[i]}.")


HUGE = "x" * 300_000
ITEMS: dict[str, tuple[Expected, Maker]] = {
    "missing columns": ("reject", _rows("id|text|speaker", "c0", "c1|Say it now.|s0", "c2")),
    "no text column": ("reject", _rows("id|speaker", "c0|s0", "c1|s1")),
    "extra columns": ("any", _rows("id|text|more|and more|speaker", "c0|Say it.|1|2|s0", "c1|Say it.|1|2|s0|9|9|9")),
    "duplicate ids": ("reject", _rows(GOOD[0], GOOD[1], GOOD[1], GOOD[2])),
    "duplicate columns": ("reject", _rows("id|text|speaker|spk", "c0|Say it.|s0|s1")),
    "no rows": ("reject", _rows("id|text|speaker")),
    "nothing": ("reject", _file("")),
    "one row": ("accept", _rows(*GOOD[:2])),
    "CRLF": ("accept", _rows(*GOOD, end="\r\n")),
    "CR": ("accept", _rows(*GOOD, end="\r")),
    "BOM": ("accept", _file(b"\xef\xbb\xbf" + "\n".join(GOOD).encode())),
    "UTF-16": ("accept", _file("\n".join(GOOD).encode("utf-16"))),
    "a huge field": ("any", _rows(*GOOD, f"c0|{HUGE}|s0", f"{HUGE}|x y|s0", f"c1|x y|{HUGE}")),
    "a huge field in quotes": ("any", _rows("id,text", f'c0,"{HUGE}"', 'c1,"Say it."')),
    "absolute paths": ("reject", _rows(*GOOD[:2], "/etc/hostname|Say it.|s0", "C:\\x.wav|Say it.|s0")),
    ".. in paths": ("reject", _rows(*GOOD[:2], "../../etc/hostname|Say it.|s0", "wavs/../../x|Say it.|s0")),
    "NUL": ("reject", _rows(*GOOD[:2], "c\0|Say it.|s0")),
    "escape sequences": ("reject", _rows(*GOOD[:2], "\x1b[2Jc9|Say it.|s0", "\x1b]0;x\x07|Say it.|s0")),
    "an escape sequence for a speaker": ("any", _rows("id|text|speaker|language", "c0|Say it.|\x1b[31ms|\x1b[2Jen")),
    "a language with an escape sequence": ("any", _rows("id|text|speaker|language", "c0|Say it.|s|en\x1b[2J\x07")),
    "an unclosed quote": ("any", _rows("id,text,speaker", 'c0,"Say it.,s0', "c1,Say it.,s0")),
    "folder": ("reject", _special(lambda path: path.mkdir())),
    "FIFO": ("reject", _special(os.mkfifo)),
    "link loop": ("reject", _special(lambda path: path.symlink_to(path.name))),
    "changed bytes": ("any", _mutated),
    "any cells": ("any", _cells),
    "noise": ("any", _noise),
    "VCTK": ("any", _vctk),
}
WEIGHTS = {"changed bytes": 8, "any cells": 12, "noise": 3, "VCTK": 3}


def fuzz(count: int, seed: int, done: Callable[[int], None]) -> Iterator[Outcome]:
    """Metadata inputs, each in a root of its own; recordings and the cache are shared."""
    random = np.random.default_rng([seed, 3])
    with tempfile.TemporaryDirectory(prefix="myxtts-fuzz-") as name:
        folder = Path(name)
        for i in range(CLIPS):
            soundfile.write(folder / f"c{i}.wav", buzz(1.0 + i / 10, seed=i), 22_050)
        for number, item in enumerate(chosen_items(ITEMS, WEIGHTS, count, random)):
            yield one(item, folder, random, number % PREPARED_EVERY == 0)
            done(1)


def one(item: str, folder: Path, random: np.random.Generator, to_batches: bool) -> Outcome:
    """What comes of one data root."""
    root = folder / "root"
    (root / "wavs").mkdir(parents=True)
    expected, make = ITEMS[item]
    try:
        for i in range(CLIPS):
            os.link(folder / f"c{i}.wav", root / "wavs" / f"c{i}.wav")
        make(root, random)
        with time_limit(5):
            manifest = read_root(root, "train", "en-us")
        outcome = _read(item, expected, manifest, root)
        if to_batches and outcome.state in ("accepted", "rejected"):
            config = config_for(root, folder / "cache")
            try:
                bad = nonfinite_values(prepare(config, silent, named={"data.train_path"}), config)
            except MyXTTSError as error:
                problem = next(filter(None, map(message_problem, str(error).splitlines()[:1])), "")
                problem = problem or ("" if all(line.isprintable() for line in str(error).splitlines()) else "control")
                return Outcome(item, "wrong", f"{problem}: {error}") if problem else outcome
            outcome.nonfinite = sum(bad.values())
            outcome.message += f" {bad}" if bad else ""
        return outcome
    except Exception as error:
        return judged(item, expected, *described(error), [str(root)])
    finally:
        shutil.rmtree(root)


def _read(item: str, expected: Expected, manifest: RootManifest, root: Path) -> Outcome:
    """The worst that the rejections of a manifest say; accepted if there is none."""
    for utterance in manifest.utterances:
        if not os.path.realpath(utterance.audio_path).startswith(os.path.realpath(root)):
            return Outcome(item, "wrong", f"{utterance.audio_path} is outside of the root")
    outcomes = []
    for r in manifest.rejections:
        place = r.source.rpartition(":")
        exists = Path(place[0]).parent.is_dir() and place[2].isdigit()
        message = f"{r.source}: {r.reason}: {r.value}"
        outcomes.append(judged(item, "any", "rejected" if exists else "wrong", message, [str(root)]))
        if not r.utterance_id.isprintable() or len(r.utterance_id) > 300:
            outcomes.append(Outcome(item, "wrong", f"id {r.utterance_id!r}"))
    bad = [outcome for outcome in outcomes if outcome.state == "wrong"]
    state = "rejected" if outcomes else "accepted"
    return bad[0] if bad else judged(item, expected, state, outcomes[0].message if outcomes else "", [str(root)])
