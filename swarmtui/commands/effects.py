"""What a step would do: to the quorum, and to services that would lose their last running task. Pure arithmetic.

The console asks for confirmation only where `Effect.needs_confirmation`, and shows `Effect.text`, which holds the figures:
`n1 is the leader; reachable voters 3 of 5 -> 2 of 5; 3 needed: writes stop until a node comes back`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import attrs

from swarmtui.objects.membership import majority
from swarmtui.objects.records import Node, Service, Task
from swarmtui.objects.specs import ReplicatedMode
from swarmtui.objects.states import TaskState

if TYPE_CHECKING:
    from swarmtui.commands.ports import StatusView

LIVE_MANAGER_STATES = ("leader", "follower", "candidate")  # of `status`: a voter that answers


@attrs.frozen
class View:
    """What is known of the cluster when an order is looked at: enough to find its targets and work out its effect."""

    status: StatusView
    nodes: tuple[Node, ...] = ()
    services: tuple[Service, ...] = ()
    tasks: tuple[Task, ...] = ()
    stale: bool = False


@attrs.frozen
class Effect:
    """What an order would do. `text` is empty where it does nothing worth saying."""

    text: str = ""
    loses_quorum: bool = False
    last_replicas: tuple[str, ...] = ()  # services that would run nowhere

    @property
    def needs_confirmation(self) -> bool:
        return self.loses_quorum or bool(self.last_replicas)


def losing_nodes(view: View, names: Collection[str]) -> Effect:
    """What it would do if these nodes were gone (killed, stopped, paused)."""
    up = _voters_up(view)
    lost = [name for name in names if name in up]
    before = view.status.quorum.reachable
    return _effect(
        view, before, max(0, before - len(set(lost))), lost, "a node comes back", _last_replicas(view, names)
    )


def leaving(view: View, names: Collection[str]) -> Effect:
    """What it would do if these nodes were managers no more."""
    voters = {node.name for node in view.status.nodes if node.role == "manager"}
    lost = sorted(voters & set(names))
    if not lost:
        return Effect()
    up = _voters_up(view) - set(lost)
    after, needed = len(voters) - len(lost), majority(len(voters) - len(lost))
    if len(up) < needed:
        text = f"{after} managers would be left, {needed} of them needed, {len(up)} answer: it is refused"
        return Effect(text, loses_quorum=True)
    spare = _spare_sentence(len(up) - needed)
    leads = f"{view.status.leader} is the leader and hands over; " if view.status.leader in lost else ""
    return Effect(f"{leads}managers {len(voters)} -> {after}; {needed} needed: {spare}")


def splitting(view: View, groups: Sequence[Collection[str]]) -> Effect:
    """What it would do if nothing passed between these groups of nodes; nodes not named belong to the last group, and
    to one group the rest is the other."""
    up = _voters_up(view)
    sides = [set(group) for group in groups]
    rest = {node.name for node in view.status.nodes}.difference(*sides)
    if len(sides) == 1:
        sides.append(rest)
    else:
        sides[-1] |= rest
    largest = max(sides, key=lambda side: len(side & up))
    before = view.status.quorum.reachable
    cut_off = sorted(up - largest)
    return _effect(view, before, min(before, len(largest & up)), cut_off, "it is healed", ())


def cutting(view: View, pairs: Iterable[tuple[str, str]]) -> Effect:
    """What it would do if nothing passed on these links (one direction is enough to lose an answer)."""
    up = _voters_up(view)
    cut = {frozenset(pair) for pair in pairs}
    heard = {name: sum(frozenset((name, other)) not in cut for other in up if other != name) + 1 for name in up}
    before = view.status.quorum.reachable
    after = min(before, max(heard.values(), default=0))
    touched = sorted(name for pair in cut for name in pair if name in up)
    return _effect(view, before, after, touched, "it is healed", ())


def draining(view: View, names: Collection[str]) -> Effect:
    """A drain moves tasks and costs no voter; said only where no other node could take them."""
    others = [node for node in view.nodes if node.name not in names and node.spec.availability == "active"]
    if others or not view.nodes:
        return Effect()
    services = tuple(sorted({task.service_name for task in view.tasks if _runs(task)}))
    return Effect("no other node is active: its tasks have nowhere to go", last_replicas=services)


def standing(view: View) -> str:
    """`5 of 5 managers answer, 3 needed: 2 may fail`."""
    quorum = view.status.quorum
    return f"{quorum.reachable} of {quorum.voters} managers answer, {quorum.needed} needed: {spare_words(view.status)}"


def spare_words(status: StatusView) -> str:
    """How many more managers may fail: `2 may fail`, `no spare`, `no quorum`."""
    quorum = status.quorum
    if not quorum.held or quorum.reachable < quorum.needed:
        return "no quorum"
    spare = quorum.reachable - quorum.needed
    return f"{spare} may fail" if spare else "no spare"


def _effect(
    view: View, before: int, after: int, voters: Sequence[str], until: str, last_replicas: tuple[str, ...]
) -> Effect:
    quorum = view.status.quorum
    sentences = []
    leader = view.status.leader
    if leader is not None and leader in voters:
        sentences.append(f"{leader} is the leader")
    loses = after < quorum.needed
    if before != after or sentences:
        sentences.append(f"reachable voters {before} of {quorum.voters} -> {after} of {quorum.voters}")
        outcome = f"writes stop until {until}" if loses else _spare_sentence(after - quorum.needed)
        sentences.append(f"{quorum.needed} needed: {outcome}")
    if last_replicas:
        verb = "loses its" if len(last_replicas) == 1 else "lose their"
        sentences.append(f"{', '.join(last_replicas)} {verb} last running task until it is moved")
    return Effect("; ".join(sentences), loses and (before != after or bool(voters)), last_replicas)


def _spare_sentence(spare: int) -> str:
    return f"{spare} more may fail" if spare else "no more may fail"


def _voters_up(view: View) -> set[str]:
    return {node.name for node in view.status.nodes if node.role == "manager" and node.state in LIVE_MANAGER_STATES}


def _last_replicas(view: View, names: Collection[str]) -> tuple[str, ...]:
    """Services that run now, and only on nodes of these names."""
    lost_ids = {node.id for node in view.status.nodes if node.name in names}
    running: dict[str, set[str]] = {}
    for task in view.tasks:
        if _runs(task):
            running.setdefault(task.service_name, set()).add(task.node_id)
    replicated = {service.name for service in view.services if isinstance(service.mode, ReplicatedMode)}
    return tuple(sorted(name for name, nodes in running.items() if name in replicated and nodes <= lost_ids))


def _runs(task: Task) -> bool:
    return task.status.state is TaskState.RUNNING and task.desired_state is TaskState.RUNNING
