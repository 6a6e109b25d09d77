"""The objects of the cluster: what the replicated store holds, one class a table.

Every object has an id, the `version` that last wrote it and the `spec_version` that last wrote its spec (both are log
indexes: unique, rising, given by the store and by nobody else), and the two times of the entries that did so. Objects
are frozen: an update is a new object, so readers, watchers and snapshots share them without a copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, TypeVar

import attrs
import msgspec

from swarmtui.objects.membership import member_id
from swarmtui.objects.specs import NodeSpec, PortConfig, Resources, ServiceMode, ServiceSpec, TaskSpec
from swarmtui.objects.states import NodeRole, NodeState, TaskState, UpdateState


class Record(Protocol):
    """What every object has. `version`, `spec_version`, `created_at` and `updated_at` (seconds since the epoch, from the
    entry) are stamped when the log is applied; what a proposer puts there is ignored."""

    TABLE: ClassVar[str]

    @property
    def id(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def spec_version(self) -> int: ...
    @property
    def created_at(self) -> float: ...
    @property
    def updated_at(self) -> float: ...


R = TypeVar("R", bound=Record)


@attrs.frozen(kw_only=True)
class _Object:
    """The fields of a Record, for all but keys."""

    id: str
    version: int = 0
    spec_version: int = 0
    created_at: float = 0.0
    updated_at: float = 0.0


@attrs.frozen
class NodeDescription:
    """What a node says of itself when it registers."""

    hostname: str = ""
    os: str = ""
    architecture: str = ""
    resources: Resources = Resources()
    engine_version: str = ""


@attrs.frozen
class NodeStatus:
    """What the managers believe of a node, and why (`message`)."""

    state: NodeState = NodeState.UNKNOWN
    message: str = ""
    address: str = ""  # where the node listens for its peers, "127.0.0.1:7101"


@attrs.frozen(kw_only=True)
class Node(_Object):
    """A node: what is wanted of it (`spec`), what it says of itself, what is believed of it."""

    TABLE: ClassVar[str] = "node"

    spec: NodeSpec
    description: NodeDescription = NodeDescription()
    status: NodeStatus = NodeStatus()
    role: NodeRole = NodeRole.WORKER  # observed; `spec.role` is what is wanted
    promotions: int = 0  # how often a worker became a manager here: each time it is a new member of the consensus

    @property
    def member_id(self) -> str:
        """Who it is, or would be, in the consensus."""
        return member_id(self.id, self.promotions)

    @property
    def name(self) -> str:
        """What people call it: the name of the spec, else its hostname, else its id."""
        return self.spec.name or self.description.hostname or self.id


@attrs.frozen
class UpdateStatus:
    """How far a rolling update has come."""

    state: UpdateState
    started_at: float = 0.0
    completed_at: float = 0.0
    message: str = ""


@attrs.frozen(kw_only=True)
class Service(_Object):
    """A service. `previous_spec` is what a rollback goes back to."""

    TABLE: ClassVar[str] = "service"

    spec: ServiceSpec
    previous_spec: ServiceSpec | None = None
    update_status: UpdateStatus | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def mode(self) -> ServiceMode:
        return self.spec.mode


@attrs.frozen
class TaskStatus:
    """What was last observed of a task. Written by managers below ASSIGNED, by the node's agent up to the end."""

    state: TaskState = TaskState.NEW
    timestamp: float = 0.0  # seconds since the epoch, of the observer's clock
    message: str = ""
    error: str = ""  # why it stands where it stands; after a failure the last line of standard error as well
    pid: int = 0
    exit_code: int | None = None
    port: int = 0  # the task's own listening port, 0: none


NODE_WAS_RESTARTED = "node was restarted"
"""The `error` by which an agent says of a task that it did not end by itself: the node died under it, and came back before
anybody noticed. The task counts as lost with its node."""


