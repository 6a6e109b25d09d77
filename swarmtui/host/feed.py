"""What the cluster runs, as the host knows it: the services and tasks that published ports lead to, and the nodes' roles.

Every manager is followed side by side. What a manager has applied is a prefix of one and the same sequence, so the view
with the highest index is right and the others are old; no leader and no quorum is needed. A view outlives its stream:
with every manager gone the host goes on with what was last known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

import attrs
import trio

from swarmtui.host.supply import STOP_GRACE_S, NotReached
from swarmtui.objects.manifest import NodeEntry
from swarmtui.objects.quantities import SECOND_NS
from swarmtui.objects.records import AnyRecord, Cluster, Node, Service, Task
from swarmtui.objects.states import TaskState
from swarmtui.wire.node_calls import RecordsChanged

RETRY_S = 0.25
TABLES = (Cluster.TABLE, Node.TABLE, Service.TABLE, Task.TABLE)


class WatchCalls(Protocol):
    """How a manager's records are followed."""

    async def watch(self, node: NodeEntry, tables: tuple[str, ...], take: Callable[[RecordsChanged], None]) -> None:
        """Everything first (`reset`), then changes. Raises NotReached when the manager is gone."""


@attrs.define
class View:
    """What one manager has told."""

    index: int = 0
    services: dict[str, Service] = attrs.field(factory=dict)
    tasks: dict[str, Task] = attrs.field(factory=dict)
    nodes: dict[str, Node] = attrs.field(factory=dict)
    cluster: Cluster | None = None

    def take(self, change: RecordsChanged) -> None:
        if change.reset:
            self.services, self.tasks, self.nodes = {}, {}, {}
        self.index = change.index
        for record in change.records:
            self._put(record)
        for table, id in change.removed:
            self._by_table(table).pop(id, None)

    def _by_table(self, table: str) -> dict[str, Any]:
        tables: dict[str, dict[str, Any]] = {
            Service.TABLE: self.services,
            Task.TABLE: self.tasks,
            Node.TABLE: self.nodes,
        }
        return tables.get(table, {})

    def _put(self, record: AnyRecord) -> None:
        match record:
            case Service():
                self.services[record.id] = record
            case Task():
                self.tasks[record.id] = record
            case Node():
                self.nodes[record.id] = record
            case Cluster():
                self.cluster = record
            case _:
                return  # of a table that was not asked for


class Feed:
    """`run` follows the managers that there are; `best` is what the most advanced of them has told."""

    def __init__(self, managers: Iterable[NodeEntry], calls: WatchCalls, changed: Callable[[], None]) -> None:
        self._calls = calls
        self._changed = changed
        self._managers = tuple(managers)
        self._views: dict[str, View] = {}
        self._last = View()  # of one who is a manager no more
        self._follows: dict[tuple[str, str], trio.CancelScope] = {}  # by id and address
        self._moved = trio.Event()

    @property
    def best(self) -> View:
        return max([*self._views.values(), self._last], key=lambda view: view.index)

    def follow(self, managers: Iterable[NodeEntry]) -> None:
        """These are the managers from now on."""
        self._managers = tuple(managers)
        self._moved.set()

    def longest_grace_s(self, node_id: str = "") -> float:
        """The longest stop grace of the tasks that live (on one node, or anywhere)."""
        graces = [
            task.spec.container_spec.stop_grace_period_ns / SECOND_NS
            for task in self.best.tasks.values()
            if not task.status.state.is_terminal
            and task.status.state >= TaskState.ASSIGNED
            and node_id in ("", task.node_id)
        ]
        return max(graces, default=STOP_GRACE_S)

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                self._moved = trio.Event()
                wanted = {(node.id, node.address): node for node in self._managers}
                for key in [key for key in self._follows if key not in wanted]:
                    self._follows.pop(key).cancel()
                for key, node in wanted.items():
                    if key not in self._follows:
                        self._follows[key] = scope = trio.CancelScope()
                        nursery.start_soon(self._follow, node, scope)
                await self._moved.wait()

    async def _follow(self, node: NodeEntry, scope: trio.CancelScope) -> None:
        view = self._views[node.id] = self._views.get(node.id) or View()
        with scope:
            while True:
                try:
                    await self._calls.watch(node, TABLES, partial(self._take, view))
                except NotReached:
                    pass  # it is down or not up yet: what it told stays
                await trio.sleep(RETRY_S)
        if all(node.id != manager.id for manager in self._managers):
            self._last = self.best
            del self._views[node.id]  # it will tell nothing more

    def _take(self, view: View, change: RecordsChanged) -> None:
        before = self.best
        view.take(change)
        if self.best is view or self.best is not before:
            self._changed()
