"""From a key and what it points at to the very words of the command line, and to the question that must be asked first.

Pure. A key never does anything of its own: it writes a command, shows it, and runs it through the one registry.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import attrs

from swarmtui.console.model.faults import sides_of
from swarmtui.console.model.fold import Model
from swarmtui.console.model.picture import NodeRow, Picture
from swarmtui.console.model.quorum import Loss
from swarmtui.console.model.standing import LOOKS, Standing
from swarmtui.objects.states import Availability

PARTITION_SEPARATOR = "/"
LAST_REPLICAS_TOLD_MAX = 4  # services named in a question; the question itself must stay in sight


@attrs.frozen
class Target:
    """What a change key acts upon. `kind` is node, task or service; `name` what commands call it."""

    kind: str
    name: str
    id: str = ""


@attrs.frozen
class Order:
    """A command as words; as a line it reads `swarmtui kill n1`."""

    words: tuple[str, ...]

    @property
    def line(self) -> str:
        return "swarmtui " + shlex.join(self.words)


@attrs.frozen
class Pointless:
    """Why a key does nothing here, and which one would."""

    reason: str


@attrs.frozen
class Question:
    """What is asked before a risky step: the title, the arithmetic line by line, and how it is undone."""

    title: str
    lines: tuple[str, ...]
    undo: str
    order: Order


def order_for(action: str, target: Target | None, picture: Picture) -> Order | Pointless:
    """The command of a change key for this target, as the cluster stands."""
    if action in ("undo", "heal"):
        if not picture.faults and picture.host_answers:
            return Pointless("nothing is broken: there is no fault to heal")
        return Order((action,))
    if target is None:
        return Pointless("choose a node, a service or a task first")
    if target.kind == "node" and (node := picture.node(target.name)) is not None:
        return _node_order(action, node)
    if action == "drain":
        return Pointless("only a node can be drained")
    return Order((action, target.name))


def _node_order(action: str, node: NodeRow) -> Order | Pointless:
    standing = node.standing
    name = node.name
    if action == "drain":
        return Order(("activate" if node.availability is not Availability.ACTIVE else "drain", name))
    if action == "restart":
        if standing is Standing.PAUSED:
            return Order(("resume", name))
        return Order(("start" if standing.is_dead else "restart", name))
    if standing.is_dead:
        word = LOOKS[standing].word.lower()
        return Pointless(f"{name} is {'down' if word == 'down' else word} already: R brings it back")
    if action == "pause":
        return Order(("resume" if standing is Standing.PAUSED else "pause", name))
    return Order((action, name))


def parse_sides(words: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The groups of `A B / C D`; options are passed over."""
    groups: list[list[str]] = [[]]
    for word in words:
        if word == PARTITION_SEPARATOR:
            groups.append([])
        elif word.startswith("-"):
            break
        else:
            groups[-1].append(word)
    return tuple(tuple(group) for group in groups if group)


def loss_of(order: Order, model: Model, picture: Picture) -> Loss | None:
    """What the command would cost, None for one that can cost nothing."""
    verb, arguments = (order.words[0], order.words[1:]) if order.words else ("", ())
    now = picture.now
    if verb == "partition":
        return model.loss(now, sides=parse_sides(arguments))
    names = [word for word in arguments if not word.startswith("-")]
    if verb in ("kill", "stop", "pause", "restart"):
        nodes, tasks = _resolve(names, picture)
        return model.loss(now, gone=nodes, tasks=tasks)
    if verb == "drain":
        nodes, _ = _resolve(names, picture)
        held = [task.id for task in picture.tasks if task.node in nodes and task.is_running]
        return model.loss(now, tasks=held)
    return None


def _resolve(names: Sequence[str], picture: Picture) -> tuple[list[str], list[str]]:
    """Names of nodes and ids of tasks that these targets mean."""
    nodes: list[str] = []
    tasks: list[str] = []
    for name in names:
        if name == "leader":
            nodes.append(picture.leadership.name)
        elif picture.node(name) is not None:
            nodes.append(name)
        else:
            tasks.extend(
                task.id
                for task in picture.tasks
                if not task.past and name in (task.name, task.service, task.id) and task.is_running
            )
    return nodes, tasks


def question_for(order: Order, loss: Loss | None, picture: Picture) -> Question | None:
    """The question before a step that would lose the quorum or a last replica; None where nothing is to be asked."""
    if loss is None or not loss.is_risky:
        return None
    verb, names = order.words[0], " ".join(order.words[1:])
    lines: list[str] = []
    if loss.loses_quorum:
        before, after = loss.before, loss.after
        lead = picture.leadership.name
        if lead and lead in order.words:
            lines.append(f"{lead} leads term {picture.leadership.term}.")
        lines.append(
            f"Managers up: {before.up} of {before.voters} becomes {after.up} of {after.voters}; {after.needed} are needed."
        )
        lines.append("The quorum is lost: no writes until one is back.")
        lines.append("Running tasks go on.")
    if verb == "partition":
        sides = sides_of(parse_sides(order.words[1:]), [node.name for node in picture.nodes])
        lines.extend(side_sentence(side, picture) for side in sides)
    lines.extend(f"{text}." for text in loss.last_replicas[:LAST_REPLICAS_TOLD_MAX])
    if (more := len(loss.last_replicas) - LAST_REPLICAS_TOLD_MAX) > 0:
        lines.append(f"{more} more {'service loses its' if more == 1 else 'services lose their'} last replica too.")
    if loss.last_replicas and not loss.loses_quorum:
        lines.append(
            "They come back as soon as the cluster places them again."
            if len(loss.last_replicas) > 1
            else "It comes back as soon as the cluster places it again."
        )
    return Question(f"{verb.capitalize()} {names}?", tuple(lines), UNDO[verb].format(name=names), order)


UNDO = {
    "kill": "R brings it back with its disk",
    "stop": "R brings it back with its disk",
    "pause": "P lets it go on",
    "restart": "it comes back by itself",
    "partition": "u heals the cut",
    "drain": "D lets tasks come again",
}


def side_sentence(side: Sequence[str], picture: Picture) -> str:
    """What one side of a cut can do: `n1 n2: 2 of 5 managers, 3 needed: no writes`."""
    managers = [node.name for node in picture.managers]
    up = [node.name for node in picture.managers if node.standing.answers]
    here = [name for name in side if name in up]
    needed = picture.quorum.needed
    verdict = "writes go on" if len(here) >= needed else "no writes"
    return f"{' '.join(side)}: {len(here)} of {len(managers)} managers, {needed} needed: {verdict}"
