"""Which configuration is in force: a stack over the log.

A configuration is in force from the moment its entry is appended (dissertation, chapter 4), so a truncation takes it
back: the stack holds the configuration of the snapshot (or of genesis) and that of every configuration entry behind it.
"""

from __future__ import annotations

from collections.abc import Iterable

from swarmtui.raft.configuration import Configuration, decode_configuration
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.quorum import Quorum


class Members:
    """`current` is in force since `index`, and follows `previous` (itself, where none is known); `quorum`, `voters` and
    `removed` are read off it once, not at each message."""

    def __init__(self, configuration: Configuration, index: int) -> None:
        self._stack: list[tuple[int, Configuration]] = [(index, configuration)]
        self._read()

    def _read(self) -> None:
        self.index, self.current = self._stack[-1]
        self.previous_index, self.previous = self._stack[-2] if len(self._stack) > 1 else self._stack[-1]
        configuration = self.current
        self.quorum = Quorum(
            tuple(member.id for member in configuration.voters), tuple(member.id for member in configuration.outgoing)
        )
        self.voters = configuration.voter_ids
        self.ids = tuple(member.id for member in configuration.members)
        self.removed = configuration.gone
        self.names = {member.id: member.name for member in configuration.members}

    def append(self, entries: Iterable[Entry]) -> bool:
        """Put configurations among these entries in force; True if there were any. Raises InvalidConfiguration."""
        found = [(entry.index, decode_configuration(entry.data)) for entry in entries if entry.kind is _CONFIGURATION]
        if found:
            self._stack.extend(found)
            self._read()
        return bool(found)

    def truncate(self, after: int) -> bool:
        """Take back what was appended after this index; True if that changed who is a member."""
        size = len(self._stack)
        while len(self._stack) > 1 and self._stack[-1][0] > after:
            self._stack.pop()
        if len(self._stack) < size:
            self._read()
            return True
        return False

    def compact(self, index: int) -> None:
        """Forget configurations that were replaced at or before this index."""
        while len(self._stack) > 1 and self._stack[1][0] <= index:
            del self._stack[0]
        self._read()

    def restart_at(self, configuration: Configuration, index: int, kept: Iterable[Entry]) -> None:
        """A snapshot replaces everything before it (openraft#1808 kept the old members)."""
        self._stack = [(index, configuration)]
        self.append(kept)
        self._read()

    def at(self, index: int) -> Configuration:
        """The configuration that was in force when `index` was the last entry."""
        return self.standing(index)[1]

    def standing(self, index: int) -> tuple[int, Configuration]:
        """The same, with the index of its entry before it."""
        known = self._stack[0]
        for one in self._stack:
            if one[0] > index:
                break
            known = one
        return known


_CONFIGURATION = EntryKind.CONFIGURATION
