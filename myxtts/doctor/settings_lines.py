"""Changes single values of a complete settings file in place, so that every other line stays as it is."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from myxtts.config.fields import Value
from myxtts.doctor.settings_fix import scalar


def with_values(text: str, changes: Mapping[str, Value], without: Collection[str], comment: str) -> str:
    """`text` with the values of `changes` (section.key -> value) set and the keys of `without` taken out.

    A setting that the text lacks is added at the end of its section, or with its section at the end.
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
            lines.append(f"{indent}{name}: {scalar(left.pop(key))}  # {comment}")
        else:
            lines.append(line)
    lines += _added(left, section, comment)
    for rest in sorted({key.partition(".")[0] for key in left}):
        lines += ["", f"{rest}:", *_added(left, rest, comment)]
    return "\n".join(lines) + "\n"


def _added(left: dict[str, Value], section: str, comment: str) -> list[str]:
    """Lines for the changes of a section that were not met in it; they are taken out of `left`."""
    keys = [key for key in left if section and key.startswith(section + ".")]
    return [f"  {key.partition('.')[2]}: {scalar(left.pop(key))}  # {comment}" for key in keys]
