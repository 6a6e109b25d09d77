"""Which nodes a task may be placed on, and in which words a person is told why none (swarmkit manager/scheduler/filter.go).

A filter is a sentence for one node and for many, and a predicate. They are asked in order, and the first that refuses a
node is the one that counts for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import attrs

from swarmtui.manager.ledger import NodeLedger
from swarmtui.manager.nodes import is_available
from swarmtui.objects.constraints import satisfies
from swarmtui.objects.records import Task


@attrs.frozen(eq=False)
class Filter:
    name: str
    one: str
    many: str
    passes: Callable[[NodeLedger, Task], bool]


def _is_ready(ledger: NodeLedger, task: Task) -> bool:
    return is_available(ledger.node)


def _has_resources(ledger: NodeLedger, task: Task) -> bool:
    wanted = task.spec.resources.reservations
    free = ledger.free
    return wanted.nano_cpus <= max(free.nano_cpus, 0) and wanted.memory_bytes <= max(free.memory_bytes, 0)


def _meets_constraints(ledger: NodeLedger, task: Task) -> bool:
    return satisfies(ledger.node, task.spec.placement)


def _below_max_replicas(ledger: NodeLedger, task: Task) -> bool:
    limit = task.spec.placement.max_replicas
    return not limit or ledger.active_of(task.service_id) < limit


FILTERS = (
    Filter("ready", "1 node not available for new tasks", "{} nodes not available for new tasks", _is_ready),
    Filter(
        "resources",
        "1 node has too little CPU or memory left",
        "{} nodes have too little CPU or memory left",
        _has_resources,
    ),
    Filter(
        "constraints",
        "1 node does not satisfy the placement constraints",
        "{} nodes do not satisfy the placement constraints",
        _meets_constraints,
    ),
    Filter(
        "max replicas",
        "1 node holds the maximum of replicas",
        "{} nodes hold the maximum of replicas",
        _below_max_replicas,
    ),
)


def refusal(ledger: NodeLedger, task: Task) -> Filter | None:
    """The first filter that the node does not pass; None: the task fits."""
    for candidate in FILTERS:
        if not candidate.passes(ledger, task):
            return candidate
    return None


def explain(refusals: Iterable[Filter]) -> str:
    """`no suitable node (3 nodes do not satisfy the placement constraints; 2 nodes not available for new tasks)`: the most
    frequent reason first, and among equals the order of the filters."""
    counts = Counter(refusal.name for refusal in refusals)
    if not counts:
        return "no suitable node (there are no nodes)"
    ordered = sorted((found for found in FILTERS if counts[found.name]), key=lambda found: -counts[found.name])
    parts = [found.one if counts[found.name] == 1 else found.many.format(counts[found.name]) for found in ordered]
    return f"no suitable node ({'; '.join(parts)})"
