"""Source files for the tests that check them: each is parsed once for all of those tests."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "myxtts"


@cache
def package_files() -> tuple[Path, ...]:
    return tuple(sorted(PACKAGE.rglob("*.py")))


@cache
def program_files() -> tuple[Path, ...]:
    """All Python files outside tests/."""
    folders = ("myxtts", "bench", "docs", "experiments", "tools")
    return tuple(sorted([*ROOT.glob("*.py"), *(path for name in folders for path in (ROOT / name).rglob("*.py"))]))


@cache
def tree_of(path: Path) -> ast.Module:
    """The parsed file. All callers share it: do not change it."""
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
