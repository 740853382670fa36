"""Reads a settings file of MyXTTS or of an older system, leniently: what it sets, line by line."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from myxtts.config import aliases
from myxtts.config.fields import LEAVES, Value, coerce, nearest
from myxtts.config.files import MOST_BYTES
from myxtts.doctor.messages import Message, message
from myxtts.errors import ConfigError
from myxtts.messages import quoted

_MOST_DEPTH = 12
_MOST_LEAVES = 5_000
_NULL_TAG = "tag:yaml.org,2002:null"
_NOTHING = ("", "null", "none", "~")
_HUBER_DELTA = 1.0
_SMOOTHING = 0.1
_TRUE = ("true", "yes", "on", "1")


@dataclass(frozen=True)
class Setting:
    """One setting in a file: its value, or why it has none, and its line and name there."""

    key: str
    raw: object
    value: Value | None
    problem: str
    written: str
    line: int
    text: str
    """The value as written in the file; `raw` is what it means for `key`."""


@dataclass
class Settings:
    """Everything that a settings file sets. `older`: it uses names of another system."""

    path: Path
    known: dict[str, Setting] = field(default_factory=dict)
    unknown: list[tuple[str, int]] = field(default_factory=list)
    notes: list[tuple[int, Message]] = field(default_factory=list)
    older: bool = False

    def where(self, key: str) -> str:
        """file:line of a setting."""
        return f"{self.path}:{self.known[key].line}"

    def value(self, key: str) -> Value | None:
        """The value that the file gives to `key`, None if it gives none that can be used."""
        return self.known[key].value if key in self.known else None

    def unknown_names(self) -> str:
        """The first 40 unknown names with their lines."""
        names = [f"{written} (:{line})" for written, line in self.unknown]
        return ", ".join([*names[:40], "..."] if len(names) > 40 else names)


@dataclass(frozen=True)
class _Leaf:
    path: tuple[str, ...]
    text: str
    line: int

    @property
    def written(self) -> str:
        return ".".join(self.path)


def read_settings(path: Path) -> Settings:
    """Everything that the settings file at `path` sets.

    Errors: ConfigError of one line if it is not a file, too large, or not YAML with settings.
    """
    settings = Settings(path)
    root = _root(path)
    parts: dict[str, _Leaf] = {}
    for leaf in _leaves(root, path, settings):
        _classify(leaf, settings, parts)
    _combine(settings, parts)
    return settings


def _root(path: Path) -> yaml.MappingNode:
    where = quoted(str(path), 200)
    content = _content(path)
    try:
        root = yaml.compose(content, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        reason = " ".join(" ".join(filter(None, (error.context, error.problem))).split())[:160]
        raise ConfigError(f"{path}{line}: not valid YAML: {reason}; correct this line") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ConfigError(f"{where}: not valid YAML: {reason}; save the file as UTF-8 text") from None
    except RecursionError:
        raise ConfigError(f"{where}: not valid YAML: nested too deeply; is it a settings file?") from None
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{where}: holds no settings ('section:' and 'key: value' lines); is it the right file?")
    return root


def _content(path: Path) -> bytes:
    """The bytes of a regular file of limited size; a FIFO is rejected before it can block."""
    where = quoted(str(path), 200)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ConfigError(f"{where}: not a regular file; name a YAML file of settings")
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{where}: cannot be read: {reason}; name a YAML file of settings") from None
    if len(content) > MOST_BYTES:
        raise ConfigError(f"{where}: over {MOST_BYTES} bytes, too large for settings; is it the right file?")
    return content


def _leaves(root: yaml.MappingNode, path: Path, settings: Settings) -> Iterator[_Leaf]:
    """Every `key: value` of the file, however deeply it is nested; lists are one value."""
    todo: list[tuple[tuple[str, ...], yaml.MappingNode]] = [((), root)]
    count = 0
    while todo:
        prefix, mapping = todo.pop(0)
        seen: dict[str, int] = {}
        for key_node, value_node in mapping.value:
            count += 1
            line = key_node.start_mark.line + 1
            if count > _MOST_LEAVES or len(prefix) >= _MOST_DEPTH:
                raise ConfigError(f"{path}:{line}: nested or repeated beyond what settings need; is it the right file?")
            if not isinstance(key_node, yaml.ScalarNode):
                settings.notes.append((line, message("key_is_no_name")))
                continue
            name = (*prefix, str(key_node.value))
            if name[-1] in seen:
                settings.notes.append((line, message("key_twice", key=".".join(name), first=seen[name[-1]])))
            seen.setdefault(name[-1], line)
            if isinstance(value_node, yaml.MappingNode):
                todo.append((name, value_node))
            else:
                yield _Leaf(name, _text(value_node), line)


def _text(node: yaml.Node) -> str:
    """The value as text; the scalars of a list with commas between them."""
    if isinstance(node, yaml.SequenceNode):
        return ",".join(str(item.value) for item in node.value[:50] if isinstance(item, yaml.ScalarNode))
    return "" if node.tag == _NULL_TAG else str(node.value)


def _classify(leaf: _Leaf, settings: Settings, parts: dict[str, _Leaf]) -> None:
    """Stores one `key: value` as a setting, as part of a combined one, or as unknown."""
    folded = tuple(part.strip().lower().replace("-", "_") for part in leaf.path)
    ours = ".".join(leaf.path)
    two, last = ".".join(folded[-2:]), folded[-1]
    if ours in LEAVES:
        _keep(settings, ours, leaf.text, leaf)
        return
    key = two if two in LEAVES else aliases.QUALIFIED_ALIASES.get(two) or aliases.ALIASES.get(last)
    homes = [known for known in LEAVES if known.rpartition(".")[2] == last and not known.startswith("vocoder.")]
    if last in aliases.COMBINED and not (key and key.startswith("training.")):
        parts.setdefault(aliases.COMBINED[last], leaf)
    elif len(folded) > 1 and folded[-2] in ("scheduler", "lr_scheduler") and last in ("name", "type"):
        parts.setdefault("scheduler", leaf)
    elif key:
        _keep(settings, key, _translated(key, leaf.text), leaf)
    elif last == "optimizer":
        _keep(settings, "optimizer.name", _translated("optimizer.name", leaf.text), leaf)
    elif len(homes) == 1:
        _keep(settings, homes[0], leaf.text, leaf)
    else:
        settings.unknown.append((leaf.written, leaf.line))
        return
    settings.older = True


def _translated(key: str, text: str) -> str:
    word = text.strip().lower()
    if key == "optimizer.name":
        return aliases.OPTIMIZERS.get(word, text)
    if key == "model.decoder":
        return aliases.DECODERS.get(word, text)
    return text


def _keep(settings: Settings, key: str, raw: object, leaf: _Leaf) -> None:
    problem, value = "", None
    try:
        value = coerce(LEAVES[key], raw)
    except ValueError as error:
        problem = str(error)
    settings.known[key] = Setting(key, raw, value, problem, leaf.written, leaf.line, leaf.text)


def _combine(settings: Settings, parts: dict[str, _Leaf]) -> None:
    """Settings that the older system spreads over several keys."""
    if "use_huber" in parts or "huber_delta" in parts:
        leaf = parts.get("use_huber") or parts["huber_delta"]
        delta = parts["huber_delta"].text if "huber_delta" in parts else _HUBER_DELTA
        _keep(settings, "loss.huber_delta", delta if "use_huber" not in parts or _is_on(leaf) else 0.0, leaf)
    if "use_smoothing" in parts or "smoothing" in parts:
        leaf = parts.get("use_smoothing") or parts["smoothing"]
        share: object = parts["smoothing"].text if "smoothing" in parts else _SMOOTHING
        if "smoothing" in parts and str(share).strip().lower() in ("true", "false", "yes", "no", "on", "off"):
            share = _SMOOTHING if _is_on(parts["smoothing"]) else 0.0
        _keep(settings, "loss.label_smoothing", share if "use_smoothing" not in parts or _is_on(leaf) else 0.0, leaf)
    if "mixed" in parts or "precision" in parts:
        leaf = parts.get("precision") or parts["mixed"]
        _keep(settings, "training.precision", _precision(leaf), leaf)
    if "betas" in parts:
        betas = parts["betas"].text.split(",")
        for key, beta in zip(("optimizer.beta_1", "optimizer.beta_2"), betas, strict=False):
            _keep(settings, key, beta.strip(), parts["betas"])
    _combine_schedule(settings, parts)


def _combine_schedule(settings: Settings, parts: dict[str, _Leaf]) -> None:
    leaf = parts.get("scheduler") or parts.get("restarts") or parts.get("cosine")
    if leaf is not None:
        text = parts["scheduler"].text.strip() if "scheduler" in parts else ""
        name = aliases.SCHEDULES.get(text.lower().replace("-", "_").replace(" ", "_"), text)
        if "cosine" in parts and _is_on(parts["cosine"]) and name in ("", "constant"):
            name = "cosine"
        if "restarts" in parts and _is_on(parts["restarts"]):
            name = "cosine_restarts"
        _keep(settings, "schedule.decay", name or "constant", leaf)
    rate = settings.value("optimizer.learning_rate")
    if "lowest_rate" in parts and isinstance(rate, float):
        lowest = parts["lowest_rate"]
        try:
            _keep(settings, "schedule.floor_share", float(lowest.text) / rate, lowest)
        except ValueError:
            _keep(settings, "schedule.floor_share", lowest.text, lowest)


def _is_on(leaf: _Leaf) -> bool:
    return leaf.text.strip().lower() in _TRUE


def _precision(leaf: _Leaf) -> str:
    word = leaf.text.strip().lower()
    if word in (*_TRUE, "false", "no", "off", "0") or word in _NOTHING:
        return "fp16" if word in _TRUE else "fp32"
    return aliases.PRECISIONS.get(word, word)


def nearest_name(written: str) -> str:
    """The setting whose name is most like an unknown one; empty if none is."""
    return nearest(written.rpartition(".")[2], [key.rpartition(".")[2] for key in LEAVES]) or ""


def is_nothing(raw: object) -> bool:
    """Whether a raw value means "none"."""
    return str(raw).strip().lower() in _NOTHING
