"""Incident bundles: a bad micro-batch on the disk with all that computing it again needs.

    RUN/incidents/update-0000123-micro-000456/
        incident.json           what happened, seeds, knobs, hashes
        batch.safetensors       the arrays of the micro-batch, as they were
        weights.safetensors     the weights that it met
        config.yaml, corpus.json

No path of this machine is in it. `python -m myxtts replay BUNDLE` computes it again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from myxtts.errors import CheckpointError, StorageError
from myxtts.storage.files import fsync_directory, storage_error, strict_json, temporary_name, write_text_atomic
from myxtts.storage.tensors import parse_tensors, write_tensors
from myxtts.training.blame import Blame
from myxtts.training.losses import TERMS

KEPT_FIRST, KEPT_NEWEST = 2, 3
"""Of all bundles of a run the first show how it began, the newest how it stands."""
_SPARE_BYTES = 64 << 20
FORMAT = 1
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Incident:
    """A bundle that was read."""

    path: Path
    facts: Mapping[str, Any]
    batch: Arrays
    weights: Arrays
    config_path: Path
    corpus: Mapping[str, Any]


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
        blame: what was found, with the micro-batch.
        update: number of the update that was tried.
        cause: in words.
        utterances: ids of the utterances that `blame` names.
        rows: id of every row of the batch, empty for one that only fills.
        weights: path -> values that the micro-batch met.
        texts: config.yaml and corpus.json.
        loss_scale: of fp16, else 1.
        most_norm: of a spike, the gradient norm that is too much for one utterance.

    Raises:
        StorageError: the disk refuses; nothing is left behind.
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
                "knobs": _plain(micro.knobs, len(micro.real_B)),
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
    """The bundle in the folder `path`. Raises CheckpointError for what is no whole bundle."""
    try:
        facts = strict_json((path / "incident.json").read_bytes())
        if not isinstance(facts, dict):
            raise ValueError("incident.json holds no object")
        if facts["format"] != FORMAT:
            raise CheckpointError(
                f"incident {path}: incident.json is of format {facts['format']!r}, this program reads {FORMAT}: "
                "take the program that wrote it"
            )
        arrays = {stem: _read_tensors(path, stem, facts["sha256"][stem]) for stem in ("batch", "weights")}
        corpus = strict_json(_read_text(path, "corpus.json", facts["sha256"]))
        _read_text(path, "config.yaml", facts["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"incident {path}: no whole bundle ({type(error).__name__}: {str(error)[:100]}); "
            "give a folder of RUN/incidents"
        ) from error
    if not isinstance(corpus, dict):
        raise CheckpointError(f"incident {path}: corpus.json holds no object; give another bundle")
    return Incident(path, facts, arrays["batch"], arrays["weights"], path / "config.yaml", corpus)


def _read_tensors(path: Path, stem: str, sha256: str) -> Arrays:
    content = np.fromfile(path / f"{stem}.safetensors", np.uint8)
    if hashlib.sha256(content.tobytes()).hexdigest() != sha256:
        raise ValueError(f"{stem}.safetensors is altered")
    return parse_tensors(content)


def _read_text(path: Path, name: str, hashes: Mapping[str, str]) -> bytes:
    content = (path / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != hashes[name]:
        raise ValueError(f"{name} is altered")
    return content


def knobs_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of Step.micro, from what `write` kept of them."""
    kept = facts["knobs"]
    return {
        "seed": tuple(kept["seed"]),
        "prior_strength": kept["prior_strength"],
        # an incident of before a term was there
        "weights": kept["weights"] and {**dict.fromkeys(TERMS, 0.0), **kept["weights"]},
        "term_fault": {t: np.array([_number(x) for x in f], np.float32) for t, f in kept["term_fault"].items()},
        "group_fault": {g: _number(f) for g, f in kept["group_fault"].items()},
    }


def _plain(knobs: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """Knobs as JSON values; a factor that is not finite is written as a word."""
    term_fault = knobs.get("term_fault") or {}
    spread = {t: np.broadcast_to(np.asarray(f, np.float32), [rows]) for t, f in term_fault.items() if t in TERMS}
    return {
        "seed": [int(x) for x in knobs["seed"]],
        "prior_strength": float(knobs["prior_strength"]),
        "weights": dict(knobs["weights"]) if knobs.get("weights") else None,
        "term_fault": {t: [_word(x) for x in f] for t, f in spread.items()},
        "group_fault": {g: _word(f) for g, f in (knobs.get("group_fault") or {}).items()},
    }


def _word(value: float) -> float | str:
    return float(value) if np.isfinite(value) else str(float(value))


def _number(value: float | str) -> float:
    return float(value)


def _storable(batch: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    return {key: np.ascontiguousarray(value) for key, value in batch.items()}


def _check_space(directory: Path, weights: Mapping[str, npt.NDArray[Any]]) -> None:
    needed = _SPARE_BYTES + sum(w.nbytes for w in weights.values())
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise StorageError(
            f"no room for an incident in {directory}: {free / 1e6:.0f} MB are free and {needed / 1e6:.0f} MB are needed"
        )


def _prune(directory: Path) -> None:
    bundles = sorted(p for p in directory.iterdir() if p.is_dir() and p.name.startswith("update-"))
    for path in bundles[KEPT_FIRST : max(KEPT_FIRST, len(bundles) - KEPT_NEWEST)]:
        shutil.rmtree(path)
