"""Home Assistant's protocol through the bridge wyoming-openai, with the protocol's own client.

MYXTTS_WYOMING_PYTHON names a Python (3.12 or newer) that has wyoming-openai; without one the test is skipped.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import made_model
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytestmark = pytest.mark.slow

from myxtts.synthesis import Synthesizer  # noqa: E402
from tests.server.served import served  # noqa: E402

TEXT = "A good day to all of you."


def test_a_wyoming_client_lists_the_voices_and_gets_speech(tmp_path: Path) -> None:
    python = os.environ.get("MYXTTS_WYOMING_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import wyoming_openai"], capture_output=True, check=False).returncode:
        pytest.skip("wyoming-openai is not installed; set MYXTTS_WYOMING_PYTHON")
    synthesizer = Synthesizer.load(made_model.save_run(tmp_path / "run", made_model.resolved()))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with served(synthesizer) as url:
        words = [python, "-m", "wyoming_openai", "--uri", f"tcp://127.0.0.1:{port}", "--languages", "en", "fa",
                 "--tts-openai-url", f"{url}/v1", "--tts-openai-key", "none", "--tts-models", "myxtts",
                 "--tts-backend", "KOKORO_FASTAPI"]  # fmt: skip
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as bridge:
            try:
                child = [python, str(Path(__file__).with_name("wyoming_child.py")), str(port), "bob", TEXT]
                done = subprocess.run(child, capture_output=True, text=True, timeout=120, check=False)
            finally:
                bridge.terminate()
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["voices"] == ["ann", "bob", "cleo"] and found["last"] == "audio-stop"
    exact = len(synthesizer.speak(TEXT, speaker="bob").samples)
    assert found["rate"] == 22_050 and found["samples"] == exact
