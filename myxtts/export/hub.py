"""`--format hub`: a folder for Hugging Face: the onnx folder, the weights, a sample of each voice, and a card."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from myxtts.audio.waveform import write_wav
from myxtts.errors import ConfigError
from myxtts.export.card import model_card
from myxtts.export.onnx_folder import CONTENTS, write_folder
from myxtts.export.source import Source
from myxtts.runtime.folder import CARD
from myxtts.storage.tensors import write_tensors
from myxtts.synthesis.synthesizer import Synthesizer

WEIGHTS_NAME, SAMPLES = "model.safetensors", "samples"
_NOT_PUBLISHED = "/critic/", "voice_heads/speaker"
"""Weights that synthesis does not need: the critic, and the table of the training speakers, which are voices."""
_TEXTS = {
    "en": "The rain had stopped before the train came in, and nobody was there.",
    "fa": "امروز هوا بسیار خوب است و همه به پارک رفته‌اند.",
}


def write_hub(folder: Path, source: Source, weights: str, license_name: str) -> list[str]:
    """Writes the folder and speaks its samples with the exported model. Returns lines for the user.

    Raises ConfigError without a licence: what is published needs one.
    """
    if not license_name:
        raise ConfigError("--license is missing; name the licence under which the weights are published")
    lines = write_folder(folder, source, weights, license_name)
    average = source.opened.average
    kept = {name: np.asarray(array, np.float32) for name, array in average.items()
            if not any(part in name for part in _NOT_PUBLISHED)}  # fmt: skip
    write_tensors(folder / WEIGHTS_NAME, kept, {"format": "myxtts"})
    contents = {**CONTENTS, WEIGHTS_NAME: "the averaged weights"}
    texts = {code: _TEXTS[code.partition("-")[0]] for code in source.opened.corpus.languages
             if code.partition("-")[0] in _TEXTS}  # fmt: skip
    if source.voices and texts:
        code, text = next(iter(texts.items()))
        (folder / SAMPLES).mkdir()
        synthesizer = Synthesizer.load(folder)
        for number, named in enumerate(source.voices, start=1):
            speech = synthesizer.speak(text, speaker=named.name, language=code)
            write_wav(folder / SAMPLES / f"{number}.wav", speech.samples, speech.sample_rate_hz)
        contents[f"{SAMPLES}/"] = "one sentence in each voice"
    (folder / CARD).write_text(model_card(source, contents, license_name, front_matter=True), encoding="utf-8")
    return lines
