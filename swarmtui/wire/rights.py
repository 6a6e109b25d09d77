"""What a holder of a certificate may ask for, beyond the table of calls (`calls.ALLOWED`): the call's content.

A task's certificate reaches `kv` alone: its keys, and the leases that keys vanish with. It sees no service, no task, no
node and no secret, and can change none. (Within `kv` all tasks are alike.)
"""

from __future__ import annotations

from swarmtui.objects.codec import MalformedObject, decode
from swarmtui.objects.operations import Create, Operation, Put, Remove, Require, Transaction, Update
from swarmtui.objects.records import KeyValue, Lease
from swarmtui.objects.transactions import Bundle
from swarmtui.wire.calls import Call, Peerage
from swarmtui.wire.node_calls import ListRecords, Propose, WatchRecords

_OF_TASKS = frozenset({KeyValue.TABLE, Lease.TABLE})


def objection(role: Peerage, call: Call) -> str:
    """Why a holder of this role may not make this call, of a kind that it may make; "" if it may."""
    if role is not Peerage.TASK:
        return ""
    if isinstance(call, ListRecords | WatchRecords):
        tables = [table for table in call.tables if table != KeyValue.TABLE]
        return f"a task may read kv alone, not {', '.join(tables)}" if tables else ""
    if isinstance(call, Propose):
        if call.forwarded:
            return "only managers forward"
        return _objection_to_writes(call.bundle)
    return ""


def _objection_to_writes(bundle: Bundle) -> str:
    """What was read is looked into, and nothing else of the call: these bytes are what would be applied."""
    if bundle.puts() is not None:
        return ""
    try:
        return next(filter(None, map(_objection_to_write, bundle.parts())), "")
    except MalformedObject as error:
        return str(error)


def _objection_to_write(encoded: bytes) -> str:
    """Raises MalformedObject."""
    transaction = decode(encoded, Transaction)
    for operation in transaction.operations:
        table = _written(operation)
        if table not in _OF_TASKS:
            return f"a task may write kv alone, not {table}"
    return ""


def _written(operation: Operation) -> str:
    match operation:
        case Put():
            return KeyValue.TABLE
        case Create(record) | Update(record):
            return record.TABLE
        case Remove(table) | Require(table):
            return table
        case _:
            return "task"  # an Advance
