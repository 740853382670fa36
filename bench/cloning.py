"""Cloning: trains on many voices, and after each of --minutes synthesizes the voices of unseen speakers.

Some speakers (--readers) are held out with data.held_out_speakers. The reference of each is its own recording, and the
text is that of the next speaker, so the reference contains no word of it. Held-out sentences of training speakers are
synthesized as well. A judge (see bench.recordings) rates both, and the recordings of the held-out speakers through the
mel and Griffin-Lim, which is the upper bound for a model.

WORK contains run/ (the run directory), spoken/, judged/ and marks/ (a record per --minutes). The same command
continues.
"""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import held_out, judged_training, results
from bench.held_out import HeldOut, by_hash
from bench.judged_training import CEILING, JUDGED, cell, judged, open_work, speak, trained_minutes, training
from myxtts.cli.arguments import request_of, training_parser
from myxtts.cli.screen import Screen, guarded
from myxtts.cli.train import resolve_request
from myxtts.config.resolve import program_layer
from myxtts.data.feature_store import FeatureStore
from myxtts.data.records import Utterance
from myxtts.errors import EXIT_DONE, ConfigError, DataError
from myxtts.units import frames_of_seconds

KINDS = ("readers", "sentences")
VALIDATION_SHARE = 0.1
SAME, OTHER = 0.87, 0.52
"""SECS of two clips of one LibriSpeech reader, and of two readers, by the judge."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("cloning", "Trains on many voices and judges the voices of unseen speakers.")
    made.add_argument("--data", metavar="ROOT", type=Path, nargs="+", required=True, help="data roots")
    made.add_argument("--level", metavar="LEVEL", default="enhanced", help="optimization level (enhanced)")
    made.add_argument("--readers", metavar="N", type=int, default=20, help="speakers held out (20)")
    made.add_argument("--prefer", choices=("best", "last"), default="last", help="which checkpoint speaks (last)")
    made.add_argument("--no-recordings", action="store_true", help="omit the row of the readers' recordings")
    judged_training.add_options(made, [30.0, 120.0])
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    problems = judged_training.judge_problems(given)
    if min(given.minutes) <= 0 or given.readers < 2 or given.sentences < 0:
        problems.append("--minutes must be over 0, --readers at least 2, --sentences at least 0")
    if problems:
        raise ConfigError(problems)
    given.data = [root.resolve() for root in given.data]
    names = ("size", "level", "set", "readers", "sentences", "prefer")
    open_work(given, {"data": list(map(str, given.data))}, names)
    screen = Screen()
    lists = _lists(given, screen)
    if not given.no_recordings:
        held_out.through_griffin_lim(lists["recordings"], given.work / "spoken" / CEILING, screen.progress)
    screen.close()
    judged_training.outlive_ctrl_c()
    figures: list[dict[str, Any]] = []
    if not given.no_recordings:
        figures.append({"mark": CEILING, "readers": judged(given, CEILING)})
    for minutes in sorted(given.minutes):
        record = given.work / "marks" / f"minutes-{minutes:g}.json"
        if not record.is_file() and (code := _mark(given, minutes, record, screen)) != EXIT_DONE:
            return code
        row = json.loads(record.read_text(encoding="utf-8"))
        figures.append({**row, **{kind: judged(given, f"{row['mark']}-{kind}") for kind in row["kinds"]}})
        _table(given, figures, None)
    _table(given, figures, given.json or given.work / "cloning.json")
    return EXIT_DONE


def training_words(given: Namespace, minutes: float) -> list[str]:
    """The training command."""
    data = ["--train-data", os.pathsep.join(map(str, given.data)), "--model-size", given.size]
    settings = [f"data.held_out_speakers={given.readers}", f"data.validation_share={VALIDATION_SHARE}"]
    return judged_training.training_words(given, data, settings, minutes)


def _lists(given: Namespace, screen: Screen) -> dict[str, list[HeldOut]]:
    """The sentences to synthesize: written to WORK once, since they follow from the data and the settings."""
    from myxtts.data.prepare import prepare

    names = (*KINDS, "recordings")
    paths = {name: given.work / f"{name}.json" for name in names}
    if not all(path.is_file() for path in paths.values()):
        parsed = training_parser("train_main.py", None).parse_known(training_words(given, 1.0))
        resolved = resolve_request(request_of(*parsed), program_layer("train_main.py", {}), None)[0]
        prepared = prepare(resolved.config, screen.progress, named=resolved.named)
        audio = resolved.config.audio
        near = frames_of_seconds(held_out.REFERENCE_SECONDS, audio.sample_rate_hz, audio.hop_samples)
        made = {
            "readers": readers(prepared.validation, set(prepared.corpus.speakers)),
            "sentences": sentences(prepared.train, prepared.validation, given.sentences, near),
            "recordings": recordings(prepared.validation, set(prepared.corpus.speakers)),
        }
        for name, rows in made.items():
            results.write_json(paths[name], [asdict(row) for row in rows])
    return {
        name: [HeldOut(**row) for row in json.loads(path.read_text(encoding="utf-8"))] for name, path in paths.items()
    }


def _said(utterance: Utterance, text: str, reference: Utterance) -> HeldOut:
    places = str(utterance.audio_path), str(reference.audio_path)
    return HeldOut(utterance.id, text, utterance.speaker, utterance.language, *places)


def unseen_speakers(validation: FeatureStore, known: set[str]) -> list[Utterance]:
    """One recording of each speaker that is never trained on, by name. Raises DataError for fewer than two."""
    first: dict[str, Utterance] = {}
    for utterance in validation.utterances:
        if utterance.speaker not in known:
            first.setdefault(utterance.speaker, utterance)
    if len(first) < 2:
        raise DataError(f"{len(first)} speakers are held out, expected at least 2; raise --readers")
    return [first[speaker] for speaker in sorted(first)]


def readers(validation: FeatureStore, known: set[str]) -> list[HeldOut]:
    """Every unseen speaker with the text of the next one; the reference is the speaker's own recording."""
    people = unseen_speakers(validation, known)
    return [_said(p, people[(at + 1) % len(people)].text, p) for at, p in enumerate(people)]


