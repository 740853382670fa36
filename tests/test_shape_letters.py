"""The letters that end names of arrays, as in mel_BMC, against the table in myxtts/batch.py: one meaning for each."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from sources import PACKAGE, package_files, tree_of

from myxtts import batch

SUFFIX = re.compile(r"_?[a-z][a-z0-9_]*_(?P<letters>[A-Z0-9]+)")
LETTERS = set(re.findall(r"^    ([A-Z]) {3}\S", batch.__doc__ or "", re.M))

# What a test can see of a meaning: the shapes in which a letter occurs, the parts of the package that have such a
# dimension, and words that contradict it.
SHAPES = {"N": r"[AB]?N", "P": r"P\d?", "S": r"B?S[DCTU\d]*"}
PARTS = {
    "G": {"training"},
    "H": {"models"},
    "I": {"audio", "models"},
    "J": {"models", "training"},
    "K": {"training"},
    "L": {"models", "training"},
    "P": {"audio"},
    "W": {"training"},
}
OTHER_MEANINGS = {
    "N": {"clip", "clips", "length", "loss", "mel", "seen", "text"},
    "S": {"drawn", "prosody", "speaker", "spectrum", "style", "voice"},
}

ALLOWED: dict[str, set[str]] = {
    "audio/distances.py": {"difference_PK", "made_MK", "one_MK", "other_MK", "true_MK"},
    "audio/drawing.py": {"shades_HW", "values_HW"},
    "audio/likeness.py": {"voice_NE"},
    "audio/pitch.py": {"hz_MK", "octaves_MK", "strength_MK", "voiced_MK"},
    "doctor/history.py": {"loss_N", "seen_N"},
    "models/generate.py": {"length_N", "reference_NRC", "voice_NE"},
    "models/layers.py": {"frequency_K", "x_BTHK"},
    "synthesis/random_voice.py": {"deviation_KE", "direction_KE", "length_K", "variance_K"},
    "synthesis/references.py": {"length_N", "mel_NRC"},
    "synthesis/voice_file.py": {"style_S"},
    "synthesis/voices.py": {"drawn_S", "length_N", "mel_NRC", "style_ZS"},
}
"""Names that break the rules, by file. To be renamed; nothing may be added."""


def names(tree: ast.AST) -> Iterator[str]:
    """Names of the variables, arguments, attributes and keyword arguments in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, (ast.arg, ast.keyword)):
            yield node.arg or ""
        elif isinstance(node, ast.Attribute):
            yield node.attr


def problem(part: str, name: str) -> str | None:
    """What is wrong with a name in a part of the package, or None."""
    found = SUFFIX.fullmatch(name)
    if found is None:
        return None
    letters, words = found["letters"], set(name.lower().split("_"))
    for letter in letters:
        if letter.isalpha() and letter not in LETTERS:
            return f"{letter} is not in the table"
        if part not in PARTS.get(letter, {part}):
            return f"{letter} does not occur in {part}"
        if not re.fullmatch(SHAPES.get(letter, ".*"), letters):
            return f"{letter} does not occur in this position"
        if contradiction := words & OTHER_MEANINGS.get(letter, set()):
            return f"{letter} does not mean {sorted(contradiction)[0]}"
    return None


def problems(path: Path) -> dict[str, str]:
    """The names in a file that break the rules, with what is wrong."""
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    found = {name: problem(part, name) for name in names(tree_of(path))}
    return {name: what for name, what in found.items() if what is not None}


def test_the_table_has_every_letter_of_the_batch_fields() -> None:
    assert {letter for field in batch.FIELDS for letter in field.letters} <= LETTERS
    assert len(LETTERS) >= 20


def test_every_suffix_follows_the_table() -> None:
    found = {path.relative_to(PACKAGE).as_posix(): problems(path) for path in package_files()}
    wrong = [
        f"{file}: {name}: {what}"
        for file, of_file in found.items()
        for name, what in of_file.items()
        if name not in ALLOWED.get(file, set())
    ]
    assert not wrong, "\n".join(sorted(wrong))
    stale = [f"{file}: {name}" for file, allowed in ALLOWED.items() for name in allowed - set(found.get(file, ()))]
    assert not stale, f"remove from ALLOWED: {sorted(stale)}"


def test_rules_find_wrong_letters() -> None:
    for part, name in (("data", "speaker_spectrum_SC"), ("data", "loss_N"), ("models", "x_BX"), ("data", "terms_K")):
        assert problem(part, name), name
    for part, name in (("models", "mel_BSC"), ("audio", "samples_N"), ("training", "terms_KB"), ("data", "MAX_SIZE")):
        assert problem(part, name) is None, name
