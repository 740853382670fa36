"""The table of sentences: both languages whole, with the same placeholders, and every sentence in use."""

from __future__ import annotations

import ast
import math
import re
import string
from pathlib import Path

import pytest

from myxtts.doctor.checkpoints import SIGN_NAMES
from myxtts.doctor.findings import Rank, said
from myxtts.doctor.language import SENTENCES, words
from myxtts.doctor.rules import STABLE
from myxtts.doctor.sentences_reasons import REASONS
from myxtts.health import Health

ROOT = Path(__file__).resolve().parents[2] / "myxtts"
FILES = [*sorted((ROOT / "doctor").glob("*.py")), ROOT / "cli" / "fix_nan_loss.py", ROOT / "cli" / "doctor.py"]
MADE = (
    {f"rank_{rank.name.lower()}" for rank in Rank}
    | {f"kind_{kind}" for kind in ("settings", "dataset", "run", "checkpoint", "log")}
    | {f"health_{sign}" for sign in ("healthy", "watch", "ill")}
    | {"health_from_checkpoint", "health_from_metrics"}
    | {f"rung_{rung}" for rung in range(8)}
)
"""Names that are put together."""


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def names_in_the_code() -> set[str]:
    found = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and not path.name.startswith("sentences_"):
                found.add(str(node.value))
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("said", "say", "words"):
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant) and isinstance(first.value, str) and path.parent.name == "doctor":
                    assert first.value in SENTENCES, f"{path}:{node.lineno}: {first.value}"
                    given = {keyword.arg for keyword in node.keywords}
                    wanted = placeholders(SENTENCES[first.value][0]) - {"python"}
                    assert None in given or wanted == given, f"{path}:{node.lineno}: {wanted ^ given}"
    return found


@pytest.mark.parametrize("name", SENTENCES)
def test_both_languages_say_the_same(name: str) -> None:
    english, persian = SENTENCES[name]
    assert placeholders(english) == placeholders(persian)
    assert english and persian and "\n" not in english + persian
    assert not set("يك") & set(persian), "Arabic letters where Persian ones belong"
    wordless = not re.sub(r"\{\w+\}", "", english).strip(" ()[]:.,->")
    command = english.startswith("{python}")
    if name not in ("change", "change_same", "plan_lowered") and not wordless and not command:
        assert re.search(r"[\u0600-\u06ff]", persian), "not Persian"


def test_every_sentence_is_used_and_every_one_used_is_there() -> None:
    assert set(SENTENCES) - names_in_the_code() - MADE == set()
    assert set(SENTENCES) >= MADE


def test_every_sign_of_health_has_a_name() -> None:
    health = Health()
    health.observe_voices(1, 0.1)
    health.know_people(1)
    health.observe_validation(1, math.nan)
    checks = {check.name for check in health.verdict().checks}
    assert checks == set(SIGN_NAMES) and set(SIGN_NAMES.values()) <= set(SENTENCES)


def test_every_reason_of_the_stable_level_has_its_persian() -> None:
    assert set(REASONS) == {override.reason for override in STABLE.values()}
    assert all(re.search(r"[\u0600-\u06ff]", persian) and not set("يك") & set(persian) for persian in REASONS.values())


def test_a_value_cannot_forge_a_line_or_turn_the_writing() -> None:
    sentence = said("unknown_key", written="a\nerror: b\x1b[2J\u202e")
    assert words(sentence, "en") == "a\\nerror: b\\x1b[2J\\u202e is no setting of any kind"
    assert "\n" not in words(sentence, "fa") and "\u202e" not in words(sentence, "fa")


def test_persian_words_keep_their_joiners_and_braces_in_values_mean_nothing() -> None:
    assert words(said("note", text="می‌رود {x} 8e-05"), "fa") == "می‌رود {x} 8e-05"
    assert words(said("reset_moments", count=3), "fa").startswith("3 گشتاور")
