"""The schema as a flat table of fields, `section.key` -> type, default and range; and how text becomes a value."""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from myxtts.config.aliases import ALIASES
from myxtts.config.schema import SECTIONS, Config, Leaf
from myxtts.messages import has_control_character, quoted

Value = bool | int | float | str

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}
_MOST_CHARACTERS = 4_096
_LONGEST_PATH, _LONGEST_NAME = 1_000, 255
_FLOAT32_LARGEST, _FLOAT32_SMALLEST, _FLOAT32_STEP = 2.0**127, 2.0**-126, 2.0**-23
"""Below the smallest normal number TensorFlow computes with 0."""
PATH_ENDINGS = ("_path", "_dir")
"""Settings whose names end so are paths."""


@dataclass(frozen=True)
class LeafField:
    """A setting: its full key, type name, default and accepted values."""

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
    """A Config with one value for every leaf."""
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
    """The option most similar to `name`, or None if none is similar."""
    by_folded = {option.lower().replace("-", "_"): option for option in options}
    found = difflib.get_close_matches(name.lower().replace("-", "_")[:200], list(by_folded), n=1, cutoff=0.55)
    return by_folded[found[0]] if found else None


def unknown_key(key: str) -> str | None:
    """None if `key` is a setting; else a message with the nearest setting and the valid names."""
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
    """Keys whose last part is exactly `name`, or else the key with that alias."""
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

    Raises ValueError with one line that says what is expected. Text is read by the field's type, not by YAML's
    rules, so that 1e-05 is a number and `no` is the language Norwegian.
    """
    if isinstance(raw, str) and len(raw) > _MOST_CHARACTERS:
        raise ValueError(
            f"it has {len(raw)} characters, over the limit of {_MOST_CHARACTERS}; expected {expected(field)}"
        )
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
        raise ValueError(f"expected {expected(field)}, not an empty value")
    if has_control_character(raw):
        raise ValueError("it holds a control or invalid character; expected plain text")
    if field.key.endswith(PATH_ENDINGS):
        _check_path(raw)
    choices = field.accepts.choices
    if choices and raw not in choices:
        best = nearest(raw, choices)
        raise ValueError((f"the nearest is {best}; " if best else "") + f"expected {expected(field)}")
    return raw


def _check_path(raw: str) -> None:
    """Raises ValueError for a path that no file system accepts."""
    if len(raw) > _LONGEST_PATH:
        raise ValueError(f"the path has {len(raw)} characters; at most {_LONGEST_PATH}")
    longest = max((len(os.fsencode(part)) for part in raw.split("/")), default=0)
    if longest > _LONGEST_NAME:
        raise ValueError(f"a name in the path has {longest} bytes; at most {_LONGEST_NAME}")
    try:
        Path(raw).expanduser()
    except RuntimeError:
        raise ValueError(f"{raw.split('/')[0][:40]} is not a home folder of this system; write the full path") from None


def _number(field: LeafField, raw: object) -> int | float:
    accepts = field.accepts
    wanted = f"expected {expected(field)}"
    if isinstance(raw, bool):
        raise ValueError(wanted)
    if isinstance(raw, str):
        raw = raw.replace("\u066b", ".")  # the decimal mark of Persian and Arabic, whose digits Python reads
    try:
        value = _int_or_float(raw) if field.kind == "int" else float(raw)  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError):
        raise ValueError(wanted) from None
    if isinstance(value, float) and not math.isfinite(value):  # an int may be too large for a float
        raise ValueError(f"it is not finite; {wanted}")
    low, above, high = accepts.low, accepts.above, accepts.high
    too_low = (low is not None and value < low) or (above is not None and value <= above)
    if too_low or (high is not None and value > high):
        raise ValueError(f"{accepts.why}; {wanted}" if accepts.why else wanted)
    if isinstance(value, float) and (lost := _lost_in_float32(value, above)):
        raise ValueError(f"{lost} in the 32-bit arithmetic of the training; {wanted}")
    return value


def _lost_in_float32(value: float, above: float | None) -> str:
    """What a number becomes in float32 if it cannot be represented; empty if it can."""
    if abs(value) > _FLOAT32_LARGEST:
        return "it is infinite"
    if 0.0 < abs(value) < _FLOAT32_SMALLEST:
        return "it becomes 0"
    if above is not None and value - above < _FLOAT32_STEP * abs(above):
        return f"it is not more than {above:.12g}"
    return ""


def _int_or_float(raw: object) -> int:
    """A whole number, also if written 1e3 or 16.0."""
    if isinstance(raw, str):
        try:
            return int(raw)
        except ValueError:
            pass
    number = float(raw)  # type: ignore[arg-type]
    if not number.is_integer():
        raise ValueError("not whole")
    return int(number)
