"""Tasks: which there are, and what they print."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import attrs

from swarmtui.client.errors import Refused
from swarmtui.objects.records import Service, Task
from swarmtui.wire.node_calls import OUTPUT_TAIL_MAX, OutputLine, OutputLines, SignalTask, TaskOutput

if TYPE_CHECKING:
    from swarmtui.client.cluster import Cluster


@attrs.frozen
class TaskLine:
    """One line that a task printed."""

    task: Task
    line: OutputLine


class Tasks:
    """`cluster.tasks`. A task is named by its id or by its name (`web.2`: the newest task of that slot)."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def list(self, *, service: str = "", node: str = "") -> list[Task]:
        """All tasks, or those of one service or on one node, the history included; by name, the newest first."""
        tables = (Task.TABLE, Service.TABLE)
        records = (await self._cluster.records(*tables)).records
        tasks = [one for one in records if isinstance(one, Task)]
        if service:
            ids = {one.id for one in records if isinstance(one, Service) and service in (one.id, one.name)}
            tasks = [task for task in tasks if task.service_id in ids or task.service_name == service]
        if node:
            entry = self._cluster.manifest.node(node)
            tasks = [task for task in tasks if task.node_id == (entry.id if entry else node)]
        return sorted(tasks, key=lambda task: (task.service_name, task.slot, task.name, -task.created_at))

    async def inspect(self, task: str) -> Task:
        """Raises Refused if there is none."""
        for found in await self.list():
            if task in (found.id, found.name):
                return found
        raise Refused("absent", f"there is no task {task}; see swarmtui ps")

    async def signal(self, task: str, action: str) -> None:
        """kill, stop, pause or resume all its processes, on whichever node it runs. Raises Refused, NotReached, Unknown."""
        found = await self.inspect(task)
        answer = await self._cluster.ask(self._node_of(found), SignalTask(found.id, action))
        if refused := getattr(answer, "refused", ""):
            raise Refused("task", refused)

    async def output(self, task: str, *, follow: bool = False, tail: int = OUTPUT_TAIL_MAX) -> AsyncIterator[TaskLine]:
        """What it printed, and with `follow` what it prints until it ends. Raises Refused, NotReached."""
        found = await self.inspect(task)
        async for answer in self._cluster.stream(self._node_of(found), TaskOutput(found.id, follow, tail)):
            if isinstance(answer, OutputLines):
                for line in answer.lines:
                    yield TaskLine(found, line)

    def _node_of(self, task: Task) -> str:
        if not task.node_id:
            raise Refused("absent", f"{task.name} has no node yet; see swarmtui ps")
        return task.node_id
