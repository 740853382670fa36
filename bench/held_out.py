"""A copy of a data root in which the same sentences are held out on every run, for bench.recordings and fine_tuning."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

from bench.results import write_json
from myxtts.audio import pitch, waveform
from myxtts.audio.griffin_lim import waveform_of_mel
from myxtts.audio.mel import log_mel
from myxtts.config.schema import AudioConfig
from myxtts.data.manifest import read_root
from myxtts.data.records import Utterance
from myxtts.errors import DataError
from myxtts.progress import Progress

FEWEST_WORDS = 4
LONGEST_SECONDS = 8.0
SHARE_THERE = 0.9
"""Least share of the requested seconds of training recordings that must be available."""
REFERENCE_SECONDS = 5.0
"""The reference is the training recording of the speaker that is nearest to this length."""
_HEADER = "id\ttext\tspeaker\tlanguage"


@dataclass(frozen=True)
class HeldOut:
    """A sentence that is never used for training: text, speaker, recording, and a training recording of the voice."""

    id: str
    text: str
    speaker: str
    language: str
    recording: str
    reference: str


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, for counting them and for recognizing equal sentences."""
    return tuple(re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower()))


def by_hash(utterance_id: str) -> bytes:
    """A number that depends only on the id, the same on every machine."""
    return blake2b(b"held out " + utterance_id.encode(), digest_size=8).digest()


def choose(
    utterances: Sequence[Utterance], seconds: Sequence[float], count: int, longest: float = LONGEST_SECONDS
) -> list[int]:
    """Rows of `count` held-out sentences: at least four words, under `longest` seconds, once in the data.

    The candidates are sorted by length and split into `count` groups; from each, the one with the smallest hash of its
    id is used, so that all lengths occur and the choice is the same on every run. Raises DataError for too few.
    """
    said = Counter(words_of(utterance.text) for utterance in utterances)
    candidates = [
        row
        for row, utterance in enumerate(utterances)
        if len(words_of(utterance.text)) >= FEWEST_WORDS
        and seconds[row] < longest
        and said[words_of(utterance.text)] == 1
    ]
    if len(candidates) < 2 * count:
        raise DataError(
            f"{len(candidates)} sentences of {FEWEST_WORDS} words and more under {longest:g} s, expected at "
            f"least {2 * count} to hold {count} of them out; lower --sentences"
        )
    candidates.sort(key=lambda row: (seconds[row], by_hash(utterances[row].id)))
    edges = [round(group * len(candidates) / count) for group in range(count + 1)]
    groups = [candidates[low:high] for low, high in pairwise(edges)]
    return [min(group, key=lambda row: by_hash(utterances[row].id)) for group in groups]


def limited(rows: Sequence[int], utterances: Sequence[Utterance], seconds: Sequence[float], most: float) -> list[int]:
    """The `rows` with the smallest hashes whose total seconds are nearest to `most`. DataError for too few."""
    there = sum(seconds[row] for row in rows)
    if there < SHARE_THERE * most:
        raise DataError(
            f"{there:.0f} s of training recordings besides the held-out ones, requested were {most:g}; lower --seconds"
        )
    taken: list[int] = []
    total = 0.0
    for row in sorted(rows, key=lambda row: by_hash(utterances[row].id)):
        if abs(total + seconds[row] - most) >= abs(total - most):
            break
        taken.append(row)
        total += seconds[row]
    if not taken:
        raise DataError(f"no training recording is short enough for {most:g} s; raise --seconds")
    return sorted(taken)


def make_root(
    source: Path,
    work: Path,
    count: int,
    language: str,
    progress: Progress,
    *,
    longest: float = LONGEST_SECONDS,
    train_seconds: float | None = None,
) -> list[HeldOut]:
    """Copies the recordings of `source` to WORK/data, with its own metadata_train.csv and metadata_eval.csv.

    Held-out sentences are under `longest` seconds; training takes about `train_seconds` of the others, or all of them.
    Files are copied: links must not lead out of a data root. An existing copy is used as it is.
    Raises DataError for data that cannot be used.
    """
    record = work / "held_out.json"
    if record.is_file():
        return [HeldOut(**row) for row in json.loads(record.read_text(encoding="utf-8"))]
    utterances = read_root(source, "train", language).utterances
    seconds = [waveform.probe(utterance.audio_path).seconds for utterance in utterances]
    chosen = choose(utterances, seconds, count, longest)
    train = [row for row in range(len(utterances)) if row not in set(chosen)]
    if train_seconds is not None:
        train = limited(train, utterances, seconds, train_seconds)
    kept = sorted([*train, *chosen])
    target = work / "data"
    shutil.rmtree(target, ignore_errors=True)  # of an interrupted copy
    files: dict[int, str] = {}
    for done, row in enumerate(kept, 1):
        name = f"wavs/{utterances[row].id}{utterances[row].audio_path.suffix}"
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(utterances[row].audio_path, target / name)
        files[row] = name
        progress("copying recordings", done, len(kept))
    held = []
    for row in chosen:
        utterance, reference = utterances[row], _reference(row, utterances, seconds, train)
        places = str(target / files[row]), str(target / files[reference])
        held.append(HeldOut(utterance.id, utterance.text, utterance.speaker, utterance.language, *places))
    for split, rows in (("train", train), ("eval", chosen)):
        lines = [_line(files[row], utterances[row]) for row in rows]
        (target / f"metadata_{split}.csv").write_text("\n".join([_HEADER, *lines]) + "\n", encoding="utf-8")
    write_json(record, [asdict(sentence) for sentence in held])
    return held


def _line(name: str, utterance: Utterance) -> str:
    """A tab-separated row; no text of a manifest contains tabs."""
    return "\t".join((name, utterance.text, utterance.speaker, utterance.language))


def _reference(row: int, utterances: Sequence[Utterance], seconds: Sequence[float], train: Sequence[int]) -> int:
    """Row of the training recording that gives the voice of a held-out one. Raises DataError if there is none."""
    same = [other for other in train if utterances[other].speaker == utterances[row].speaker]
    if not same:
        raise DataError(f"{utterances[row].source}: speaker {utterances[row].speaker!r} has no training recording")
    return min(same, key=lambda other: (abs(seconds[other] - REFERENCE_SECONDS), by_hash(utterances[other].id)))


def through_griffin_lim(held: Sequence[HeldOut], out: Path, progress: Progress) -> Path:
    """The held-out recordings through the mel and back, unless they are there; returns the list for the judge."""
    if (out / "list.tsv").is_file():
        return out / "list.tsv"
    audio = AudioConfig()
    out.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, sentence in enumerate(held, 1):
        path = out / f"{number:02d}.wav"
        recording_N = waveform.read(Path(sentence.recording), audio)
        pitch_hz_M = pitch.track(recording_N, audio)
        wave_N = waveform_of_mel(log_mel(recording_N, audio), audio, pitch_hz_M=pitch_hz_M)
        waveform.write_wav(path, wave_N, audio.sample_rate_hz)
        lines.append(f"{path}\t{sentence.text}\t{sentence.reference}")
        progress("recordings through Griffin-Lim", number, len(held))
    (out / "list.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return out / "list.tsv"