@attrs.frozen(kw_only=True)
class Task(_Object):
    """One attempt to run one slot. Never moved and never restarted: a replacement is a new task in the same slot."""

    TABLE: ClassVar[str] = "task"

    service_id: str
    service_name: str
    slot: int = 0  # 1.. for replicated services, 0 for global ones (the node is the slot)
    node_id: str = ""
    spec: TaskSpec = TaskSpec()
    service_spec_version: int = 0  # of the service's spec that `spec` was copied from
    ports: tuple[PortConfig, ...] = ()
    port_hint: int = 0  # the port of the slot's last task, taken again if it is free
    status: TaskStatus = TaskStatus()
    desired_state: TaskState = TaskState.RUNNING

    @property
    def name(self) -> str:
        """`web.2`, or `agent.<node id>` for a global service: for where nobody knows the nodes' names."""
        return self.name_on("")

    def name_on(self, node_name: str) -> str:
        """`web.2`, or `agent.n3` for a global service, whose slots are its nodes; by the node's id where the name is ""."""
        return f"{self.service_name}.{self.slot or node_name or self.node_id}"


@attrs.frozen(kw_only=True)
class Secret(_Object):
    """Bytes that only tasks may see; there are no commands for them yet."""

    TABLE: ClassVar[str] = "secret"
    name: str
    labels: Mapping[str, str] = {}
    data: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen(kw_only=True)
class Config(_Object):
    """Bytes for tasks that anybody may see; there are no commands for them yet."""

    TABLE: ClassVar[str] = "config"
    name: str
    labels: Mapping[str, str] = {}
    data: bytes = b""


@attrs.frozen(kw_only=True)
class Cluster(_Object):
    """The one object of settings that all managers obey; its id is the cluster's id. Durations in seconds."""

    TABLE: ClassVar[str] = "cluster"

    name: str
    profile: str = "fast"
    task_history_limit: int = 5  # tasks kept a slot, the living one included; negative keeps all
    agent_heartbeat_s: float = 1.0
    node_timeout_s: float = 3.0
    restart_delay_s: float = 1.0  # where a service sets none
    restart_delay_after_death_s: float = 0.0  # for a task lost with its node
    death_is_down: bool = True  # a refused dial after a broken session is Down at once
    shutting_down: bool = False  # `down` was ordered: tasks that end now have not failed


class KeyValue(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """A key of applications; the id is the key. `lease`: whose end removes it, "" if nothing does.

    There may be a million in memory and a thousand in one answer, so they are rows: in snapshots and answers these very
    objects are packed and unpacked, many at once. They hold plain values only, so the garbage collector need not know them,
    and with them none of the dictionaries that a million lie in: looking through those would stop everything for a tenth of a
    second."""

    TABLE: ClassVar[str] = "kv"

    id: str
    version: int
    created_at: float
    updated_at: float
    value: bytes
    lease: str = ""

    @property
    def spec_version(self) -> int:
        """A key is nothing but its spec."""
        return self.version


@attrs.frozen(kw_only=True)
class Lease(_Object):
    """The life of somebody who holds keys: they vanish when it is removed. Its holder renews it by an update; the leader
    removes, by the version it saw, what was not renewed for `ttl_s`. `holder` is for people."""

    TABLE: ClassVar[str] = "lease"
    holder: str = ""
    ttl_s: float = 10.0

    @property
    def name(self) -> str:
        return self.holder or self.id


AnyRecord = Node | Service | Task | Secret | Config | Cluster | KeyValue | Lease

TABLES: dict[str, type[Record]] = {
    cls.TABLE: cls for cls in (Node, Service, Task, Secret, Config, Cluster, KeyValue, Lease)
}
"""Every table of the store by name: the one list of what a cluster is made of."""


def fields_of(cls: type[Record]) -> tuple[str, ...]:
    """The names of what its objects are made of."""
    if issubclass(cls, KeyValue):
        return cls.__struct_fields__
    return tuple([field.name for field in attrs.fields(cls)])  # type: ignore[arg-type]


def stamped(record: R, *, version: int, spec_version: int, created_at: float, updated_at: float) -> R:
    """The same object with what only the store gives."""
    stamps: dict[str, Any] = {"version": version, "created_at": created_at, "updated_at": updated_at}
    if isinstance(record, KeyValue):
        return msgspec.structs.replace(record, **stamps)
    return attrs.evolve(record, spec_version=spec_version, **stamps)  # type: ignore[misc]
