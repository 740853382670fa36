"""Audits a data folder in a separate process and writes the result as JSON: `python -m ... FOLDER LANGUAGE OUT`.

The clips are read, checked and cached as by a training with default settings, so the training starts quickly
afterwards. The data is never rejected as a whole: the page shows what a training would not accept.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from myxtts.config.fields import LEAVES
from myxtts.config.resolve import Given, Layer, Rank, resolve
from myxtts.config.schema import Config
from myxtts.data.audit import SetFigures, raised_limits
from myxtts.data.feature_store import FeatureStore
from myxtts.data.manifest import read_roots
from myxtts.data.prepare import prepare, read_options
from myxtts.data.records import REASONS, Utterance
from myxtts.data.roots import find_roots
from myxtts.errors import ConfigError, MyXTTSError
from myxtts.progress import silent
from myxtts.storage.files import write_text_atomic

MOST_CLIPS = 400
_MOST_EXAMPLES = 20
_EVERY_SECONDS = 0.5
_SHARE_KEYS = ("data.max_rejected_share", "data.max_suspect_share")


class _StateFile:
    """The state of the audit as a file."""

    def __init__(self, path: Path, folder: str, language: str) -> None:
        self._path, self._written = path, 0.0
        self.state: dict[str, Any] = {"state": "running", "folder": folder, "language": language}

    def progress(self, task: str, done: int, total: int) -> None:
        """Writes the progress of a task, at most twice a second."""
        if time.monotonic() - self._written >= _EVERY_SECONDS:
            self._written = time.monotonic()
            self.write({"task": task, "done": done, "total": total})

    def write(self, more: dict[str, Any]) -> None:
        """Writes the state with these values."""
        self.state |= more
        write_text_atomic(self._path, json.dumps(self.state))


def settings_of(folder: str, language: str) -> Config:
    """The settings of an audit. Raises ConfigError."""
    values = {"data.train_path": folder, **({"text.language": language} if language else {})}
    values |= {key: str(LEAVES[key].accepts.high) for key in _SHARE_KEYS}
    given = tuple(Given(key, value, "studio") for key, value in values.items())
    return resolve([Layer(Rank.FILE, "studio", given)]).config


def audit(folder: str, language: str, file: _StateFile) -> None:
    """Audits a folder. Raises MyXTTSError where nothing in it can be used."""
    config = settings_of(folder, language)
    file.write({})
    prepared = prepare(config, file.progress, named={"data.train_path"})
    utterances = _utterances(config)
    stores = (prepared.train, prepared.validation)
    clips = {id_: clip for store in stores for id_, clip in _clips(store)}
    findings: list[dict[str, Any]] = [
        {
            "kind": anomaly.kind,
            "rejected": False,
            "count": anomaly.count,
            "total": anomaly.total,
            "advice": anomaly.advice,
            "clips": [{"id": one, "value": "", "source": _source(utterances.get(one))} for one in anomaly.clip_ids],
            "examples": list(anomaly.examples),
        }
        for anomaly in prepared.audit.anomalies
    ]
    for finding in findings:
        for one in finding["clips"]:
            clips.get(one["id"], {}).setdefault("findings", []).append(finding["kind"])
    rejections = _rejections(prepared.audit.rejections)
    paths = {one: str(utterance.audio_path) for one, utterance in utterances.items()}
    paths |= {one: clip.pop("path") for one, clip in clips.items()}
    shown = sorted(clips.values(), key=lambda clip: -len(clip.get("findings", [])))[:MOST_CLIPS]
    named = {one["id"] for finding in (*rejections, *findings) for one in finding["clips"]}
    named |= {clip["id"] for clip in shown}
    for finding in (*rejections, *findings):
        for one in finding["clips"]:
            one["playable"] = one["id"] in paths and Path(paths[one["id"]]).is_file()
    file.write(
        {
            "state": "done",
            "train": _figures(prepared.audit.train),
            "validation": _figures(prepared.audit.validation),
            "rejected_share": prepared.audit.rejected_share,
            "most_rejected_share": LEAVES[_SHARE_KEYS[0]].default,
            "notes": prepared.notes,
            "findings": [*rejections, *findings],
            "clips": shown,
            "paths": {one: path for one, path in paths.items() if one in named},
        }
    )


def _utterances(config: Config) -> dict[str, Utterance]:
    """Every row with a recording, also those that are rejected later."""
    roots = find_roots(config, {"data.train_path"}, silent)
    manifests = read_roots(roots.train, "train", config.text.language, options=read_options(config.data))
    return {utterance.id: utterance for manifest in manifests for utterance in manifest.utterances}


def _source(utterance: Utterance | None) -> str:
    return "" if utterance is None else utterance.source


def _clips(store: FeatureStore) -> Iterator[tuple[str, dict[str, Any]]]:
    for row, utterance in enumerate(store.utterances):
        facts, sound = store.facts(row), store.sound(row)
        yield (
            utterance.id,
            {
                "id": utterance.id,
                "text": utterance.text[:500],
                "speaker": utterance.speaker,
                "language": utterance.language,
                "seconds": round(facts.samples / facts.sample_rate_hz, 2),
                "level_db": -sound.level_db,
                "pause_seconds": sound.quiet_ms / 1_000,
                "path": str(utterance.audio_path),
            },
        )


def _rejections(rejections: Sequence[Any]) -> list[dict[str, Any]]:
    """Rejected rows by reason, the most frequent first."""
    found = []
    for reason in REASONS:
        rows = [rejection for rejection in rejections if rejection.reason == reason]
        if not rows:
            continue
        taken, options = raised_limits(rows)
        more = f"{taken} of {len(rows)} are accepted with {options}" if taken else ""
        clips = [
            {"id": row.utterance_id.strip("'"), "value": row.value, "source": str(row.source)}
            for row in rows[:_MOST_EXAMPLES]
        ]
        found.append(
            {"kind": reason, "rejected": True, "count": len(rows), "total": 0, "advice": more, "clips": clips,
             "examples": []}
        )  # fmt: skip
    return sorted(found, key=lambda finding: -int(str(finding["count"])))


def _figures(figures: SetFigures) -> dict[str, Any]:
    return {
        "clips": figures.clips,
        "minutes": figures.minutes,
        "speakers": len(figures.speakers),
        "languages": figures.languages,
        "longest_seconds": figures.longest_seconds,
        "cut_minutes": figures.cut_minutes,
    }


def main(words: Sequence[str]) -> int:
    """Audits as `words` say; an error is written to the file."""
    folder, language, out = words
    file = _StateFile(Path(out), folder, language)
    try:
        audit(folder, language, file)
    except MyXTTSError as error:
        lines = error.problems if isinstance(error, ConfigError) else str(error).split("\n")
        file.write({"state": "failed", "problem": lines[0], "lines": list(lines[1:])})
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
