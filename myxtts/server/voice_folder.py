"""A folder of saved voices: `NAME.voice`, and optionally `NAME.wav` with the recording it was made from.

A saved voice belongs to one model; from the recording it can be made again for another one. Deleted voices are moved to
the folder `trash`.
"""

from __future__ import annotations

import hashlib
import threading
import time
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from myxtts.audio.waveform import write_wav
from myxtts.errors import ConfigError, DataError
from myxtts.messages import quoted
from myxtts.models.prosody import FloatArray
from myxtts.storage.files import storage_error
from myxtts.synthesis.synthesizer import Synthesizer
from myxtts.synthesis.voice_file import SUFFIX, StoredVoice, compatibility_note, read_voice, write_voice
from myxtts.synthesis.voice_parts import VoicePart
from myxtts.synthesis.voices import MadeVoice

LONGEST_NAME = 60
TRASH, _MADE = "trash", ".made"
_NOT_IN_NAMES = '/\\+:"<>|?*'


def name_problem(name: object) -> str | None:
    """Why a text cannot be the name of a voice or a run; None where it can."""
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or len(name.encode("utf-8", "replace")) > 200:
        return f"the name is {quoted(name)}, expected 1 to {LONGEST_NAME} characters"
    bad = [
        character
        for character in name
        if character in _NOT_IN_NAMES or not (character.isprintable() or character == "\u200c")
    ]
    if bad:
        return f"the name is {quoted(name)}; {quoted(bad[0])} is not allowed in it"
    if name != name.strip() or name.startswith(".") or name in (TRASH, ""):
        return f"the name is {quoted(name)}; it must not begin with a dot, begin or end with a blank, or be {TRASH!r}"
    return None