def recordings(validation: FeatureStore, known: set[str]) -> list[HeldOut]:
    """The recording of every unseen speaker, unchanged."""
    return [_said(p, p.text, p) for p in unseen_speakers(validation, known)]


def sentences(train: FeatureStore, validation: FeatureStore, count: int, near_frames: int) -> list[HeldOut]:
    """Held-out sentences of training speakers; the reference is the training recording nearest to `near_frames`."""
    rows_of: dict[str, list[int]] = {}
    for row, speaker in enumerate(train.speakers):
        rows_of.setdefault(speaker, []).append(row)
    known = [
        u
        for u in validation.utterances
        if u.speaker in rows_of and len(held_out.words_of(u.text)) >= held_out.FEWEST_WORDS
    ]
    found = []
    for utterance in sorted(known, key=lambda u: by_hash(u.id))[:count]:
        rows = rows_of[utterance.speaker]
        nearest = min(rows, key=lambda row: (abs(int(train.lengths[1][row]) - near_frames), row))
        found.append(_said(utterance, utterance.text, train.utterances[nearest]))
    return found


def _mark(given: Namespace, minutes: float, record: Path, screen: Screen) -> int:
    """Trains up to some minutes, synthesizes both lists, writes the record; the exit code of what failed, else 0."""
    run, mark = given.work / "run", f"minutes-{minutes:g}"
    code = judged_training.train_until(run, minutes, training_words(given, minutes), screen)
    kinds = []
    for kind in KINDS:
        if code != EXIT_DONE:
            return code
        path = given.work / f"{kind}.json"
        if not json.loads(path.read_text(encoding="utf-8")):
            continue
        spoken = given.work / "spoken" / f"{mark}-{kind}"
        code = speak(run, path, spoken, given.prefer, screen)
        kinds.append(kind)
    if code == EXIT_DONE:
        results.write_json(record, {"mark": mark, "minutes": trained_minutes(run), "kinds": kinds, **training(run)})
    return code


def _table(given: Namespace, figures: Sequence[dict[str, Any]], json_path: Path | None) -> None:
    heads = ("mark", "who", "minutes", "updates", "skipped", "val. mel", "voices EER", "SECS's place")
    rows: list[tuple[str, ...]] = [(*heads, *(name for _, name in JUDGED))]
    for row in figures:
        validation = row.get("validation", {})
        about = [cell(row.get("minutes"), ".1f"), *(cell(row.get(key), "d") for key in ("updates", "skipped"))]
        about += [cell(validation.get("mel"), ".3f"), cell(validation.get("voice_equal_error_rate"), ".3f")]
        for kind in KINDS:
            if kind in row:
                found = row[kind] or {}
                secs = found.get("secs")
                place = "-" if secs is None else f"{(secs - OTHER) / (SAME - OTHER):.0%}"
                rows.append((row["mark"], kind, *about, place, *(cell(found.get(key), ".3f") for key, _ in JUDGED)))
    data = " + ".join(root.name for root in given.data)
    title = f"Cloning: {data}, size {given.size}, level {given.level}, {given.readers} readers held out"
    settings = {"data": data, "size": given.size, "level": given.level, "set": given.set, "prefer": given.prefer}
    results.show(title, rows, {"settings": settings, "marks": list(figures)}, json_path, heads=True)


if __name__ == "__main__":
    sys.exit(main())
