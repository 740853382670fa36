"""The documentation against the program: commands, options, settings, links, exit codes, tables."""

import ast
import importlib
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from test_layers import LAYER

from myxtts import errors
from myxtts.cli import docs, fix_nan_loss, train
from myxtts.cli.main import COMMANDS
from myxtts.cli.main import main as myxtts_main
from myxtts.config.fields import LEAVES
from myxtts.config.presets import BUILT_IN_CORPUS_OVERRIDES, LEVEL_SUMMARIES
from myxtts.config.resolve import Given, Layer, Rank, resolve
from myxtts.config.schema import MODEL_SIZES, TrainingConfig
from myxtts.data.records import REASONS
from myxtts.demo import corpus as demo_corpus
from myxtts.health import signs

ROOT = Path(__file__).resolve().parents[1]
READMES = ("README.md", "README.fa.md")
TROUBLE = ("docs/how-to/troubleshooting.md", "docs/how-to/troubleshooting.fa.md")
PAGES = (
    *READMES,
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "bench/README.md",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")),
)
OLDER_NAMES = {f"training.{name}" for name in ("learning_rate", "gradient_clip_norm", "warmup_steps")}
OLDER_NAMES |= {"data.mixed_precision"}
"""Settings of the older system in the example of fix_nan_loss.py."""
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.M | re.S)
REMOVED = re.compile(r"at commit|در کامیت")
"""Marks a command of a measurement whose script was removed."""
OURS = ("python", "make ", "time python", "myxtts ")
FOREIGN = ("source", "tensorboard", "pip", "git", "curl", "docker")
FOREIGN_MODULES = ("wyoming_openai",)


@cache
def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str) -> list[tuple[str, str]]:
    """(language, content) of a page's fenced blocks."""
    return FENCE.findall(text(name))


def prose(name: str) -> str:
    return FENCE.sub("", text(name))


def commands(name: str) -> list[str]:
    """The lines of a page's ```sh blocks; a backslash continues in the next line."""
    shell = "".join(block for language, block in blocks(name) if language == "sh")
    return [line.strip() for line in shell.replace("\\\n", " ").splitlines() if line.strip()]


def quoted_commands(name: str) -> list[str]:
    """Commands inside `...` in the prose and in tables, with what follows in parentheses."""
    found = re.findall(r"`([^`\n]+)`\u200e?( \([^)]*\))?", prose(name))
    return [code + after for code, after in found if code.startswith(OURS)]


@cache
def help_of(program: tuple[str, ...]) -> str:
    """What --help of a program prints; empty for programs that are not ours."""
    import contextlib
    import io

    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        if program[0] == "myxtts":
            if program[1:] and program[1] not in COMMANDS and program[1] != "--help":
                return ""
            myxtts_main([*program[1:], "--help"])
        elif program == ("fix_nan_loss.py",):
            fix_nan_loss.main(["--help"])
        elif program[0] in ("train_main.py", "train_stable.py"):
            train.main(["--help"], program=program[0])
        elif program[0].startswith("bench.") and (ROOT / f"bench/{program[0][6:]}.py").is_file():
            importlib.import_module(program[0]).main([*program[1:], "--help"])
        elif program[0].startswith("tests.") and (ROOT / f"{program[0].replace('.', '/')}.py").is_file():
            return (ROOT / f"{program[0].replace('.', '/')}.py").read_text(encoding="utf-8")
    return shown.getvalue()


def program_of(words: list[str]) -> tuple[str, ...]:
    """The program and command of a command line of ours."""
    if words[:2] == ["python", "-m"]:
        return tuple(words[2:4]) if words[2] in ("myxtts", "bench.starter") else (words[2],)
    if words[:2] == ["myxtts", "vocoder"] and words[2:]:  # the one command with commands of its own
        return tuple(words[:3])
    return tuple(words[:2]) if words[0] == "myxtts" else (words[1],)


