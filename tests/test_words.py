"""Words that the documentation and the program's texts avoid: private terms for which the field has its own."""

from __future__ import annotations

import re
from pathlib import Path

from myxtts.cli import docs
from myxtts.config.document import meanings
from myxtts.config.presets import BUILT_IN_CORPUS_OVERRIDES, LEVEL_SUMMARIES, LEVELS

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "README.fa.md", "CHANGELOG.md", "CONTRIBUTING.md", "bench/README.md", "docs")
"""Pages, and folders of pages."""
BANNED = {
    r"(is |are |was |were |be )?told|tells": "conditioned on; say, report, print",
    r"tell\w* apart": "speaker verification (equal error rate)",
    r"heard|hears|unheard": "encodes, sees",
    r"by heart": "overfits",
    r"mend(s|ed|ing)?": "fix",
    r"anew": "again, reset",
    r"of before": "older, previous",
    r"to the bit": "bit-exact",
    r"refus(e|es|ed|al|als)": "skipped (of an update), rejected",
    r"likeness(es)?": "speaker similarity",
    r"melod(y|ies)": "intonation",
    r"strangers?": "unseen speaker",
    r"foretold": "predicted",
    r"manner": "style",
    r"parted by": "separated by",
    r"shall": "must, will",
}
"""Expression for words -> what to write."""
WORDS = {re.compile(rf"\b(?:{words})\b", re.I): advice for words, advice in BANNED.items()}
CODE = re.compile(r"^ *```.*?^ *```$|`[^`\n]*`|<!--.*?-->", re.M | re.S)


def findings(place: str, text: str) -> list[str]:
    """The avoided words of a text, one line each with their place."""
    return [
        f"{place}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]!r}; write: {advice}"
        for words, advice in WORDS.items()
        for match in words.finditer(text)
    ]


def without_code(markdown: str) -> str:
    """Markdown without its code, which may quote names and output; lines keep their numbers."""
    return CODE.sub(lambda match: "\n" * match[0].count("\n"), markdown)


def pages() -> list[Path]:
    return [page for name in PAGES for page in ([ROOT / name] if name.endswith(".md") else (ROOT / name).rglob("*.md"))]


def test_pages() -> None:
    found = [line for page in pages() for line in findings(str(page), without_code(page.read_text(encoding="utf-8")))]
    assert found == []


def test_help_texts() -> None:
    assert findings("--help", docs.pages()["commands.md"]) == []


def test_settings_and_levels() -> None:
    overrides = [*BUILT_IN_CORPUS_OVERRIDES, *(override for level in LEVELS.values() for override in level)]
    texts = {**meanings(), **LEVEL_SUMMARIES, **{f"reason of {o.key}": o.reason for o in overrides}}
    assert [line for place, text in texts.items() for line in findings(place, text)] == []


def test_a_word_is_found_with_its_line() -> None:
    (found,) = findings("x", without_code("fine\n`told`\nis told"))
    assert found.startswith("x:3: 'is told'; write: conditioned on")
