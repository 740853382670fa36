"""Both READMEs and the other pages held against the program: commands, options, keys, tables, links, exit codes."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from docs import readme_tables
from myxtts import errors, health
from myxtts.cli import fix_nan_loss, train
from myxtts.cli.main import COMMANDS
from myxtts.cli.main import main as myxtts_main
from myxtts.config.fields import LEAVES
from myxtts.config.presets import BUILT_IN_CORPUS_OVERRIDES, LEVELS
from myxtts.config.resolve import Given, Layer, Rank, resolve
from myxtts.config.schema import MODEL_SIZES, TrainingConfig
from myxtts.data.records import REASONS
from myxtts.demo import corpus as demo_corpus

ROOT = Path(__file__).resolve().parents[1]
READMES = ("README.md", "README.fa.md")
PERSIAN_PAGES = ("README.fa.md", "docs/troubleshooting.fa.md")
PAGES = (
    *READMES,
    "CONTRIBUTING.md",
    "bench/README.md",
    *(
        f"docs/{n}.md"
        for n in (
            "design",
            "data",
            "model",
            "synthesis",
            "evaluation",
            "measurements",
            "troubleshooting",
            "troubleshooting.fa",
        )
    ),
)
OLDER_NAMES = {f"training.{name}" for name in ("learning_rate", "gradient_clip_norm", "warmup_steps")}
OLDER_NAMES |= {"data.mixed_precision"}
"""Settings of the older system in the example of fix_nan_loss.py."""
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str) -> list[tuple[str, str]]:
    """(language, content) of a page's fenced blocks."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text(name), re.M | re.S)


def commands(name: str) -> list[str]:
    """The lines of a page's ```sh blocks and after its `$`, without comments; a backslash goes on in the next line."""
    found = []
    for language, block in blocks(name):
        for line in block.replace("\\\n", " ").splitlines():
            if language == "sh" or line.startswith("$ "):
                found.append(re.sub(r"\s+#.*$", "", line.removeprefix("$ ")).strip())
    return [command for command in found if command]


def quoted_commands(name: str) -> list[str]:
    """Commands inside `...` in the prose and in tables."""
    return [
        code for code in re.findall(r"`([^`\n]+)`", text(name)) if code.startswith(("python", "make ", "time python"))
    ]


