"""Settings files: strict YAML in, every value with its line and every problem found; config.yaml of a run out.

Values stay text here: the type of the setting decides how it is read (fields.coerce), since YAML 1.1 reads 1e-05 as
a string and `no` as false.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import yaml

from myxtts.config.fields import LEAVES, Value, unknown_key
from myxtts.config.resolve import Given, Layer, Rank, Resolved, resolve
from myxtts.config.schema import SECTIONS, Config
from myxtts.messages import quoted

CONFIG_NAME = "config.yaml"
MOST_BYTES = 256 * 1024
_MOST_DEPTH = 8
_PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp")}
_NULL_TAG = "tag:yaml.org,2002:null"


class _StrictLoader(yaml.SafeLoader):
    """Composes nodes without aliases (an alias bomb needs them; settings do not) and to a small depth."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not allowed; write the value out", mark)
        if self.depth > _MOST_DEPTH:
            raise yaml.composer.ComposerError(None, None, "nested too deeply", mark)
        self.depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def load_file(path: str | Path) -> Layer:
    """The settings of the YAML file at `path` as a layer; its problems are in `layer.problems`."""
    path = Path(path)
    found: list[Given] = []
    problems: list[str] = []
    try:
        root = _compose(path)
        if root is not None:
            for key, key_node, value_node in _entries(path, root, problems):
                problem = _problem(key, value_node)
                if problem:
                    problems.append(f"{_where(path, key_node)}: {problem}")
                else:
                    found.append(Given(key, value_node.value, f"file {_where(path, key_node)}"))
    except _FileProblem as problem:
        problems.append(str(problem))
    return Layer(Rank.FILE, f"file {_name(path)}", tuple(found), tuple(problems))


class _FileProblem(Exception):
    """The file as a whole cannot be used."""


def _name(path: Path) -> str:
    text = str(path)
    return text if text.isprintable() else repr(text)


def _where(path: Path, node: yaml.Node) -> str:
    return f"{_name(path)}:{node.start_mark.line + 1}"


def _read(path: Path) -> bytes:
    """The bytes of a regular file of at most MOST_BYTES; a FIFO is rejected before it can block."""
    try:
        # O_NONBLOCK: opening a FIFO without a writer would block.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise _FileProblem(f"{_name(path)}: not a regular file; --config takes a YAML file")
            data = stream.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _FileProblem(f"{_name(path)}: cannot read the settings file: {reason}; check --config") from None
    if len(data) > MOST_BYTES:
        raise _FileProblem(f"{_name(path)}: over {MOST_BYTES} bytes, too large for settings; is it the right file?")
    return data


def _compose(path: Path) -> yaml.Node | None:
    data = _read(path)
    try:
        return yaml.compose(data, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        reason = " ".join(filter(None, (error.context, error.problem)))
        raise _FileProblem(f"{_name(path)}{line}: not valid YAML: {reason}; correct this line") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # ValueError and OverflowError: an escape such as "\UFFFFFFFF" that PyYAML hands to chr().
        reason = " ".join(str(error).split())[:160]
        line = ""
        if isinstance(error, yaml.reader.ReaderError):  # its position counts characters of text, else bytes
            before = data.decode("utf-8", "replace")[: error.position] if error.encoding == "unicode" else data
            ends = before.count("\n") if isinstance(before, str) else before.count(b"\n", 0, error.position)
            line = f":{1 + ends}"
        raise _FileProblem(f"{_name(path)}{line}: not valid YAML: {reason}; save the file as UTF-8 text") from None


def _entries(path: Path, root: yaml.Node, problems: list[str]) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    """(key, key node, value node) of every leaf of the file; section headers and duplicates are handled here."""
    if isinstance(root, yaml.ScalarNode) and root.tag == _NULL_TAG:
        return
    if not isinstance(root, yaml.MappingNode):
        problems.append(f"{_where(path, root)}: expected settings as 'section:' and 'key: value' lines")
        return
    for name, key_node, value_node in _pairs(path, root, "", problems):
        if name not in SECTIONS:
            yield name, key_node, value_node
        elif isinstance(value_node, yaml.MappingNode):
            for inner, inner_key, inner_value in _pairs(path, value_node, name + ".", problems):
                yield name + "." + inner, inner_key, inner_value
        elif not (isinstance(value_node, yaml.ScalarNode) and value_node.tag == _NULL_TAG):
            problems.append(f"{_where(path, key_node)}: {name} is a section; write its settings indented beneath it")


def _pairs(
    path: Path, mapping: yaml.MappingNode, prefix: str, problems: list[str]
) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    first_line: dict[str, int] = {}
    for key_node, value_node in mapping.value:
        if not isinstance(key_node, yaml.ScalarNode):
            problems.append(f"{_where(path, key_node)}: a key must be a name")
            continue
        name = key_node.value
        line = key_node.start_mark.line + 1
        if name in first_line:
            duplicate = f"duplicate key {quoted(prefix + name)}, first on line {first_line[name]}; keep one"
            problems.append(f"{_where(path, key_node)}: {duplicate}")
            continue
        first_line[name] = line
        yield name, key_node, value_node


def _problem(key: str, value_node: yaml.Node) -> str | None:
    unknown = unknown_key(key)
    if unknown:
        return unknown
    if not isinstance(value_node, yaml.ScalarNode):
        return f"{key} takes one value, not a list or a mapping"
    if value_node.tag not in _PLAIN_TAGS:
        return f"{key} has the tag {quoted(value_node.tag)}; write the plain value"
    if value_node.tag == _NULL_TAG and LEAVES[key].kind != "str":
        return f"{key} has no value; write one or delete the line"
    return None


def config_of_file(path: str | Path) -> Config:
    """The configuration in a complete settings file, such as the config.yaml of a run. Raises ConfigError."""
    return resolve([load_file(path)]).config


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
    return f"{indent}{name}: {yaml_scalar(source.value)}  # {origin}"


def yaml_scalar(value: Value) -> str:
    """A value as YAML that means the same to every reader; text in quotes, with escapes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(_escaped(character) for character in value) + '"'
    return repr(value)


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08X}"
