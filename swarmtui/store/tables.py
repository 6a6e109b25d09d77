"""The tables of the store: records by id, and the indexes that answer what managers ask.

A table changes in one way: `write(before, after)`, where None means absent. That is its own undo, `write(after, before)`,
which is all that a refused transaction needs to leave nothing behind.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Generic, TypeVar, cast

from swarmtui.objects.records import Cluster, Config, KeyValue, Lease, Node, Record, Secret, Service, Task
from swarmtui.objects.states import TaskState
from swarmtui.store.shards import FrozenShards, Shards

R = TypeVar("R", bound=Record)

KV = KeyValue.TABLE


class Table(Generic[R]):
    """Records by id."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def get(self, id: str) -> R | None:
        return self.rows.get(id)

    def all(self) -> list[R]:
        return list(self.rows.values())

    def write(self, before: R | None, after: R | None) -> None:
        """Puts `after` in the place of `before`, which must be what is here."""
        if after is not None:
            self.rows[after.id] = after
        elif before is not None:
            del self.rows[before.id]

    def clash(self, record: R) -> str | None:
        """A sentence if `record` cannot stand beside the others here, such as a name that is taken."""
        return None

    def freeze(self, index: int) -> Mapping[str, Any]:
        """The rows as they are now, at `index`; they never change again."""
        return self.rows.copy()

    def load(self, rows: Mapping[str, Any]) -> None:
        """Fills an empty table with what was frozen or read."""
        for record in rows.values():
            self.write(None, record)


class NamedTable(Table[R]):
    """Names are unique here, whatever the case of their letters."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._ids: dict[str, str] = {}

    def by_name(self, name: str) -> R | None:
        id = self._ids.get(name.lower())
        return None if id is None else self.get(id)

    def write(self, before: R | None, after: R | None) -> None:
        super().write(before, after)
        if before is not None:
            del self._ids[_name(before).lower()]
        if after is not None:
            self._ids[_name(after).lower()] = after.id

    def clash(self, record: R) -> str | None:
        other = self._ids.get(_name(record).lower())
        if other is None or other == record.id:
            return None
        return f"{record.TABLE} {_name(record)} already exists (id {other})"


def _name(record: Record) -> str:
    return cast("Service | Secret | Config", record).name


class ServiceTable(NamedTable[Service]):
    """Services publish ports, and a port is published by one service only. Docker accepts the second service and then
    never starts it; here the second is refused, as EXISTS, in the words of Docker's allocator."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._publishers: dict[tuple[int, str], str] = {}  # (published port, protocol) -> service id

    def write(self, before: Service | None, after: Service | None) -> None:
        super().write(before, after)
        if before is not None:
            for port in before.spec.endpoint_spec.ports:
                self._publishers.pop((port.published_port, port.protocol), None)
        if after is not None:
            for port in after.spec.endpoint_spec.ports:
                self._publishers[port.published_port, port.protocol] = after.id

    def clash(self, record: Service) -> str | None:
        for port in record.spec.endpoint_spec.ports:
            other = self._publishers.get((port.published_port, port.protocol))
            if other is not None and other != record.id:
                name = self.rows[other].name
                return (
                    f"port '{port.published_port}' is already in use by service '{name}' ({other}) as an ingress port"
                )
        return super().clash(record)


class Index(Generic[R]):
    """Records grouped by something of theirs."""

    def __init__(self) -> None:
        self._groups: dict[Hashable, dict[str, R]] = {}

    def add(self, group: Hashable, record: R) -> None:
        self._groups.setdefault(group, {})[record.id] = record

    def drop(self, group: Hashable, id: str) -> None:
        members = self._groups[group]
        del members[id]
        if not members:
            del self._groups[group]

    def group(self, group: Hashable) -> dict[str, R]:
        return self._groups.get(group, {})