class VoiceFolder:
    """The saved voices below a path. All methods may be called from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """The names of the voices, sorted."""
        return sorted(path.stem for path in self.path.glob(f"*{SUFFIX}") if not name_problem(path.stem))

    def list(self, synthesizer: Synthesizer | None) -> list[dict[str, Any]]:
        """The voices as plain values; `usable` says whether `synthesizer` can speak with them."""
        found = []
        for name in self.names():
            entry: dict[str, Any] = {"id": name, "name": name, "usable": True, "problem": ""}
            entry["recording"] = self.recording(name) is not None
            try:
                stored = read_voice(self._voice(name))
                entry |= {"made_from": stored.made_from, "consent": stored.consent}
                if synthesizer is not None and not entry["recording"]:
                    compatibility_note(stored, self._voice(name), synthesizer.opened)
            except DataError as error:
                entry |= {"usable": False, "problem": str(error)}
            found.append(entry)
        return found

    def recording(self, name: str) -> Path | None:
        """The recording of a voice, if it was kept."""
        path = self.path / f"{name}.wav"
        return path if path.is_file() else None

    def consent(self, name: str) -> str:
        """The statement of consent of a voice. Raises DataError."""
        return read_voice(self._existing(name)).consent

    def part(self, name: str, weight: float | None, synthesizer: Synthesizer) -> VoicePart:
        """A saved voice as a VoicePart for `synthesizer`. Raises DataError.

        A voice of another model is made again from its recording, once.
        """
        path = self._existing(name)
        stored = read_voice(path)
        recording = self.recording(name)
        if stored.model.encoder != synthesizer.opened.voice_model.encoder and recording is not None:
            path = self._made_again(path, stored, recording, synthesizer)
        return VoicePart("voice", path, weight)

    def add(
        self, name: str, made: MadeVoice, synthesizer: Synthesizer, *, made_from: str = "", consent: str = "",
        recording: tuple[FloatArray, int] | None = None, taken: Sequence[str] = (),
    ) -> str:  # fmt: skip
        """Saves a voice under a new name, and returns it in Unicode's composed form (NFC).

        Raises ConfigError for a name that is taken or not valid, StorageError.

        Args:
            name: of the voice.
            made: the voice.
            synthesizer: of the model that it belongs to.
            made_from: what it was made from; the description of `made` if empty.
            consent: who consented and when.
            recording: samples and their rate, to be kept beside it.
            taken: names that are in use for something else.
        """
        name = unicodedata.normalize("NFC", name)
        with self._lock:
            self._check_new(name, taken)
            stored = StoredVoice(
                made.voice.voice_E, made.voice.style_Y, name, made_from or made.made_from,
                synthesizer.opened.voice_model, consent,
            )  # fmt: skip
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                if recording is not None:
                    write_wav(self.path / f"{name}.wav", *recording)
                write_voice(self._voice(name), stored)
            except BaseException as error:
                (self.path / f"{name}.wav").unlink(missing_ok=True)
                if isinstance(error, OSError):
                    raise storage_error("writing the voice", self.path, error) from error
                raise
        return name

    def rename(self, name: str, new: str, taken: Sequence[str] = ()) -> str:
        """Gives a voice another name, and returns it in NFC. Raises ConfigError, DataError, StorageError."""
        new = unicodedata.normalize("NFC", new)
        with self._lock:
            path = self._existing(name)
            self._check_new(new, taken)
            write_voice(self._voice(new), replace(read_voice(path), name=new))
            recording = self.recording(name)
            try:
                if recording is not None:
                    recording.rename(self.path / f"{new}.wav")
                path.unlink()
            except OSError as error:
                raise storage_error("renaming the voice", path, error) from error
        return new

    def trash(self, name: str) -> Path:
        """Moves the files of a voice to the folder `trash`; returns where its voice file is now."""
        with self._lock:
            path, folder = self._existing(name), self.path / TRASH
            moment = time.strftime("%Y%m%d-%H%M%S")
            number, stem = 1, f"{name} {moment}"
            while (folder / f"{stem}{SUFFIX}").exists():
                number += 1
                stem = f"{name} {moment}-{number}"
            try:
                folder.mkdir(exist_ok=True)
                recording = self.recording(name)
                if recording is not None:
                    recording.rename(folder / f"{stem}.wav")
                return path.rename(folder / f"{stem}{SUFFIX}")
            except OSError as error:
                raise storage_error("moving the voice to the trash", path, error) from error

    def check_new(self, name: str, taken: Sequence[str] = ()) -> None:
        """Raises ConfigError where a name is taken or not valid."""
        with self._lock:
            self._check_new(unicodedata.normalize("NFC", name) if isinstance(name, str) else name, taken)

    def _check_new(self, name: str, taken: Sequence[str]) -> None:
        if problem := name_problem(name):
            raise ConfigError(problem)
        if name in taken or self._voice(name).exists():
            raise ConfigError(f"the name {quoted(name)} is taken; choose another one")

    def _made_again(self, path: Path, stored: StoredVoice, recording: Path, synthesizer: Synthesizer) -> Path:
        """The voice for another model, made from its recording and kept in a separate folder."""
        model = synthesizer.opened.voice_model
        status = recording.stat()
        key = f"{path.stem} {status.st_mtime_ns} {status.st_size} {model.encoder}"
        made_path = self.path / _MADE / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}{SUFFIX}"
        if not made_path.is_file():
            made = synthesizer.make_voice(voices=[VoicePart("reference", recording)])
            try:
                made_path.parent.mkdir(exist_ok=True)
            except OSError as error:
                raise storage_error("making the voice again", made_path, error) from error
            voice = made.voice
            write_voice(made_path, replace(stored, voice_E=voice.voice_E, style_Y=voice.style_Y, model=model))
        return made_path

    def _voice(self, name: str) -> Path:
        return self.path / f"{name}{SUFFIX}"

    def _existing(self, name: str) -> Path:
        if name_problem(name) or not self._voice(name).is_file():
            raise DataError(f"there is no voice {quoted(name)}")
        return self._voice(name)
