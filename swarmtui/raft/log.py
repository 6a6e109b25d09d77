"""The log in memory: one list behind a base, and three markers: durable, commit, last.

    base | first ... durable ... last
         |       ^ on disk here   ^ in memory

`base` is the newest entry that compaction dropped; its term is remembered. The whole tail behind it stays in memory, so
that no step of the core waits for a disk.

What is durable is known by the sequence number of Writes alone, never by comparing terms: when entries are overwritten
and later written again the same (etcd's ABA race), the report of an old write must not vouch for a new entry. Every write
on its way remembers the last index it vouches for, and a truncation lowers that.
"""

from __future__ import annotations

import bisect
from array import array
from collections import deque
from collections.abc import Iterable, Sequence

import attrs

from swarmtui.raft.configuration import Configuration
from swarmtui.raft.effects import HardState, Write
from swarmtui.raft.entries import Entry
from swarmtui.raft.invariants import InvariantViolation, require
from swarmtui.raft.messages import SnapshotMark

ENTRY_OVERHEAD_BYTES = 22  # the head of a record: what an entry without data weighs


@attrs.frozen
class Restored:
    """What the disk gave back: the hard state, the newest snapshot, the configuration of that snapshot (of genesis if there
    is none), and the entries of the log; they may begin before the snapshot's end, for followers."""

    hard_state: HardState
    snapshot: SnapshotMark | None
    configuration: Configuration
    entries: tuple[Entry, ...] = ()


@attrs.define
class Outstanding:
    """A Write on its way to the disk: `vouches` is the last index that it makes durable."""

    sequence: int
    vouches: int
    issued_at: float


