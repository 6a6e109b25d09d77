"""The rules of the operations: one transaction judged against the store, when its entry is applied.

A transaction happens whole or not at all. Its operations are carried out in order, each seeing what those before it did;
the first that is refused ends it, and what was written is taken back. `Ledger` is that bookkeeping, the functions under
it are the rules, one an operation, and `judge` is the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from swarmtui.objects.operations import (
    LEASE_KEYS_MAX,
    Advance,
    Create,
    Put,
    Remove,
    Require,
    Result,
    Transaction,
    Update,
    Verdict,
)
from swarmtui.objects.records import KeyValue, Lease, Record, Service, Task, stamped
from swarmtui.store.differences import changed_since, spec_of
from swarmtui.store.tables import KV, Table, Tables
from swarmtui.store.watch import KeysPut, RawChanges


class Refusal(Exception):
    """Ends a transaction. Becomes its Result."""

    def __init__(self, verdict: Verdict, text: str, expected: int | None = None, found: int | None = None) -> None:
        super().__init__(text)
        self.verdict = verdict
        self.text = text
        self.expected = expected
        self.found = found


class Ledger:
    """What one transaction has written so far, and how to take it back."""

    def __init__(self, tables: Tables, index: int, time: float) -> None:
        self.tables = tables
        self.index = index
        self.time = time
        self.skipped = 0
        self._written: list[tuple[Table[Any], Any, Any]] = []
        self._own: set[tuple[str, str]] = set()

    def table(self, name: str) -> Table[Any]:
        table = self.tables.by_name.get(name)
        if table is None:
            raise Refusal(Verdict.INVALID, f"there is no table {name!r}")
        return table

    def write(self, table: Table[Any], id: str, before: Record | None, after: Record | None) -> None:
        name = (table.name, id)
        if before is not None and before.version == self.index and name not in self._own:
            text = f"update out of sequence: another transaction of entry {self.index} wrote {table.name} {id}"
            raise Refusal(Verdict.CONFLICT, text, found=self.index)
        if after is not None:
            self._check_lease(after)
            clash = table.clash(after)
            if clash is not None:
                raise Refusal(Verdict.EXISTS, clash)
        table.write(before, after)
        self._own.add(name)
        self._written.append((table, before, after))

    def _check_lease(self, after: Record) -> None:
        """What is to vanish with a lease needs one that is there, and has room."""
        if not isinstance(after, KeyValue) or not after.lease:
            return
        if self.tables.lease.get(after.lease) is None:
            raise Refusal(
                Verdict.ABSENT, f"lease {after.lease} does not exist: it was given up, or not renewed in time"
            )
        if len(self.tables.kv.of_lease(after.lease)) >= LEASE_KEYS_MAX:
            raise Refusal(Verdict.INVALID, f"a lease holds at most {LEASE_KEYS_MAX} keys")

    def take_back(self) -> None:
        for table, before, after in reversed(self._written):
            table.write(after, before)

    def changes(self) -> list[RawChanges]:
        return [
            KeysPut(KV, [after]) if isinstance(after, KeyValue) else (table.name, before, after)
            for table, before, after in self._written
        ]


def judge(tables: Tables, transaction: Transaction, index: int, time: float) -> tuple[Result, list[RawChanges]]:
    """Carries the transaction out, or leaves the tables as they were. The Result and what changed."""
    ledger = Ledger(tables, index, time)
    try:
        for operation in transaction.operations:
            _RULES[type(operation)](ledger, operation)
    except Refusal as refusal:
        ledger.take_back()
        return Result(refusal.verdict, index, refusal.text, refusal.expected, refusal.found), []
    except BaseException:
        ledger.take_back()
        raise
    return Result(Verdict.DONE, index, skipped=ledger.skipped), ledger.changes()


# ------------------------------------------------------------------------------------------------------------- rules


def _create(ledger: Ledger, operation: Create) -> None:
    record = operation.record
    table = ledger.table(record.TABLE)
    stored = table.get(record.id)
    if stored is not None:
        raise Refusal(Verdict.EXISTS, f"{_title(stored)} already exists", found=stored.version)
    time = ledger.time
    created = stamped(record, version=ledger.index, spec_version=ledger.index, created_at=time, updated_at=time)
    ledger.write(table, record.id, None, created)


def _update(ledger: Ledger, operation: Update) -> None:
    record = operation.record
    table = ledger.table(record.TABLE)
    stored = table.get(record.id)
    if stored is None:
        raise Refusal(Verdict.ABSENT, f"{record.TABLE} {record.id} does not exist")
    if operation.version is None and operation.spec_version is None:
        raise Refusal(Verdict.INVALID, f"an update of {_title(stored)} must name the version that it replaces")
    _check_versions(stored, operation.version, operation.spec_version, record)
    if operation.version is None:
        record = _spec_only(stored, record)
    if isinstance(stored, Task) and isinstance(record, Task):
        _check_rising(stored, record)
    spec_stays = spec_of(record) == spec_of(stored)
    updated = stamped(
        record,
        version=ledger.index,
        spec_version=stored.spec_version if spec_stays else ledger.index,
        created_at=stored.created_at,
        updated_at=ledger.time,
    )
    ledger.write(table, record.id, stored, updated)


def _spec_only(stored: Any, record: Any) -> Any:
    """The stored object with the spec of `record`: what the system wrote meanwhile stays."""
    if isinstance(record, Service):
        return attrs.evolve(stored, spec=record.spec, previous_spec=record.previous_spec)
    if hasattr(record, "spec"):
        return attrs.evolve(stored, spec=record.spec)
    return record  # all of it is spec


def _check_rising(stored: Task, record: Task) -> None:
    for what, before, after in (
        ("status", stored.status.state, record.status.state),
        ("desired state", stored.desired_state, record.desired_state),
    ):
        if after < before:
            text = (
                f"the {what} of {_title(stored)} only rises: {before.name.lower()} cannot become {after.name.lower()}"
            )
            raise Refusal(Verdict.INVALID, text)


def _remove(ledger: Ledger, operation: Remove) -> None:
    table = ledger.table(operation.table)
    stored = table.get(operation.id)
    if stored is None:
        raise Refusal(Verdict.ABSENT, f"{operation.table} {operation.id} does not exist")
    _check_versions(stored, operation.version, operation.spec_version)
    ledger.write(table, operation.id, stored, None)
    if operation.table == Lease.TABLE:
        for key in ledger.tables.kv.of_lease(operation.id):
            ledger.write(ledger.tables.kv, key, ledger.tables.kv.get(key), None)


def _require(ledger: Ledger, operation: Require) -> None:
    stored = ledger.table(operation.table).get(operation.id)
    if operation.version is None and operation.spec_version is None:
        if stored is not None:
            raise Refusal(Verdict.EXISTS, f"{_title(stored)} exists", found=stored.version)
    elif stored is None:
        raise Refusal(Verdict.ABSENT, f"{operation.table} {operation.id} does not exist")
    else:
        _check_versions(stored, operation.version, operation.spec_version)


def _advance(ledger: Ledger, operation: Advance) -> None:
    """Never refused: what is behind, for another node, or for a task that is gone, is skipped and counted."""
    task = ledger.tables.task.get(operation.task_id)
    if task is None:
        ledger.skipped += 1
        return
    advanced = _advanced(task, operation)
    if advanced is task:
        ledger.skipped += 1
        return
    advanced = attrs.evolve(advanced, version=ledger.index, updated_at=ledger.time)
    ledger.write(ledger.tables.task, task.id, task, advanced)


def _advanced(task: Task, operation: Advance) -> Task:
    status, desired, node_id = operation.status, operation.desired_state, operation.node_id
    if node_id is not None and task.node_id and task.node_id != node_id:
        return task  # another node has it
    advanced = task
    if status is not None:
        old = task.status
        if status.state > old.state or (status.state == old.state and status.timestamp > old.timestamp):
            advanced = attrs.evolve(advanced, status=status, node_id=node_id or task.node_id)
    if desired is not None and desired > task.desired_state:
        advanced = attrs.evolve(advanced, desired_state=desired)
    return advanced


def _put(ledger: Ledger, operation: Put) -> None:
    table = ledger.tables.kv
    stored = table.get(operation.key)
    if operation.expected is not None:
        found = 0 if stored is None else stored.version
        if found != operation.expected:
            text = _put_conflict(operation.key, operation.expected, found)
            raise Refusal(Verdict.CONFLICT, text, operation.expected, found)
    created_at = ledger.time if stored is None else stored.created_at
    after = KeyValue(
        id=operation.key if stored is None else stored.id,  # one text of a key, not two
        version=ledger.index,
        created_at=created_at,
        updated_at=ledger.time,
        value=operation.value,
        lease=operation.lease,
    )
    ledger.write(table, operation.key, stored, after)


def _put_conflict(key: str, expected: int, found: int) -> str:
    if not found:
        return f"update out of sequence: key {key} does not exist, expected version {expected}"
    if not expected:
        return f"update out of sequence: key {key} is at version {found}, expected not to exist"
    return f"update out of sequence: key {key} is at version {found}, expected {expected}: its value was written again"


_RULES: dict[type, Callable[[Ledger, Any], None]] = {
    Create: _create,
    Update: _update,
    Remove: _remove,
    Require: _require,
    Advance: _advance,
    Put: _put,
}


# ---------------------------------------------------------------------------------------------------------- versions


def _check_versions(
    stored: Record, version: int | None, spec_version: int | None, wished: Record | None = None
) -> None:
    """The stored object is at `version`, or where that is None at `spec_version`, or else: update out of sequence."""
    if version is not None:
        what, expected, found = "version", version, stored.version
    elif spec_version is not None:
        what, expected, found = "spec version", spec_version, stored.spec_version
    else:
        return
    if found != expected:
        text = f"update out of sequence: {_title(stored)} is at {what} {found}, expected {expected}"
        raise Refusal(Verdict.CONFLICT, f"{text}: {changed_since(stored, expected, wished)}", expected, found)


def _title(record: Record) -> str:
    """`service web`, `key color`: how people call it."""
    if isinstance(record, KeyValue):
        return f"key {record.id}"
    return f"{record.TABLE} {getattr(record, 'name', '') or record.id}"
