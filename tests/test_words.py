"""Words that the documentation and the program's texts avoid: private terms for which the field has its own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from sources import program_files, tree_of

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
    r"(micro-batch(es)?|updates?) (was |were )?(dropped|left out)": "skipped",
    r"spoil(s|ed|t)?": "damaged, not finite",
    r"(go|goes|going|went|gone) on": "continue, resume",
    r"all the same": "nevertheless, anyway",
    r"in the place of": "instead of",
    r"otherwise than": "differently from",
    r"at hand": "available",
}
"""Expression for words -> what to write."""
WORDS = {re.compile(rf"\b(?:{words})\b", re.I): advice for words, advice in BANNED.items()}
ANY = re.compile(rf"\b(?:{'|'.join(BANNED)})\b", re.I)
CODE = re.compile(r"^ *```.*?^ *```$|`[^`\n]*`|<!--.*?-->", re.M | re.S)
COMMENT = re.compile(r"(?:^|[\s\"'])#+ (.*)")

SPOKEN = ROOT / "myxtts/demo/sentences.py"
"""Its strings are sentences to be spoken."""
MARKUP = re.compile(r"<style.*?</style>|<script.*?</script>|\{[{%#].*?[}%#]\}|<[^>]*>", re.S)


def findings(place: str, text: str) -> list[str]:
    """The avoided words of a text, one line each with their place."""
    if not ANY.search(text):  # ten times faster than each expression by itself
        return []
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


def sentences(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, text) of the strings of a module that have a space: messages, help, notes. Docstrings are not among them.

    The parts of an f-string between its values count one by one.
    """
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) not in docs and isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from [(node.lineno, node.value)] if " " in node.value.strip() else []


def template_texts(path: Path) -> Iterator[tuple[str, str]]:
    """(name of the place, text) of a file of messages or a page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".yaml":
        yield from ((f"{path}: {key}", str(value)) for key, value in yaml.safe_load(text).items())
    else:
        yield str(path), MARKUP.sub(lambda match: "\n" * match[0].count("\n"), text)


def test_messages_and_other_strings_of_the_program() -> None:
    found = []
    for path in program_files():
        if path != SPOKEN:
            for line, text in sentences(tree_of(path)):
                found += findings(f"{path} from line {line}", text)
    assert found == []


def explanations(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of the docstrings and comments of a module."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        yield from ((number, text) for text in COMMENT.findall(line))


def test_docstrings_and_comments() -> None:
    paths = [path for path in (*program_files(), *(ROOT / "tests").rglob("*.py")) if path != Path(__file__)]
    found = []
    for path in paths:
        for line, text in explanations(path):
            found += findings(f"{path} from line {line}", without_code(text))
    assert len(paths) > 500 and found == []


NAMES_TO_AVOID = {"anew", "asked", "foretold", "heard", "hearing", "manner", "mend", "strangers", "told"}


def test_names() -> None:
    found = []
    for path in program_files():
        for node in ast.walk(tree_of(path)):
            name = getattr(node, "name", None) or getattr(node, "arg", None) or getattr(node, "id", None) or ""
            if NAMES_TO_AVOID & set(str(name).lower().split("_")):
                found.append(f"{path}: {name}")
    assert found == []


def test_templates() -> None:
    paths = [path for ending in ("yaml", "j2", "html") for path in sorted((ROOT / "myxtts").rglob(f"*.{ending}"))]
    assert len(paths) >= 3
    texts = [text for path in paths for text in template_texts(path)]
    assert [line for place, text in texts for line in findings(place, text)] == []


def test_strings_are_found_and_docstrings_are_not() -> None:
    module = 'def f():\n    """It is told."""\n    raise ValueError(\n        f"{x} is "\n        "heard", "told")'
    assert list(sentences(ast.parse(module))) == [(4, " is heard")]


def test_a_word_is_found_with_its_line() -> None:
    (found,) = findings("x", without_code("fine\n`told`\nis told"))
    assert found.startswith("x:3: 'is told'; write: conditioned on")