class TaskTable(Table[Task]):
    """Tasks, also by service, slot, node, observed and desired state."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._by_service: Index[Task] = Index()
        self._by_slot: Index[Task] = Index()
        self._by_node: Index[Task] = Index()
        self._by_observed: Index[Task] = Index()
        self._by_desired: Index[Task] = Index()

    def _groups(self, task: Task) -> Iterator[tuple[Index[Task], Hashable]]:
        yield self._by_service, task.service_id
        yield self._by_slot, (task.service_id, task.slot)
        yield self._by_node, task.node_id
        yield self._by_observed, task.status.state
        yield self._by_desired, task.desired_state

    def write(self, before: Task | None, after: Task | None) -> None:
        super().write(before, after)
        if before is not None:
            for index, group in self._groups(before):
                index.drop(group, before.id)
        if after is not None:
            for index, group in self._groups(after):
                index.add(group, after)

    def find(
        self,
        service_id: str | None = None,
        node_id: str | None = None,
        slot: int | None = None,
        observed: TaskState | None = None,
        desired: TaskState | None = None,
    ) -> list[Task]:
        """The tasks that agree with everything that is not None, found through the smallest index."""
        candidates: list[dict[str, Task]] = []
        if service_id is not None:
            by_slot = slot is not None
            candidates.append(
                self._by_slot.group((service_id, slot)) if by_slot else self._by_service.group(service_id)
            )
        if node_id is not None:
            candidates.append(self._by_node.group(node_id))
        if observed is not None:
            candidates.append(self._by_observed.group(observed))
        if desired is not None:
            candidates.append(self._by_desired.group(desired))
        return [
            task
            for task in min(candidates, key=len, default=self.rows).values()
            if (service_id is None or task.service_id == service_id)
            and (node_id is None or task.node_id == node_id)
            and (slot is None or task.slot == slot)
            and (observed is None or task.status.state is observed)
            and (desired is None or task.desired_state is desired)
        ]


class KeyTable(Table[KeyValue]):
    """Keys of applications: there may be a million."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.shards = Shards()
        self._leased: dict[str, set[str]] = {}  # keys by their lease

    def __len__(self) -> int:
        return self.shards.length

    def get(self, id: str) -> KeyValue | None:
        return self.shards.get(id)

    def all(self) -> list[KeyValue]:
        return [self.shards[key] for key in self.shards]

    def write(self, before: KeyValue | None, after: KeyValue | None) -> None:
        if before is not None and before.lease:
            keys = self._leased[before.lease]
            keys.discard(before.id)
            if not keys:
                del self._leased[before.lease]
        if after is not None:
            self.shards.put(after.id, after)
            if after.lease:
                self._leased.setdefault(after.lease, set()).add(after.id)
        elif before is not None:
            self.shards.remove(before.id)

    def of_lease(self, lease: str) -> list[str]:
        """The keys that vanish with it, sorted."""
        return sorted(self._leased.get(lease, ()))

    def leased(self) -> tuple[str, ...]:
        """The keys of all leases."""
        return tuple(chain.from_iterable(self._leased.values()))

    def index_leases(self, keys: Iterable[str]) -> None:
        """These of the rows that were loaded belong to leases."""
        for key in keys:
            self._leased.setdefault(self.shards[key].lease, set()).add(key)

    def freeze(self, index: int) -> FrozenShards:
        return self.shards.freeze(index)

    def load(self, rows: Mapping[str, Any]) -> None:
        if isinstance(rows, FrozenShards):
            self.shards = rows.thaw()
        else:
            for key, row in rows.items():
                self.shards.put(key, row)

    def with_prefix(self, prefix: str) -> list[KeyValue]:
        return [self.shards[key] for key in self.shards.beginning_with(prefix)]


class Tables:
    """Every table of the store, by name."""

    def __init__(self) -> None:
        self.node: Table[Node] = Table(Node.TABLE)
        self.service = ServiceTable(Service.TABLE)
        self.task = TaskTable(Task.TABLE)
        self.secret: NamedTable[Secret] = NamedTable(Secret.TABLE)
        self.config: NamedTable[Config] = NamedTable(Config.TABLE)
        self.cluster: Table[Cluster] = Table(Cluster.TABLE)
        self.kv = KeyTable(KV)
        self.lease: Table[Lease] = Table(Lease.TABLE)
        every: tuple[Table[Any], ...] = (
            self.node,
            self.service,
            self.task,
            self.secret,
            self.config,
            self.cluster,
            self.kv,
            self.lease,
        )
        self.by_name: dict[str, Table[Any]] = {table.name: table for table in every}

    def load(self, frozen: Mapping[str, Mapping[str, Any]], leased: Iterable[str]) -> None:
        """Fills empty tables with what was frozen or read; `leased` are the keys that belong to leases."""
        for name, rows in frozen.items():
            self.by_name[name].load(rows)
        self.kv.index_leases(leased)
