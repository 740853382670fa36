"""The schema as a flat table of fields, `section.key` -> type, default and range; reading values, explaining them.

docs/configuration.md is generated here, from the schema and the presets.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import functools
import itertools
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from myxtts.config import schema
from myxtts.config.aliases import ALIASES
from myxtts.config.presets import BUILT_IN_CORPUS_OVERRIDES, LEVEL_SUMMARIES, LEVELS, SIZES, Override
from myxtts.config.schema import MODEL_SIZES, SECTIONS, Config, Leaf
from myxtts.errors import ConfigError
from myxtts.messages import has_control_character, plain, quoted

if TYPE_CHECKING:
    from myxtts.config.resolve import Resolved

Value = bool | int | float | str

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}
_MOST_CHARACTERS = 4_096
_LONGEST_PATH, _LONGEST_NAME = 1_000, 255
PATH_ENDINGS = ("_path", "_dir")
"""Settings whose names end so are paths."""


@dataclass(frozen=True)
class LeafField:
    """One setting: its full key, its type's name, its default and what it accepts."""

    key: str
    kind: str
    default: Value
    accepts: Leaf


def _leaf_fields() -> dict[str, LeafField]:
    defaults = Config()
    found: dict[str, LeafField] = {}
    for field in dataclasses.fields(Config):
        value = getattr(defaults, field.name)
        if "leaf" in field.metadata:
            found[field.name] = LeafField(field.name, str(field.type), value, field.metadata["leaf"])
            continue
        for inner in dataclasses.fields(value):
            key = f"{field.name}.{inner.name}"
            found[key] = LeafField(key, str(inner.type), getattr(value, inner.name), inner.metadata["leaf"])
    return found


LEAVES: Mapping[str, LeafField] = _leaf_fields()


def build(values: Mapping[str, Value]) -> Config:
    """A Config of one value for every leaf."""
    parts: dict[str, dict[str, Value]] = {section: {} for section in SECTIONS}
    top: dict[str, object] = {}
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        if section:
            parts[section][name] = value
        else:
            top[name] = value
    defaults = Config()
    for section, inner in parts.items():
        top[section] = dataclasses.replace(getattr(defaults, section), **inner)
    return dataclasses.replace(defaults, **top)  # type: ignore[arg-type]


def value_of(config: Config, key: str) -> Value:
    """The value of the leaf `key` in `config`."""
    section, _, name = key.rpartition(".")
    value: Value = getattr(getattr(config, section) if section else config, name)
    return value


def nearest(name: str, options: Iterable[str]) -> str | None:
    """The option most like `name`, or None if none is like it."""
    by_folded = {option.lower().replace("-", "_"): option for option in options}
    found = difflib.get_close_matches(name.lower().replace("-", "_")[:200], list(by_folded), n=1, cutoff=0.55)
    return by_folded[found[0]] if found else None


def unknown_key(key: str) -> str | None:
    """None if `key` is a setting; else what is wrong with it, the nearest one and a list of all there are."""
    if key in LEAVES:
        return None
    section, _, name = key.partition(".")
    if section in SECTIONS:
        if not name:
            return f"{quoted(key)} is a section, not a setting; it has: {', '.join(_names_in(section))}"
        homes = _homes(name)
        twin = nearest(name, _names_in(section)) if not homes else None
        best = f"{section}.{twin}" if twin else next(iter(homes), None) or nearest(key, LEAVES)
        listed = f"{section} has: {', '.join(_names_in(section))}"
    else:
        homes = _homes(name or section)
        best = homes[0] if homes else nearest(key, [*LEAVES, *SECTIONS])
        listed = f"the top level has: {', '.join([key for key in LEAVES if '.' not in key] + list(SECTIONS))}"
    hint = f"the nearest is {best}; " if best else ""
    return f"unknown key {quoted(key)}; {hint}{listed}"


def _names_in(section: str) -> list[str]:
    return [key.partition(".")[2] for key in LEAVES if key.startswith(section + ".")]


def _homes(name: str) -> list[str]:
    """Keys whose last part is exactly `name`, or else the one that other systems call so."""
    folded = name.lower().replace("-", "_")
    other = [ALIASES[folded]] if folded in ALIASES else []
    return [key for key in LEAVES if key.rpartition(".")[2] == name] or other


def expected(field: LeafField) -> str:
    """What a setting accepts, in words with its unit: 'a whole number of clips from 1 to 4096'."""
    accepts = field.accepts
    if field.kind == "bool":
        return "true or false"
    if field.kind == "str":
        return f"one of {', '.join(accepts.choices)}" if accepts.choices else "text"
    words = "a whole number" if field.kind == "int" else "a number"
    if accepts.unit:
        words += f" ({accepts.unit})"
    return f"{words} {range_words(accepts)}".strip()


