"""The architecture held against the code: who may import, print, catch. (What nobody may call: test_security.py.)"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from sources import PACKAGE, name_of, package_files, program_files, tree_of

# A part imports from parts of a lower layer and from itself, never from a sibling.
LAYER = {
    "errors": 0,
    "loss_terms": 0,
    "messages": 0,
    "other_python": 2,
    "faults": 1,
    "units": 0,
    "batch": 0,
    "compiled": 0,
    "figures": 0,
    "progress": 0,
    "rungs": 0,
    "speakers": 0,
    "config": 2,
    "storage": 2,
    "health": 3,
    "audio": 3,
    "demo": 3,
    "text": 3,
    "data": 4,
    "models": 4,
    "vocoder": 5,
    "training": 6,
    "runtime": 6,
    "evaluation": 6,
    "report": 6,
    "doctor": 6,
    "dataset": 6,
    "synthesis": 7,
    "export": 8,
    "server": 8,
    "cli": 9,
    "__main__": 10,
}
WITH_TENSORFLOW = {"models", "vocoder", "training", "synthesis", "export"}
HEAVY = {"tensorflow", "keras", "tf_keras"}
BROAD_BY_DESIGN = {
    "cli/screen.py": "the last resort: the traceback of a defect is printed, exit code 1",
    "data/loader.py": "a thread's error is carried to the consumer, which raises it",
    "server/app.py": "logged with its traceback, and answered as an error of the API",
    "server/studio/speaking.py": "the page gets the problem of the speech; without an end it would wait forever",
}


def part_of(path: Path) -> str:
    """The part of the package that a file belongs to; empty for myxtts/__init__.py."""
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def part_path(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, full module name) of every import of a file, those inside functions and TYPE_CHECKING included."""
    package = ["myxtts", *path.relative_to(PACKAGE).parts[:-1]] if PACKAGE in path.parents else []
    for node in ast.walk(tree_of(path)):
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


def test_every_part_has_a_layer() -> None:
    assert {part_of(path) for path in package_files()} - {""} <= set(LAYER)


def test_imports_go_downwards() -> None:
    wrong = []
    for path in package_files():
        part = part_of(path)
        for line, module in imports(path):
            root, _, rest = module.partition(".")
            target = rest.partition(".")[0]
            if root != "myxtts" or target in ("", "__version__"):
                continue
            if target not in LAYER:
                wrong.append(f"{name_of(path)}:{line} imports {module}, which no layer holds")
            elif part == "" or (target != part and LAYER[target] >= LAYER[part]):
                wrong.append(f"{name_of(path)}:{line} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_tensorflow_only_where_it_computes() -> None:
    found = [
        f"{name_of(path)}:{line}: {module}"
        for path in package_files()
        if part_of(path) not in WITH_TENSORFLOW
        for line, module in imports(path)
        if module.split(".")[0] in HEAVY
    ]
    assert not found, "\n".join(found)


def test_config_needs_the_standard_library_and_yaml_alone() -> None:
    allowed = set(sys.stdlib_module_names) | {"yaml", "myxtts"}
    found = [
        f"{name_of(path)}:{line}: {module}"
        for path in package_files()
        if part_of(path) == "config"
        for line, module in imports(path)
        if module.split(".")[0] not in allowed
    ]
    assert not found, "\n".join(found)


def test_prints_and_exits_happen_in_the_command_line_alone() -> None:
    found = []
    for path in package_files():
        if part_of(path) in ("cli", "__main__"):
            continue
        for statement in tree_of(path).body:
            # A worker that runs as a process of its own ends itself in its `__main__` block.
            if isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test):
                continue
            for node in ast.walk(statement):
                if isinstance(node, ast.Call) and dotted(node.func) in ("print", "sys.exit", "exit", "quit"):
                    found.append(f"{name_of(path)}:{node.lineno}: {dotted(node.func)}")
    assert not found, "\n".join(found)


def test_nothing_is_caught_broadly() -> None:
    """`except Exception` and broader only where BROAD_BY_DESIGN says why."""
    found = []
    for path in package_files():
        if part_path(path) in BROAD_BY_DESIGN:
            continue
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ExceptHandler):
                caught = "everything" if node.type is None else dotted(node.type)
                raises_again = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
                if caught in ("everything", "Exception", "BaseException") and not raises_again:
                    found.append(f"{name_of(path)}:{node.lineno}: catches {caught}")
    assert not found, "\n".join(found)


def test_no_two_classes_share_a_name() -> None:
    """A reader, a search and a traceback know a class by its name."""
    places: dict[str, list[str]] = {}
    for path in program_files():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name_of(path))
    assert len(places) > 200 and {name: files for name, files in places.items() if len(files) > 1} == {}
