"""What a run keeps of its configuration: config.yaml, complete and loadable, and provenance.json."""

from __future__ import annotations

import json

from myxtts.config.leaves import LEAVES, Value
from myxtts.config.resolve import Resolved
from myxtts.config.schema import SECTIONS

CONFIG_NAME = "config.yaml"
PROVENANCE_NAME = "provenance.json"


def config_yaml(resolved: Resolved) -> str:
    """Every setting of `resolved` as a settings file, each with a comment that says where it came from."""
    lines = ["# The complete settings of this run, loadable with --config. Comments: where each value came from."]
    lines += [_line(resolved, key, "") for key in LEAVES if "." not in key]
    for section in SECTIONS:
        lines += ["", f"{section}:"]
        lines += [_line(resolved, key, "  ") for key in LEAVES if key.startswith(section + ".")]
    return "\n".join(lines) + "\n"


def provenance_json(resolved: Resolved) -> str:
    """For every setting its value and the chain of its sources, strongest first, as JSON."""
    chains = {
        key: [{"layer": source.layer, "value": source.value, "reason": source.reason} for source in reversed(chain)]
        for key, chain in resolved.provenance.items()
    }
    return json.dumps(chains, indent=1, ensure_ascii=True) + "\n"


def _line(resolved: Resolved, key: str, indent: str) -> str:
    source = resolved.source(key)
    name = key.rpartition(".")[2]
    origin = "".join(character if character.isprintable() else "?" for character in source.layer)
    return f"{indent}{name}: {_scalar(source.value)}  # {origin}"


def _scalar(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(_escaped(character) for character in value) + '"'
    return repr(value)


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08X}"
