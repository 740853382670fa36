"""Incident bundles: a bad micro-batch on the disk with everything needed to recompute it.

    RUN/incidents/update-0000123-micro-000456/
        incident.json           what happened, seeds, arguments, hashes
        batch.safetensors       the arrays of the micro-batch
        weights.safetensors     the weights before it
        config.yaml, corpus.json

It contains no path of this machine. `python -m myxtts replay BUNDLE` recomputes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from myxtts import batch as voice_batch
from myxtts.batch import Field, problems
from myxtts.config.files import MOST_BYTES, config_of_file
from myxtts.config.schema import Config, ModelConfig
from myxtts.data.corpus import Corpus, parse_corpus
from myxtts.errors import CheckpointError, ConfigError, DataError, StorageError
from myxtts.messages import quoted
from myxtts.models.build import check_size
from myxtts.storage.files import (
    fsync_directory,
    read_regular_file,
    storage_error,
    strict_json,
    temporary_name,
    write_text_atomic,
)
from myxtts.storage.tensors import parse_tensors, write_tensors
from myxtts.text.symbols import SymbolTable
from myxtts.training.recovery.blame import Blame
from myxtts.training.recovery.incident_facts import fact_problems, plain_knobs
from myxtts.vocoder import segments

KEPT_FIRST, KEPT_NEWEST = 2, 3
"""Bundles of a run that are kept: the first ones show how trouble began, the newest its present state."""
_SPARE_BYTES = 64 << 20
FORMAT = 1
LARGEST_FILES = {
    "incident.json": 16 << 20,
    "config.yaml": MOST_BYTES,
    "corpus.json": 64 << 20,
    "batch.safetensors": 1 << 30,
    "weights.safetensors": 4 << 30,
}
"""Largest accepted size of each file in bytes; the model of size big has 0.6 GB of weights."""
MOST_PRODUCTS = 10**15
"""Multiplications of a replay, a few hours on one CPU core; size big with its own batches takes a tenth."""
_PROVED_FILES = tuple(name for name in LARGEST_FILES if name != "incident.json")
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Incident:
    """A bundle read from disk."""

    path: Path
    facts: Mapping[str, Any]
    batch: Arrays
    weights: Arrays
    config_path: Path
    corpus: bytes
    """Content of corpus.json."""


def write(
    directory: Path,
    blame: Blame,
    *,
    update: int,
    cause: str,
    utterances: Sequence[str],
    rows: Sequence[str],
    weights: Mapping[str, npt.NDArray[Any]],
    texts: Mapping[str, str],
    loss_scale: float,
    most_norm: float | None,
) -> Path:
    """Write a bundle under `directory` and prune older ones; returns its folder.

    Args:
        directory: RUN/incidents.
        blame: the cause and the micro-batch.
        update: number of the attempted update.
        cause: for messages.
        utterances: ids of the utterances in `blame`.
        rows: id of every row of the batch, empty for padding.
        weights: path -> values before the micro-batch.
        texts: config.yaml and corpus.json.
        loss_scale: of fp16, otherwise 1.
        most_norm: for a spike, the gradient norm above which one utterance is its cause.

    Raises:
        StorageError: writing failed; nothing is left behind.
    """
    micro = blame.micro
    target = directory / f"update-{update:07d}-micro-{micro.number:08d}"
    temporary = directory / temporary_name()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _check_space(directory, weights)
        temporary.mkdir()
        try:
            hashes = {
                "batch": write_tensors(temporary / "batch.safetensors", _storable(micro.loaded.batch))[1],
                "weights": write_tensors(temporary / "weights.safetensors", dict(weights))[1],
            }
            for name, text in texts.items():
                (temporary / name).write_text(text, encoding="utf-8")
                hashes[name] = hashlib.sha256(text.encode("utf-8")).hexdigest()
            facts = {
                "format": FORMAT,
                "update": update,
                "cause": cause,
                "terms": list(blame.terms),
                "utterances": list(utterances),
                "rows": list(rows),
                "groups": list(blame.groups),
                "single": blame.single,
                "micro_batch": micro.number,
                "epoch": micro.loaded.epoch,
                "index": micro.loaded.index,
                "knobs": plain_knobs(micro.knobs, len(micro.loaded.batch["weight_B"])),
                "loss_scale": loss_scale,
                "most_norm": most_norm,
                "sha256": hashes,
            }
            write_text_atomic(temporary / "incident.json", json.dumps(facts, indent=1))
            if target.exists():
                shutil.rmtree(target)
            temporary.rename(target)
        except (OSError, StorageError):
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        fsync_directory(directory)
        _prune(directory)
    except OSError as error:
        raise storage_error("writing the incident", directory, error) from error
    return target


def read(path: Path) -> Incident:
    """Read the bundle in the folder `path`. It is untrusted: every file and every fact is checked.

    Links are not followed, and files larger than LARGEST_FILES are rejected. Raises CheckpointError naming the file.
    """
    facts = _facts(path)
    if facts.get("format") != FORMAT:
        raise CheckpointError(
            f"incident {quoted(str(path), 200)}: incident.json has format {quoted(facts.get('format'))}, this version "
            f"reads {FORMAT}: use the version of MyXTTS that wrote it"
        )
    hashes = facts.get("sha256")
    if not isinstance(hashes, dict):
        raise _unusable(path, "incident.json", f"sha256 is {quoted(hashes)}, expected a hash for each file")
    proved = {name: _proved(path, name, hashes.get(name.removesuffix(".safetensors"))) for name in _PROVED_FILES}
    batch = _tensors(path, "batch.safetensors", proved)
    weights = _tensors(path, "weights.safetensors", proved)
    if found := problems(batch, finite=False, fields=_fields_of(batch)):
        raise _unusable(path, "batch.safetensors", found[0])
    if found := fact_problems(facts, rows=len(batch["weight_B"])):
        raise _unusable(path, "incident.json", found[0])
    if odd := next((name for name, array in weights.items() if array.dtype != np.float32), None):
        raise _unusable(path, "weights.safetensors", f"{quoted(odd)} has dtype {weights[odd].dtype}, expected float32")
    return Incident(path, facts, batch, weights, path / "config.yaml", bytes(proved["corpus.json"]))


def settings_of(incident: Incident) -> tuple[Config, Corpus]:
    """The settings and the corpus of a bundle, after checking that everything in it is consistent with them.

    Raises CheckpointError if it is not, or if a replay would take too much memory or time.
    """
    path, batch = incident.path, incident.batch
    try:
        config = config_of_file(incident.config_path)
    except ConfigError as error:
        more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
        raise _unusable(path, "config.yaml", error.problems[0] + more) from error
    try:
        corpus = parse_corpus(incident.corpus)
    except DataError as error:
        raise _unusable(path, "corpus.json", str(error)) from error
    channels = config.audio.mel_channels
    rows, most = len(batch["weight_B"]), config.training.batch_size
    if rows > most:
        raise _unusable(path, "batch.safetensors", f"{rows} rows, training.batch_size in config.yaml is {most}")
    if config.trains == "vocoder":
        _check_vocoder(path, batch, config, sum(array.size for array in incident.weights.values()))
        return config, corpus
    if _fields_of(batch) is not voice_batch.FIELDS:
        raise _unusable(path, "batch.safetensors", "is of a vocoder, config.yaml is of a voice model")
    tables = {
        "symbols": len(SymbolTable.from_json(corpus.symbols)),
        "speakers": len(corpus.speakers),
        "languages": len(corpus.languages),
    }
    for name, found in (("corpus.json", len(corpus.mel_mean_C)), ("batch.safetensors", batch["mel_BMC"].shape[2])):
        if found != channels:
            raise _unusable(path, name, f"{found} mel channels, audio.mel_channels in config.yaml is {channels}")
    if wrong := problems(batch, tables, finite=False):
        raise _unusable(path, "batch.safetensors", wrong[0])
    numbers = sum(array.size for array in incident.weights.values())
    tables["speakers"] = max(1, tables["speakers"])
    check_size(numbers, f"incident {quoted(str(path), 200)}", config.model, channels=channels, **tables)
    _check_work(path, batch, config.model, numbers)
    return config, corpus


def _fields_of(batch: Arrays) -> Sequence[Field]:
    """The contract of a batch: that of a vocoder if it holds a waveform."""
    return segments.FIELDS if "wave_BN" in batch else voice_batch.FIELDS


def _check_vocoder(path: Path, batch: Arrays, config: Config, weights: int) -> None:
    """Raises CheckpointError if a batch does not fit the settings of its vocoder, or these do not fit its weights."""
    if _fields_of(batch) is not segments.FIELDS:
        raise _unusable(path, "batch.safetensors", "is of a voice model, config.yaml is of a vocoder")
    frames, audio, vocoder = segments.segment_frames(config), config.audio, config.vocoder
    expected = (frames, audio.mel_channels, frames * audio.hop_samples)
    found = (*batch["mel_BMC"].shape[1:], batch["wave_BN"].shape[1])
    if found != expected:
        raise _unusable(path, "batch.safetensors", f"frames, channels and samples are {found}, expected {expected}")
    least = 2 * vocoder.blocks * vocoder.expansion * vocoder.width**2
    if least > weights:
        raise _unusable(
            path, "weights.safetensors", f"holds {weights} weights, the vocoder in config.yaml has over {least}"
        )


def _check_work(path: Path, batch: Arrays, model: ModelConfig, weights: int) -> None:
    """Raises CheckpointError if one forward and backward pass takes more memory than the machine has, or hours.

    Both are lower bounds: the activations of attention and blocks for the backward pass, and the products of every
    weight with every token or frame.
    """
    rows, tokens = batch["text_BT"].shape
    frames = batch["mel_BMC"].shape[1] + batch["target_BS"].shape[1]
    kept = tokens * model.width * 12 * model.text_blocks + 2 * tokens**2 * model.heads * model.text_blocks
    kept += frames * (4 * tokens + 10 * model.width * model.decoder_blocks // model.decoder_patch)
    reference = batch["reference_BRC"].shape[1]
    kept += reference * 3 * model.speaker_width
    needed, there = 4 * (rows * kept + 6 * weights), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    shape = f"{rows} rows of {tokens} tokens and {frames} frames with a model of {weights} weights"
    if needed > there:
        raise _unusable(
            path, "batch.safetensors", f"{shape} take {needed / 1e9:.0f} GB, this machine has {there / 1e9:.0f}"
        )
    if (products := 6 * rows * (tokens + frames + reference) * weights) > MOST_PRODUCTS:
        raise _unusable(path, "batch.safetensors", f"{shape} take {products:.1e} products, at most {MOST_PRODUCTS:.0e}")


def _unusable(path: Path, name: str, why: str) -> CheckpointError:
    return CheckpointError(f"incident {quoted(str(path), 200)}: {name}: {why}; give an intact folder of RUN/incidents")


def _content(path: Path, name: str) -> bytearray:
    try:
        return read_regular_file(path / name, LARGEST_FILES[name])
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _unusable(path, name, f"cannot be read ({reason})") from error


def _proved(path: Path, name: str, sha256: object) -> bytearray:
    content = _content(path, name)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise _unusable(path, name, "is modified: its SHA-256 differs from the one in incident.json")
    return content


def _facts(path: Path) -> dict[str, Any]:
    try:
        value = strict_json(_content(path, "incident.json"))
    except ValueError as error:
        raise _unusable(path, "incident.json", f"is not JSON ({quoted(str(error))})") from error
    if not isinstance(value, dict):
        raise _unusable(path, "incident.json", "holds no object")
    return value


def _tensors(path: Path, name: str, proved: Mapping[str, bytearray]) -> Arrays:
    try:
        return parse_tensors(np.frombuffer(proved[name], np.uint8))
    except ValueError as error:
        raise _unusable(path, name, str(error)) from error


def _storable(batch: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    return {key: np.ascontiguousarray(value) for key, value in batch.items()}


def _check_space(directory: Path, weights: Mapping[str, npt.NDArray[Any]]) -> None:
    needed = _SPARE_BYTES + sum(w.nbytes for w in weights.values())
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise StorageError(
            f"no room for an incident in {directory}: {free / 1e6:.0f} MB are free, {needed / 1e6:.0f} MB are needed"
        )


def _prune(directory: Path) -> None:
    bundles = sorted(p for p in directory.iterdir() if p.is_dir() and p.name.startswith("update-"))
    for path in bundles[KEPT_FIRST : max(KEPT_FIRST, len(bundles) - KEPT_NEWEST)]:
        shutil.rmtree(path)
