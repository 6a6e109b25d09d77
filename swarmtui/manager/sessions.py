"""One session of one agent, and what is still to be told in it.

The first orders of a session are the *complete* set of the node's tasks, and that is not sent before the quorum confirmed
this leadership after the session was opened: a deposed leader that does not know it yet must not stop a task. From then on
only changes are sent. A node is told of its ended tasks too, so that it keeps their output for as long as they are kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import attrs

from swarmtui.manager.leadership import SessionKey
from swarmtui.manager.tasks import was_assigned
from swarmtui.objects.dispatch import Assignment, Register
from swarmtui.objects.records import Node, Service, Task
from swarmtui.objects.states import NodeRole
from swarmtui.store import Store

REGISTRATIONS_MAX = 16
REGISTRATIONS_WITHIN_S = 8.0
"""More attempts of one node in this time are refused (swarmkit: 3; here agents come back four times a second)."""


@attrs.define(eq=False)
class Session:
    key: SessionKey
    register: Register
    opened_at: float = 0.0  # seconds since the epoch; what is reported of before is history
    confirmed: bool = False  # the complete set may be sent
    complete_due: bool = True
    managers_due: bool = False  # the managers, or where they listen, are others than it was told
    _changed: dict[str, Task] = attrs.field(factory=dict)
    _removed: dict[str, None] = attrs.field(factory=dict)

    def note(self, before: Task | None, after: Task | None) -> None:
        """A task that is or was of this node changed."""
        if self.complete_due:
            return
        if after is None:
            if before is not None and was_assigned(before):
                self._changed.pop(before.id, None)
                self._removed[before.id] = None
        elif was_assigned(after) and (
            before is None or not was_assigned(before) or before.desired_state is not after.desired_state
        ):
            self._changed[after.id] = after

    def orders(self, store: Store, term: int) -> Assignment | None:
        """What is to be sent now, if anything."""
        if self.complete_due:
            if not self.confirmed:
                return None
            self.complete_due = self.managers_due = False
            tasks = tuple(task for task in store.tasks(node_id=self.key.node_id) if was_assigned(task))
            return Assignment(
                self.key.session, term, store.index, True, tasks, (), addresses(store), manager_addresses(store)
            )
        managers = manager_addresses(store) if self.managers_due else {}
        self.managers_due = False
        if not self._changed and not self._removed and not managers:
            return None
        tasks, removed = tuple(self._changed.values()), tuple(self._removed)
        self._changed.clear()
        self._removed.clear()
        return Assignment(self.key.session, term, store.index, False, tasks, removed, addresses(store), managers)


def addresses(store: Store) -> Mapping[str, str]:
    """Where each published service is reached: `web` -> `127.0.0.1:8080`."""
    return {
        service.name: f"127.0.0.1:{service.spec.endpoint_spec.ports[0].published_port}"
        for service in store.all(Service)
        if service.spec.endpoint_spec.ports
    }


def manager_addresses(store: Store) -> Mapping[str, str]:
    """Where sessions can be opened: of the nodes that are managers and are to stay so, by id."""
    return {node.id: address for node in store.all(Node) if (address := manager_address(node))}


def manager_address(node: Node) -> str:
    """Where this node takes sessions, if it is a manager and is to stay one; else ""."""
    stays = node.role is NodeRole.MANAGER and node.spec.role is NodeRole.MANAGER
    return node.status.address if stays else ""


@attrs.define(eq=False)
class RegistrationLimit:
    """Refuses a node that opens sessions in a loop."""

    _times: dict[str, deque[float]] = attrs.field(factory=dict)

    def allows(self, node_id: str, now: float) -> bool:
        times = self._times.setdefault(node_id, deque(maxlen=REGISTRATIONS_MAX))
        if len(times) == REGISTRATIONS_MAX and times[0] > now - REGISTRATIONS_WITHIN_S:
            return False
        times.append(now)
        return True
