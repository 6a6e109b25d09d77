"""`down` was ordered: tasks that end now have not failed, nothing is restarted, no node is judged.

The flag lives in the Cluster record, so it survives changes of leader and a power cut; `up` clears it, whereupon every
orchestrator looks at everything again.
"""

from __future__ import annotations

import attrs

from swarmtui.manager.reconciler import cluster_of
from swarmtui.objects.records import TaskStatus
from swarmtui.objects.states import TaskState
from swarmtui.store import Store


def is_shutting_down(store: Store) -> bool:
    return cluster_of(store).shutting_down


def as_ordered(status: TaskStatus) -> TaskStatus:
    """An end reported while shutting down is an ordered one, whatever the process made of its signal: it comes back with
    `up` without a delay, and it counts as no attempt."""
    if status.state in (TaskState.COMPLETE, TaskState.FAILED, TaskState.REJECTED):
        return attrs.evolve(status, state=TaskState.SHUTDOWN)
    return status
