"""How heavy an operation is, roughly: enough to stay under the limit of a transaction without encoding it twice."""

from __future__ import annotations

from collections.abc import Iterable

from swarmtui.objects.operations import OPERATIONS_MAX, TRANSACTION_BYTES_MAX, Advance, Create, Operation, Update
from swarmtui.objects.records import Node, Task
from swarmtui.objects.specs import TaskSpec

OPERATION_BYTES = 400
"""What an operation costs beside the texts that grow without bound."""

TRANSACTION_WEIGHT_MAX = TRANSACTION_BYTES_MAX // 2
"""The estimate may be wrong by half."""


def weight(operation: Operation) -> int:
    """Bytes, roughly, from above for plain texts."""
    match operation:
        case Create(Task() as task):
            return OPERATION_BYTES + _task_spec_weight(task.spec)
        case Create(Node() as node) | Update(Node() as node):
            return OPERATION_BYTES + sum(len(key) + len(value) for key, value in node.spec.labels.items()) * 2
        case Advance(status=status) if status is not None:
            return OPERATION_BYTES + len(status.error) * 2 + len(status.message) * 2
        case _:
            return OPERATION_BYTES


def tasks_per_transaction(spec: TaskSpec, operations_each: int) -> int:
    """How many tasks of this spec one transaction can create, at `operations_each` operations for each of them."""
    by_weight = TRANSACTION_WEIGHT_MAX // (OPERATION_BYTES * operations_each + _task_spec_weight(spec))
    return max(1, min((OPERATIONS_MAX - 10) // operations_each, by_weight))


def _task_spec_weight(spec: TaskSpec) -> int:
    container = spec.container_spec
    labels = sum(len(key) + len(value) for key, value in container.labels.items())
    texts: Iterable[str] = (*container.args, *container.env, *spec.placement.constraints, *spec.placement.preferences)
    return OPERATION_BYTES + 2 * labels + sum(len(text.encode(errors="replace")) + 4 for text in texts)
