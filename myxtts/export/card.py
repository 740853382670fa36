"""The model card: contents, data, evaluation, intended and prohibited use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from myxtts import __version__
from myxtts.evaluation.document import table
from myxtts.export.source import Source
from myxtts.messages import escaped
from myxtts.storage.files import strict_json
from myxtts.storage.run_directory import RunDirectory

_USE = """## Intended use

Speech synthesis in voices whose owners have agreed to it: reading aloud, assistive technology, voices of one's own
products, research.

## Prohibited use

- Cloning or imitating a voice without the consent of its owner.
- Impersonation, fraud, and any attempt to pass voice authentication.
- Harassment, and disinformation.
- Presenting the speech as a recording of a person: tell listeners that it is synthetic.
"""


def model_card(source: Source, contents: Mapping[str, str], license_name: str, front_matter: bool = False) -> str:
    """A card in Markdown.

    Args:
        source: the model.
        contents: name of each file -> what it is.
        license_name: licence of the weights; empty where none was stated.
        front_matter: begin with the metadata that Hugging Face reads.
    """
    opened = source.opened
    corpus, config = opened.corpus, opened.config
    languages = ", ".join(corpus.languages)
    voices = ", ".join(escaped(named.name) for named in source.voices) or "none; a recording of a voice is needed"
    stated = escaped(license_name) or "not stated by whoever exported it; ask before you use or pass on the weights"
    lines = [
        "# A MyXTTS voice model",
        "",
        f"Text to speech by MyXTTS {__version__}: {config.model.decoder} decoder, {config.audio.sample_rate_hz} Hz.",
        "",
        "| | |",
        "| --- | --- |",
        f"| languages | {languages} |",
        f"| voices | {voices} |",
        f"| training data | {opened.speaker_count} voices, {languages}; update {opened.update} |",
        f"| licence of the weights | {stated} |",
        "",
        "## Files",
        "",
        *(f"- `{name}`: {meaning}" for name, meaning in contents.items()),
        "",
        "## Figures",
        "",
        *_figures(source),
        "",
        _USE,
    ]
    return "\n".join([*(_front_matter(source, license_name) if front_matter else []), *lines])


def _front_matter(source: Source, license_name: str) -> list[str]:
    codes = dict.fromkeys(code.partition("-")[0] for code in source.opened.corpus.languages)
    return [
        "---",
        f"license: {json.dumps(license_name or 'other')}",
        "language:",
        *(f"- {json.dumps(code)}" for code in codes),
        "pipeline_tag: text-to-speech",
        "library_name: myxtts",
        "tags:",
        *(f"- {tag}" for tag in ("tensorflow", "onnx", "text-to-speech", "voice-cloning")),
        "---",
        "",
    ]


def _figures(source: Source) -> list[str]:
    """The newest evaluation of this checkpoint in its run, as a table."""
    result = _evaluation(source)
    if result is None:
        return ["Not evaluated (`myxtts evaluate`)."]
    head, *rows = table(result)
    return [
        f"{len(result['clips'])} clips, split {result['split']}, of the checkpoint at update {result['update']}.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + " --- |" * len(head),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def _evaluation(source: Source) -> dict[str, Any] | None:
    steps = source.opened.path.absolute().parent
    if steps.name != "checkpoints":
        return None
    found = sorted(RunDirectory(steps.parent).evaluations_path.glob("*/evaluation.json"))
    for path in reversed(found):
        try:
            result = strict_json(path.read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(result, dict) and result.get("update") == source.opened.update and "clips" in result:
            return result
    return None
