"""Every setting is read by the program: a field that nothing reads must not exist."""

import ast
from pathlib import Path

from sources import PACKAGE, package_files, tree_of

from myxtts.config import schema
from myxtts.config.fields import LEAVES

SECTION_OF_CLASS = {type(getattr(schema.Config(), section)).__name__: section for section in schema.SECTIONS}
# Sizes and levels are data: resolve() turns them into settings, and no code may depend on their names.
BY_DESIGN = {"model_size", "optimization_level"}
# An estimate of the time is no use of a setting.
NOT_A_USE = {Path("cli/plan.py")}


def last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def reads_of(tree: ast.AST) -> set[str]:
    """Keys read in a module: `<...>.section.leaf`, or `name.leaf` where `name` is annotated or assigned so."""
    section_of: dict[str, str] = {section: section for section in schema.SECTIONS}
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            name = node.arg if isinstance(node, ast.arg) else last_name(node.target)
            for class_name, section in SECTION_OF_CLASS.items():
                if class_name in ast.unparse(node.annotation):
                    section_of[name] = section
    for _ in range(2):  # `self._audio = audio`, and once more for what was assigned from that
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    pairs = [(target, node.value)]
                    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                        pairs = list(zip(target.elts, node.value.elts, strict=False))
                    for left, right in pairs:
                        if last_name(right) in section_of and last_name(left):
                            section_of.setdefault(last_name(left), section_of[last_name(right)])

    def section(node: ast.AST) -> str:
        return section_of.get(last_name(node), section_of.get(last_name(node).lstrip("_"), ""))

    found = set()
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            found.add(f"{section(node.value)}.{node.attr}")
        elif isinstance(node, ast.Call) and last_name(node.func) == "getattr" and section(node.args[0]):
            # getattr(loss, f"{term}_weight"): the terms whose names stand in this module.
            found |= {f"{section(node.args[0])}.{word}{end}" for word in words for end in ("", "_weight")}
        if isinstance(node, ast.Attribute) and last_name(node.value) == "config":
            found.add(node.attr)  # a setting without a section
    return found & set(LEAVES)


def test_the_search_finds_what_is_read_and_nothing_else() -> None:
    code = """
def f(config, audio: AudioConfig, other: Optional[LossConfig] = None):
    width, t = config.model.width, config.training
    other.mel_weight + t.seed + audio.hop_samples
    something.epochs
    return {term: getattr(other, f"{term}_weight") for term in ("kl", "epochs")}
"""
    found = {"model.width", "loss.mel_weight", "loss.kl_weight", "training.seed", "audio.hop_samples"}
    assert reads_of(ast.parse(code)) == found


def test_every_setting_is_read_outside_config() -> None:
    read: set[str] = set()
    for path in package_files():
        inside = path.relative_to(PACKAGE)
        if inside.parts[0] != "config" and inside not in NOT_A_USE:
            read |= reads_of(tree_of(path))
    assert set(LEAVES) - BY_DESIGN - read == set(), "nothing reads these: use them or delete them from the schema"
