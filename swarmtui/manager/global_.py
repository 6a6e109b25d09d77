"""Keeps one task of every global service on every node that may have it (swarmkit manager/orchestrator/global).

    the node is                              so its tasks of the service
    Down, drained, or does not fit           are shut down
    gone                                     are removed
    paused                                   are left alone; one that ends is not replaced
    active and fits                          are exactly one, restarted by the policy, updated node by node

A node that is unknown counts as there: its task waits in the scheduler until the node is ready.
"""

from __future__ import annotations

from typing import ClassVar

from swarmtui.manager.nodes import is_invalid, is_paused
from swarmtui.manager.reconciler import Decision, Moment, cluster_of
from swarmtui.manager.replicated import Orchestrator
from swarmtui.manager.slots import Slot, Slots, Step
from swarmtui.manager.tasks import has_ended, want_all
from swarmtui.objects.constraints import satisfies
from swarmtui.objects.operations import Create
from swarmtui.objects.records import Node, Service
from swarmtui.objects.specs import GlobalMode
from swarmtui.objects.states import TaskState


class GlobalOrchestrator(Orchestrator):
    name: ClassVar[str] = "global"

    def notice_node(self, before: object, after: object, node_id: str) -> None:
        was = before if isinstance(before, Node) else None
        now = after if isinstance(after, Node) else None
        if was is None or now is None or _suitability(was) != _suitability(now):
            self.mark(service.id for service in self.store.all(Service) if isinstance(service.mode, GlobalMode))

    def decide(self, key: str, moment: Moment) -> Decision | None:
        service = self.store.get(Service, key)
        if service is None or not isinstance(service.mode, GlobalMode) or cluster_of(self.store).shutting_down:
            return None
        slots = self.slots(service, moment)
        grouped = slots.group(self.store.tasks(service_id=key))
        steps: list[Step] = []
        present: list[Slot] = []
        restarting: list[Slot] = []
        nodes = {node.id: node for node in self.store.all(Node)}
        for node in sorted(nodes.values(), key=lambda node: (node.name, node.id)):
            slot = grouped.get((0, node.id)) or Slot(0, node.id, (), (), (), None)
            step = self._on_node(slots, slot, node)
            if step is None:
                step = slots.restart(slot)
                is_idle = not step.operations and step.deadline is None
                (present if is_idle else restarting).append(slot)
            steps.append(step)
        steps += [slots.remove(slot) for slot in grouped.values() if slot.node_id not in nodes]
        return self.decision(service, steps, self._updater.plan(slots, present, restarting))

    def _on_node(self, slots: Slots, slot: Slot, node: Node) -> Step | None:
        """None: the node has its task, and may keep it."""
        if is_invalid(node) or not satisfies(node, slots.service.spec.task_template.placement):
            return slots.leave(slot)
        if is_paused(node):
            return Step(want_all([task for task in slot.runnable if has_ended(task)], TaskState.SHUTDOWN))
        if not slot.occupied:
            return Step((Create(slots.next_task(slot)),))
        return None


def _suitability(node: Node) -> tuple[object, ...]:
    return (
        is_invalid(node),
        node.spec.availability,
        node.spec.labels,
        node.role,
        node.description.hostname,
        node.description.os,
        node.description.architecture,
        node.status.address,
    )
