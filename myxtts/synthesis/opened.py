"""A checkpoint opened for synthesis: verified files, settings and corpus statistics, before any network is built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from myxtts.audio import mel
from myxtts.config.fields import nearest
from myxtts.config.files import config_of_file
from myxtts.config.schema import Config
from myxtts.data.corpus import Corpus, parse_corpus
from myxtts.errors import CheckpointError, ConfigError, DataError
from myxtts.messages import quoted
from myxtts.storage.checkpoint import Checkpoint
from myxtts.storage.find_checkpoint import find
from myxtts.text.phonemes import canonical_language
from myxtts.text.symbols import SymbolTable

CONFIG_NAME, CORPUS_NAME = "config.yaml", "corpus.json"
_MOST_NAMES = 20


@dataclass(frozen=True)
class OpenedCheckpoint:
    """A checkpoint that can be used for synthesis; `notes` are lines that a user should see."""

    checkpoint: Checkpoint
    config: Config
    corpus: Corpus
    table: SymbolTable
    notes: tuple[str, ...]


def open_checkpoint(path: Path, prefer: Literal["best", "last"] = "best") -> OpenedCheckpoint:
    """Finds and verifies the checkpoint of a run directory, checkpoints folder or step folder.

    Raises CheckpointError, DataError or ConfigError for one that cannot be used.
    """
    checkpoint = find(Path(path), prefer)
    where = f"checkpoint {quoted(str(checkpoint.path), 200)}"
    for name in (CONFIG_NAME, CORPUS_NAME):
        if name not in checkpoint.texts:
            raise CheckpointError(f"{where} has no {name}; use a checkpoint written by a MyXTTS training run")
    try:
        config = config_of_file(checkpoint.path / CONFIG_NAME)
    except ConfigError as error:
        more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
        raise CheckpointError(
            f"{where}: {CONFIG_NAME} cannot be used: {error.problems[0]}{more}; use another checkpoint"
        ) from error
    try:
        corpus = parse_corpus(checkpoint.texts[CORPUS_NAME].encode("utf-8", "surrogatepass"))
    except DataError as error:
        raise CheckpointError(f"{where}: {CORPUS_NAME} cannot be used: {error}; use another checkpoint") from error
    if len(corpus.mel_mean_C) != config.audio.mel_channels:
        raise CheckpointError(
            f"{where}: {CORPUS_NAME} has {len(corpus.mel_mean_C)} mel channels, {CONFIG_NAME} says "
            f"{config.audio.mel_channels}; use another checkpoint"
        )
    own = mel.fingerprint(config.audio)
    if corpus.mel_fingerprint != own:
        raise CheckpointError(
            f"{where} was trained on mels of another definition ({quoted(corpus.mel_fingerprint)}, here "
            f"{own}); use the version of MyXTTS that trained it, or train again"
        )
    notes = tuple(f"{damage.path.name} was skipped: {damage.reason}" for damage in checkpoint.passed_over)
    return OpenedCheckpoint(checkpoint, config, corpus, SymbolTable.from_json(corpus.symbols), notes)


def speaker_index(opened: OpenedCheckpoint, name: str) -> int:
    """Index of a training speaker. Raises DataError, which suggests the nearest name and lists the speakers."""
    speakers = opened.corpus.speakers
    if name in speakers:
        return speakers.index(name)
    raise DataError(f"speaker {quoted(name)} is not in this model; {_available(name, speakers)}")


def language_index(opened: OpenedCheckpoint, language: str | None) -> tuple[int, str]:
    """Index and code of a language of the model; None: the one in the settings if the model has it, else its first.

    Raises DataError, which suggests the nearest code and lists the languages.
    """
    languages = opened.corpus.languages
    if language is None:
        wanted = opened.config.text.language
        code = wanted if wanted in languages else languages[0]
        return languages.index(code), code
    for code in (language, language.strip().replace("_", "-").lower()):
        if code in languages:
            return languages.index(code), code
    try:
        code = canonical_language(language)
    except DataError:
        code = language
    if code in languages:
        return languages.index(code), code
    raise DataError(f"language {quoted(language)} is not in this model; {_available(language, languages)}")


def _available(name: str, names: Sequence[str]) -> str:
    best = nearest(name, names)
    listed = ", ".join(quoted(item) for item in names[:_MOST_NAMES])
    more = f" and {len(names) - _MOST_NAMES} more (--list shows all)" if len(names) > _MOST_NAMES else ""
    hint = f"did you mean {quoted(best)}? " if best else ""
    return f"{hint}available: {listed}{more}" if names else "it has none"
