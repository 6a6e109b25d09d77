"""The store: entries in, results out; everything else reads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar, cast

from msgspec.structs import astuple

from swarmtui.objects import codec
from swarmtui.objects.operations import Put, Result, Transaction, Verdict
from swarmtui.objects.records import Config, KeyValue, Node, Record, Secret, Service, Task
from swarmtui.objects.states import TaskState
from swarmtui.objects.transactions import decode_puts, decode_transactions
from swarmtui.store.judge import judge
from swarmtui.store.sessions import Sessions
from swarmtui.store.snapshot import Frozen, read_snapshot
from swarmtui.store.tables import KV, NamedTable, Tables
from swarmtui.store.watch import WATCH_CHANGES_MAX, History, KeysPut, RawChanges, Watch

R = TypeVar("R", bound=Record)

FEATURE_LEVEL = 1

Call = tuple[int, int, int]
"""What requests of one call of a client have in common: session, lowest and since (`store.sessions`)."""

_CALL: Callable[[codec.OnePut], Call] = attrgetter("session", "lowest", "since")
_SERIAL: Callable[[codec.OnePut], int] = attrgetter("serial")


class OutOfOrder(Exception):
    """An entry was given twice or before its turn: a bug of the caller, and no replica can go on from it."""


class Store:
    """The state machine of one manager. `index` and `term` are those of the last entry applied."""

    def __init__(self) -> None:
        self.index = 0
        self.term = 0
        self.feature_level = FEATURE_LEVEL
        self._tables = Tables()
        self._sessions = Sessions()
        self._history = History()
        self._watches: list[Watch] = []

    # ---- the log

    def apply(self, index: int, term: int, data: bytes) -> list[Result]:
        """Applies a TRANSACTIONS entry: one Result for each transaction in it, in order. Bad data is a Result as well:
        one for the whole entry if not even its transactions can be told apart. Raises OutOfOrder."""
        self._advance(index, term)
        changes: list[RawChanges] = []
        results: list[Result] = []
        if (entry := decode_puts(data)) is not None:
            time, puts = entry
            self._sessions.advance(time)
            for call, asked in groupby(puts, _CALL):
                results += self._apply_puts(call, list(asked), index, time, changes)
        else:
            try:
                time, transactions = decode_transactions(data)
            except codec.MalformedObject as error:
                return [Result(Verdict.INVALID, index, str(error))]
            self._sessions.advance(time)
            results = [self._apply_one(encoded, index, time, changes) for encoded in transactions]
        if changes:
            self._history.add(index, changes, len(data))
            touched = {change[0] for change in changes}
            for watch in tuple(self._watches):
                watch.offer(index, changes, touched)
        return results

    def skip(self, index: int, term: int) -> None:
        """An entry that changes nothing here: a leader's first, a configuration. Raises OutOfOrder."""
        self._advance(index, term)

    def _advance(self, index: int, term: int) -> None:
        if index != self.index + 1:
            raise OutOfOrder(f"entry {index} cannot follow {self.index}")
        if term < self.term:
            raise OutOfOrder(f"entry {index} of term {term} cannot follow term {self.term}")
        self.index = index
        self.term = term

    def _apply_one(self, encoded: bytes, index: int, time: float, changes: list[RawChanges]) -> Result:
        """A transaction of whatever kind."""
        put = codec.decode_one_put(encoded)
        if put is not None:
            return self._apply_puts(_CALL(put), (put,), index, time, changes)[0]
        try:
            asked = codec.decode(encoded, Transaction)
        except codec.MalformedObject as error:
            return Result(Verdict.INVALID, index, str(error))
        if not asked.session:
            return self._judge(asked, index, time, changes)
        session = self._sessions.enter(asked.session, asked.serial, asked.lowest, asked.since, index)
        if isinstance(session, Result):
            return session
        result = self._judge(asked, index, time, changes)
        self._sessions.keep(session, asked.serial, result)
        return result

    def _apply_puts(
        self, call: Call, asked: Sequence[codec.OnePut], index: int, time: float, changes: list[RawChanges]
    ) -> list[Result]:
        """Transactions of one call that are one Put each, as most are: their session is looked up and kept once for all."""
        session_id, lowest, since = call
        if not session_id:
            return self._put(asked, index, time, changes)
        serials = list(map(_SERIAL, asked))
        session = self._sessions.enter_all(session_id, serials, lowest, since, index)
        if isinstance(session, Result):
            return [session]
        if session is None:
            return [self._apply_puts(call, (one,), index, time, changes)[0] for one in asked]
        results = self._put(asked, index, time, changes)
        self._sessions.keep_all(session, serials, results)
        return results

    def _judge(self, transaction: Transaction, index: int, time: float, changes: list[RawChanges]) -> Result:
        result, written = judge(self._tables, transaction, index, time)
        changes.extend(written)
        return result

    def _put(self, asked: Sequence[codec.OnePut], index: int, time: float, changes: list[RawChanges]) -> list[Result]:
        """`judge` of each, without the objects in between; the rarer cases take the long way, which answers the same
        (tests/store holds one against the other)."""
        done = Result(Verdict.DONE, index)
        results = [done] * len(asked)
        rows: list[KeyValue] = []
        keys = self._tables.kv.shards
        part_of, is_viewed = keys.part_of, keys.is_viewed
        for place, one in enumerate(asked):
            key, expected = one.key, one.expected
            part = part_of(key)
            before = part.get(key)
            if before is None and not expected:
                after = part[key] = KeyValue(key, index, time, time, one.value)
                keys.added(key)
            elif before is None or before.version == index or before.lease or expected not in (None, before.version):
                if rows:  # they are told in the order in which they came about
                    changes.append(KeysPut(KV, rows))
                    rows = []
                results[place] = self._judge(Transaction((Put(key, one.value, expected),)), index, time, changes)
                continue
            else:
                if is_viewed:
                    keys.put_aside(before)
                # One text of a key, not two.
                after = part[key] = KeyValue(before.id, index, before.created_at, time, one.value)
            rows.append(after)
        if rows:
            changes.append(KeysPut(KV, rows))
        return results

    # ---- reading

    def get(self, cls: type[R], id: str) -> R | None:
        return cast("R | None", self._tables.by_name[cls.TABLE].get(id))

    def all(self, cls: type[R]) -> list[R]:
        return cast("list[R]", self._tables.by_name[cls.TABLE].all())

    def key_rows(self, keys: Sequence[str]) -> list[KeyValue | None]:
        """Of each key its row, None where there is none."""
        return list(map(self._tables.kv.shards.get, keys))

    def count(self, cls: type[Record]) -> int:
        return len(self._tables.by_name[cls.TABLE])

    def by_name(self, cls: type[R], name: str) -> R | None:
        """The object that people call so, in any case of letters. Of nodes, whose names need not be unique, the first."""
        if cls is Node:
            wanted = name.lower()
            nodes = self._tables.node.rows.values()
            return cast("R | None", next((node for node in nodes if node.name.lower() == wanted), None))
        if cls not in (Service, Secret, Config):
            raise TypeError(f"objects of table {cls.TABLE} are not found by name")
        return cast("NamedTable[Any]", self._tables.by_name[cls.TABLE]).by_name(name)

    def tasks(
        self,
        *,
        service_id: str | None = None,
        node_id: str | None = None,
        slot: int | None = None,
        observed: TaskState | None = None,
        desired: TaskState | None = None,
    ) -> list[Task]:
        """The tasks that agree with everything named, found by index."""
        return self._tables.task.find(service_id, node_id, slot, observed, desired)

    def keys(self, prefix: str = "") -> list[KeyValue]:
        """The keys of `kv` that begin so, sorted."""
        return self._tables.kv.with_prefix(prefix)

    def watch(
        self, after: int | None = None, limit: int = WATCH_CHANGES_MAX, tables: Collection[str] | None = None
    ) -> Watch:
        """The changes of every index above `after` (None: from now on), of these tables (None: of all). Begins with a
        Resync if they are not all remembered any more."""
        watch = Watch(self._forget, tables, limit)
        self._watches.append(watch)
        if after is not None and after < self.index:
            remembered = self._history.since(after)
            if remembered is None:
                watch.miss(self.index, f"changes are remembered from index {self._history.begins_after + 1} on")
            else:
                for index, changes in remembered:
                    watch.offer(index, changes, {change[0] for change in changes})
        return watch

    def _forget(self, watch: Watch) -> None:
        if watch in self._watches:
            self._watches.remove(watch)

    # ---- the whole

    def freeze(self) -> Frozen:
        """The store as it is now, for a snapshot: no object is touched, and of `kv` not even the dictionaries."""
        tables = {name: table.freeze(self.index) for name, table in self._tables.by_name.items()}
        leased = self._tables.kv.leased()
        return Frozen(self.index, self.term, self.feature_level, tables, self._sessions.freeze(), leased)

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Becomes what a snapshot holds. Raises MalformedSnapshot, and then nothing has changed."""
        self.adopt(read_snapshot(chunks))

    def adopt(self, frozen: Frozen) -> None:
        """Becomes what was frozen or read. Watches take a Resync."""
        tables = Tables()
        tables.load(frozen.tables, frozen.leased)
        sessions = Sessions()
        sessions.load(frozen.sessions)
        self._tables, self._sessions = tables, sessions
        self.index, self.term, self.feature_level = frozen.index, frozen.term, frozen.feature_level
        self._history.restart(self.index)
        for watch in tuple(self._watches):
            watch.miss(self.index, f"a snapshot of index {self.index} replaced the store")

    def digest(self) -> str:
        """A checksum of everything in the store but its index: equal on replicas that applied the same entries."""
        sha = hashlib.sha256()
        frozen = self.freeze()
        sessions = frozen.sessions
        clock = sessions.clock if sessions.sessions else 0.0
        sha.update(codec.encode((clock, sessions.floor, list(sessions.rows()))))
        for name, rows in frozen.tables.items():
            for id in sorted(rows):
                row = rows[id]
                sha.update(codec.encode((name, id, _plain(row) if name == KV else codec.plain(row))))
        return sha.hexdigest()


def _plain(row: KeyValue) -> tuple[Any, ...]:
    return astuple(row)[1:]
