"""Models on Hugging Face (extra `hub`): the files of an exported folder, from the local cache or the network."""

from __future__ import annotations

from pathlib import Path

from myxtts.errors import CheckpointError
from myxtts.messages import quoted
from myxtts.runtime.folder import CARD, CONFIG, ENCODER, TEXT_TO_MEL, VOCODER, VOCODER_WEIGHTS, VOICES

_FILES = [CONFIG, TEXT_TO_MEL, ENCODER, VOICES, VOCODER, VOCODER_WEIGHTS, CARD]


def downloaded(name: str) -> Path:
    """The folder of the model `owner/name`. Raises CheckpointError, one line, where it cannot be had."""
    folder = f"the folder {quoted(name)} does not exist"
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError
    except ModuleNotFoundError:
        raise CheckpointError(
            f"{folder}; name an existing one, or, for a model on Hugging Face, run `pip install 'myxtts[hub]'`"
        ) from None
    try:
        return Path(snapshot_download(name, allow_patterns=_FILES))
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise CheckpointError(
            f"{folder}, and Hugging Face does not give it ({reason}); without network put the exported files into that "
            "folder"
        ) from error
