"""When a task that ended is replaced, and after how long (swarmkit manager/orchestrator/restart). Pure functions of the slot's tasks.

Nothing is counted in memory: the attempts are the retained tasks of the slot themselves (the reaper keeps as many as the
policy needs), so that a new leader judges exactly as the old one did.

How a task came to need a replacement decides what applies to it:

    it ...                                     condition       attempts   delay
    ended by itself (complete, failed,         applies         counted    the service's, else the cluster's;
      rejected)                                                            none on a drained node
    was stopped under it: its node was shut    always again    no         none
      down in good order, or everything was
    lost its node (Down, removed, restarted)   not if none     no         none, or as the profile says (docker: as above)
    sits on a drained node                     not if none     no         none

Differences from swarmkit, on purpose: moves count as no attempt; the window does not count time spent in delays (there, a
window shorter than the delay never trips, swarmkit#2936); a delay of zero still leaves a tenth of a second between a
failure and its replacement.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from swarmtui.manager.nodes import is_down, is_drained
from swarmtui.manager.tasks import creation_order, died_with_its_node, ended_by_itself, has_ended, is_runnable
from swarmtui.objects.matching import is_clean
from swarmtui.objects.quantities import SECOND_NS
from swarmtui.objects.records import Cluster, Node, Service, Task
from swarmtui.objects.states import RestartCondition, TaskState

FAILURE_DELAY_MIN_S = 0.1
"""Between a failure and its replacement even where the service asks for none: no fork bombs."""


class Cause(enum.Enum):
    """Why a runnable task needs a replacement."""

    ENDED = "ended"
    STOPPED = "stopped"
    LOST = "lost"
    DRAINED = "drained"


def cause_of(task: Task, node: Node | None) -> Cause | None:
    """None: it does not need one. `node` is the task's node, None also where it has none yet."""
    if has_ended(task):
        return Cause.ENDED if ended_by_itself(task) else _cause_of_imposed_end(task, node)
    if not task.node_id:
        return None
    if is_down(node):
        return Cause.LOST
    return Cause.DRAINED if is_drained(node) else None


def _cause_of_imposed_end(task: Task, node: Node | None) -> Cause:
    if task.status.state is TaskState.ORPHANED or died_with_its_node(task):
        return Cause.LOST
    return Cause.DRAINED if is_drained(node) else Cause.STOPPED


def may_restart(task: Task, cause: Cause, slot_tasks: Iterable[Task], service: Service, cluster: Cluster) -> bool:
    """Whether the restart policy wants another task after this one."""
    policy = service.spec.task_template.restart_policy
    if cause is Cause.STOPPED and is_runnable(task):
        return True
    if policy.condition is RestartCondition.NONE:
        return False
    if cause is not Cause.ENDED:
        return True
    if policy.condition is RestartCondition.ON_FAILURE and task.status.state is TaskState.COMPLETE:
        return False
    return not policy.max_attempts or attempts_before(task, slot_tasks, service, cluster) < policy.max_attempts


def attempts_before(task: Task, slot_tasks: Iterable[Task], service: Service, cluster: Cluster) -> int:
    """How many tasks of the current spec ended by themselves in this slot before `task`, within the policy's window: as
    many attempts to restart have been made."""
    policy = service.spec.task_template.restart_policy
    since = float("-inf")
    if policy.window_ns:
        delayed_s = _delay_after_failure_s(service, cluster) * policy.max_attempts
        since = task.status.timestamp - policy.window_ns / SECOND_NS - delayed_s
    return sum(
        1
        for other in slot_tasks
        if other.id != task.id
        and creation_order(other) < creation_order(task)
        and ended_by_itself(other)
        and other.status.timestamp >= since
        and is_clean(other, service)
    )


def delay_s(cause: Cause, node: Node | None, service: Service, cluster: Cluster) -> float:
    """How long the replacement is held back."""
    match cause:
        case Cause.ENDED if not is_drained(node):
            return _delay_after_failure_s(service, cluster)
        case Cause.LOST if cluster.restart_delay_after_death_s > 0:
            own_s = _own_delay_s(service)
            return cluster.restart_delay_after_death_s if own_s is None else own_s
    return 0.0


def _delay_after_failure_s(service: Service, cluster: Cluster) -> float:
    own_s = _own_delay_s(service)
    return max(FAILURE_DELAY_MIN_S, cluster.restart_delay_s if own_s is None else own_s)


def _own_delay_s(service: Service) -> float | None:
    own_ns = service.spec.task_template.restart_policy.delay_ns
    return None if own_ns is None else own_ns / SECOND_NS