def range_words(accepts: Leaf) -> str:
    """The range of a number in words; empty if there is none."""
    low, above, high = accepts.low, accepts.above, accepts.high
    if low is not None:
        return f"from {low:.12g} to {high:.12g}" if high is not None else f"of at least {low:.12g}"
    if above is not None:
        return f"over {above:.12g}" + (f" and at most {high:.12g}" if high is not None else "")
    return f"of at most {high:.12g}" if high is not None else ""


def coerce(field: LeafField, raw: object) -> Value:
    """`raw` (text of a file or command line, or a Python value) as a value of the field's type and range.

    Raises ValueError with one line that says what was expected. Text is read by the field's type, not by YAML's
    rules, so that 1e-05 is a number and `no` is the language Norwegian.
    """
    if isinstance(raw, str) and len(raw) > _MOST_CHARACTERS:
        raise ValueError(f"{len(raw)} characters are too many; expected {expected(field)}")
    if field.kind == "bool":
        return _bool(field, raw)
    if field.kind == "str":
        return _text(field, raw)
    return _number(field, raw)


def _bool(field: LeafField, raw: object) -> bool:
    word = str(raw).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(f"expected {expected(field)}")


def _text(field: LeafField, raw: object) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError(f"expected {expected(field)}, not nothing")
    if has_control_character(raw):
        raise ValueError("it holds a control character or a broken one; expected plain text")
    if field.key.endswith(PATH_ENDINGS):
        _check_path(raw)
    choices = field.accepts.choices
    if choices and raw not in choices:
        best = nearest(raw, choices)
        raise ValueError((f"the nearest is {best}; " if best else "") + f"expected {expected(field)}")
    return raw


def _check_path(raw: str) -> None:
    """Raises ValueError for a path that no file system takes, before something is made of it."""
    if len(raw) > _LONGEST_PATH:
        raise ValueError(f"{len(raw)} characters are too many for a path; at most {_LONGEST_PATH}")
    longest = max((len(os.fsencode(part)) for part in raw.split("/")), default=0)
    if longest > _LONGEST_NAME:
        raise ValueError(f"a name in the path has {longest} bytes; at most {_LONGEST_NAME}")
    try:
        Path(raw).expanduser()
    except RuntimeError:
        raise ValueError(f"{raw.split('/')[0][:40]} is nobody's home folder; write the whole path") from None


def _number(field: LeafField, raw: object) -> int | float:
    accepts = field.accepts
    wanted = f"expected {expected(field)}"
    if isinstance(raw, bool):
        raise ValueError(wanted)
    try:
        value = _int_or_float(raw) if field.kind == "int" else float(raw)  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError):
        raise ValueError(wanted) from None
    if isinstance(value, float) and not math.isfinite(value):  # a whole number may be too large for a float
        raise ValueError(f"it is not finite; {wanted}")
    low, above, high = accepts.low, accepts.above, accepts.high
    too_low = (low is not None and value < low) or (above is not None and value <= above)
    if too_low or (high is not None and value > high):
        raise ValueError(wanted)
    return value


def _int_or_float(raw: object) -> int:
    """A whole number, also where it is written 1e3 or 16.0."""
    if isinstance(raw, str):
        try:
            return int(raw)
        except ValueError:
            pass
    number = float(raw)  # type: ignore[arg-type]
    if not number.is_integer():
        raise ValueError("not whole")
    return int(number)


def explain(resolved: Resolved, key: str) -> list[str]:
    """Lines: the value of `key`, its meaning, what it accepts, and the chain of sources from strongest to weakest.

    Raises ConfigError for an unknown key, with the nearest one.
    """
    unknown = unknown_key(key)
    if unknown:
        raise ConfigError(f"{unknown} (command line --explain)")
    chain = resolved.provenance[key]
    lines = [f"{key} = {quoted(chain[-1].value)}", f"  {meanings()[key]}", f"  Accepts {expected(LEAVES[key])}."]
    for place, source in enumerate(reversed(chain)):
        word = "set by " if place == 0 else "shadows"
        reason = f"  ({source.reason})" if source.reason else ""
        lines.append(f"  {word} {source.layer}: {quoted(source.value)}{reason}")
    return lines


