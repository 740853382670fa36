"""Both pages on trouble held against the program: every message in them is put together from the program's own strings.

A block of a page names the modules that print it. A line of it holds if nearly every word comes from a string of these
modules whose fixed parts all stand in the line, in order. A message that is changed in the program then leaves words
in the page that no string explains.
"""

from __future__ import annotations

import ast
import errno
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from myxtts import errors
from myxtts.doctor.messages import templates as doctor_messages

ROOT = Path(__file__).resolve().parents[1]
ENGLISH, PERSIAN = "docs/troubleshooting.md", "docs/troubleshooting.fa.md"
BLOCK = re.compile(r"(?:^<!-- printed by: ([a-z_/ ]+) -->\n)?^```(\w*)\n(.*?)^```$", re.M | re.S)
SPOKEN_BY_OTHERS = [os.strerror(errno.ENOSPC), os.strerror(errno.EACCES), "Format not recognised"]
"""Words of the system and of libsndfile inside our messages."""
VALUE = "\0"
MOST_UNKNOWN_WORDS = 1
"""Of a value, such as the name of a loss term, between words that the program's strings explain."""


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[tuple[str, str, str]]:
    """(modules, language, content) of every fenced block of a page."""
    return BLOCK.findall(text(page))


def messages(page: str) -> list[tuple[str, str]]:
    """(modules, content) of the blocks that show what the program prints."""
    return [(modules, content) for modules, language, content in blocks(page) if not language]


def strings_of(tree: ast.Module) -> Iterator[str]:
    """Every string of a module but its docstrings, with VALUE where a value is put in."""
    inner = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inner |= {id(value) for value in node.values}
            inner |= {id(v.format_spec) for v in node.values if isinstance(v, ast.FormattedValue)}
    for node in ast.walk(tree):
        if id(node) in inner:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(v.value) if isinstance(v, ast.Constant) else VALUE for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"\{\w*\}", VALUE, node.value)


def strings_in(module: str) -> Iterator[str]:
    """Every string of a module; the messages of the repair tool are in their language file."""
    if module == "doctor/sentences_runs":
        yield from (re.sub(r"\{\w*\}", VALUE, text) for text in doctor_messages("en").values())
    else:
        yield from strings_of(ast.parse((ROOT / "myxtts" / f"{module}.py").read_text(encoding="utf-8")))


@cache
def templates(module: str) -> list[tuple[str, ...]]:
    """The fixed parts of each line of a module's strings that says something: two words, or a long one and a value."""
    found = set()
    for string in strings_in(module):
        for line in string.splitlines():
            words = re.findall(r"[A-Za-z]{2,}", line)
            if len(words) > 1 or (VALUE in line and any(len(word) > 3 for word in words)):
                found.add(tuple(part for part in line.split(VALUE) if part))
    return sorted(found)


def explained(line: str, modules: str) -> list[bool]:
    """For each character of a line whether a string of the modules explains it."""
    known = [False] * len(line)

    def mark(start: int, end: int) -> None:
        known[start:end] = [True] * (end - start)

    for module in modules.split():
        for parts in templates(module):
            if all(part in line for part in parts):
                pattern = ".*?".join(f"({re.escape(part)})" for part in parts)
                for match in re.finditer(f"(?={pattern})", line):  # a look ahead: from every place where it begins
                    for number in range(1, len(parts) + 1):
                        mark(*match.span(number))
    for words in SPOKEN_BY_OTHERS:
        for match in re.finditer(re.escape(words), line):
            mark(*match.span())
    if prefix := re.match(r"(error|warning|note): ", line):
        mark(*prefix.span())
    for match in re.finditer(r"(?<![\w'])'[^']*'|\"[^\"]*\"", line):  # a value as repr shows it
        mark(*match.span())
    return known


def unexplained(line: str, modules: str) -> list[str]:
    """Stretches of a line with more plain words than a value has."""
    known = explained(line, modules)
    rest = "".join("\0" if is_known else character for character, is_known in zip(line, known, strict=True))
    found = []
    for stretch in rest.split("\0"):
        plain = [word for word in stretch.split() if re.fullmatch(r"[A-Za-z]{2,}", word.strip(".,:;()[]"))]
        if len(plain) > MOST_UNKNOWN_WORDS:
            found.append(stretch.strip())
    return found


@pytest.mark.parametrize("modules,content", messages(ENGLISH))
def test_every_message_is_the_programs_own(modules: str, content: str) -> None:
    assert modules, f"no mark says who prints this:\n{content}"
    for line in content.splitlines():
        assert unexplained(line, modules) == [], f"{modules}: {line}"
    said = sum(sum(explained(line, modules)) for line in content.splitlines())
    assert said > 0.3 * len(content), f"{modules}: hardly a word of theirs in\n{content}"


def test_a_changed_word_is_noticed() -> None:
    tried, missed = 0, []
    for modules, content in messages(ENGLISH):
        for line in content.splitlines():
            known = explained(line, modules)
            for match in re.finditer(r"(?<![\w'/.-])[a-z]{4,}(?![\w'/.])", line):
                if all(known[slice(*match.span())]):
                    tried += 1
                    changed = f"{line[: match.start()]}quite otherwise{line[match.end() :]}"
                    if not unexplained(changed, modules):
                        missed.append((match[0], line))
    assert tried > 500
    assert len(missed) < 0.02 * tried, missed


def test_both_pages_have_the_same_blocks_in_the_same_order() -> None:
    assert blocks(ENGLISH) == blocks(PERSIAN)


def shape(page: str) -> list[str]:
    """What stands in which order: headings by level, blocks, tables by columns, paragraphs that begin in bold."""
    found = []
    for line in BLOCK.sub("```", text(page)).splitlines():
        if match := re.match(r"#+ |```|\|", line):
            found.append(match[0] if match[0] != "|" else f"| {line.count('|')}")
        elif line.startswith("**"):
            found.append("**")
    return found


def test_every_heading_and_paragraph_has_its_twin() -> None:
    assert shape(ENGLISH) == shape(PERSIAN)


def test_twins_name_the_same_commands_options_and_settings() -> None:
    pages = [re.split(r"^#+ ", BLOCK.sub("", text(page)), flags=re.M) for page in (ENGLISH, PERSIAN)]
    for english, persian in zip(*pages, strict=True):
        codes = [sorted(set(re.findall(r"`([^`\n]+)`", section))) for section in (english, persian)]
        assert codes[0] == codes[1], english.splitlines()[0]


@pytest.mark.parametrize("page", [ENGLISH, PERSIAN])
def test_every_entry_says_what_happens_and_what_to_do(page: str) -> None:
    entries = re.split(r"^### ", BLOCK.sub("```", text(page)), flags=re.M)[1:]
    assert len(entries) > 40
    for entry in entries:
        assert len(re.findall(r"^\*\*", entry, re.M)) == 2, entry.splitlines()[0]


@pytest.mark.parametrize("page", [ENGLISH, PERSIAN])
def test_exit_codes_are_those_of_the_program(page: str) -> None:
    codes = sorted(value for key, value in vars(errors).items() if key.startswith("EXIT_"))
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", text(page), re.M)] == codes


@pytest.mark.parametrize("prefix", ["error: ", "warning: "])
def test_the_marks_before_messages_are_those_of_the_screen(prefix: str) -> None:
    assert f'f"{prefix}{{' in (ROOT / "myxtts/cli/screen.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["README.md", "README.fa.md"])
def test_both_readmes_lead_there(page: str) -> None:
    assert f"]({PERSIAN if page.endswith('fa.md') else ENGLISH})" in text(page)
