"""From the words of an order to what is meant: `n1`, `leader`, `web`, `web.2`, or the beginning of an id.

A word is looked up in this order, and the first kind that knows it decides: exact names and ids; the roles `leader`,
`follower` and `worker`; the beginning of an id, if only one object has it. A name that a node and a service share is refused
rather than guessed.
"""

from __future__ import annotations

import difflib
import enum
from collections.abc import Collection, Iterable, Sequence

import attrs

from swarmtui.commands.effects import LIVE_MANAGER_STATES, View
from swarmtui.commands.errors import CommandFailed
from swarmtui.objects.records import Node, Service, Task
from swarmtui.objects.states import TaskState

ROLES = ("leader", "follower", "worker")


class Kind(enum.StrEnum):
    NODE = "node"
    TASK = "task"
    SERVICE = "service"


@attrs.frozen
class NodeTarget:
    id: str
    name: str
    kind = Kind.NODE


@attrs.frozen
class TaskTarget:
    task: Task
    node_name: str  # "" while it is assigned to none
    kind = Kind.TASK

    @property
    def id(self) -> str:
        return self.task.id

    @property
    def name(self) -> str:
        return self.task.name_on(self.node_name)


@attrs.frozen
class ServiceTarget:
    service: Service
    kind = Kind.SERVICE

    @property
    def id(self) -> str:
        return self.service.id

    @property
    def name(self) -> str:
        return self.service.name


Target = NodeTarget | TaskTarget | ServiceTarget
EVERY_KIND: tuple[Kind, ...] = tuple(Kind)
KNOWN_MAX = 20  # names that a refusal lists


class UnknownTarget(CommandFailed):
    """No object has this name or id."""


class AmbiguousTarget(CommandFailed):
    """More than one object could be meant."""


def node_names(view: View) -> dict[str, str]:
    """Name by id, of every node that is known."""
    names = {node.id: node.name for node in view.nodes}
    return names | {node.id: node.name for node in view.status.nodes}


def resolve(word: str, view: View, kinds: Collection[Kind] = EVERY_KIND) -> Target:
    """What `word` means among objects of these kinds. Raises UnknownTarget, AmbiguousTarget."""
    candidates = [target for target in _candidates(view) if target.kind in kinds]
    named = [target for target in candidates if word in (target.name, target.id)]
    role = _role(word, view) if Kind.NODE in kinds and word in ROLES else None
    matches: list[Target] = [*_newest_of_each(named), *([role] if role else [])]
    if not matches and word in ROLES and Kind.NODE in kinds:
        raise UnknownTarget(_no_such_role(word))
    if not matches and word:
        matches = [target for target in candidates if target.id.startswith(word)]
    if not matches:
        raise UnknownTarget(_unknown(word, candidates, kinds))
    if len(matches) > 1:
        listed = ", ".join(f"{target.kind} {target.name} ({target.id[:12]})" for target in matches[:4])
        raise AmbiguousTarget(f"{word} is ambiguous ({len(matches)} matches found): {listed}; write more of an id")
    return matches[0]


def resolve_node(word: str, view: View) -> NodeTarget:
    target = resolve(word, view, (Kind.NODE,))
    if not isinstance(target, NodeTarget):
        raise UnknownTarget(f"no such node: {word}")
    return target


def find_service(word: str, services: Sequence[Service]) -> Service:
    """A service by name, id or the beginning of an id."""
    exact = [service for service in services if word in (service.name, service.id)]
    matches = exact or [service for service in services if word and service.id.startswith(word)]
    if not matches:
        raise UnknownTarget(
            f"no such service: {word or repr(word)}{_hint(word, [service.name for service in services])}"
        )
    if len(matches) > 1:
        raise AmbiguousTarget(f"service {word} is ambiguous ({len(matches)} matches found); write more of its id")
    return matches[0]


def find_node(word: str, nodes: Sequence[Node]) -> Node:
    """A node by id, name or the beginning of an id."""
    exact = [node for node in nodes if word in (node.id, node.name)]
    matches = exact or [node for node in nodes if word and node.id.startswith(word)]
    if not matches:
        raise UnknownTarget(f"no such node: {word or repr(word)}{_hint(word, [node.name for node in nodes])}")
    if len(matches) > 1:
        raise AmbiguousTarget(f"node {word} is ambiguous ({len(matches)} matches found); write more of its id")
    return matches[0]


def current_tasks(view: View, service: Service) -> list[Task]:
    """The tasks of a service that are to run now, in the order of their slots."""
    tasks = [
        task
        for task in view.tasks
        if task.service_id == service.id
        and task.desired_state <= TaskState.RUNNING
        and not task.status.state.is_terminal
    ]
    return sorted(tasks, key=lambda task: (task.slot, task.node_id, task.created_at))


def _candidates(view: View) -> list[Target]:
    names = node_names(view)
    return [
        *(NodeTarget(id, name) for id, name in names.items()),
        *(ServiceTarget(service) for service in view.services),
        *(TaskTarget(task, names.get(task.node_id, "")) for task in view.tasks),
    ]


def _newest_of_each(targets: Iterable[Target]) -> list[Target]:
    """A slot's name means its living task, else its newest."""
    tasks = [target for target in targets if isinstance(target, TaskTarget)]
    others: list[Target] = [target for target in targets if not isinstance(target, TaskTarget)]
    if tasks:
        others.append(max(tasks, key=lambda target: (not target.task.status.state.is_terminal, target.task.created_at)))
    return others


def _role(word: str, view: View) -> NodeTarget | None:
    """The node that leads; the first follower; the first worker that runs."""
    for node in view.status.nodes:
        leads = node.name == view.status.leader
        follows = node.role == "manager" and node.state in LIVE_MANAGER_STATES and not leads
        works = node.role == "worker" and node.state == "worker"
        if {"leader": leads, "follower": follows, "worker": works}[word]:
            return NodeTarget(node.id, node.name)
    return None


def _no_such_role(word: str) -> str:
    if word == "leader":
        return "no node leads now; name the node, or try again after the election"
    return f"no {word} runs now; name the node"


def _unknown(word: str, candidates: Sequence[Target], kinds: Collection[Kind]) -> str:
    wanted = [kind for kind in Kind if kind in kinds]
    kind_words = " or ".join(filter(None, (", ".join(wanted[:-1]), wanted[-1])))
    names = [target.name for target in candidates] + ([*ROLES] if Kind.NODE in kinds else [])
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    known = sorted({target.name for target in candidates if target.kind is not Kind.TASK})
    more = " …" if len(known) > KNOWN_MAX else ""
    there = f"; there are {', '.join(known[:KNOWN_MAX])}{more}" if known else ""
    hint = f"; did you mean {close[0]}?" if close else there
    return f"no such {kind_words}: {word or repr(word)}{hint}"


def _hint(word: str, names: Iterable[str]) -> str:
    known = sorted(set(names))
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; there are {', '.join(known[:8])}" if known and len(known) <= 8 else ""
