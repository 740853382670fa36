"""The architecture held against the code: who may import, print, catch. (What nobody may call: test_security.py.)"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "myxtts"

# A part imports from parts of a lower layer and from itself, never from a sibling.
LAYER = {
    "errors": 0,
    "messages": 0,
    "units": 0,
    "batch": 0,
    "figures": 0,
    "progress": 0,
    "speakers": 0,
    "config": 1,
    "storage": 1,
    "health": 1,
    "run_health": 2,
    "audio": 2,
    "demo": 2,
    "text": 2,
    "data": 3,
    "models": 3,
    "training": 4,
    "synthesis": 4,
    "evaluation": 4,
    "report": 4,
    "doctor": 4,
    "cli": 5,
    "__main__": 6,
}
WITH_TENSORFLOW = {"models", "training", "synthesis"}
HEAVY = {"tensorflow", "keras", "tf_keras"}
BROAD_BY_DESIGN = {
    "cli/screen.py": "the last resort: the traceback of a defect is printed, exit code 1",
    "data/loader.py": "a thread's error is carried to the consumer, which raises it",
}

FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    """The part of the package that a file belongs to; empty for myxtts/__init__.py."""
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def part_path(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, full module name) of every import of a file, those inside functions and TYPE_CHECKING included."""
    package = ["myxtts", *path.relative_to(PACKAGE).parts[:-1]] if PACKAGE in path.parents else []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = (
                ".".join([*package[: len(package) - node.level + 1], node.module or ""]).strip(".")
                if node.level
                else node.module
            )
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and dotted(node.func) in ("importlib.import_module", "__import__"):
            yield from ((node.lineno, str(name.value)) for name in node.args[:1] if isinstance(name, ast.Constant))


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_part_has_a_layer() -> None:
    assert {part_of(path) for path in FILES} - {""} <= set(LAYER)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_go_downwards(path: Path) -> None:
    part, wrong = part_of(path), []
    for line, module in imports(path):
        parts = module.split(".")
        if parts[0] != "myxtts":
            continue
        target = parts[1] if len(parts) > 1 else ""
        if target in ("", "__version__"):
            continue
        assert target in LAYER, f"{name(path)}:{line} imports {module}, which no layer holds"
        if part == "" or (target != part and LAYER[target] >= LAYER[part]):
            wrong.append(f"{name(path)}:{line} imports {module}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_tensorflow_only_where_it_computes(path: Path) -> None:
    if part_of(path) not in WITH_TENSORFLOW:
        found = [f"{name(path)}:{line}: {module}" for line, module in imports(path) if module.split(".")[0] in HEAVY]
        assert not found, "\n".join(found)


def test_config_needs_the_standard_library_and_yaml_alone() -> None:
    allowed = set(sys.stdlib_module_names) | {"yaml", "myxtts"}
    found = [
        f"{name(path)}:{line}: {module}"
        for path in FILES
        if part_of(path) == "config"
        for line, module in imports(path)
        if module.split(".")[0] not in allowed
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", [path for path in FILES if part_of(path) not in ("cli", "__main__")], ids=name)
def test_prints_and_exits_happen_in_the_command_line_alone(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # A worker that runs as a process of its own ends itself in its `__main__` block.
    tree.body = [node for node in tree.body if not (isinstance(node, ast.If) and "__name__" in ast.unparse(node.test))]
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and dotted(node.func) in ("print", "sys.exit", "exit", "quit"):
            found.append(f"{name(path)}:{node.lineno}: {dotted(node.func)}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_nothing_is_caught_broadly(path: Path) -> None:
    """`except Exception` and broader only where BROAD_BY_DESIGN says why."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            caught = "everything" if node.type is None else dotted(node.type)
            raises_again = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
            if (
                caught in ("everything", "Exception", "BaseException")
                and not raises_again
                and part_path(path) not in BROAD_BY_DESIGN
            ):
                found.append(f"{name(path)}:{node.lineno}: catches {caught}")
    assert not found, "\n".join(found)
