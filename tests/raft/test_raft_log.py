"""The log against a naive model: any sequence of appends, truncations, compactions and disk reports."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from swarmtui.raft.configuration import Configuration, Member
from swarmtui.raft.effects import HardState
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.invariants import InvariantViolation
from swarmtui.raft.log import ENTRY_OVERHEAD_BYTES, Log, Restored
from swarmtui.raft.messages import SnapshotMark


def entry(index: int, term: int, size: int = 0) -> Entry:
    return Entry(index, term, EntryKind.TRANSACTIONS, bytes(size))


def test_report_of_an_overwritten_write_vouches_for_nothing():
    """etcd's ABA race: (2, t1) on its way, overwritten by (2, t2), then by (2, t1)-like again."""
    log = Log(0, 0, [entry(1, 1)])
    log.append([entry(2, 1)])
    first = log.take_write(None, 0.0)
    log.truncate(1)
    log.append([entry(2, 2)])
    second = log.take_write(None, 0.0)
    assert second.truncate_after == 1
    log.truncate(1)
    log.append([entry(2, 3)])
    third = log.take_write(None, 0.0)
    assert log.complete(first.sequence)
    assert log.durable == 1
    assert log.complete(second.sequence)
    assert log.durable == 1
    assert log.complete(third.sequence)
    assert log.durable == 2


def test_truncation_of_what_never_left_memory_needs_no_disk():
    log = Log(0, 0, [entry(1, 1)])
    log.append([entry(2, 1), entry(3, 1)])
    log.truncate(1)
    assert not log.is_dirty
    log.append([entry(2, 2)])
    assert log.take_write(None, 0.0).truncate_after is None


def test_committed_entries_are_never_truncated():
    log = Log(0, 0, [entry(1, 1), entry(2, 1)])
    log.commit_to(2)
    with pytest.raises(InvariantViolation, match="committed entries are never truncated"):
        log.truncate(1)


def test_disk_that_lost_what_was_committed_is_refused():
    members = Configuration((Member("n1", "n1", "a"),))
    with pytest.raises(InvariantViolation, match="the disk holds what was committed: commit=3 last=2"):
        Log.restore(Restored(HardState(1, "", 3), None, members, (entry(1, 1), entry(2, 1))))


def test_entries_kept_behind_a_snapshot_come_back():
    members = Configuration((Member("n1", "n1", "a"),))
    mark = SnapshotMark(5, 2, members, 10, "")
    entries = tuple(entry(i, 2) for i in range(3, 9))
    log = Log.restore(Restored(HardState(2, "", 5), mark, members, entries))
    assert (log.base, log.base_term, log.first, log.last, log.commit) == (3, 2, 4, 8, 5)
    conflicting = Log.restore(Restored(HardState(3, "", 0), SnapshotMark(5, 3, members, 1, ""), members, entries))
    assert (conflicting.base, conflicting.base_term, conflicting.last) == (5, 3, 5)


class LogAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.log = Log(0, 0)
        self.model: dict[int, Entry] = {}
        self.base = (0, 0)
        self.disk: dict[int, Entry] = {}
        self.writes: list = []
        self.term = 1

    @property
    def last(self) -> int:
        return max(self.model, default=self.base[0])

    @rule(count=st.integers(1, 4), size=st.integers(0, 50), newer=st.integers(0, 2))
    def append(self, count, size, newer):
        self.term += newer
        entries = [entry(self.last + 1 + i, self.term, size) for i in range(count)]
        self.log.append(entries)
        self.model.update({item.index: item for item in entries})

    @rule(back=st.integers(0, 5))
    def truncate(self, back):
        after = max(self.log.commit, self.last - back)
        self.log.truncate(after)
        self.model = {index: item for index, item in self.model.items() if index <= after}

    @precondition(lambda self: self.log.is_dirty)
    @rule()
    def write(self):
        self.writes.append(self.log.take_write(None, 0.0))

    @precondition(lambda self: self.writes)
    @rule(count=st.integers(1, 3))
    def written(self, count):
        done, self.writes = self.writes[:count], self.writes[count:]
        for write in done:
            if write.truncate_after is not None:
                self.disk = {index: item for index, item in self.disk.items() if index <= write.truncate_after}
            for item in write.entries:
                assert item.index == max(self.disk, default=self.base[0]) + 1 or item.index - 1 <= self.base[0]
                self.disk[item.index] = item
        self.log.complete(done[-1].sequence)

    @rule(forward=st.integers(0, 4))
    def commit(self, forward):
        self.log.commit_to(min(self.log.durable, self.log.commit + forward))

    @rule(forward=st.integers(0, 4))
    def compact(self, forward):
        index = min(self.log.commit, self.log.durable, self.base[0] + forward)
        forgotten = self.log.compact(index)
        dropped = [item for at, item in sorted(self.model.items()) if at <= index]
        assert forgotten[: len(dropped)] == dropped
        forgotten.clear()  # is somebody else's list now
        if index > self.base[0]:
            self.base = (index, self.model[index].term)
            self.model = {at: item for at, item in self.model.items() if at > index}

    @invariant()
    def agrees(self):
        log = self.log
        assert (log.base, log.base_term) == self.base
        assert log.last == self.last
        assert log.between(log.first, log.last) == [self.model[index] for index in sorted(self.model)]
        for index in range(log.base - 2, log.last + 3):
            known = self.model[index].term if index in self.model else None
            assert log.term_at(index) == (self.base[1] if index == self.base[0] else known)
        for index in range(log.first, log.durable + 1):
            assert self.disk[index] is self.model[index], "durable entries are on the disk"

    @invariant()
    def weighs(self):
        log = self.log
        for after in range(log.base, log.last + 1):
            weight = sum(ENTRY_OVERHEAD_BYTES + len(e.data) for i, e in self.model.items() if i > after)
            assert log.bytes_behind(after) == weight
        batch = log.batch(log.first, 100)
        assert list(batch) == log.between(log.first, log.base + len(batch))
        assert sum(ENTRY_OVERHEAD_BYTES + len(e.data) for e in batch[:-1]) <= 100
        assert bool(batch) == bool(self.model)

    @invariant()
    def searches(self):
        log = self.log
        for term in range(self.term + 2):
            for index in range(log.base, log.last + 2):
                found = [i for i in range(log.base, min(index, log.last) + 1) if (log.term_at(i) or 0) <= term]
                assert log.search(index, term) == max(found, default=log.base - 1)


TestLogAgainstModel = LogAgainstModel.TestCase
TestLogAgainstModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