def problem_of(command: str) -> str:
    """What is wrong with a command line of the documentation; empty if nothing is."""
    line, mark, comment = command.partition("  #")
    line, _, after = line.partition(" (") if command.endswith(")") else (line, "", "")
    removed = REMOVED.search(comment if mark else after)
    words = shlex.split(line.removeprefix("time "))
    if words[0] in FOREIGN:
        return ""
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", text("Makefile"), re.M)
        return "" if all(word in targets for word in words[1:] if "=" not in word) else "no such target"
    program = program_of(words)
    if program[0] in FOREIGN_MODULES:
        return ""
    if program[0].startswith("bench.") and removed:
        return "" if not help_of(program) else "the script exists"
    if program == ("myxtts", "COMMAND"):
        return ""
    shown = help_of(program if len(program) > 1 or program[0] != "myxtts" else ("myxtts", "--help"))
    if not shown:
        return "no such program"
    own = line.split(" | ")[0]
    unknown = set(FLAG.findall(own)) - set(FLAG.findall(shown)) - {"--help"}
    return f"no option {', '.join(sorted(unknown))}" if unknown else ""


def test_every_command_and_option_exists() -> None:
    seen = {(page, command) for page in PAGES for command in [*commands(page), *quoted_commands(page)]}
    assert len(seen) > 100
    wrong = [f"{page}: {command}: {problem}" for page, command in sorted(seen) if (problem := problem_of(command))]
    assert wrong == []


def test_every_option_and_setting_named_in_the_prose_exists() -> None:
    programs = [("train_main.py",), ("fix_nan_loss.py",), *(("myxtts", command) for command in COMMANDS)]
    programs += [
        (f"bench.{path.stem}",) for path in (ROOT / "bench").glob("*.py") if "def main(argv" in path.read_text()
    ]
    options = {"--help"}.union(*(FLAG.findall(help_of(program)) for program in programs))
    sections = {key.partition(".")[0] for key in LEAVES if "." in key}
    setting = re.compile(rf"(?<![\w/.])(?:{'|'.join(sections)})\.[a-z][a-z0-9_]*(?![\w/(])")
    files = {f"{path.parent.name}.{path.stem}" for path in (ROOT / "myxtts").rglob("*.py")}
    known = {*LEAVES, *files, *OLDER_NAMES, "data.md", "model.md", "vocoder.md", "vocoder.onnx", "config.yaml"}
    for page in PAGES:
        codes = re.findall(r"`([^`\n]+)`", prose(page))
        named = {flag for code in codes if code.startswith("--") for flag in FLAG.findall(code)}
        assert named <= options, f"{page}: {named - options}"
        assert set(setting.findall(text(page))) <= known, f"{page}: {set(setting.findall(text(page))) - known}"


def test_links_lead_somewhere() -> None:
    missing = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", prose(page)):
            if not target.startswith("http") and not ((ROOT / page).parent / target).exists():
                missing.append(f"{page}: {target}")
    assert missing == []


def test_tests_and_modules_named_as_proofs_exist() -> None:
    named = re.compile(r"`((?:tests|myxtts)/[\w/]+(?:\.py|/))`")
    found = [(page, path) for page in PAGES for path in named.findall(text(page))]
    assert len(found) > 40 and [(page, path) for page, path in found if not (ROOT / path).exists()] == []


def test_the_page_of_the_architecture_has_the_layers_that_are_enforced() -> None:
    rows = re.findall(r"^\| (\d) \| (.*?) \|", text("docs/explanation/architecture.md"), re.M)
    layers = {name: int(layer) for layer, names in rows for name in re.findall(r"`(\w+)`", names)}
    assert layers == {name: layer for name, layer in LAYER.items() if not name.startswith("_")}


def test_generated_pages_are_up_to_date() -> None:
    for name, page in docs.pages().items():
        assert text(f"docs/reference/{name}") == page, f"{name}: run `make docs`"


def test_the_navigation_names_every_page() -> None:
    navigation = text("mkdocs.yml").partition("\nnav:")[2]
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if not page.startswith("log/2")} == set(re.findall(r"[\w/.-]+\.md", navigation))
    assert all(f"({Path(page).name})" in text("docs/log/index.md") for page in pages if page.startswith("log/2"))


