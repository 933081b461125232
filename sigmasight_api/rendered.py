"""Answers as they were sent, remembered up to a number of bytes, so that asking again costs a look-up."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

REMEMBERED_BYTES = 64 * 2**20
# What a key and an entry take beside the body.
ENTRY_BYTES = 500


@dataclass(frozen=True, slots=True)
class Rendered:
    """The JSON document of an answer, and the generation it states."""

    generation: int
    body: bytes


class RenderedAnswers:
    """The answers that were asked for last; a key holds everything that the answer depends on."""

    def __init__(self, *, capacity_bytes: int = REMEMBERED_BYTES) -> None:
        self._capacity = capacity_bytes
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, Rendered] = OrderedDict()
        self._bytes = self._newest = self._before = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def nbytes(self) -> int:
        """Memory of what is remembered, about."""
        return self._bytes

    def get(self, key: Hashable) -> Rendered | None:
        """The answer under the key, or None."""
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
            return found

    def put(self, key: Hashable, answer: Rendered) -> None:
        """Remember the answer; those of generations before the last two, or not asked for longest, make room.

        The generation before the newest is read while the newest is computed in advance, and by requests under way.
        """
        with self._lock:
            if answer.generation > self._newest:
                self._before, self._newest = self._newest, answer.generation
                for old in [old for old, kept in self._entries.items() if kept.generation < self._before]:
                    self._drop(old)
            self._drop(key)
            self._entries[key] = answer
            self._bytes += _size(answer)
            while self._bytes > self._capacity:
                self._drop(next(iter(self._entries)))

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._entries.clear()
            self._bytes = self._newest = self._before = 0

    def _drop(self, key: Hashable) -> None:
        old = self._entries.pop(key, None)
        if old is not None:
            self._bytes -= _size(old)


def _size(answer: Rendered) -> int:
    return len(answer.body) + ENTRY_BYTES
