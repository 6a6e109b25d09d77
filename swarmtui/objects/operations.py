"""What a proposal may ask of the store, and what it may answer.

A transaction is a list of operations that happen together or not at all. It is judged when it is *applied*, identically
on every replica, and its result goes back to its proposer; so any number of transactions can be in flight.

Everything that is not a function of the log is in the proposal: ids, times and random values are never made in apply.
"""

from __future__ import annotations

import enum

import attrs

from swarmtui.objects.records import AnyRecord, TaskStatus
from swarmtui.objects.states import TaskState

KEY_BYTES_MAX = 1024
VALUE_BYTES_MAX = 1024 * 1024
TRANSACTION_BYTES_MAX = 1536 * 1024  # Docker's limit of a transaction (swarmkit store/memory.go)
OPERATIONS_MAX = 200  # a transaction
LEASE_KEYS_MAX = 1000  # that vanish with one lease
LEASE_TTL_MIN_S, LEASE_TTL_MAX_S = 1.0, 3600.0
LEASE_HOLDER_LENGTH_MAX = 200  # characters
SESSION_RESULTS_MAX = 4096  # that are kept of one client session: what it has in flight must fit


@attrs.frozen
class Create:
    """Fails if the id, or the name where names are unique in the table (services, secrets, configs; any letter case),
    exists."""

    record: AnyRecord


@attrs.frozen
class Update:
    """Replaces the object of the same id. Fails unless the stored version equals `version`, or, where `version` is None,
    the stored spec version equals `spec_version`. With `spec_version` alone only the *spec* (and for services the
    previous spec) is taken from `record`: what the system wrote meanwhile (status, endpoint) stays."""

    record: AnyRecord
    version: int | None = None
    spec_version: int | None = None


@attrs.frozen
class Remove:
    """Fails if the object does not exist, or is not at `version` or `spec_version` where one is named."""

    table: str
    id: str
    version: int | None = None
    spec_version: int | None = None


@attrs.frozen
class Require:
    """Writes nothing and fails unless the object is as named: at `version`, at `spec_version`, or with neither, absent.
    Guards against write skew, as an assignment to a node that was drained meanwhile."""

    table: str
    id: str
    version: int | None = None
    spec_version: int | None = None


@attrs.frozen
class Advance:
    """Raises a task's observed status and/or desired state. Applied where it is later in the order of states, else
    skipped and reported as skipped, never failed; needs no version. A status of the *same* state replaces the stored one
    only if its `timestamp` is later (a new pid, a message). `node_id`, if given, is set together with the status
    (the scheduler's assignment) and only while the task has none."""

    task_id: str
    status: TaskStatus | None = None
    desired_state: TaskState | None = None
    node_id: str | None = None


@attrs.define
class Put:
    """Writes a key of `kv` whatever is there. `expected` (compare-and-swap): fails unless the key is at this version;
    0 means that it must not exist. `lease`: the key vanishes with it; fails if there is none. Without one the key stays,
    even if it had one before."""

    key: str
    value: bytes
    expected: int | None = None
    lease: str = ""


Operation = Create | Update | Remove | Require | Advance | Put


@attrs.define
class Transaction:
    """Operations, and, where a client wants to send them more than once and have them happen once, who asks:

    `session` is a number that the client drew (0: no session), `serial` counts its requests from 1. `lowest` says that it
    has the answer to every serial below, so their results need not be kept. `since` is a log index that the client had
    seen when it drew the number: by it the session is opened if it is not known; 0 opens none (`store.sessions`)."""

    operations: tuple[Operation, ...]
    session: int = 0
    serial: int = 0
    lowest: int = 0
    since: int = 0


class Verdict(enum.StrEnum):
    """What became of a transaction when it was applied."""

    DONE = "done"
    CONFLICT = "conflict"  # not at the expected version: `update out of sequence`
    EXISTS = "exists"
    ABSENT = "absent"
    INVALID = "invalid"  # malformed or over a limit
    EXPIRED = "expired"  # its session, or its result in it, is not known any more: this copy of it was not applied


@attrs.define
class Result:
    """The answer to one transaction. `index` is the log index it was applied at: the new version of what it wrote.
    On CONFLICT `expected` and `found` are both versions and `text` says what changed. `skipped` counts `advance`
    operations that were already behind."""

    verdict: Verdict
    index: int
    text: str = ""
    expected: int | None = None
    found: int | None = None
    skipped: int = 0
