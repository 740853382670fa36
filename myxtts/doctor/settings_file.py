"""Reads a settings file of MyXTTS or of the older system, leniently: what it sets here, line by line."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from myxtts.config.aliases import OTHER_NAMES
from myxtts.config.fields import LEAVES, Value, coerce, nearest
from myxtts.config.files import MOST_BYTES
from myxtts.doctor import older_names
from myxtts.doctor.findings import Said, said
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
    """What a file says of one setting: its value, or why it has none, and where and under which name it stands."""

    key: str
    raw: object
    value: Value | None
    problem: str
    written: str
    line: int
    text: str
    """The value as it stands in the file; `raw` is what it means for `key`."""


@dataclass
class Settings:
    """All that a settings file says. `older`: some of it under names of another system."""

    path: Path
    known: dict[str, Setting] = field(default_factory=dict)
    unknown: list[tuple[str, int]] = field(default_factory=list)
    without_counterpart: list[tuple[str, int]] = field(default_factory=list)
    notes: list[tuple[int, Said]] = field(default_factory=list)
    older: bool = False

    def where(self, key: str) -> str:
        """file:line of a setting."""
        return f"{self.path}:{self.known[key].line}"

    def value(self, key: str) -> Value | None:
        """The value that the file gives to `key`, None if it gives none that can be used."""
        return self.known[key].value if key in self.known else None


@dataclass(frozen=True)
class _Leaf:
    path: tuple[str, ...]
    text: str
    line: int

    @property
    def written(self) -> str:
        return ".".join(self.path)


def read_settings(path: Path) -> Settings:
    """Everything that the settings file at `path` sets here.

    Errors: ConfigError of one line if it is no file, too large, or no YAML of settings.
    """
    settings = Settings(path)
    root = _root(path)
    together: dict[str, _Leaf] = {}
    for leaf in _leaves(root, path, settings):
        _sort_in(leaf, settings, together)
    _combine(settings, together)
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
    """The bytes of a regular file of limited size; a FIFO is refused before it can hang the program."""
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
                settings.notes.append((line, said("key_is_no_name")))
                continue
            name = (*prefix, str(key_node.value))
            if name[-1] in seen:
                settings.notes.append((line, said("key_twice", key=".".join(name), first=seen[name[-1]])))
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


def _sort_in(leaf: _Leaf, settings: Settings, together: dict[str, _Leaf]) -> None:
    """Puts one `key: value` where it belongs: a setting of ours, an older name, one of several, or unknown."""
    folded = tuple(part.strip().lower().replace("-", "_") for part in leaf.path)
    ours = ".".join(leaf.path)
    two, last = ".".join(folded[-2:]), folded[-1]
    if ours in LEAVES:
        _keep(settings, ours, leaf.text, leaf)
        return
    settings.older = True
    in_ours = ".".join(folded[-2:])
    key = in_ours if in_ours in LEAVES else older_names.BELOW.get(two) or OTHER_NAMES.get(last)
    if last in older_names.COMBINED and not (key and key.startswith("training.")):
        together.setdefault(older_names.COMBINED[last], leaf)
    elif len(folded) > 1 and folded[-2] in ("scheduler", "lr_scheduler") and last in ("name", "type"):
        together.setdefault("scheduler", leaf)
    elif key:
        _keep(settings, key, _translated(key, leaf.text), leaf)
    elif last == "optimizer":
        _keep(settings, "optimizer.name", _translated("optimizer.name", leaf.text), leaf)
    elif last in older_names.WITHOUT_COUNTERPART:
        settings.without_counterpart.append((leaf.written, leaf.line))
    else:
        homes = [key for key in LEAVES if key.rpartition(".")[2] == last]
        if len(homes) == 1:
            _keep(settings, homes[0], leaf.text, leaf)
        else:
            settings.unknown.append((leaf.written, leaf.line))


def _translated(key: str, text: str) -> str:
    word = text.strip().lower()
    if key == "optimizer.name":
        return older_names.OPTIMIZERS.get(word, text)
    if key == "model.decoder":
        return older_names.DECODERS.get(word, text)
    return text


def _keep(settings: Settings, key: str, raw: object, leaf: _Leaf) -> None:
    problem, value = "", None
    try:
        value = coerce(LEAVES[key], raw)
    except ValueError as error:
        problem = str(error)
    settings.known[key] = Setting(key, raw, value, problem, leaf.written, leaf.line, leaf.text)


def _combine(settings: Settings, together: dict[str, _Leaf]) -> None:
    """Settings that the older system spread over several keys."""
    if "use_huber" in together or "huber_delta" in together:
        leaf = together.get("use_huber") or together["huber_delta"]
        delta = together["huber_delta"].text if "huber_delta" in together else _HUBER_DELTA
        _keep(settings, "loss.huber_delta", delta if "use_huber" not in together or _is_on(leaf) else 0.0, leaf)
    if "use_smoothing" in together or "smoothing" in together:
        leaf = together.get("use_smoothing") or together["smoothing"]
        share: object = together["smoothing"].text if "smoothing" in together else _SMOOTHING
        if "smoothing" in together and str(share).strip().lower() in ("true", "false", "yes", "no", "on", "off"):
            share = _SMOOTHING if _is_on(together["smoothing"]) else 0.0
        _keep(settings, "loss.label_smoothing", share if "use_smoothing" not in together or _is_on(leaf) else 0.0, leaf)
    if "mixed" in together or "precision" in together:
        leaf = together.get("precision") or together["mixed"]
        _keep(settings, "training.precision", _precision(leaf), leaf)
    if "betas" in together:
        parts = together["betas"].text.split(",")
        for key, part in zip(("optimizer.beta_1", "optimizer.beta_2"), parts, strict=False):
            _keep(settings, key, part.strip(), together["betas"])
    _combine_schedule(settings, together)


def _combine_schedule(settings: Settings, together: dict[str, _Leaf]) -> None:
    leaf = together.get("scheduler") or together.get("restarts") or together.get("cosine")
    if leaf is not None:
        text = together["scheduler"].text.strip() if "scheduler" in together else ""
        name = older_names.SCHEDULES.get(text.lower().replace("-", "_").replace(" ", "_"), text)
        if "cosine" in together and _is_on(together["cosine"]) and name in ("", "constant"):
            name = "cosine"
        if "restarts" in together and _is_on(together["restarts"]):
            name = "cosine_restarts"
        _keep(settings, "schedule.decay", name or "constant", leaf)
    rate = settings.value("optimizer.learning_rate")
    if "lowest_rate" in together and isinstance(rate, float):
        lowest = together["lowest_rate"]
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
    return older_names.PRECISIONS.get(word, word)


def nearest_name(written: str) -> str:
    """The setting here that is most like an unknown name; empty if none is."""
    return nearest(written.rpartition(".")[2], [key.rpartition(".")[2] for key in LEAVES]) or ""


def is_nothing(raw: object) -> bool:
    """Whether a raw value says that there is none."""
    return str(raw).strip().lower() in _NOTHING
