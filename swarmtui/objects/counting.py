"""How many tasks run: of a service, and of the whole cluster. Pure; a leaf.

A task runs if it says so, is wanted to, and its node is not down: what a node that went down last said of its tasks stays in
the store, and Docker does not count it either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from swarmtui.objects.records import Node, Service, Task
from swarmtui.objects.specs import ReplicatedMode
from swarmtui.objects.states import NodeState, TaskState

LOST = "lost"  # it ran, or was about to, on a node that is down
STOPPING = "stopping"  # it is not wanted any more, and has not ended


def down_nodes(nodes: Iterable[Node]) -> frozenset[str]:
    """The ids of those on which nothing runs, whatever was last said."""
    return frozenset(node.id for node in nodes if node.status.state is NodeState.DOWN)


def replica_counts(service: Service, own: Iterable[Task], down: Collection[str] = ()) -> tuple[int, int]:
    """How many tasks run, and how many are wanted (of a global service: the tasks that are to run)."""
    wanted_tasks = [task for task in own if task.desired_state <= TaskState.RUNNING and task.node_id not in down]
    running = sum(
        task.status.state is TaskState.RUNNING and task.desired_state is TaskState.RUNNING for task in wanted_tasks
    )
    if isinstance(service.mode, ReplicatedMode):
        return running, service.mode.replicas
    return running, sum(not task.status.state.is_terminal for task in wanted_tasks)


def task_counts(tasks: Iterable[Task], down: Collection[str] = ()) -> dict[str, int]:
    """How many there are of each state, by its word in lower case; of those that have not ended, `lost` and `stopping`."""
    return dict(sorted(Counter(_word(task, down) for task in tasks).items()))


def _word(task: Task, down: Collection[str]) -> str:
    state = task.status.state
    if not state.is_terminal and task.node_id in down:
        return LOST
    if state is TaskState.RUNNING and task.desired_state > TaskState.RUNNING:
        return STOPPING
    return state.name.lower()