def test_the_persian_readme_mirrors_the_english_one() -> None:
    english, persian = READMES
    shapes = [re.findall(r"^(#+) |^\| `(\w+)` \||(\]\([^)]+\))", prose(name), re.M) for name in READMES]
    links = [{link for *_, link in shape if link and not link.startswith("](README")} for shape in shapes]
    assert {link.replace(".fa.md", ".md") for link in links[1]} <= links[0] | {"](docs/tutorials/persian.md)"}
    assert [shape[:2] for shape in shapes[0] if any(shape[:2])] == [shape[:2] for shape in shapes[1] if any(shape[:2])]
    programs = [[program_of(shlex.split(c)) for c in commands(n) if not c.startswith(FOREIGN)] for n in READMES]
    assert programs[0] == programs[1]
    assert "--language fa" in text(persian) and "--language fa" not in text(english)


def test_both_troubleshooting_pages_have_messages_of_the_program() -> None:
    keys = [re.findall(r"^\| \u200e?`([^`]+)`\u200e? \|", text(page), re.M) for page in TROUBLE]
    assert keys[0] == keys[1] and len(keys[0]) > 40
    parts = []
    for path in (ROOT / "myxtts").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts.append("".join(str(v.value) if isinstance(v, ast.Constant) else "\0" for v in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                parts.append(node.value)
    printed = "\0".join(parts)
    assert [key for key in keys[0] if key not in printed] == []


def test_persian_pages_read_from_right_to_left_and_their_code_does_not() -> None:
    """`../dataset` between Persian words shows as `dataset/..` unless left-to-right marks surround it."""
    for name in (READMES[1], TROUBLE[1]):
        page = text(name)
        assert page.startswith('<div dir="rtl"') and page.rstrip().endswith("</div>")
        assert page.count("<div") == page.count("</div>")
        assert page.count('<div dir="ltr"') * 2 == len(re.findall(r"^```", page, re.M))
        assert not set("يكۀ") & set(page), "Arabic letters in place of Persian ones"
        for before, code, after in re.findall(r"(.?)`([^`\n]+)`(.?)", prose(name)):
            assert (code[0].isalnum() and code[-1].isalnum()) or before == after == "\u200e", code


def test_facts() -> None:
    codes = {value for key, value in vars(errors).items() if key.startswith("EXIT_")}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", text("docs/reference/exit-codes.md"), re.M)} == codes
    basic = resolve([Layer(Rank.COMMAND_LINE, "t", (Given("optimization_level", "basic", "t"),))]).config
    assert basic.optimizer.learning_rate * 8 == pytest.approx(8e-5) and basic.effective_batch == 64
    assert "**eight**" in text("docs/how-to/nan.md") and "**64**" in text("docs/how-to/nan.md")
    assert all(f"| `{level}` | {summary} |" in text(READMES[0]) for level, summary in LEVEL_SUMMARIES.items())
    assert all(f"`{size}`" in text(name) for size in MODEL_SIZES for name in READMES)
    assert len(demo_corpus.clips()) == 510 and "510 clips" in text("docs/how-to/data.md")
    assert len(demo_corpus.SPEAKERS) == 10 and "ten voices" in text("docs/how-to/data.md")
    assert [reason for reason in REASONS if f"| {reason} |" not in text("docs/how-to/data.md")] == []
    minutes = {override.key: override.value for override in BUILT_IN_CORPUS_OVERRIDES}["training.max_minutes"]
    assert minutes == 9 and "nine minutes" in text(READMES[0]) and "نُه دقیقه" in text(READMES[1])
    assert (signs.WINDOW_UPDATES, signs.SKIP_MEMORY_UPDATES, signs.WAIT_HIGH) == (100, 1_000, 0.2)
    assert (signs.LOSS_LOW, signs.LOSS_HIGH, signs.NORM_HIGH) == (0.5, 5.0, 1.0)
    training = TrainingConfig()
    assert (training.checkpoint_every_updates, training.hot_checkpoint_seconds) == (1_000, 120)
    assert training.keep_checkpoints == 3
    terms = [key.removeprefix("loss.").removesuffix("_weight") for key in LEAVES if key.endswith("_weight")]
    table = text("docs/explanation/losses.md")
    assert [t for t in terms if f"| `{t}` | {LEAVES[f'loss.{t}_weight'].default} |" not in table] == []


def test_cloning_commands_ask_for_consent() -> None:
    for command in ("speak", "voice"):
        assert "consent of the person" in " ".join(help_of(("myxtts", command)).split())
    assert all("consent" in text(page) for page in ("README.md", "docs/index.md")) and "رضایت" in text("README.fa.md")
