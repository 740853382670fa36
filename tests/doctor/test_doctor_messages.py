"""The language files of the repair tool: the same keys and placeholders, every message in use, safe values."""

from __future__ import annotations

import ast
import math
import re
import string
from pathlib import Path

from myxtts.data.anomalies import MEANINGS
from myxtts.doctor.findings import Certainty
from myxtts.doctor.messages import LANGUAGES, message, reasons, render, templates
from myxtts.doctor.run.checkpoints import SIGN_NAMES
from myxtts.doctor.settings.check import STABLE
from myxtts.health.tracker import Health

ROOT = Path(__file__).resolve().parents[2] / "myxtts"
FILES = [*sorted((ROOT / "doctor").rglob("*.py")), ROOT / "cli" / "fix_nan_loss.py", ROOT / "cli" / "doctor.py"]
COMPOSED = (
    {f"rank_{certainty.name.lower()}" for certainty in Certainty}
    | {f"kind_{kind}" for kind in ("settings", "dataset", "run", "checkpoint", "log")}
    | {f"health_{sign}" for sign in ("healthy", "early", "watch", "ill", "from_checkpoint", "from_metrics")}
    | {f"rung_{rung}" for rung in range(8)}
    | {f"anomaly_{kind}" for kind in list(MEANINGS)[: list(MEANINGS).index("speaking_rate")]}
)
"""Keys that the code puts together."""


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def test_both_languages_have_the_same_keys_and_placeholders() -> None:
    english, persian = (templates(language) for language in LANGUAGES)
    assert list(english) == list(persian)
    for key, text in english.items():
        assert placeholders(text) == placeholders(persian[key]), key
        assert text and persian[key] and "\n" not in text + persian[key], key
        assert not set("يك") & set(persian[key]), f"{key}: Arabic letters where Persian ones belong"


def test_every_message_is_used_and_gets_its_values() -> None:
    english, used = templates("en"), set(COMPOSED)
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant):
                used.add(str(node.value))
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name, key = ast.unparse(node.func).split(".")[-1], node.args[0]
            if name in ("message", "print") and isinstance(key, ast.Constant):
                given = {keyword.arg for keyword in node.keywords}
                wanted = placeholders(english[str(key.value)]) - {"python"}
                assert None in given or wanted == given, f"{path}:{node.lineno}: {wanted ^ given}"
    assert set(english) <= used


def test_every_sign_of_health_has_a_name() -> None:
    health = Health()
    health.observe_voices(1, 0.1)
    health.set_people(1)
    health.observe_validation(1, 1.0, (1, 1.0))
    health.observe_validation(2, math.nan, (1, 1.0))
    assert {check.name for check in health.verdict().checks} == set(SIGN_NAMES)


def test_every_reason_of_the_stable_level_is_translated() -> None:
    assert set(reasons("fa")) == {override.reason for override in STABLE.values()}
    assert all(re.search(r"[\u0600-\u06ff]", text) for text in reasons("fa").values())


def test_a_value_cannot_forge_a_line_or_change_the_direction_of_writing() -> None:
    unknown = message("unknown_key", written="a\nerror: b\x1b[2J\u202e")
    assert "a\\nerror: b\\x1b[2J\\u202e" in render(unknown, "en")
    assert "\n" not in render(unknown, "fa") and "\u202e" not in render(unknown, "fa")
    assert render(message("note", text="می‌رود {x} 8e-05"), "fa") == "می‌رود {x} 8e-05"
