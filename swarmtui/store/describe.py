"""One line of text for a transaction and for the data of an entry: `put color = green`, `task web.2 assigned to n3`.

For people only, so whatever it is given it answers a line and never raises. With a store it can name tasks and nodes;
without one it falls back on ids. Beyond names the line depends on the entry alone, so that the same entry reads alike on
every node, applied or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmtui.objects import codec
from swarmtui.objects.operations import (
    Advance,
    Create,
    Operation,
    Put,
    Remove,
    Require,
    Transaction,
    Update,
)
from swarmtui.objects.records import TABLES, KeyValue, Lease, Node, Record, Service, Task
from swarmtui.objects.specs import ReplicatedMode
from swarmtui.objects.states import Availability, TaskState
from swarmtui.objects.transactions import decode_transactions

if TYPE_CHECKING:
    from swarmtui.store.store import Store

LINE_LENGTH_MAX = 200  # characters
OPERATIONS_SHOWN = 3
TRANSACTIONS_SHOWN = 3
VALUE_LENGTH_MAX = 40  # characters
ID_SHOWN = 12  # as docker shortens ids


def describe_entry(data: bytes, store: Store | None = None) -> str:
    """The line for the data of a TRANSACTIONS entry."""
    try:
        _, encoded = decode_transactions(data)
        lines = [describe_encoded(each, store) for each in encoded[:TRANSACTIONS_SHOWN]]
    except Exception as error:
        return _clean(f"unreadable: {error}")
    if len(encoded) > TRANSACTIONS_SHOWN:
        lines.append(f"and {len(encoded) - TRANSACTIONS_SHOWN} more")
    return _clean("; ".join(lines)) if lines else "no transactions"


def describe_encoded(encoded: bytes, store: Store | None = None) -> str:
    """The line for one encoded transaction."""
    try:
        return describe(codec.decode(encoded, Transaction), store)
    except Exception as error:
        return _clean(f"unreadable: {error}")


def describe(transaction: Transaction, store: Store | None = None) -> str:
    """The line for one transaction. Guards (`require`) are left out where something is written."""
    writes: list[Operation] = [operation for operation in transaction.operations if not isinstance(operation, Require)]
    shown = writes or list(transaction.operations)
    try:
        words = [_operation(operation, store) for operation in shown[:OPERATIONS_SHOWN]]
    except Exception as error:
        return _clean(f"cannot be described: {error}")
    if len(shown) > OPERATIONS_SHOWN:
        words.append(f"and {len(shown) - OPERATIONS_SHOWN} more")
    return _clean(", ".join(words)) if words else "nothing"


def _operation(operation: Operation, store: Store | None) -> str:
    if isinstance(operation, Put):
        return _put(operation)
    if isinstance(operation, Advance):
        return _advance(operation, store)
    if isinstance(operation, Create):
        return _create(operation.record, store)
    if isinstance(operation, Update):
        return _update(operation.record, store)
    if isinstance(operation, Remove):
        return f"remove {_titled(operation.table, operation.id, store)}"
    return f"require {_titled(operation.table, operation.id, store)}"


def _put(put: Put) -> str:
    if put.expected is None:
        return f"put {put.key} = {_value(put.value)}"
    return f"cas {put.key} {put.expected} = {_value(put.value)}"


def _value(value: bytes) -> str:
    try:
        text = value[: VALUE_LENGTH_MAX * 4].decode()
    except UnicodeDecodeError:
        return f"{len(value)} bytes"
    if not text.isprintable() or len(text) > VALUE_LENGTH_MAX:
        return (
            f"{len(value)} bytes" if not text.isprintable() else f"{text[: VALUE_LENGTH_MAX - 1]}… ({len(value)} bytes)"
        )
    return text or '""'


def _create(record: Record, store: Store | None) -> str:
    if isinstance(record, Service):
        return f"create service {record.name} {_mode(record)}"
    if isinstance(record, Task):
        where = f" on {_node_name(record.node_id, store)}" if record.node_id else ""
        return f"create task {_task_name(record, store)}{where}"
    if isinstance(record, KeyValue):
        return f"put {record.id} = {_value(record.value)}"
    return f"create {_title(record)}"


def _mode(service: Service) -> str:
    return f"replicas {service.mode.replicas}" if isinstance(service.mode, ReplicatedMode) else "global"


def _update(record: Record, store: Store | None) -> str:
    if isinstance(record, Service):
        return f"service {record.name} {_mode(record)}"
    if isinstance(record, Node):
        availability = "" if record.spec.availability is Availability.ACTIVE else f" {record.spec.availability.value}"
        return f"node {record.name} {record.status.state.value}{availability}{_colon(record.status.message)}"
    if isinstance(record, Task):
        return f"task {_task_name(record, store)} {record.status.state.name.lower()}"
    if isinstance(record, Lease):
        return f"renew lease of {record.name}"
    return f"update {_title(record)}"


def _advance(operation: Advance, store: Store | None) -> str:
    task = store.get(Task, operation.task_id) if store is not None else None
    name = _task_name(task, store) if task is not None else operation.task_id[:ID_SHOWN]
    words = []
    status = operation.status
    if status is not None and operation.node_id and status.state is TaskState.ASSIGNED:
        words.append(f"assigned to {_node_name(operation.node_id, store)}")
    elif status is not None:
        words.append(status.state.name.lower() + _colon(status.error))
    if operation.desired_state is not None:
        words.append(f"shall be {operation.desired_state.name.lower()}")
    return f"task {name} {' '.join(words)}"


def _colon(text: str) -> str:
    return f": {text}" if text else ""


def _titled(table: str, id: str, store: Store | None) -> str:
    cls = TABLES.get(table)
    record = store.get(cls, id) if store is not None and cls is not None else None
    if record is not None:
        return _title(record, store)
    return f"key {id}" if table == KeyValue.TABLE else f"{table} {id[:ID_SHOWN]}"


def _title(record: Record, store: Store | None = None) -> str:
    if isinstance(record, KeyValue):
        return f"key {record.id}"
    name = _task_name(record, store) if isinstance(record, Task) else getattr(record, "name", record.id)
    return f"{record.TABLE} {name}"


def _task_name(task: Task, store: Store | None) -> str:
    """As everywhere, but short where the node is not known: a line of a log has no room for a whole id."""
    return task.name_on(_node_name(task.node_id, store))


def _node_name(node_id: str, store: Store | None) -> str:
    node = store.get(Node, node_id) if store is not None else None
    return node.name if node is not None else node_id[:ID_SHOWN]


def _clean(line: str) -> str:
    """One line of printable characters, cut at LINE_LENGTH_MAX."""
    printable = "".join(letter if letter.isprintable() else " " for letter in line[: LINE_LENGTH_MAX + 1])
    return printable if len(printable) <= LINE_LENGTH_MAX else printable[: LINE_LENGTH_MAX - 1] + "…"
