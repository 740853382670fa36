"""Stable settings made from a user's: what affects stability is changed, with its reason; the rest is kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from myxtts.config.fields import LEAVES, Value, coerce
from myxtts.config.files import yaml_scalar
from myxtts.config.resolve import Given, Layer, Rank
from myxtts.config.schema import SECTIONS
from myxtts.doctor.messages import Message, message
from myxtts.doctor.settings.check import STABLE, STABLE_LEVEL, is_safe, resolved_or_problems
from myxtts.doctor.settings.read import Settings, read_settings
from myxtts.errors import ConfigError
from myxtts.messages import plain, quoted
from myxtts.storage.files import storage_error, write_text_atomic

_HEADER = (
    "# Stable settings, made by fix_nan_loss.py; loadable with --config. The comment after each value says why it is",
    "# safe, or that it was kept from the original file.",
)
_KEPT = "kept"
_DEFAULT_PATHS = ("data.train_path", "data.val_path")
"""Left out at their defaults: a path named in a file must exist, while a missing default means the built-in corpus."""


@dataclass(frozen=True)
class Change:
    """One changed setting: its name and line in the file, old and new value, and the reason."""

    key: str
    written: str
    before: str
    after: str
    where: str
    reason: str


@dataclass
class Repaired:
    """Stable settings: the text of the file, the changes, and what was kept, added and left out."""

    text: str
    changes: list[Change]
    kept: dict[str, Value]
    added: int
    left_out: list[Message] = field(default_factory=list)


def repair_settings(path: Path) -> Repaired:
    """Stable settings from the file at `path`, of MyXTTS or of an older system.

    Errors: ConfigError of one line if it is not a settings file.
    """
    settings = read_settings(path)
    values, reasons, changes = _stable_values(settings)
    kept, left_out = _kept_values(settings)
    added = sum(key not in settings.known for key in STABLE)
    changes += _level_change(settings)
    values["optimization_level"] = STABLE_LEVEL
    _settle(values, kept, reasons, left_out, settings)
    text = settings_text({**values, **kept}, {**reasons, **dict.fromkeys(kept, _KEPT)})
    return Repaired(text, changes, kept, added, left_out)


def _stable_values(settings: Settings) -> tuple[dict[str, Value], dict[str, str], list[Change]]:
    """Every setting of the stable level: the user's own where it is as safe, else the level's with its reason."""
    values: dict[str, Value] = {}
    reasons: dict[str, str] = {}
    changes: list[Change] = []
    for key, override in STABLE.items():
        stable = coerce(LEAVES[key], override.value)
        setting = settings.known.get(key)
        if setting is not None and setting.value is not None and is_safe(key, setting.value, stable):
            values[key] = setting.value
            reasons[key] = override.reason if setting.value == stable else _KEPT
            continue
        values[key], reasons[key] = stable, override.reason
        if setting is not None:
            before = quoted(setting.text) if setting.value is None else setting.text
            where = settings.where(key)
            changes.append(Change(key, setting.written, before, plain(stable), where, override.reason))
    return values, reasons, changes


def _level_change(settings: Settings) -> list[Change]:
    setting = settings.known.get("optimization_level")
    if setting is None or setting.value == STABLE_LEVEL:
        return []
    where = settings.where("optimization_level")
    before = quoted(setting.text) if setting.value is None else setting.text
    return [Change("optimization_level", setting.written, before, STABLE_LEVEL, where, "")]


def _kept_values(settings: Settings) -> tuple[dict[str, Value], list[Message]]:
    """What the user set that does not affect stability, and what had to be left out."""
    kept: dict[str, Value] = {}
    left_out: list[Message] = []
    for key, setting in settings.known.items():
        if key in STABLE or key == "optimization_level":
            continue
        place = settings.where(key)
        if key == "schedule.restart_growth" or (key.startswith("schedule.") and settings.older):
            left_out.append(message("left_schedule", written=setting.written, raw=quoted(setting.text), where=place))
        elif setting.value is None:
            left_out.append(_unusable(settings, key, setting.problem))
        elif key not in _DEFAULT_PATHS or setting.value != LEAVES[key].default:
            kept[key] = setting.value
    if settings.unknown:
        left_out.append(message("left_unknown", count=len(settings.unknown), names=settings.unknown_names()))
    return kept, left_out


def _settle(
    values: dict[str, Value],
    kept: dict[str, Value],
    reasons: dict[str, str],
    left_out: list[Message],
    settings: Settings,
) -> None:
    """Leaves out kept settings that contradict others, until the settings load."""
    while True:
        given = tuple(Given(key, value, "repaired") for key, value in {**values, **kept}.items())
        outcome = resolved_or_problems([Layer(Rank.FILE, "repaired", given)])
        if not isinstance(outcome, list):
            return
        problem = outcome[0]
        own = [key for key in STABLE if key in problem and reasons[key] == _KEPT]
        conflicting = [key for key in kept if key in problem]
        if not conflicting and not own:
            raise ConfigError(f"{settings.path}: cannot be repaired: {problem}")
        for key in own:
            values[key], reasons[key] = coerce(LEAVES[key], STABLE[key].value), STABLE[key].reason
        for key in [] if own else conflicting:
            left_out.append(_unusable(settings, key, problem))
            del kept[key]


def _unusable(settings: Settings, key: str, problem: str) -> Message:
    setting = settings.known[key]
    raw, where = quoted(setting.text), settings.where(key)
    return message("left_unusable", written=setting.written, raw=raw, where=where, problem=problem)


def settings_text(values: Mapping[str, Value], comments: Mapping[str, str]) -> str:
    """Settings as a file that --config loads: top level first, then the sections, a comment after each value."""
    lines = [*_HEADER, ""]
    lines += [_line(key, values[key], comments, "") for key in LEAVES if "." not in key and key in values]
    for section in SECTIONS:
        keys = [key for key in LEAVES if key.startswith(section + ".") and key in values]
        if keys:
            lines += ["", f"{section}:", *(_line(key, values[key], comments, "  ") for key in keys)]
    return "\n".join(lines) + "\n"


def _line(key: str, value: Value, comments: Mapping[str, str], indent: str) -> str:
    comment = f"  # {comments[key]}" if comments.get(key) else ""
    return f"{indent}{key.rpartition('.')[2]}: {yaml_scalar(value)}{comment}"


def holds_already(out: Path, repaired: Repaired, source: Path) -> bool:
    """Whether `out` holds these stable settings already.

    Errors: ConfigError if it holds something else (such as the original file) or cannot be written.
    """
    if out.is_symlink() or (out.exists() and not out.is_file()):
        raise ConfigError(f"--out {quoted(str(out), 200)}: is a link or not a regular file; name another file")
    if out.exists():
        try:
            if out.read_bytes() == repaired.text.encode("utf-8"):
                return True
        except OSError as error:
            raise storage_error("reading", out, error) from error
        raise ConfigError(
            f"--out {quoted(str(out), 200)}: exists with other content and is not overwritten; name another file"
            + ("" if not _same(out, source) else ", this one holds the original settings")
        )
    if not out.parent.is_dir():
        raise ConfigError(f"--out {quoted(str(out), 200)}: its folder does not exist; create it or name another file")
    return False


def write_settings(out: Path, repaired: Repaired, source: Path) -> bool:
    """Writes stable settings to `out`; whether anything changed.

    Errors: ConfigError as `holds_already`; StorageError by the disk.
    """
    if holds_already(out, repaired, source):
        return False
    write_text_atomic(out, repaired.text)
    return True


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def with_values(text: str, changes: Mapping[str, Value], without: Collection[str], comment: str) -> str:
    """`text`, a complete settings file, with `changes` (section.key -> value) set and the keys in `without` removed.

    Every other line stays as it is. A missing setting is added at the end of its section, a missing section at the end.
    """
    lines: list[str] = []
    left = dict(changes)
    section = ""
    for line in text.splitlines():
        bare = line.split("#")[0].rstrip()
        if bare and not bare[0].isspace():
            lines += _added(left, section, comment)
            section = bare[:-1] if bare.endswith(":") else ""
        name = bare.strip().partition(":")[0]
        key = f"{section}.{name}" if section and bare[:1].isspace() else name
        if key in without:
            continue
        if key in left and ":" in bare:
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(f"{indent}{name}: {yaml_scalar(left.pop(key))}  # {comment}")
        else:
            lines.append(line)
    lines += _added(left, section, comment)
    for rest in sorted({key.partition(".")[0] for key in left}):
        lines += ["", f"{rest}:", *_added(left, rest, comment)]
    return "\n".join(lines) + "\n"


def _added(left: dict[str, Value], section: str, comment: str) -> list[str]:
    """Lines for changes of a section that it does not hold yet; removes them from `left`."""
    keys = [key for key in left if section and key.startswith(section + ".")]
    return [f"  {key.partition('.')[2]}: {yaml_scalar(left.pop(key))}  # {comment}" for key in keys]
