"""What observers are pushed: events one by one from the ring, and marks, coalesced, of where this node stands.

Nothing is built while nobody observes, and a slow observer costs nothing but its own connection: it reads from the ring at
its own pace and is told with a `gap` event what it missed.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import cast

import trio

from swarmtui.node.bell import Bell
from swarmtui.node.events import READER_EVENTS_MAX, Events
from swarmtui.objects.events import Event
from swarmtui.objects.records import TABLES, AnyRecord, KeyValue
from swarmtui.raft.status import Status
from swarmtui.store import Resync, Store
from swarmtui.wire.node_calls import Mark, Observe, RecordsChanged, WatchRecords

MARK_INTERVAL_S = 0.05  # at most 20 marks a second
QUIET_MARK_S = 1.0  # an observer hears from a quiet node this often
RECORDS_INTERVAL_S = 0.02  # changes of records are collected this long
RECORDS_PER_ANSWER_MAX = 1_000


class Observing:
    """`status` and `store` are those of the manager's side while there is one."""

    def __init__(
        self,
        node_id: str,
        events: Events,
        status: Callable[[], Status | None] = lambda: None,
        store: Store | None = None,
    ) -> None:
        self._node_id = node_id
        self._events = events
        self._status = status
        self._store = store
        self._marked: set[Callable[[], None]] = set()
        self._watchers: set[Bell] = set()  # of records

    def manage(self, status: Callable[[], Status | None], store: Store | None) -> None:
        """The manager's side has opened, or (None) closed."""
        self._status, self._store = status, store
        self.moved()
        for bell in self._watchers:
            bell.ring()

    def moved(self) -> None:
        """Something that a mark shows may have changed."""
        for ring in self._marked:
            ring()

    def mark(self, previous: Mark | None = None) -> Mark:
        status = self._status()
        if status is None:  # a worker: it stands nowhere in the log
            return Mark(self._node_id, time.time(), "", 0, "", 0, 0, 0, 0, (), False, None, None)
        overwritten = status.last + 1 if previous is not None and status.last < previous.last else 0
        return Mark(
            node_id=self._node_id,
            time=time.time(),
            raft_role=str(status.role),
            term=status.term,
            leader_id=status.leader,
            last=status.last,
            commit=status.commit,
            applied=status.applied,
            first=status.first,
            heard=status.heard,
            holds_quorum=status.holds_quorum,
            timer_left_s=status.timer_left_s,
            timer_total_s=status.timer_total_s,
            truncated_from=overwritten,
        )

    async def observe(self, call: Observe) -> AsyncIterator[Mark | Event]:
        """Until closed, or with the last event that is held."""
        bell, moved = Bell(), Bell()
        ring_moved = self._ring_both(bell, moved)
        self._events.listen(bell.ring)
        if call.marks:
            self._marked.add(ring_moved)
        seq = self._events.seq if call.after_seq == 0 else max(0, call.after_seq)
        mark: Mark | None = None
        mark_due = trio.current_time() if call.marks else float("inf")
        try:
            while True:
                batch = self._batch(seq, tell_gap=call.after_seq >= 0)
                for event in batch:
                    yield event
                    seq = event.seq
                if not call.follow and not batch:
                    return
                if not call.follow or len(batch) >= READER_EVENTS_MAX:
                    bell.ring()  # the ring may hold more
                if trio.current_time() >= mark_due:
                    mark = self.mark(mark)
                    yield mark
                    mark_due = trio.current_time() + QUIET_MARK_S
                    moved.hush()
                    await trio.sleep(MARK_INTERVAL_S)
                with trio.move_on_at(mark_due):
                    await bell.heard()
                if moved.rung:
                    mark_due = trio.current_time()
        finally:
            self._events.unlisten(bell.ring)
            self._marked.discard(ring_moved)

    @staticmethod
    def _ring_both(first: Bell, second: Bell) -> Callable[[], None]:
        def ring() -> None:
            first.ring()
            second.ring()

        return ring

    def _batch(self, seq: int, *, tell_gap: bool) -> list[Event]:
        events = self._events.after(seq)
        if events and tell_gap and (missed := events[0].seq - seq - 1) > 0:
            text = f"{missed} events came too fast and were missed"
            gap = Event(time.time(), events[0].node, events[0].seq - 1, "gap", text, data={"missed": missed})
            events.insert(0, gap)
        return events

    async def watch_records(self, call: WatchRecords) -> AsyncIterator[RecordsChanged]:
        """Everything in the tables, then what changes, until closed, or until this node is no manager any more."""
        store = self._store
        if store is None:
            return
        bell = Bell()
        tables = frozenset(call.tables)
        watch = store.watch(tables=tables)
        watch.wake = bell.ring
        self._watchers.add(bell)
        try:
            for answer in self._everything(store, tables, call.prefix):
                yield answer
            while self._store is store:
                changes = watch.take()
                if isinstance(changes, Resync):
                    for answer in self._everything(store, tables, call.prefix):
                        yield answer
                elif changes:
                    newest = {
                        (change.table, change.id): change.after
                        for change in changes
                        if change.id.startswith(call.prefix)
                    }
                    if newest:
                        written = tuple(record for record in newest.values() if record is not None)
                        removed = tuple(key for key, record in newest.items() if record is None)
                        yield RecordsChanged(store.index, False, cast(tuple[AnyRecord, ...], written), removed)
                    await trio.sleep(RECORDS_INTERVAL_S)
                else:
                    await bell.heard()
        finally:
            self._watchers.discard(bell)
            watch.close()

    @staticmethod
    def _everything(store: Store, tables: frozenset[str], prefix: str) -> list[RecordsChanged]:
        records = cast(
            tuple[AnyRecord, ...],
            tuple(
                record
                for table in sorted(tables)
                if table in TABLES
                for record in (store.keys(prefix) if table == KeyValue.TABLE else store.all(TABLES[table]))
                if record.id.startswith(prefix)
            ),
        )
        most = RECORDS_PER_ANSWER_MAX
        return [
            RecordsChanged(store.index, start == 0, records[start : start + most], more=start + most < len(records))
            for start in range(0, max(1, len(records)), most)
        ]
