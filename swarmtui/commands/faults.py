"""Breaking things on purpose, and healing them: `kill stop start restart pause resume partition cut link heal undo`.

A node is switched by the host, the machine's power supply; a task is signalled by the node that runs it. Every order is
idempotent: what is already so is done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import attrs
import trio

from swarmtui.commands.command import Arguments, Command, Completes, Context, Risk, flag, option, positional
from swarmtui.commands.each import for_each
from swarmtui.commands.effects import Effect, View, cutting, losing_nodes, splitting
from swarmtui.commands.errors import CommandFailed, WrongUsage
from swarmtui.commands.output import Line
from swarmtui.commands.services import change_spec
from swarmtui.commands.targets import (
    NodeTarget,
    ServiceTarget,
    Target,
    TaskTarget,
    current_tasks,
    node_names,
    resolve,
    resolve_node,
)
from swarmtui.commands.views import fetch_view
from swarmtui.objects.quantities import parse_duration_s
from swarmtui.objects.records import Task
from swarmtui.objects.specs import ServiceSpec
from swarmtui.objects.states import TaskState
from swarmtui.objects.tables import nearest
from swarmtui.wire.host_calls import Power
from swarmtui.wire.node_calls import DELAY_MS_MAX, SignalTask

LINK_WORDS = ("delay", "jitter", "loss")
BEGIN_WAIT_S = 5.0  # for a node that was started to answer or to end
BEGIN_POLL_S = 0.05
_BEGIN = ("start", "restart")
SIDES = "/"  # between the groups of a partition


def _positive(text: str) -> float:
    seconds = parse_duration_s(text)
    if seconds <= 0:
        raise ValueError(f"{text!r} must be longer than nothing")
    return seconds


FOR = option("--for", "End it by itself after so long", metavar="DURATION", name="for_s", reader=_positive)
TARGETS = positional("targets", repeated=True, completes=Completes.TARGET, metavar="TARGET")


# ------------------------------------------------------------------------------------------------------ power and signals


async def _switch(context: Context, arguments: Arguments, action: str) -> None:
    """Does `action` to every target and goes on after one that failed."""
    words = arguments.texts("targets")
    known = {node.name: node.id for node in context.cluster.manifest.nodes}
    by_name_alone = all(word in known for word in words)  # so that a node can be switched whatever else answers
    view = None if by_name_alone else await fetch_view(context, "node", "service", "task")

    async def act(word: str) -> None:
        target = NodeTarget(known[word], word) if view is None else resolve(word, view)
        if isinstance(target, NodeTarget):
            await context.cluster.host.power(target.name, action, for_s=arguments.get("for_s"))
            if action in _BEGIN:
                await _see_it_begin(context, target.name)
        else:
            _refuse_limit(arguments, target)
            await _signal(context, view, target, action)
        context.out.show(Line(target.name))

    await for_each(context, words, act)


async def _see_it_begin(context: Context, name: str) -> None:
    """A node that cannot use its directory ends in its first moments: whoever started it is told so, and what to do. One
    that has a long log to read is not waited for to its end."""
    with trio.move_on_after(BEGIN_WAIT_S):
        while await context.cluster.report(name, BEGIN_POLL_S) is None:
            report = await context.cluster.host.report()
            node = next((node for node in report.nodes if node.name == name), None)
            if node is None or node.power in (Power.REFUSED, Power.EXITED):
                raise CommandFailed(f"{name} is {node.power.value}: {node.text}" if node else f"{name} is gone")
            await trio.sleep(BEGIN_POLL_S)


def _refuse_limit(arguments: Arguments, target: Target) -> None:
    if arguments.get("for_s") is not None:
        raise WrongUsage(f"--for is for nodes; {target.name} is a {target.kind}")


async def _signal(context: Context, view: View | None, target: TaskTarget | ServiceTarget, action: str) -> None:
    if view is None:  # unreachable by construction: only nodes are found without a view
        raise CommandFailed(f"no such node: {target.name}")
    if isinstance(target, ServiceTarget):
        if action == "restart":
            await change_spec(context, target.service.id, _forced)
            return
        tasks = [task for task in current_tasks(view, target.service) if task.status.state is TaskState.RUNNING]
    else:
        tasks = [target.task]
    names = node_names(view)
    if action == "start":
        _check_started(target, tasks)
        return
    if not tasks and action in ("pause", "kill", "stop"):
        raise CommandFailed(f"{target.name} has no running task")
    for task in tasks:
        await _signal_task(context, task, names, "stop" if action == "restart" else action)


def _forced(spec: ServiceSpec) -> ServiceSpec:
    template = attrs.evolve(spec.task_template, force_update=spec.task_template.force_update + 1)
    return attrs.evolve(spec, task_template=template)


def _check_started(target: TaskTarget | ServiceTarget, tasks: Sequence[Task]) -> None:
    """Tasks are never started by hand: the managers do, wherever one is missing."""
    if any(task.status.state is TaskState.RUNNING for task in tasks):
        return
    service = target.service.name if isinstance(target, ServiceTarget) else target.task.service_name
    raise CommandFailed(
        f"{target.name} does not run; tasks are started by the managers, see why not with: swarmtui service ps {service}"
    )


async def _signal_task(context: Context, task: Task, names: Mapping[str, str], action: str) -> None:
    if task.status.state.is_terminal and action in ("kill", "stop"):
        return
    node = names.get(task.node_id)
    if node is None or task.status.state.is_terminal:
        raise CommandFailed(f"{task.name_on(node or '')} does not run")
    answer = await context.cluster.ask(node, SignalTask(task.id, action))
    if answer.refused:
        raise CommandFailed(answer.refused)


def _switcher(action: str) -> Callable[[Context, Arguments], Awaitable[None]]:
    async def run(context: Context, arguments: Arguments) -> None:
        await _switch(context, arguments, action)

    return run


def switch_effect(view: View, arguments: Arguments) -> Effect:
    """What the quorum and last replicas lose if these targets are gone. Of tasks and services: nothing but themselves."""
    targets = [resolve(word, view) for word in arguments.texts("targets")]
    return losing_nodes(view, [target.name for target in targets if isinstance(target, NodeTarget)])


# ----------------------------------------------------------------------------------------------------------------- links


def groups_of(words: Sequence[str], view: View) -> list[tuple[str, ...]]:
    """`A B / C D E` as groups of node names."""
    groups: list[list[str]] = [[]]
    for word in words:
        if word == SIDES:
            groups.append([])
        else:
            groups[-1].append(resolve_node(word, view).name)
    if not all(groups):
        raise WrongUsage(
            "a group is empty; write the nodes of each side, with / between them: partition n1 n2 / n3 n4 n5"
        )
    members = [name for group in groups for name in group]
    for name in members:
        if members.count(name) > 1:
            raise WrongUsage(f"{name} is named twice; a node stands on one side")
    if len(groups) == 1 and len(members) == len(view.status.nodes):
        raise WrongUsage(
            "every node is in the one group, so nothing would be parted; leave out those of the other side"
        )
    return [tuple(group) for group in groups]


async def run_partition(context: Context, arguments: Arguments) -> None:
    view = await fetch_view(context)
    groups = groups_of(arguments.texts("nodes"), view)
    text = await context.cluster.host.partition(groups, for_s=arguments.get("for_s"))
    context.out.show(Line(text or " / ".join(" ".join(group) for group in groups), "Text"))


def partition_effect(view: View, arguments: Arguments) -> Effect:
    return splitting(view, groups_of(arguments.texts("nodes"), view))


async def run_cut(context: Context, arguments: Arguments) -> None:
    view = await fetch_view(context)
    source, target = _ends(arguments, view)
    one_way = arguments.flag("one_way")
    await context.cluster.host.link(source, target, one_way=one_way, cut=True, for_s=arguments.get("for_s"))
    context.out.show(Line(f"{source} {'->' if one_way else '<->'} {target}", "Text"))


def cut_effect(view: View, arguments: Arguments) -> Effect:
    return cutting(view, [_ends(arguments, view)])


def _ends(arguments: Arguments, view: View) -> tuple[str, str]:
    source = resolve_node(arguments.text("source"), view).name
    target = resolve_node(arguments.text("target"), view).name
    if source == target:
        raise WrongUsage(f"a link has two ends; both are {source}")
    return source, target


def parse_link_word(text: str) -> tuple[str, float]:
    """`delay=200ms`, `jitter=50ms`, `loss=10%`: milliseconds, or a share from 0 to 1."""
    key, equals, value = text.partition("=")
    if not equals or key not in LINK_WORDS:
        raise ValueError(f"{text!r} is nothing a link has; {nearest(key, [f'{word}=' for word in LINK_WORDS])}")
    if key == "loss":
        return "loss", _share(value)
    milliseconds = parse_duration_s(value) * 1000
    if milliseconds > DELAY_MS_MAX:
        raise ValueError(f"{text!r}: at most {DELAY_MS_MAX / 1000:g}s")
    return f"{key}_ms", milliseconds


def _share(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError(f'loss={text}: write a share from "0%" to "100%"')
    return share


async def run_link(context: Context, arguments: Arguments) -> None:
    view = await fetch_view(context)
    source, target = _ends(arguments, view)
    amounts: dict[str, float] = dict(arguments.values["amounts"])
    one_way = arguments.flag("one_way")
    await context.cluster.host.link(
        source,
        target,
        one_way=one_way,
        delay_ms=amounts.get("delay_ms", 0.0),
        jitter_ms=amounts.get("jitter_ms", 0.0),
        loss=amounts.get("loss", 0.0),
        for_s=arguments.get("for_s"),
    )
    context.out.show(Line(f"{source} {'->' if one_way else '<->'} {target}", "Text"))


# --------------------------------------------------------------------------------------------------------------- healing


async def run_heal(context: Context, arguments: Arguments) -> None:
    words = arguments.texts("nodes")
    names: list[str] = []
    if words:
        view = await fetch_view(context)
        names = [resolve_node(word, view).name for word in words]
    context.out.show(Line(await context.cluster.host.heal(names) or "healed", "Text"))


async def run_undo(context: Context, arguments: Arguments) -> None:
    context.out.show(Line(await context.cluster.host.undo() or "undone", "Text"))


def _power_command(action: str, summary: str, risk: Risk, undo: str, *, takes_for: bool = False) -> Command:
    loses = action in ("kill", "stop", "pause", "restart")
    return Command(
        name=(action,),
        summary=summary,
        detail="TARGET is a node, a task (web.2), a service, the beginning of an id, or leader, follower, worker.",
        parameters=(*((FOR,) if takes_for else ()), TARGETS),
        run=_switcher(action),
        risk=risk,
        undo=undo,
        effect=switch_effect if loses else None,
        examples=(f"{action} leader", f"{action} n3 web.2") if action in ("kill", "pause") else (),
    )


ONE_WAY = flag("--one-way", "From A to B only")
NODES_OF_LINK = (
    positional("source", completes=Completes.NODE, metavar="A"),
    positional("target", completes=Completes.NODE, metavar="B"),
)

COMMANDS: tuple[Command, ...] = (
    _power_command("kill", "Kill nodes or tasks at once (SIGKILL, as a crash)", Risk.FAULT, "start", takes_for=True),
    _power_command("stop", "Stop nodes or tasks in order", Risk.FAULT, "start", takes_for=True),
    _power_command("start", "Start nodes that were killed or stopped", Risk.CHANGE, "stop"),
    _power_command("restart", "Stop nodes or tasks and start them again", Risk.FAULT, ""),
    _power_command("pause", "Freeze nodes or tasks (SIGSTOP)", Risk.FAULT, "resume", takes_for=True),
    _power_command("resume", "Let frozen nodes or tasks go on", Risk.CHANGE, "pause"),
    Command(
        name=("partition",),
        summary="Part the nodes into groups that do not hear each other",
        detail="Nodes not named, and those that join later, belong to the last group; with one group the rest is the other.",
        parameters=(FOR, positional("nodes", repeated=True, completes=Completes.NODE, metavar="NODE|/")),
        run=run_partition,
        risk=Risk.FAULT,
        undo="heal",
        effect=partition_effect,
        examples=("partition n1 n2 / n3 n4 n5", "partition leader --for 30s"),
    ),
    Command(
        name=("cut",),
        summary="Cut the link between two nodes",
        parameters=(ONE_WAY, FOR, *NODES_OF_LINK),
        run=run_cut,
        risk=Risk.FAULT,
        undo="heal",
        effect=cut_effect,
    ),
    Command(
        name=("link",),
        summary="Make the link between two nodes slow or lossy",
        parameters=(
            ONE_WAY,
            FOR,
            *NODES_OF_LINK,
            positional("amounts", repeated=True, reader=parse_link_word, metavar="delay=|jitter=|loss="),
        ),
        run=run_link,
        risk=Risk.FAULT,
        undo="heal",
        examples=("link n1 n2 delay=200ms jitter=50ms loss=10%",),
    ),
    Command(
        name=("heal",),
        summary="End every fault: links, pauses, kills (of these nodes, if any are named)",
        parameters=(positional("nodes", required=False, repeated=True, completes=Completes.NODE, metavar="NODE"),),
        run=run_heal,
        risk=Risk.CHANGE,
    ),
    Command(
        name=("undo",),
        summary="End the last fault",
        run=run_undo,
        risk=Risk.CHANGE,
    ),
)
