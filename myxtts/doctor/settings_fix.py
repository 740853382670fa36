"""Stable settings made from a user's: what stability asks for is changed, with its reason; all else is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from myxtts.config.fields import LEAVES, Value, coerce
from myxtts.config.resolve import Given, Layer, Rank
from myxtts.config.schema import SECTIONS
from myxtts.doctor.findings import Said, said
from myxtts.doctor.rules import STABLE, STABLE_LEVEL, is_safe
from myxtts.doctor.settings_check import resolved_or_problems
from myxtts.doctor.settings_file import Settings, read_settings
from myxtts.errors import ConfigError
from myxtts.messages import plain, quoted
from myxtts.storage.files import storage_error, write_text_atomic

_HEADER = (
    "# Stable settings, made by fix_nan_loss.py; loadable with --config. Behind each value: why it is safe, or that",
    "# it was kept from the file that was repaired.",
)
_KEPT = "kept"
_DEFAULT_PATHS = ("data.train_path", "data.val_path")
"""Named at their defaults they would forbid the built-in corpus, which takes their place where they do not exist."""


@dataclass(frozen=True)
class Change:
    """One setting that was changed: under which name it stood, what it was and is, where, and why."""

    key: str
    written: str
    before: str
    after: str
    where: str
    reason: str


@dataclass
class Repaired:
    """Stable settings: the text of the file, what was changed and why, what was kept, and what was left out."""

    text: str
    changes: list[Change]
    kept: dict[str, Value]
    added: int
    left_out: list[Said] = field(default_factory=list)


def repair_settings(path: Path) -> Repaired:
    """Stable settings from the file at `path`, of MyXTTS or of the older system.

    Errors: ConfigError of one line if it is no settings file.
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


def _kept_values(settings: Settings) -> tuple[dict[str, Value], list[Said]]:
    """What the user set that stability does not ask for, and what had to be left out."""
    kept: dict[str, Value] = {}
    left_out: list[Said] = []
    for key, setting in settings.known.items():
        if key in STABLE or key == "optimization_level":
            continue
        place = settings.where(key)
        if key == "schedule.restart_growth" or (key.startswith("schedule.") and settings.older):
            left_out.append(said("left_schedule", written=setting.written, raw=quoted(setting.text), where=place))
        elif setting.value is None:
            problem = setting.problem
            left_out.append(
                said("left_unusable", written=setting.written, raw=quoted(setting.text), where=place, problem=problem)
            )
        elif key not in _DEFAULT_PATHS or setting.value != LEAVES[key].default:
            kept[key] = setting.value
    for written, line in settings.unknown:
        left_out.append(said("left_unknown", written=written, where=f"{settings.path}:{line}"))
    if settings.without_counterpart:
        names = ", ".join(f"{written} (:{line})" for written, line in settings.without_counterpart)
        left_out.append(said("left_without_counterpart", count=len(settings.without_counterpart), names=names))
    return kept, left_out


def _settle(
    values: dict[str, Value],
    kept: dict[str, Value],
    reasons: dict[str, str],
    left_out: list[Said],
    settings: Settings,
) -> None:
    """Leaves out what was kept where it contradicts something, until the settings load."""
    while True:
        given = tuple(Given(key, value, "repaired") for key, value in {**values, **kept}.items())
        outcome = resolved_or_problems([Layer(Rank.FILE, "repaired", given)])
        if not isinstance(outcome, list):
            return
        problem = outcome[0]
        own = [key for key in STABLE if key in problem and reasons[key] == _KEPT]
        guilty = [key for key in kept if key in problem]
        if not guilty and not own:
            raise ConfigError(f"{settings.path}: cannot be repaired: {problem}")
        for key in own:
            values[key], reasons[key] = coerce(LEAVES[key], STABLE[key].value), STABLE[key].reason
        for key in [] if own else guilty:
            setting = settings.known[key]
            left_out.append(
                said(
                    "left_unusable", written=setting.written, raw=quoted(setting.text), where=settings.where(key),
                    problem=problem,
                )
            )  # fmt: skip
            del kept[key]


def settings_text(values: Mapping[str, Value], comments: Mapping[str, str]) -> str:
    """Settings as a file that --config loads: top level first, then the sections, a comment behind each value."""
    lines = [*_HEADER, ""]
    lines += [_line(key, values[key], comments, "") for key in LEAVES if "." not in key and key in values]
    for section in SECTIONS:
        keys = [key for key in LEAVES if key.startswith(section + ".") and key in values]
        if keys:
            lines += ["", f"{section}:", *(_line(key, values[key], comments, "  ") for key in keys)]
    return "\n".join(lines) + "\n"


def _line(key: str, value: Value, comments: Mapping[str, str], indent: str) -> str:
    comment = f"  # {comments[key]}" if comments.get(key) else ""
    return f"{indent}{key.rpartition('.')[2]}: {scalar(value)}{comment}"


def scalar(value: Value) -> str:
    """A value as YAML that means the same to every reader; text in quotes, with escapes."""
    if isinstance(value, str):
        return '"' + "".join(_escaped(character) for character in value) + '"'
    return ("true" if value else "false") if isinstance(value, bool) else repr(value)


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08X}"


def holds_already(out: Path, repaired: Repaired, source: Path) -> bool:
    """Whether `out` holds these stable settings already, and nothing is to be written.

    Errors: ConfigError if it holds something else, the repaired file itself too, or cannot be written.
    """
    if out.is_symlink() or (out.exists() and not out.is_file()):
        raise ConfigError(f"--out {quoted(str(out), 200)}: is a link or no regular file; name another file")
    if out.exists():
        try:
            if out.read_bytes() == repaired.text.encode("utf-8"):
                return True
        except OSError as error:
            raise storage_error("reading", out, error) from error
        raise ConfigError(
            f"--out {quoted(str(out), 200)}: holds something else, and nothing is overwritten; name another file"
            + ("" if not _same(out, source) else ", the settings that are repaired stay as they are")
        )
    if not out.parent.is_dir():
        raise ConfigError(f"--out {quoted(str(out), 200)}: its folder does not exist; make it, or name another file")
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
