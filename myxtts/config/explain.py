"""Where one value comes from, in words: the answer to `--explain KEY`."""

from __future__ import annotations

from myxtts.config.document import meanings
from myxtts.config.leaves import LEAVES, expected, shown, unknown_key
from myxtts.config.resolve import Resolved
from myxtts.errors import ConfigError


def explain(resolved: Resolved, key: str) -> list[str]:
    """Lines: the value of `key`, its meaning, what it accepts, and the chain of sources from strongest to weakest.

    Raises ConfigError for an unknown key, with the nearest one.
    """
    unknown = unknown_key(key)
    if unknown:
        raise ConfigError(f"{unknown} (command line --explain)")
    chain = resolved.provenance[key]
    lines = [f"{key} = {shown(chain[-1].value)}", f"  {meanings()[key]}", f"  Accepts {expected(LEAVES[key])}."]
    for place, source in enumerate(reversed(chain)):
        word = "set by " if place == 0 else "shadows"
        reason = f"  ({source.reason})" if source.reason else ""
        lines.append(f"  {word} {source.layer}: {shown(source.value)}{reason}")
    return lines
