"""An incident bundle of a tiny model, written without training one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from made_model import corpus, resolved, weights

from myxtts import batch as contract
from myxtts.config.files import config_yaml
from myxtts.data.loader import Loaded
from myxtts.training.accumulation import Micro
from myxtts.training.recovery import incidents
from myxtts.training.recovery.blame import Blame

ROWS, TOKENS, FRAMES, REFERENCE = 2, 4, 16, 8


def make_batch() -> contract.Batch:
    """Two rows of zeros that keep the contract."""
    sizes = {"B": ROWS, "T": TOKENS, "M": FRAMES, "S": FRAMES, "R": REFERENCE, "C": 80, "Q": 3}
    made = {f.key: np.zeros([sizes[letter] for letter in f.letters], f.dtype) for f in contract.FIELDS}
    lengths = {"text_length_B": TOKENS, "mel_length_B": FRAMES, "target_length_B": FRAMES, "reference_length_B": 8}
    for key, length in lengths.items():
        made[key][:] = length
    made["text_BT"][:] = [5, 6, 7, 8]
    made["target_BS"][:] = np.arange(FRAMES)
    made["weight_B"][:] = 1.0
    return made


def write_bundle(directory: Path) -> Path:
    """A bundle in `directory`, as a training would write it."""
    settings = config_yaml(resolved(training__batch_size=ROWS))
    knobs: dict[str, Any] = {"seed": (1, 2), "prior_strength": 0.5, "weights": None}
    result: Any = None  # no bundle holds it
    micro = Micro(12, Loaded(0, 2, make_batch(), False), result, knobs)
    return incidents.write(
        directory,
        Blame(("mel",), (0,), (), micro, True),
        update=3,
        cause="the loss is not finite",
        utterances=["a"],
        rows=["a", "b"],
        weights=weights("regression"),
        texts={"config.yaml": settings, "corpus.json": json.dumps(corpus().to_json())},
        loss_scale=1.0,
        most_norm=None,
    )


def sign(bundle: Path) -> Path:
    """The bundle, with the hashes of its files as they are now in incident.json."""
    path = bundle / "incident.json"
    facts = json.loads(path.read_text())
    for name in ("batch.safetensors", "weights.safetensors", "config.yaml", "corpus.json"):
        facts["sha256"][name.removesuffix(".safetensors")] = hashlib.sha256((bundle / name).read_bytes()).hexdigest()
    path.write_text(json.dumps(facts))
    return bundle
