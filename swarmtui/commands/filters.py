"""`--filter key=value` as docker has it: values of one key are alternatives, different keys must all match."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from swarmtui.commands.errors import WrongUsage
from swarmtui.commands.words import mode_word
from swarmtui.objects.records import Node, Service, Task
from swarmtui.objects.states import NodeRole
from swarmtui.objects.tables import nearest

VALUES: Mapping[str, tuple[str, ...]] = {
    "role": tuple(NodeRole),
    "membership": ("accepted", "pending"),
    "mode": ("replicated", "global", "replicated-job", "global-job"),
    "desired-state": ("running", "shutdown", "accepted", "ready", "complete", "remove"),
}
"""What these keys can be: anything else would match nothing, and look like an answer."""

T = TypeVar("T")
Match = Callable[[T, str], bool]


def parse_filter(text: str) -> tuple[str, str]:
    """`name=web` as a pair."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ValueError(f"{text!r} is no filter; write KEY=VALUE")
    return key.strip().lower(), value.strip()


def filtered(objects: Iterable[T], wanted: Iterable[tuple[str, str]], matches: Mapping[str, Match[T]]) -> list[T]:
    """The objects that match. A key that is not in `matches` is WrongUsage, and a value that no object can have."""
    alternatives: dict[str, list[str]] = {}
    for key, value in wanted:
        if key not in matches:
            raise WrongUsage(f"invalid filter {key!r}; {nearest(key, sorted(matches))}")
        value = value.lower() if key in VALUES else value
        if value not in VALUES.get(key, (value,)):
            raise WrongUsage(f"invalid filter '{key}={value}'; {nearest(value, VALUES[key])}")
        alternatives.setdefault(key, []).append(value)
    return [
        item
        for item in objects
        if all(any(matches[key](item, value) for value in values) for key, values in alternatives.items())
    ]


def label_matches(labels: Mapping[str, str], wanted: str) -> bool:
    """`tier` (any value) or `tier=front`."""
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


NODE_FILTERS: Mapping[str, Match[Node]] = {
    "id": lambda node, value: node.id.startswith(value),
    "name": lambda node, value: node.name.startswith(value),
    "role": lambda node, value: value in (node.role, node.spec.role),
    "membership": lambda node, value: value == "accepted",
    "node.label": lambda node, value: label_matches(node.spec.labels, value),
    "label": lambda node, value: label_matches(node.spec.labels, value),
}

SERVICE_FILTERS: Mapping[str, Match[Service]] = {
    "id": lambda service, value: service.id.startswith(value),
    "name": lambda service, value: service.name.startswith(value),
    "label": lambda service, value: label_matches(service.spec.labels, value),
    "mode": lambda service, value: value == mode_word(service.mode),
}


def task_filters(names: Mapping[str, str], node_names: Mapping[str, str]) -> Mapping[str, Match[Task]]:
    """`names`: the shown name of every task by id; `node_names` by node id."""

    def on_node(task: Task, value: str) -> bool:
        return value in (task.node_id, node_names.get(task.node_id)) or bool(value and task.node_id.startswith(value))

    return {
        "id": lambda task, value: task.id.startswith(value),
        "name": lambda task, value: names[task.id].startswith(value),
        "node": on_node,
        "desired-state": lambda task, value: task.desired_state.name.lower() == value,
        "label": lambda task, value: label_matches(task.spec.container_spec.labels, value),
    }


def any_of(filters: Sequence[tuple[str, str]], key: str) -> bool:
    return any(name == key for name, _ in filters)