def run_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What --help of the program behind a command line prints; empty for programs that are not ours."""
    program = " ".join(words[:3])
    if words[:2] in (["python3", "train_main.py"], ["python3", "train_stable.py"]):
        train.main(["--help"], program=words[1])
    elif words[:2] == ["python3", "fix_nan_loss.py"]:
        fix_nan_loss.main(["--help"])
    elif program == "python -m myxtts":
        try:
            myxtts_main([words[3], "--help"])
        except SystemExit as left:
            assert left.code == 0
    elif words[:2] == ["python", "-m"] and words[2].startswith("bench."):
        with pytest.raises(SystemExit):
            importlib.import_module(words[2]).main(["--help"])
    return capsys.readouterr().out


def all_commands() -> list[tuple[str, str]]:
    return list(dict.fromkeys((n, c) for n in PAGES for c in [*commands(n), *quoted_commands(n)]))


@pytest.mark.parametrize(("page", "command"), all_commands())
def test_every_command_and_option_exists(page: str, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(command.removeprefix("time "))
    if words[0] == "make":
        targets = re.findall(r"^([a-z]+):", text("Makefile"), re.M)
        assert all(word in targets for word in words[1:] if "=" not in word), f"{page}: {command}"
        return
    if words[:3] == ["python", "-m", "myxtts"] and len(words) > 3:
        assert words[3] in COMMANDS
    if words[0] in ("source", "tensorboard") or "COMMAND" in words:
        return
    shown = run_of(words, capsys)
    assert shown, f"{page}: {command}: this program is not known"
    for flag in FLAG.findall(command):
        assert flag in FLAG.findall(shown), f"{page}: {command}: there is no {flag}"


@pytest.mark.parametrize("page", PAGES)
def test_every_option_named_in_the_prose_exists(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    known = {"--help"}
    lines = ["python3 train_main.py", "python3 fix_nan_loss.py"]
    lines += [*(f"python -m myxtts {command}" for command in COMMANDS if command != "train")]
    lines += [
        f"python -m bench.{path.stem}" for path in (ROOT / "bench").glob("*.py") if "__main__" in path.read_text()
    ]
    for line in lines:
        known |= set(FLAG.findall(run_of(line.split(), capsys)))
    codes = re.findall(r"`([^`\n]+)`", text(page))
    named = {flag for code in codes if code.startswith("--") for flag in FLAG.findall(code)}
    assert named <= known, named - known


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_named_exists(page: str) -> None:
    sections = {key.partition(".")[0] for key in LEAVES if "." in key}
    keys = set(re.findall(rf"(?<![\w/.])(?:{'|'.join(sections)})\.[a-z][a-z0-9_]*(?![\w/(])", text(page)))
    files = {f"{path.parent.name}.{path.stem}" for path in (ROOT / "myxtts").rglob("*.py")}
    assert keys - set(LEAVES) - files - {"data.md", "model.md", "config.yaml"} - OLDER_NAMES == set()


def test_both_readmes_have_the_same_commands_and_figures() -> None:
    english, persian = READMES
    assert commands(english) == commands(persian)
    quoted = [[c for c in quoted_commands(name) if not c.startswith("make")] for name in READMES]
    assert quoted[0] == quoted[1]
    outputs = [[block for block in blocks(name) if block[0] != "sh"] for name in READMES]
    assert outputs[0] == outputs[1]
    assert [line.count("|") for line in text(english).splitlines() if line.startswith("|")] == [
        line.count("|") for line in text(persian).splitlines() if line.startswith("|")
    ]
    headings = [
        re.findall(r"^(#+) ", re.sub(r"^```.*?^```$", "", text(name), flags=re.M | re.S), re.M) for name in READMES
    ]
    assert headings[0] == headings[1]


@pytest.mark.parametrize("name", READMES)
def test_the_tables_are_those_of_the_program(name: str) -> None:
    assert readme_tables.with_tables(text(name), readme_tables.HEADS[name]) == text(name), "run `make docs`"
    assert all(f"| `{level}` |" in text(name) for level in LEVELS)
    assert all(f"| `{size}` |" in text(name) for size in MODEL_SIZES)


def test_a_page_without_its_marks_is_told() -> None:
    with pytest.raises(SystemExit, match="levels"):
        readme_tables.with_tables("no marks", readme_tables.HEADS["README.md"])


@pytest.mark.parametrize("name", READMES)
def test_exit_codes_are_those_of_the_program(name: str) -> None:
    codes = {value for key, value in vars(errors).items() if key.startswith("EXIT_")}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", text(name), re.M)} == codes


@pytest.mark.parametrize("name", READMES)
def test_both_corrections_of_the_notes_are_there(name: str) -> None:
    basic = resolve([Layer(Rank.COMMAND_LINE, "t", (Given("optimization_level", "basic", "t"),))]).config
    assert basic.optimizer.learning_rate * 8 == pytest.approx(8e-5)
    assert basic.effective_batch == 64
    assert "8e-5" in text(name) and "1e-5" in text(name)
    assert ("**eight**" in text(name) and "**64**" in text(name)) or (
        "**هشت**" in text(name) and "**۶۴**" in text(name)
    )


def test_facts_in_the_prose() -> None:
    assert f"{len(demo_corpus.clips())} clips" in text("README.md")
    assert "۵۱۰" in text("README.fa.md") and len(demo_corpus.clips()) == 510
    assert len(demo_corpus.SPEAKERS) == 10 and "ten voices" in text("docs/data.md")
    assert [reason for reason in REASONS if f"| {reason} |" not in text("docs/data.md")] == []
    assert all(f"| `{term}` |" in text("docs/model.md") for term in _terms())
    minutes = {override.key: override.value for override in BUILT_IN_CORPUS_OVERRIDES}["training.max_minutes"]
    assert minutes == 9 and "nine minutes of training" in text("README.md") and "نُه دقیقه" in text("README.fa.md")
    assert (health.WINDOW_UPDATES, health.signs.SKIP_MEMORY_UPDATES, health.WAIT_HIGH) == (100, 1_000, 0.2)
    assert (health.LOSS_LOW, health.LOSS_HIGH, health.NORM_HIGH) == (0.5, 5.0, 1.0)
    assert "last 100\nupdates" in text("README.md") and "none in the last 1,000" in text("README.md")
    training = TrainingConfig()
    assert (training.checkpoint_every_updates, training.hot_checkpoint_seconds, training.keep_checkpoints) == (
        1_000,
        120,
        3,
    )


def _terms() -> list[str]:
    return [key.removeprefix("loss.").removesuffix("_weight") for key in LEAVES if key.endswith("_weight")]


def test_weights_of_the_losses_are_those_of_the_schema() -> None:
    for term in _terms():
        assert f"| `{term}` | {LEAVES[f'loss.{term}_weight'].default} |" in text("docs/model.md")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text(page)):
        if not target.startswith("http"):
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"


@pytest.mark.parametrize("name", PERSIAN_PAGES)
def test_a_persian_page_reads_from_right_to_left_and_its_code_does_not(name: str) -> None:
    page = text(name)
    assert page.startswith('<div dir="rtl">') and page.rstrip().endswith("</div>")
    assert page.count("<div") == page.count("</div>")
    assert page.count('<div dir="ltr">') * 2 == len(re.findall(r"^```", page, re.M))
    assert not set("يكۀ") & set(page), "Arabic letters where Persian ones belong"


@pytest.mark.parametrize("name", PERSIAN_PAGES)
def test_code_in_the_persian_prose_is_not_turned_around(name: str) -> None:
    """`../dataset` between Persian words shows as `dataset/..` unless left-to-right marks stand around it."""
    prose = re.sub(r"^```.*?^```$", "", text(name), flags=re.M | re.S)
    for match in re.finditer(r"(.?)`([^`\n]+)`(.?)", prose):
        before, code, after = match.groups()
        assert (code[0].isalnum() and code[-1].isalnum()) or before == after == "\u200e", code
