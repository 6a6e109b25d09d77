"""Which orders an agent obeys: none of a lower (term, index) than the highest it has obeyed, across restarts.

A deposed leader can thus neither stop nor start a task. A new *term* is on disk, synced, before the order is obeyed. The
index within a term only rises in its one leader's hands, and a late message of an older session is known by the
session's name; it is written behind, so that an order does not cost a sync each.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import trio

from swarmtui.storage.files import replace_file

STATE_BYTES_MAX = 4096


class DamagedState(Exception):
    """agent.json cannot be read or written. One sentence."""


class Obedience:
    """The highest order that was obeyed. `path` is the node's agent.json."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.term, self.index = _load(path)
        self._written = (self.term, self.index)
        self._turn = trio.Lock()
        self.changed = trio.Event()
        """Set when something is not on disk yet."""
        if not path.exists():
            _store(path, self.term, self.index)

    def outdated(self, term: int, index: int) -> bool:
        return (term, index) < (self.term, self.index)

    async def obey(self, term: int, index: int) -> None:
        """This order is about to be obeyed. Raises DamagedState, and then it must not be."""
        if term > self.term:
            await self._put(lambda: (term, index))
        self.term, self.index = max((self.term, self.index), (term, index))
        self.changed.set()

    async def write(self) -> None:
        """Puts the highest order on disk if it is not there yet. Raises DamagedState."""
        self.changed = trio.Event()
        await self._put(lambda: (self.term, self.index))

    async def _put(self, highest: Callable[[], tuple[int, int]]) -> None:
        """One write at a time: two would share one temporary file, and the older one could end last."""
        async with self._turn:
            order = highest()
            if order <= self._written:
                return
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(_store, self._path, *order)
            self._written = order


def _load(path: Path) -> tuple[int, int]:
    try:
        with open(path, encoding="utf-8") as file:
            fields = json.loads(file.read(STATE_BYTES_MAX))
        return int(fields["term"]), int(fields["index"])
    except FileNotFoundError:
        return 0, 0
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedState(f"{path} cannot be read: {error}") from None


def _store(path: Path, term: int, index: int) -> None:
    try:
        replace_file(path, json.dumps({"term": term, "index": index}).encode())
    except OSError as error:
        raise DamagedState(f"{path} cannot be written: {error}") from None