_INTRODUCTION = """# Settings

<!-- Generated by `make docs` from myxtts/config. A test holds this file against it; do not edit it by hand. -->

A run has one value for each setting below. Where several places set it, the later one in this order wins:

1. the default of this page,
2. the entry point (`train_stable.py` pins the level `basic` and has its own run directory),
3. the model size (`--model-size`),
4. the optimization level (`--optimization-level`),
5. with `--init-from RUN`: that run, in what its weights are bound to (`model_size`, `model.*`, `audio.*`,
   `text.symbols`, `text.blank_between`, `text.language`), and 0 for what its weights no longer need
   (`schedule.diagonal_prior_updates`; with a critic `schedule.adversarial_start_updates` and
   `schedule.adversarial_ramp_updates`); a run that began so keeps its own when it is resumed,
6. the built-in corpus, where it takes the place of your data and you set no length of the run,
7. the settings file (`--config FILE`),
8. the command line.

`--explain KEY` prints the value of a setting and everything it shadowed. Settings without an option of their own are
set by `--set section.key=value`. A settings file is YAML, with `model_size`, `optimization_level` and the sections as
its top-level keys; `config_nan_loss_fix.yaml` is an example. An unknown key, a key given twice and a value out of
range are errors, and all of them are reported at once.
"""


@functools.cache
def meanings() -> Mapping[str, str]:
    """The meaning of every leaf and section: the string beneath each field, the docstring of each section's class."""
    tree = ast.parse(Path(schema.__file__).read_text(encoding="utf-8"))
    of_class: dict[str, dict[str, str]] = {}
    doc_of_class: dict[str, str] = {}
    section_of_class: dict[str, str] = {}
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        doc_of_class[node.name] = ast.get_docstring(node) or ""
        fields = of_class.setdefault(node.name, {})
        for field, after in itertools.pairwise(node.body):
            if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
                continue
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                fields[field.target.id] = " ".join(str(after.value.value).split())
            if node.name == "Config" and isinstance(field.annotation, ast.Name) and field.target.id in SECTIONS:
                section_of_class[field.annotation.id] = field.target.id
    found = {key: of_class["Config"][key] for key in of_class["Config"]}
    for name, section in section_of_class.items():
        found[section] = doc_of_class[name]
        found |= {f"{section}.{field}": meaning for field, meaning in of_class[name].items()}
    return found


def document(options: Mapping[str, str] | None = None) -> str:
    """The text of docs/configuration.md. `options` maps a key to its command line option."""
    options = options or {}
    lines = [_INTRODUCTION]
    lines += ["## Top level", "", *_table([key for key in LEAVES if "." not in key], options)]
    for section in SECTIONS:
        keys = [key for key in LEAVES if key.startswith(section + ".")]
        lines += [f"## {section}", "", meanings()[section], "", *_table(keys, options)]
    lines += _sizes()
    lines += _levels()
    return "\n".join(lines).rstrip() + "\n"


def _table(keys: list[str], options: Mapping[str, str]) -> list[str]:
    rows = ["| setting | default | accepts | meaning |", "| --- | --- | --- | --- |"]
    for key in keys:
        option = f" `{options[key]}`" if key in options else ""
        rows.append(f"| `{key}`{option} | {_with_unit(LEAVES[key])} | {_accepts(LEAVES[key])} | {meanings()[key]} |")
    return [*rows, ""]


def _with_unit(field: LeafField) -> str:
    return f"`{plain(field.default)}`" + (f" {field.accepts.unit}" if field.accepts.unit else "")


def _accepts(field: LeafField) -> str:
    if field.kind == "bool":
        return "true, false"
    if field.kind == "str":
        return ", ".join(f"`{choice}`" for choice in field.accepts.choices) or "text"
    words = "whole number" if field.kind == "int" else "number"
    return f"{words} {range_words(field.accepts)}".strip()


def _sizes() -> list[str]:
    lines = ["## Model sizes", "", f"| setting | {' | '.join(MODEL_SIZES)} |", "| --- |" + " --- |" * len(MODEL_SIZES)]
    for key in dict.fromkeys(key for size in MODEL_SIZES for key in SIZES[size]):
        values = (plain(SIZES[size].get(key, LEAVES[key].default)) for size in MODEL_SIZES)
        lines.append(f"| `{key}` | {' | '.join(values)} |")
    return [*lines, ""]


def _levels() -> list[str]:
    lines = ["## Optimization levels", ""]
    for level, summary in LEVEL_SUMMARIES.items():
        lines += [f"### {level}", "", summary[0].upper() + summary[1:] + ".", ""]
        lines += _overrides({override.key: override for override in LEVELS[level]}.values())
    lines += ["### On the built-in corpus", ""]
    lines += ["As long as you set neither `training.epochs` nor `training.max_updates`.", ""]
    return lines + _overrides(BUILT_IN_CORPUS_OVERRIDES)


def _overrides(overrides: object) -> list[str]:
    rows = ["| setting | value | default | reason |", "| --- | --- | --- | --- |"]
    for override in overrides:  # type: ignore[attr-defined]
        assert isinstance(override, Override)
        default: Value = LEAVES[override.key].default
        by_size = "".join(f", {plain(value)} at {size}" for size, value in override.by_size.items())
        rows.append(f"| `{override.key}` | {plain(override.value)}{by_size} | {plain(default)} | {override.reason} |")
    return [*rows, ""]
