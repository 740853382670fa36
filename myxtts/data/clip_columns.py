"""Columns for the facts of many clips in little memory: a Python object for each clip takes 2 KB.

An object is made when a row is read, from the numbers and bytes of its row.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
import numpy.typing as npt

from myxtts.data.records import Utterance

V = TypeVar("V")


def compact(numbers: npt.ArrayLike) -> npt.NDArray[Any]:
    """Whole numbers of at least 0 in the smallest unsigned type that holds them all."""
    values = np.asarray(numbers, np.int64)
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))


class _Rows(Sequence[V]):
    """A sequence whose values are made when they are read."""

    @abstractmethod
    def _value(self, row: int) -> V:
        """The value of a row, which exists."""

    @overload
    def __getitem__(self, at: int) -> V: ...
    @overload
    def __getitem__(self, at: slice) -> list[V]: ...
    def __getitem__(self, at: int | slice) -> V | list[V]:
        if isinstance(at, slice):
            return [self._value(row) for row in range(*at.indices(len(self)))]
        row = int(at) + len(self) if at < 0 else int(at)
        if not 0 <= row < len(self):
            raise IndexError(f"row {at} of {len(self)}")
        return self._value(row)


class Shared(Sequence[str]):
    """Texts of which many are equal: each is kept once."""

    def __init__(self, texts: Iterable[str]) -> None:
        numbers: dict[str, int] = {}
        self._numbers = compact([numbers.setdefault(text, len(numbers)) for text in texts])
        self._values = list(numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return [self._values[number] for number in self._numbers[at].tolist()]
        return self._values[self._numbers[at]]

    def __iter__(self) -> Iterator[str]:
        return map(self._values.__getitem__, self._numbers.tolist())


class Texts(_Rows[str]):
    """Texts in one block of bytes (UTF-8; unpaired surrogates of file names are kept)."""

    def __init__(self, texts: Iterable[str]) -> None:
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        self._bytes = b"".join(encoded)
        self._ends = compact(np.cumsum([0, *map(len, encoded)]))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def _value(self, row: int) -> str:
        return self._bytes[self._ends[row] : self._ends[row + 1]].decode("utf-8", "surrogatepass")


class Paths:
    """Paths as folders, each of which is kept once, and names."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._folders = Shared(str(path.parent) for path in paths)
        self._names = Texts(path.name for path in paths)

    def __getitem__(self, row: int) -> Path:
        return Path(self._folders[row], self._names[row])

    def text(self, row: int) -> str:
        """A path as text, which is made in a fifth of the time."""
        return f"{self._folders[row]}/{self._names[row]}"


class Arrays:
    """Arrays of symbols, numbers of at least 0, one behind the other; a symbol takes one byte if 256 or fewer occur."""

    def __init__(self, arrays: Sequence[npt.NDArray[np.int32]]) -> None:
        self.lengths = np.array([len(array) for array in arrays], np.int64)
        self._ends = compact(np.concatenate([[0], np.cumsum(self.lengths)]))
        flat = np.concatenate(arrays) if arrays else np.zeros(0, np.int32)
        occurs = np.bincount(flat) > 0
        self._symbols = np.flatnonzero(occurs).astype(np.int32)
        self._flat = compact(np.maximum(np.cumsum(occurs) - 1, 0))[flat]

    def __getitem__(self, row: int) -> npt.NDArray[np.int32]:
        return self._symbols[self._flat[self._ends[row] : self._ends[row + 1]]]


class Utterances(_Rows[Utterance]):
    """Utterances by row; each is made when it is read."""

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        self.ids = Texts(u.id for u in utterances)
        self.speakers = Shared(u.speaker for u in utterances)
        self.languages = Shared(u.language for u in utterances)
        self._texts = Texts(u.text for u in utterances)
        self._paths = Paths([u.audio_path for u in utterances])
        sources = [u.source.rpartition(":") for u in utterances]
        self._files = Shared(file + colon for file, colon, _ in sources)
        self._lines = Texts(line for _, _, line in sources)
        self._speeds = {row: u.speed for row, u in enumerate(utterances) if u.speed != 1.0}

    def __len__(self) -> int:
        return len(self.ids)

    def _value(self, row: int) -> Utterance:
        return Utterance(
            id=self.ids[row],
            audio_path=self._paths[row],
            text=self._texts[row],
            speaker=self.speakers[row],
            language=self.languages[row],
            source=self._files[row] + self._lines[row],
            speed=self._speeds.get(row, 1.0),
        )
