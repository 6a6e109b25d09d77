"""When a snapshot is due, and taking it beside everything else.

Due after `snapshot_every` transactions (an entry holds many of them under load) *and* as many bytes of log as the last
snapshot held, at least 32 MiB (about etcd's 100,000 entries), unless the user named `snapshot_every`; and after 64 MiB
however few they were. Managers apply the same entries, so all of it would be due on all at once, and for seconds none would
have its machine or disk for the writes: each waits for a little more of the log than the one before it. The store is frozen
at once (cheap), encoded and written on a thread of its own, so the log's disk thread and the event loop go on; only then is
the core told, which decides what may be dropped. Whatever ends with a snapshot, files, rows and entries of the log, ends on that
thread too, part by part: all at once it would stop the event loop, wherever it was done.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TypeVar

from outcome import Outcome

from swarmtui.node.bell import Bell
from swarmtui.node.consensus import Consensus
from swarmtui.node.events import Events
from swarmtui.node.heap import give_back
from swarmtui.objects.manifest import RaftSettings
from swarmtui.raft.entries import Entry
from swarmtui.raft.inputs import SnapshotTaken
from swarmtui.raft.messages import SnapshotMark
from swarmtui.storage.errors import NoRoom
from swarmtui.storage.snapshots import SnapshotFiles
from swarmtui.storage.worker import DiskWorker
from swarmtui.store.snapshot import Frozen

T = TypeVar("T")

REST_MAX_S = 0.01
LOG_BYTES_MIN = 32 * 1024 * 1024
LOG_BYTES_MAX = 64 * 1024 * 1024  # of few, large transactions
ENTRIES_AT_ONCE = 256  # forgotten
GIVEN_BACK_BYTES = 32 * 1024 * 1024  # at once: some five milliseconds
TURNS_SHARE = 0.5  # of the log that makes a snapshot due: all managers have had their turn within it


class Compaction:
    def __init__(
        self,
        consensus: Consensus,
        snapshots: SnapshotFiles,
        worker: DiskWorker,
        events: Events,
        settings: RaftSettings,
    ) -> None:
        self._consensus = consensus
        self._snapshots = snapshots
        self._worker = worker
        self._events = events
        self._settings = settings
        newest = snapshots.newest()
        self._last_index = newest.index if newest else 0
        self._last_bytes = newest.size_bytes if newest else 0
        self._last_transactions = 0
        self._bell = Bell()
        self._asked = False

    def installed(self, mark: SnapshotMark) -> None:
        """A leader's snapshot took the place of ours: the next one counts from there."""
        self._last_index, self._last_bytes = mark.index, mark.size_bytes
        self._last_transactions = self._consensus.transactions_applied

    def applied(self, index: int) -> None:
        if self._is_due(index):
            self._bell.ring()

    def _is_due(self, index: int) -> bool:
        enough = self._consensus.transactions_applied - self._last_transactions >= self._settings.snapshot_every
        if enough and self._settings.snapshot_every_set:
            return True
        log = self._consensus.core.log
        log_bytes = log.bytes_between(max(self._last_index, log.base), index)
        due_bytes = max(LOG_BYTES_MIN if enough else LOG_BYTES_MAX, self._last_bytes)
        if log_bytes < due_bytes:
            return False  # whoever's turn it is: asked with every entry
        return log_bytes >= due_bytes * (1 + self._turn())

    def _turn(self) -> float:
        """When it is this manager's turn: how much more than the first one it waits for, as a share."""
        core = self._consensus.core
        ids = sorted(core.members.ids)
        return TURNS_SHARE * ids.index(core.node_id) / len(ids) if core.node_id in ids else 0.0

    def ask(self) -> None:
        """Take a snapshot now, due or not."""
        self._asked = True
        self._bell.ring()

    def let_go(self, frozen: Frozen) -> None:
        """Nobody reads it any more: what nobody else holds ends beside the event loop, and leaves the process."""
        self._worker.begin(_over, _forget, resting(frozen.let_go()))

    def discarded(self, forgotten: list[Entry]) -> None:
        """Segments and snapshots have lost their names: what they take of the disk is freed beside its writes. So is what
        these entries take of the memory, unless the log still has them."""
        self._worker.begin(_over, _carry_out, resting(self._snapshots.discarded.free()))
        self._worker.begin(_over, _carry_out, resting(_forget_entries(forgotten)))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._bell.heard()
            store = self._consensus.store
            asked, self._asked = self._asked, False  # whoever asks from here on wants what is written from here on
            if (asked or self._is_due(store.index)) and store.index > self._last_index:
                await self._take()

    async def _take(self) -> None:
        store, core = self._consensus.store, self._consensus.core
        index, term = store.index, store.term
        self._last_transactions = self._consensus.transactions_applied
        configuration = core.configuration_at(index)
        frozen = store.freeze()
        try:
            mark = await self._worker.run(self._snapshots.save, index, term, configuration, resting(frozen.chunks()))
        except NoRoom as error:
            self._last_index = index  # tried again after as many entries
            self._events.tell("raft", str(error), term=term, index=index)
            return
        finally:
            self.let_go(frozen)
        self._last_index, self._last_bytes = mark.index, mark.size_bytes
        self._consensus.feed(SnapshotTaken(mark))
        self._events.tell(
            "raft",
            f"snapshot at {mark.index}, {mark.size_bytes} bytes",
            term=mark.term,
            index=mark.index,
            data={"bytes": mark.size_bytes},
        )


def resting(steps: Iterator[T]) -> Iterator[T]:
    """For a long work in a thread: after each step it rests for as long as it computed, so that half of the time at least
    nobody contends with the event loop for the interpreter. Without that each of the loop's system calls could wait a
    thread's turn of 5 ms to go on, and a write needs a dozen."""
    worked_until = time.thread_time()
    for step in steps:
        yield step
        time.sleep(min(time.thread_time() - worked_until, REST_MAX_S))
        worked_until = time.thread_time()


def _carry_out(steps: Iterator[None]) -> None:
    for _ in steps:
        continue


def _forget(steps: Iterator[None]) -> None:
    _carry_out(steps)
    give_back()


def _forget_entries(entries: list[Entry]) -> Iterator[None]:
    """From the last to the first. Their memory is given back part by part, for what the event loop wants meanwhile waits."""
    freed_bytes = 0
    while entries:
        freed_bytes += sum(len(entry.data) for entry in entries[-ENTRIES_AT_ONCE:])
        del entries[-ENTRIES_AT_ONCE:]
        if freed_bytes >= GIVEN_BACK_BYTES:
            freed_bytes = 0
            give_back()
        yield
    give_back()


def _over(result: Outcome[None]) -> None:
    """There is nothing to report of it."""
