"""Nothing runs code from data: a scan of the whole program by syntax, and of the scan itself by bad samples."""

# Samples, several a line.
# ruff: noqa: E501

from __future__ import annotations

import ast
from collections.abc import Iterator

from sources import name_of, program_files, tree_of

RUN_CODE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle", "torch"}
"""Modules that run code when they load (or, marshal, crash)."""
CALLS = {
    "eval", "exec", "compile", "os.system", "os.popen", "tempfile.mktemp", "yaml.load", "yaml.load_all", "yaml.unsafe_load",
    "yaml.unsafe_load_all", "yaml.full_load", "yaml.full_load_all", "subprocess.getoutput", "subprocess.getstatusoutput",
    "pandas.read_pickle", "pd.read_pickle", "builtins.eval", "builtins.exec", "runpy.run_path",
}  # fmt: skip
UNSAFE_LOADERS = {"Loader", "UnsafeLoader", "FullLoader", "CLoader", "CFullLoader", "CUnsafeLoader"}
KERAS_CODE = {"load_model", "enable_unsafe_deserialization", "model_from_json", "model_from_config", "from_pretrained"}
"""Functions that build what a file describes, and may run what it holds."""
BY_DESIGN = {
    "bench": ("torch", "measures other people's judges, never a checkpoint of ours"),
    "myxtts/cli/main.py": ("importlib.import_module", "the name is looked up in the table of commands"),
    "myxtts/synthesis/__init__.py": ("importlib.import_module", "the name is looked up in the table of what is public"),
}
"""File or folder -> (what is allowed there, why)."""


FOUND = [
    "import pickle", "import cPickle as p", "from pickle import loads", "import dill", "import joblib", "import shelve",
    "import marshal", "from _pickle import loads", "import jsonpickle.handlers", "def f():\n    import pickle",
    "__import__('pickle')", "import importlib\nimportlib.import_module('shelve')", "__import__(name)",
    "import yaml\nyaml.load(x)", "import yaml\nyaml.load(x, Loader=yaml.SafeLoader)", "from yaml import load\nload(x)",
    "import yaml as y\ny.unsafe_load(x)", "from yaml import UnsafeLoader", "import yaml\nclass L(yaml.FullLoader): pass",
    "import yaml\nyaml.full_load(x)", "eval(x)", "exec(x)", "compile(x, '', 'exec')", "import os\nos.system(x)",
    "from os import system as s\ns(x)", "import numpy as np\nnp.load(p)", "import numpy as np\nnp.load(p, allow_pickle=True)",
    "from numpy import load\nload(p)", "import numpy\nnumpy.load(p, allow_pickle=flag)", "f(p, allow_pickle=True)",
    "import subprocess\nsubprocess.run(x, shell=True)", "import subprocess as s\ns.Popen(x, shell=flag)",
    "from subprocess import run\nrun(x, shell=1)", "import subprocess\nsubprocess.run(x, **more)",
    "import subprocess\nsubprocess.getoutput(x)", "import tempfile\ntempfile.mktemp()", "from tempfile import mktemp\nmktemp()",
    "import keras\nkeras.models.load_model(p)", "import keras\nkeras.config.enable_unsafe_deserialization()",
    "import tarfile\ntarfile.open(p).extractall()", "import shutil\nshutil.unpack_archive(p)", "import pandas as pd\npd.read_pickle(p)",
]  # fmt: skip
"""Samples that the scan must report."""
LEFT_ALONE = [
    "import re\nre.compile('x')", "import numpy as np\nnp.load(p, allow_pickle=False)", "import yaml\nyaml.safe_load(x)",
    "import yaml\nclass L(yaml.SafeLoader): pass\nyaml.compose(x, Loader=L)", "import subprocess\nsubprocess.run([x], check=True)",
    "import json\njson.load(f)", "model.compile()", "import tempfile\ntempfile.mkstemp()", "evaluate(x)", "loader.load(x)",
]  # fmt: skip
"""Samples that it must not."""


def problems(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) in a module."""
    names = _imported_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, a.name) for a in node.names if a.name.split(".")[0] in RUN_CODE)
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").split(".")[0] in RUN_CODE:
                yield node.lineno, str(node.module)
            if node.module in ("yaml", "yaml.loader"):
                yield from ((node.lineno, a.name) for a in node.names if a.name in UNSAFE_LOADERS)
        elif isinstance(node, ast.Attribute) and _name(node, names) in {f"yaml.{x}" for x in UNSAFE_LOADERS}:
            yield node.lineno, _name(node, names)
        elif isinstance(node, ast.Call):
            yield from ((node.lineno, what) for what in _call_problems(node, names))


def _call_problems(call: ast.Call, names: dict[str, str]) -> Iterator[str]:
    called = _name(call.func, names)
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    if called in CALLS or called.rpartition(".")[2] in KERAS_CODE:
        yield called
    if called in ("__import__", "importlib.import_module"):
        if not (call.args and isinstance(call.args[0], ast.Constant)):
            yield f"{called} of a name that is not written here"
        elif str(call.args[0].value).split(".")[0] in RUN_CODE:
            yield f"{called}({call.args[0].value!r})"
    if called in ("numpy.load", "numpy.lib.format.read_array") and not _is(keywords.get("allow_pickle"), False):
        yield f"{called} without allow_pickle=False"
    if "allow_pickle" in keywords and not _is(keywords["allow_pickle"], False):
        yield "allow_pickle"
    if called.split(".")[0] in ("subprocess", "asyncio") and "shell" in keywords and not _is(keywords["shell"], False):
        yield "shell=True"
    if None in keywords and called.split(".")[0] == "subprocess":
        yield "keywords of a process that are not written here"
    if called.rpartition(".")[2] in ("extractall", "unpack_archive"):
        yield called


def _imported_names(tree: ast.AST) -> dict[str, str]:
    """Local name -> full name of what is imported, so that no alias hides it."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return names


def _name(node: ast.AST, names: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value, names)}.{node.attr}"
    return ""


def _is(node: ast.AST | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def test_nothing_runs_code_from_data() -> None:
    found = []
    for path in program_files():
        name = name_of(path)
        allowed = [BY_DESIGN[place][0] for place in (name.split("/")[0], name) if place in BY_DESIGN]
        for line, what in problems(tree_of(path)):
            if not what.startswith(tuple(allowed)):
                found.append(f"{name}:{line}: {what}")
    assert not found, "\n".join(found)


def test_the_scan_sees_the_program() -> None:
    seen = {name_of(path) for path in program_files()}
    assert {"train_main.py", "myxtts/storage/tensors.py", "myxtts/config/files.py"} <= seen
    assert any(name.startswith("bench/") for name in seen) and len(seen) > 100


def test_the_scan_finds_what_runs_code_and_nothing_else() -> None:
    assert [code for code in FOUND if not list(problems(ast.parse(code)))] == []
    assert [code for code in LEFT_ALONE if list(problems(ast.parse(code)))] == []
