"""Whether a task is what its service asks for now: one rule for the managers, who replace what is not, and for whoever waits
until they have."""

from __future__ import annotations

import attrs

from swarmtui.objects.constraints import satisfies
from swarmtui.objects.records import Node, Service, Task


def is_clean(task: Task, service: Service, node: Node | None = None) -> bool:
    """True when the task is what the service's spec asks for now; its number of replicas is no part of it. A change of
    nothing but the placement constraints leaves alone a task whose node satisfies the new ones. Without a node, as for the
    attempts that a slot has used up, such a change is a new spec like any other."""
    if task.service_spec_version == service.spec_version:
        return True
    wanted = service.spec.task_template
    if task.ports != service.spec.endpoint_spec.ports:
        return False
    if task.spec == wanted:
        return True
    if node is None:
        return False
    same_constraints = attrs.evolve(task.spec.placement, constraints=wanted.placement.constraints)
    return attrs.evolve(task.spec, placement=same_constraints) == wanted and satisfies(node, wanted.placement)
