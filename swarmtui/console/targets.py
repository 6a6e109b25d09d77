"""From a name to what it means on the screen, and from that to the tasks behind it."""

from __future__ import annotations

from swarmtui.console.model.picture import Picture
from swarmtui.console.model.services import TaskRow
from swarmtui.console.orders import Target


def target_named(name: str, picture: Picture) -> Target | None:
    """The node, service or task of this name."""
    if picture.node(name) is not None:
        return Target("node", name)
    if (service := picture.service(name)) is not None:
        return Target("service", name, service.id)
    task = next((task for task in picture.tasks if name in (task.name, task.id)), None)
    return Target("task", task.name, task.id) if task is not None else None


def tasks_of(target: Target, picture: Picture) -> list[TaskRow]:
    """The tasks whose output is meant: this very task, or the living ones of a service or on a node."""

    def meant(task: TaskRow) -> bool:
        if target.kind == "task":
            return task.id == target.id if target.id else task.name == target.name
        return not task.past and target.name == (task.service if target.kind == "service" else task.node)

    return [task for task in picture.tasks if task.node and meant(task)]
