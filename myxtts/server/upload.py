"""A recording from a client: the form of an upload, its limit, and the voice that is made from it."""

from __future__ import annotations

import datetime
import logging
import shutil
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import python_multipart  # noqa: F401  # starlette would only miss it when a form arrives
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from myxtts.audio.containers import CONVERTED_SUFFIXES, READ_SUFFIXES
from myxtts.errors import ConfigError, DataError
from myxtts.messages import quoted
from myxtts.server.speech_request import ApiError
from myxtts.server.voice_folder import VoiceFolder
from myxtts.synthesis.recording import ExaminedRecording, examine_recording
from myxtts.synthesis.synthesizer import Synthesizer
from myxtts.synthesis.voice_file import consent_problem
from myxtts.synthesis.voice_parts import VoicePart

AUDIO_FIELDS = ("audio_sample", "file")
"""Fields that may contain the recording; the first is that of OpenAI's API."""
_MOST_FIELDS = 20
_A_DAY = datetime.timedelta(days=1)
_FORM_BYTES = 1 << 16
"""Largest size of the other fields of a form."""
logging.getLogger("python_multipart").addHandler(logging.NullHandler())  # else each damaged form is a line on stderr


@dataclass(frozen=True)
class Upload:
    """A recording in a temporary file, its name at the client, and the other fields of the form."""

    path: Path
    filename: str
    fields: Mapping[str, str]


@asynccontextmanager
async def received(request: Request, most_bytes: int) -> AsyncGenerator[Upload, None]:
    """The upload of a form, in a temporary file that is removed afterwards. Raises ApiError.

    The body is never read beyond the limit, regardless of its header.
    """
    limit = most_bytes + _FORM_BYTES
    too_large = ApiError(413, f"the recording is larger than {most_bytes / 1e6:.3g} MB; cut it", AUDIO_FIELDS[0])
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise too_large

    async def limited() -> AsyncGenerator[bytes, None]:
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise too_large
            yield part

    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ApiError(400, "the body is not a form; send multipart/form-data with the field audio_sample")
    parser = MultiPartParser(request.headers, limited(), max_files=1, max_fields=_MOST_FIELDS, max_part_size=4_096)
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeError) as error:
        raise ApiError(400, f"the form cannot be read ({error})") from None
    try:
        files = [form.get(name) for name in AUDIO_FIELDS]
        file = next((one for one in files if isinstance(one, UploadFile)), None)
        if file is None:
            raise ApiError(400, "audio_sample is missing; send the recording as a file", AUDIO_FIELDS[0])
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        name = file.filename or "recording"
        suffix = Path(name).suffix.lower()
        with tempfile.TemporaryDirectory(prefix="myxtts-upload-") as folder:
            path = Path(folder) / f"recording{suffix if suffix in (*READ_SUFFIXES, *CONVERTED_SUFFIXES) else ''}"
            with path.open("xb") as target:
                shutil.copyfileobj(file.file, target)
            yield Upload(path, name, fields)
    finally:
        await form.close()


def consent_of(fields: Mapping[str, Any]) -> str:
    """The statement of consent in the fields `consent_by` and `consent_date`. Raises ApiError."""
    who, when = fields.get("consent_by"), fields.get("consent_date")
    if not isinstance(who, str) or not who.strip():
        raise ApiError(400, "consent_by is missing; name the person whose voice it is and who consented", "consent_by")
    if not isinstance(when, str) or not when.strip():
        raise ApiError(400, "consent_date is missing; write when the person consented, as 2026-12-01", "consent_date")
    try:
        date = datetime.datetime.strptime(when.strip(), "%Y-%m-%d").date()
    except ValueError:
        raise ApiError(400, f"consent_date is {quoted(when)}, expected a date as 2026-12-01", "consent_date") from None
    if date > datetime.date.today() + _A_DAY:  # it may be tomorrow already where the client is
        raise ApiError(400, f"consent_date is {quoted(when)}, which is in the future", "consent_date")
    statement = f"{who.strip()}, {date.isoformat()}"
    if problem := consent_problem(statement):
        raise ApiError(400, f"consent_by is {quoted(who)}, {problem}", "consent_by")
    return statement


def is_set(value: object) -> bool:
    """Whether a field of a form or of JSON says yes."""
    return value is True or (isinstance(value, str) and value.strip().lower() in ("1", "true", "yes", "on"))


def examined(path: Path, synthesizer: Synthesizer) -> ExaminedRecording:
    """A recording as the model sees it. Raises ApiError for a file that is not audio, silent or too short."""
    try:
        return examine_recording(path, synthesizer.config, synthesizer.corpus)
    except DataError as error:
        message = str(error).replace(quoted(path, 200), "the recording")
        raise ApiError(400, message, AUDIO_FIELDS[0], "invalid_audio") from None


def figures_of(recording: ExaminedRecording) -> dict[str, Any]:
    """Facts about the used part of a recording, as plain values."""
    return {
        "seconds": round(recording.seconds, 2),
        "kept_seconds": round(recording.kept_seconds, 2),
        "cut_seconds": round(recording.cut_seconds, 2),
        "level_db": round(recording.level_db, 1),
        "problem": recording.problem,
        "warnings": list(recording.warnings),
    }


def check_problem(problem: str, accepted: bool) -> None:
    """Raises ApiError if a recording may not be the speech of one person, unless that was accepted."""
    if problem and not accepted:
        raise ApiError(
            400,
            f"the recording: {problem}; send three to ten seconds of one person's clean speech, or accept_problem=true",
            AUDIO_FIELDS[0],
            "not_one_voice",
        )


def add_uploaded(
    upload: Upload, synthesizer: Synthesizer, folder: VoiceFolder, taken: list[str], *, keep_recording: bool
) -> dict[str, Any]:
    """Makes a voice from an upload and saves it; returns it in the form of OpenAI's API. Raises ApiError.

    After an error nothing is written.
    """
    name = upload.fields.get("name", "").strip()
    consent = consent_of(upload.fields)
    try:
        folder.check_new(name, taken)
        recording = examined(upload.path, synthesizer)
        check_problem(recording.problem, is_set(upload.fields.get("accept_problem")))
        made = synthesizer.make_voice(voices=[VoicePart("reference", recording.samples_N)])
        kept = (recording.samples_N, recording.sample_rate_hz) if keep_recording else None
        made_from = f"recording {quoted(Path(upload.filename).name, 80)}"
        name = folder.add(name, made, synthesizer, made_from=made_from, consent=consent, recording=kept, taken=taken)
    except ConfigError as error:
        raise ApiError(400, error.problems[0], "name") from None
    except DataError as error:
        raise ApiError(400, str(error), AUDIO_FIELDS[0]) from None
    return {"object": "audio.voice", "id": name, "name": name, "consent": consent, "kept": figures_of(recording)}
