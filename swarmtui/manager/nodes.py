"""What is true of a node for the tasks on it, and the fate of tasks whose node stays away.

An *invalid* node is gone, Down or drained: runnable tasks on it are restarted elsewhere by the orchestrators; when it
returns, its dispatcher session brings the desired state Shutdown of those old tasks and its agent stops them. A node that
is paused, unknown or disconnected is not invalid: its tasks stay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from swarmtui.manager.reconciler import Decision, Moment, Narration, Reconciler
from swarmtui.objects.operations import OPERATIONS_MAX, Advance
from swarmtui.objects.records import Node, TaskStatus
from swarmtui.objects.states import Availability, NodeState, TaskState
from swarmtui.store import Change, Store

ORPHANED_AFTER_S = 24 * 3600.0


def is_down(node: Node | None) -> bool:
    """Its processes are believed dead, or nobody can tell any more."""
    return node is None or node.status.state is NodeState.DOWN


def is_drained(node: Node | None) -> bool:
    return node is not None and node.spec.availability is Availability.DRAIN


def is_invalid(node: Node | None) -> bool:
    """Missing, Down or drained: nothing may go on running there."""
    return is_down(node) or is_drained(node)


def is_paused(node: Node) -> bool:
    return node.spec.availability is Availability.PAUSE


def is_available(node: Node) -> bool:
    """New tasks may be scheduled there."""
    return node.status.state is NodeState.READY and node.spec.availability is Availability.ACTIVE


class Orphaner(Reconciler):
    """Gives up tasks nobody can report on any more: their node was removed, or has been Down for a day."""

    name: ClassVar[str] = "orphaner"
    tables: ClassVar[frozenset[str]] = frozenset({Node.TABLE})

    def __init__(self, store: Store, new_id: Callable[[], str]) -> None:
        super().__init__(store, new_id)
        self._down_since: dict[str, float] = {}

    def notice(self, change: Change, moment: Moment) -> None:
        node = change.after or change.before
        if node is not None:
            self.mark([node.id])

    def look_at_everything(self, moment: Moment) -> None:
        self.mark(node.id for node in self.store.all(Node))
        self.mark(task.node_id for task in self.store.tasks() if task.node_id)

    def decide(self, key: str, moment: Moment) -> Decision | None:
        node = self.store.get(Node, key)
        if node is not None:
            if node.status.state is not NodeState.DOWN:
                self._down_since.pop(key, None)
                return None
            since = self._down_since.setdefault(key, moment.now)
            if moment.now < since + ORPHANED_AFTER_S:
                self.look_again_at(key, since + ORPHANED_AFTER_S)
                return None
        lost = [
            task
            for task in self.store.tasks(node_id=key)
            if TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING
        ]
        if not lost:
            return None
        error = "its node was removed" if node is None else "its node has been down for a day"
        status = TaskStatus(TaskState.ORPHANED, timestamp=moment.wall, message="orphaned", error=error)
        return Decision(
            keys=(key,),
            operations=tuple(Advance(task_id=task.id, status=status) for task in lost[:OPERATIONS_MAX]),
            says=(Narration("node", f"{len(lost)} tasks orphaned: {error}", object=key),),
            more=len(lost) > OPERATIONS_MAX,
        )