class Log:
    """Entries (base, last], and how far they are durable and committed."""

    def __init__(self, base: int, base_term: int, entries: Iterable[Entry] = ()) -> None:
        self.base = base
        self.base_term = base_term
        self.commit = base
        self._entries = list(entries)
        self._dropped_bytes = 0  # bytes of all entries before the first, so that compaction moves no numbers
        self._ends = array("Q")  # bytes of all entries up to and with this one
        self._weigh(self._entries)
        self.last = base + len(self._entries)
        self.durable = self.last
        self.written = self.last  # the last index that some Write carries
        self.sequence = 0  # of the newest Write
        self.completed = 0  # all Writes up to here are durable
        self._truncate_after: int | None = None
        self._outstanding: deque[Outstanding] = deque()

    @classmethod
    def restore(cls, restored: Restored) -> Log:
        """The log as the disk gave it back. What was committed must be there: else the disk has lost it."""
        index, term = (restored.snapshot.index, restored.snapshot.term) if restored.snapshot else (0, 0)
        entries = list(restored.entries)
        if not entries or entries[0].index == index + 1:
            log = cls(index, term, entries)
        else:
            require(entries[0].index <= index, "the log begins at its snapshot", first=entries[0], snapshot=index)
            at = index - entries[0].index
            if at < len(entries) and entries[at].term == term:
                # The term before the first kept entry is unknown: that entry itself becomes the base.
                log = cls(entries[0].index, entries[0].term, entries[1:])
            else:
                log = cls(index, term)
        commit = max(index, restored.hard_state.commit)
        require(commit <= log.last, "the disk holds what was committed", commit=commit, last=log.last)
        log.commit = commit
        return log

    # ---- reading ----

    @property
    def first(self) -> int:
        return self.base + 1

    @property
    def last_term(self) -> int:
        return self._entries[-1].term if self._entries else self.base_term

    def term_at(self, index: int) -> int | None:
        """The term of an entry, or of the base; None if it is compacted or not there yet."""
        position = index - self.base - 1
        if position == -1:
            return self.base_term
        return self._entries[position].term if 0 <= position < len(self._entries) else None

    def between(self, first: int, last: int) -> list[Entry]:
        """Entries [first, last] as far as they are in memory."""
        return self._entries[max(0, first - self.base - 1) : max(0, last - self.base)]

    def batch(self, first: int, bytes_max: int) -> tuple[Entry, ...]:
        """Entries from `first` on, as many as weigh `bytes_max` together, at least one if there is one."""
        start = first - self.base - 1
        if start >= len(self._entries):
            return ()
        limit = (self._ends[start - 1] if start else self._dropped_bytes) + bytes_max
        if self._ends[-1] <= limit:
            return tuple(self._entries[start:])
        return tuple(self._entries[start : max(start + 1, bisect.bisect_right(self._ends, limit, lo=start))])

    def bytes_behind(self, index: int) -> int:
        """What the entries after `index` weigh."""
        position = index - self.base
        if not self._entries or position >= len(self._entries):
            return 0
        return self._ends[-1] - (self._ends[position - 1] if position > 0 else self._dropped_bytes)

    def bytes_between(self, after: int, upto: int) -> int:
        """What the entries (after, upto] weigh."""
        return self.bytes_behind(after) - self.bytes_behind(upto) if after < upto else 0

    def cut_to_bytes(self, upto: int, bytes_max: int) -> int:
        """The lowest index behind which the entries up to `upto` weigh no more than `bytes_max`."""
        if upto <= self.base:
            return self.base
        target = self._ends[upto - self.base - 1] - bytes_max
        if target <= self._dropped_bytes:
            return self.base
        return self.base + 1 + bisect.bisect_left(self._ends, target)

    def is_up_to_date(self, last_term: int, last_index: int) -> bool:
        """Whether a candidate whose log ends so may lead us (paper 5.4.1): the term first, then the length."""
        return (last_term, last_index) >= (self.last_term, self.last)

    def search(self, index: int, term: int) -> int:
        """The last index at or before `index` whose term is at most `term`: where two logs can still agree.

        One answer skips a whole term of conflicting entries on either side. Before the base nothing is known: then it is
        `index` itself, or the base minus one, for which `term_at` is None.
        """
        index = min(index, self.last)
        if index < self.base:
            return index
        position = bisect.bisect_right(self._entries, term, hi=index - self.base, key=_term)
        return self.base + position if position or self.base_term <= term else self.base - 1

    # ---- changing ----

    def append(self, entries: Sequence[Entry]) -> None:
        first, last_term = entries[0], self.last_term
        if first.index != self.last + 1 or first.term < last_term:
            raise InvariantViolation("appended entries continue the log", last=f"{self.last}/t{last_term}", entry=first)
        self._entries.extend(entries)
        self._weigh(entries)
        self.last += len(entries)

    def truncate(self, after: int) -> None:
        """Drop everything after `after`; committed entries are never dropped."""
        require(after >= self.commit, "committed entries are never truncated", after=after, commit=self.commit)
        if after >= self.last:
            return
        del self._entries[after - self.base :]
        del self._ends[after - self.base :]
        self.last = after
        if after < self.written:  # the disk holds, or is about to hold, what is no longer true
            self._truncate_after = after if self._truncate_after is None else min(after, self._truncate_after)
            self.written = after
        self.durable = min(self.durable, after)
        for write in self._outstanding:
            write.vouches = min(write.vouches, after)

    def commit_to(self, index: int) -> bool:
        """Raise the commit index; True if it moved."""
        if index <= self.commit:
            return False
        require(index <= self.last, "commit <= last", commit=index, last=self.last)
        self.commit = index
        return True

    def compact(self, index: int) -> list[Entry]:
        """Let go of the entries up to `index`: they begin the list that is returned, the very one they lay in. To forget a
        million at once takes long, so it is left to whoever has the time. Empty if there were none."""
        if index <= self.base:
            return []
        require(index <= self.durable, "only durable entries are compacted", index=index, durable=self.durable)
        term = self.term_at(index)
        assert term is not None
        dropped = index - self.base
        self._dropped_bytes = self._ends[dropped - 1]
        before, self._entries = self._entries, self._entries[dropped:]
        del self._ends[:dropped]
        self.base, self.base_term = index, term
        return before

    def restart_at(self, index: int, term: int, kept: Sequence[Entry]) -> None:
        """A snapshot up to (index, term) replaced what was before; it, and `kept` behind it, are durable."""
        require(index >= self.commit, "a snapshot never takes back the commit index", index=index, commit=self.commit)
        self.base, self.base_term, self.commit = index, term, index
        self._entries, self._ends, self._dropped_bytes = list(kept), array("Q"), 0
        self._weigh(self._entries)
        self.last = self.durable = self.written = index + len(self._entries)
        self._truncate_after = None
        for write in self._outstanding:
            write.vouches = 0

    def _weigh(self, entries: Iterable[Entry]) -> None:
        total = self._ends[-1] if self._ends else self._dropped_bytes
        for entry in entries:
            total += ENTRY_OVERHEAD_BYTES + len(entry.data)
            self._ends.append(total)

    # ---- the disk ----

    @property
    def next_sequence(self) -> int:
        """The sequence that the next Write will have."""
        return self.sequence + 1

    @property
    def is_dirty(self) -> bool:
        return self.written < self.last or self._truncate_after is not None

    def take_write(self, hard_state: HardState | None, now: float) -> Write:
        """Everything that changed since the last one, as one atomic frame."""
        self.sequence += 1
        entries = tuple(self._entries[self.written - self.base :]) if self.written < self.last else ()
        write = Write(self.sequence, hard_state, self._truncate_after, entries)
        self.written, self._truncate_after = self.last, None
        self._outstanding.append(Outstanding(self.sequence, self.last, now))
        return write

    def complete(self, sequence: int) -> bool:
        """Writes up to `sequence` are durable; True if something became durable by it."""
        if sequence > self.sequence:
            raise InvariantViolation("only issued writes complete", sequence=sequence, issued=self.sequence)
        if sequence <= self.completed:
            return False
        self.completed = sequence
        while self._outstanding and self._outstanding[0].sequence <= sequence:
            self.durable = max(self.durable, self._outstanding.popleft().vouches)
        return True

    @property
    def oldest_write_at(self) -> float | None:
        """When the oldest write that is still on its way was issued."""
        return self._outstanding[0].issued_at if self._outstanding else None

    def forgive_disk(self, now: float) -> None:
        """After a gap: the machine slept, not the disk."""
        for write in self._outstanding:
            write.issued_at = now


def _term(entry: Entry) -> int:
    return entry.term
