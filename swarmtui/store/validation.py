"""What may be proposed: the limits, each as one sentence that says what would be valid.

Checked once, before a transaction enters the log. What is in the log is obeyed whatever these limits are (`store`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

from swarmtui.objects import codec
from swarmtui.objects.operations import (
    KEY_BYTES_MAX,
    LEASE_HOLDER_LENGTH_MAX,
    LEASE_TTL_MAX_S,
    LEASE_TTL_MIN_S,
    OPERATIONS_MAX,
    TRANSACTION_BYTES_MAX,
    VALUE_BYTES_MAX,
    Advance,
    Create,
    Put,
    Remove,
    Require,
    Transaction,
    Update,
)
from swarmtui.objects.records import TABLES, Config, KeyValue, Lease, Node, Record, Secret, Service, Task
from swarmtui.objects.specs import (
    NAME_LENGTH_MAX,
    PORT_MAX,
    REPLICAS_MAX,
    PortConfig,
    ReplicatedMode,
    RestartPolicy,
    ServiceSpec,
)
from swarmtui.objects.states import TaskState
from swarmtui.objects.transactions import Bundle
from swarmtui.store.batching import KV, written

ID_LENGTH_MAX = 64
RESOURCE_NAME_LENGTH_MAX = 64  # of secrets and configs (swarmkit controlapi)
LABELS_MAX = 256
PROTOCOLS = ("tcp", "udp")

_ID = re.compile(r"[A-Za-z0-9_.:-]+")
_SERVICE_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?")
_RESOURCE_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
_NODE_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")

Faults = Iterator[str]


def check(transaction: Transaction, encoded_bytes: int | None = None) -> str | None:
    """Why this transaction may not be proposed, or None. `encoded_bytes` is its encoded length, where it is known."""
    count = len(transaction.operations)
    if not 1 <= count <= OPERATIONS_MAX:
        return f"a transaction has 1 to {OPERATIONS_MAX} operations, not {count}"
    if transaction.session and transaction.serial < 1:
        return f"requests of a session are counted from 1, not {transaction.serial}"
    for operation in transaction.operations:
        fault = next(_CHECKS[type(operation)](operation), None)
        if fault is not None:
            return fault
    if encoded_bytes is None:
        try:
            encoded_bytes = len(codec.encode(transaction))
        except codec.MalformedObject as error:
            return str(error)
    if encoded_bytes > TRANSACTION_BYTES_MAX:
        return f"a transaction has at most {TRANSACTION_BYTES_MAX} bytes, not {encoded_bytes}"
    return None


def examine(encoded: bytes) -> tuple[str | None, Collection[tuple[str, str]]]:
    """Of an encoded transaction: why it may not be proposed, or None; and the objects that it may write, as (table, id)."""
    one = codec.decode_one_put(encoded)
    if one is not None and len(encoded) <= VALUE_BYTES_MAX and _is_fine(one):
        return None, ((KV, one.key),)  # as `check` would find: most are so
    try:
        transaction = codec.decode(encoded, Transaction)
    except codec.MalformedObject as error:
        return str(error), ()
    return check(transaction, len(encoded)), written(transaction)


def examine_all(bundle: Bundle) -> Collection[tuple[str, str]] | None:
    """The objects that these transactions may write, if all may be proposed and none writes what another does, as most
    calls are; None where `examine` must look at each."""
    if len(bundle.array) > VALUE_BYTES_MAX:
        return None
    puts = bundle.puts()
    if puts is None or not all(map(_is_fine, puts)):
        return None
    objects = {(KV, one.key) for one in puts}
    return objects if len(objects) == len(puts) else None


def _is_fine(one: codec.OnePut) -> bool:
    """Whether a transaction of one Put, no longer than a value may be, keeps all limits; False for one to look at closely."""
    is_known_short = 0 < len(one.key) * 4 <= KEY_BYTES_MAX
    return is_known_short and (one.expected is None or one.expected >= 0) and (one.serial > 0 or not one.session)


# -------------------------------------------------------------------------------------------------------- operations


def _check_create(operation: Create) -> Faults:
    return _check_record(operation.record)


def _check_update(operation: Update) -> Faults:
    if operation.version is None and operation.spec_version is None:
        yield f"an update of {operation.record.TABLE} {operation.record.id} must name the version that it replaces"
    yield from _check_record(operation.record)


def _check_reference(operation: Remove | Require) -> Faults:
    if operation.table not in TABLES:
        yield f"there is no table {operation.table!r}, only {', '.join(TABLES)}"


def _check_advance(operation: Advance) -> Faults:
    if operation.status is None and operation.desired_state is None:
        yield f"an advance of task {operation.task_id} must name a status or a desired state"
    if operation.node_id is not None and operation.status is None:
        yield f"task {operation.task_id} is given a node together with a status only"
    if operation.status is not None and operation.status.state is TaskState.REMOVE:
        yield "`remove` is a desired state only, never observed"


def _check_put(operation: Put) -> Faults:
    yield from _check_key(operation.key, operation.value)
    if len(operation.lease) > ID_LENGTH_MAX:
        yield f"a lease's id has at most {ID_LENGTH_MAX} characters, not {len(operation.lease)}"
    if operation.expected is not None and operation.expected < 0:
        yield f"version {operation.expected} of key {operation.key} cannot be: 0 is `absent`, versions begin at 1"


def _check_key(key: str, value: bytes) -> Faults:
    if not key:
        yield "a key has at least one character"
    elif len(key) * 4 > KEY_BYTES_MAX and len(key.encode(errors="replace")) > KEY_BYTES_MAX:
        yield f"a key has at most {KEY_BYTES_MAX} bytes, not {len(key.encode(errors='replace'))}"
    if len(value) > VALUE_BYTES_MAX:
        yield f"a value has at most {VALUE_BYTES_MAX} bytes, not {len(value)}"


# ----------------------------------------------------------------------------------------------------------- records


def _check_record(record: Record) -> Faults:
    if isinstance(record, KeyValue):
        yield from _check_key(record.id, record.value)
        return
    if len(record.id) > ID_LENGTH_MAX or not _ID.fullmatch(record.id):
        yield f"an id has 1 to {ID_LENGTH_MAX} letters and digits, not {record.id!r}"
    if isinstance(record, Lease):
        yield from _check_lease(record)
    elif isinstance(record, Service):
        yield from _check_service(record.spec)
    elif isinstance(record, Task):
        yield from _check_task(record)
    elif isinstance(record, Node):
        if record.spec.name:
            yield from _check_name("a node's name", record.spec.name, _NODE_NAME, NAME_LENGTH_MAX)
    elif isinstance(record, Secret | Config):
        yield from _check_name(f"a {record.TABLE}'s name", record.name, _RESOURCE_NAME, RESOURCE_NAME_LENGTH_MAX)


def _check_lease(lease: Lease) -> Faults:
    if not LEASE_TTL_MIN_S <= lease.ttl_s <= LEASE_TTL_MAX_S:
        yield f"a lease lasts {LEASE_TTL_MIN_S:g} to {LEASE_TTL_MAX_S:g} seconds, not {lease.ttl_s:g}"
    if len(lease.holder) > LEASE_HOLDER_LENGTH_MAX:
        yield f"the holder of a lease has at most {LEASE_HOLDER_LENGTH_MAX} characters, not {len(lease.holder)}"


def _check_name(what: str, name: str, pattern: re.Pattern[str], length_max: int) -> Faults:
    if len(name) > length_max:
        yield f"{what} has at most {length_max} characters, not {len(name)}"
    elif not pattern.fullmatch(name):
        yield f"{what} has letters, digits and inner dashes, not {name!r}"


def _check_service(spec: ServiceSpec) -> Faults:
    yield from _check_name("a service's name", spec.name, _SERVICE_NAME, NAME_LENGTH_MAX)
    if isinstance(spec.mode, ReplicatedMode) and not 0 <= spec.mode.replicas <= REPLICAS_MAX:
        yield f"service {spec.name} has 0 to {REPLICAS_MAX} replicas, not {spec.mode.replicas}"
    if len(spec.labels) > LABELS_MAX:
        yield f"service {spec.name} has at most {LABELS_MAX} labels, not {len(spec.labels)}"
    seen: set[tuple[int, str]] = set()
    for port in spec.endpoint_spec.ports:
        yield from _check_port(spec.name, port)
        if (port.published_port, port.protocol) in seen:
            yield f"service {spec.name} publishes port {port.published_port} twice"
        seen.add((port.published_port, port.protocol))
    yield from _check_restart(spec.name, spec.task_template.restart_policy)


def _check_port(service: str, port: PortConfig) -> Faults:
    if not 1 <= port.published_port <= PORT_MAX:
        yield f"service {service} publishes ports 1 to {PORT_MAX}, not {port.published_port}"
    if not 0 <= port.target_port <= PORT_MAX:
        yield f"service {service} has target ports 1 to {PORT_MAX} or 0 (auto), not {port.target_port}"
    if port.protocol not in PROTOCOLS:
        yield f"service {service} publishes {' or '.join(PROTOCOLS)}, not {port.protocol!r}"


def _check_restart(service: str, policy: RestartPolicy) -> Faults:
    for what, amount in (
        ("restart delay", policy.delay_ns or 0),
        ("restart attempts", policy.max_attempts),
        ("restart window", policy.window_ns),
    ):
        if amount < 0:
            yield f"the {what} of service {service} cannot be negative: {amount}"


def _check_task(task: Task) -> Faults:
    if task.slot < 0:
        yield f"a task's slot is 1 or more, or 0 in a global service, not {task.slot}"
    if not task.service_id:
        yield f"task {task.id} belongs to no service"
    if task.status.state is TaskState.REMOVE:
        yield "`remove` is a desired state only, never observed"


_CHECKS: dict[type, Callable[[Any], Faults]] = {
    Create: _check_create,
    Update: _check_update,
    Remove: _check_reference,
    Require: _check_reference,
    Advance: _check_advance,
    Put: _check_put,
}
