"""The folder of a data set: its files, and the intermediate files with which an interrupted run continues.

`dataset.json` names the options and the recordings. Until everything else is written, `.work` has the words that were
recognized, and there is no metadata.csv. A file that was changed by someone else is never replaced.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from myxtts.errors import DataError, StorageError
from myxtts.messages import plain, quoted
from myxtts.storage.files import is_temporary, storage_error, strict_json, write_bytes_atomic, write_text_atomic

STATE, WORK, CLIPS = "dataset.json", ".work", "wavs"
METADATA, CUTS, REVIEW = "metadata.csv", "cuts.csv", "review.html"
_MADE_BY = "myxtts dataset make"
_VERSION = 1
_ANOTHER = "name another folder with --out"


class DatasetFolder:
    """The folder of a data set while it is made; a context that no other process has at the same time."""

    def __init__(self, root: Path, options: Mapping[str, Any], recordings: Sequence[Mapping[str, Any]]) -> None:
        self.root = root
        self.work = root / WORK
        self._wanted: dict[str, Any] = {"options": dict(options), "recordings": [dict(one) for one in recordings]}
        self._created = False
        self._lock = -1

    @property
    def is_complete(self) -> bool:
        """Whether the data set is finished."""
        return bool(self._state().get("complete"))

    def check(self) -> None:
        """Raises DataError if the folder is not ours, or was begun with other options or recordings."""
        root = quoted(self.root, 200)
        if self.root.exists() and not self.root.is_dir():
            raise DataError(f"--out {root}: is a file; name a folder")
        if not self.root.exists() or not any(self.root.iterdir()):
            return
        state = self._state()
        if not state:
            raise DataError(f"--out {root}: is not empty, and {_MADE_BY} did not make it; {_ANOTHER}")
        if state.get("version") != _VERSION:
            raise DataError(f"--out {root}: made by another version ({state.get('version')!r:.20}); {_ANOTHER}")
        before, now = state.get("options", {}), self._wanted["options"]
        for name in sorted({*before, *now}):
            if before.get(name) != now.get(name):
                raise DataError(
                    f"--out {root}: was begun with {name} {plain(before.get(name))!s:.60}, now it is "
                    f"{plain(now.get(name))!s:.60}; use the same, or {_ANOTHER}"
                )
        both = (state["recordings"], self._wanted["recordings"])
        names = [{one["name"]: one["key"] for one in part} for part in both]
        if names[0] != names[1] and (state.get("complete") or (self.root / CLIPS).is_dir()):
            changed = sorted(name for name in {*names[0], *names[1]} if names[0].get(name) != names[1].get(name))
            raise DataError(
                f"--out {root}: was made from other recordings ({quoted(', '.join(changed), 80)}); {_ANOTHER}"
            )

    def __enter__(self) -> DatasetFolder:
        self._created = not self.root.exists()
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.work / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageError(
                f"--out {quoted(self.root, 200)}: another process makes this data set; wait for it, or {_ANOTHER}"
            ) from error
        except OSError as error:
            raise storage_error("making the folder of the data set", self.root, error) from error
        for path in [*self.work.iterdir(), *self.root.iterdir(), *self._clip_files()]:
            if is_temporary(path.name):
                path.unlink(missing_ok=True)
        self._write_state({})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        nothing_done = kind is not None and not any(self.work.glob("*.words")) and not (self.root / CLIPS).exists()
        if self._lock >= 0:
            os.close(self._lock)
        if self._created and nothing_done:
            with contextlib.suppress(OSError):
                shutil.rmtree(self.work)
                (self.root / STATE).unlink()
                self.root.rmdir()  # which keeps other files in it

    def journal(self, key: str) -> RecognitionJournal:
        """The words of a recording that were recognized so far."""
        return RecognitionJournal(self.work / f"{key}.words")

    def has_clip(self, name: str) -> bool:
        """Whether a clip is written; each is written at once, so it is complete."""
        return (self.root / CLIPS / f"{name}.wav").is_file()

    def clip_path(self, name: str) -> Path:
        """Where a clip is written."""
        (self.root / CLIPS).mkdir(exist_ok=True)
        return self.root / CLIPS / f"{name}.wav"

    def keep_only(self, names: Sequence[str]) -> None:
        """Raises DataError for a foreign file among the clips."""
        known = {f"{name}.wav" for name in names}
        for path in self._clip_files():
            if path.name not in known:
                raise DataError(
                    f"{quoted(path, 200)}: {_MADE_BY} did not write this file; move it away, then the same command "
                    "continues"
                )

    def finish(self, texts: Mapping[str, str]) -> None:
        """Writes the last files, `metadata.csv` as the last of them, and removes what is no longer needed."""
        for name, text in texts.items():
            path = self.root / name
            if path.exists() and path.read_bytes() != text.encode("utf-8"):
                raise DataError(
                    f"{quoted(path, 200)}: differs from what {_MADE_BY} would write; move it away, then the same "
                    "command continues"
                )
            if not path.exists():
                write_text_atomic(path, text)
        sums = {name: hashlib.sha256(text.encode("utf-8")).hexdigest() for name, text in texts.items()}
        self._write_state({"complete": True, "files": sums})
        with contextlib.suppress(OSError):
            shutil.rmtree(self.work)

    def _clip_files(self) -> list[Path]:
        folder = self.root / CLIPS
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def _state(self) -> dict[str, Any]:
        """The content of dataset.json; empty if the folder has none of this command."""
        try:
            state = strict_json((self.root / STATE).read_bytes())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) and state.get("made_by") == _MADE_BY else {}

    def _write_state(self, more: Mapping[str, Any]) -> None:
        state = {"made_by": _MADE_BY, "version": _VERSION, **self._wanted, **more}
        content = json.dumps(state, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        write_bytes_atomic(self.root / STATE, content.encode("utf-8"))


class RecognitionJournal:
    """The recognized words of each part of a recording: one line per part, added immediately."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Any] = {}
        complete = 0
        with contextlib.suppress(FileNotFoundError):
            for line in path.read_bytes().splitlines(keepends=True):
                try:
                    entry = strict_json(line) if line.endswith(b"\n") else None
                except ValueError:
                    entry = None
                if not isinstance(entry, dict):  # cut off by a kill
                    os.truncate(path, complete)
                    break
                self._known[entry["part"]] = entry
                complete += len(line)

    def get(self, part: str) -> dict[str, Any] | None:
        """The recognized words of a part; None if it is unknown."""
        return self._known.get(part)

    def add(self, part: str, entry: Mapping[str, Any]) -> None:
        """Adds what was recognized in a part. Raises StorageError."""
        self._known[part] = {"part": part, **entry}
        line = json.dumps(self._known[part]).encode("ascii") + b"\n"
        try:
            with self._path.open("ab", buffering=0) as file:
                file.write(line)
                os.fsync(file.fileno())
        except OSError as error:
            raise storage_error("writing recognized words", self._path, error) from error
