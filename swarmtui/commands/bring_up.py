"""`up`: from a file to a healthy cluster, whatever is there already.

    find the file and where its data lies  ->  create it, or find it created  ->  see that the host runs  ->  connect
    ->  apply the file's changed services  ->  wait until healthy, or say what is missing  ->  console, or return

Every step is safe to take twice and by two at once: creation happens or does not, the host holds a lock, a service that
somebody else created meanwhile is found.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Awaitable, Callable

import attrs
import trio

from swarmtui.commands.apply_file import apply_services, differing_settings
from swarmtui.commands.cluster import shut_down
from swarmtui.commands.command import Arguments, Context, OpenConsole
from swarmtui.commands.convergence import convergence_of
from swarmtui.commands.effects import LIVE_MANAGER_STATES
from swarmtui.commands.errors import CommandFailed, SomeFailed, WrongUsage, exit_code_of
from swarmtui.commands.output import Failure, Line, Note, Progress, SlotMark, SlotProgress
from swarmtui.commands.planning import UpPlan, plan_up
from swarmtui.commands.ports import NodeView, StatusView
from swarmtui.commands.published import ports_in_trouble, ports_not_yet
from swarmtui.commands.task_output import show_logs
from swarmtui.commands.together import leading_error
from swarmtui.commands.views import fetch
from swarmtui.commands.words import counted
from swarmtui.objects.manifest import Manifest
from swarmtui.wire.host_calls import HostReport, NodePower, Power

POLL_S = 0.1
AGAIN_S = 1.0  # before output that could not be followed is followed again
CONSOLE_PATIENCE_S = 5.0  # for all to be well before the console opens: what is not well is seen best there

_OFF = (Power.KILLED, Power.STOPPED, Power.EXITED)
_LOST = (Power.REFUSED, Power.EXITED)  # after the start that `up` ordered: nobody starts these again


async def bring_up(context: Context, arguments: Arguments) -> None:
    if arguments.flag("detach") and arguments.flag("foreground"):
        raise WrongUsage("--detach returns and --foreground stays; choose one")
    plan = plan_up(context, arguments)
    if plan.introduction:
        context.out.show(Line(plan.introduction))
    for note in plan.file.notes if plan.file is not None else ():
        context.out.show(Note(note))
    manifest = _manifest(context, plan)
    limit_s = float(arguments.get("wait_timeout"))
    if arguments.flag("foreground"):
        await _stay(context, plan, manifest, limit_s)
        return
    await context.machine.ensure_host(plan.directory)
    to_console = context.place.has_screen and not arguments.flag("detach")
    patience_s = CONSOLE_PATIENCE_S if to_console else math.inf
    async with context.machine.connect(plan.directory) as cluster:
        refused = await _apply_and_wait(attrs.evolve(context, found=cluster), plan, manifest, limit_s, patience_s)
    if to_console:
        context.follow_up = OpenConsole(plan.directory)
    elif refused:
        raise SomeFailed(1)


def _manifest(context: Context, plan: UpPlan) -> Manifest:
    """Creates the cluster unless it exists; two at once make one, and only the one that did says so."""
    if plan.directory.exists():
        return context.machine.manifest(plan.directory)
    if plan.file is None:
        raise CommandFailed(f"there is no cluster in {plan.base}")
    try:
        plan.base.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandFailed(f"{plan.base} cannot be made: {error.strerror}; choose another directory") from None
    made = context.machine.create(plan.file, plan.base, plan.path, plan.backup)
    if made is not None:
        context.out.show(Line(f"created cluster {_with_nodes(made)}{_origin(plan)}"))
        return made
    found = context.machine.manifest(plan.directory)
    context.out.show(Line(f"found cluster {_with_nodes(found)}; another swarmtui up has just created it"))
    return found


def _with_nodes(manifest: Manifest) -> str:
    managers = len(manifest.managers)
    return f"{manifest.name}: {counted(managers, 'manager')}, {counted(len(manifest.nodes) - managers, 'worker')}"


def _origin(plan: UpPlan) -> str:
    """What a restored cluster begins with."""
    if plan.backup is None:
        return ""
    head = plan.backup.head
    doubt = ", which no quorum vouched for" if head.stale else ""
    return f", from the state of {head.manifest.name} at index {head.index}{doubt}"


# -------------------------------------------------------------------------------------------------------------- healthy


async def _apply_and_wait(
    context: Context, plan: UpPlan, manifest: Manifest, limit_s: float, patience_s: float = math.inf
) -> int:
    """Applies the file once there is a leader and waits until all is well, but no longer than `patience_s` once it is
    applied. Returns how many parts were refused."""
    deadline = trio.current_time() + limit_s
    missing: list[str] = ["no answer from any node"]
    applied, refused = False, 0
    with trio.move_on_at(deadline):
        await _start_all(context)
        await _wait_for_leader(context, missing)
        file = plan.file_to_apply
        if file is not None:
            nodes = (await fetch(context, "node")).nodes
            lines = differing_settings(file, manifest, nodes)
            for line in lines:
                context.out.show(Failure(line))
            refused = len(lines) + await apply_services(context, file.services)
        applied = True
        with trio.move_on_after(patience_s):
            for text in await _wait_until_healthy(context, missing):
                context.out.show(Failure(text))
                refused += 1
            context.out.show(Line(await _summary(context)))
            return refused
    if applied and patience_s < math.inf:
        context.out.show(Note(f"not healthy yet: {'; '.join(missing)}"))
        return refused
    raise CommandFailed(
        f"not healthy after {limit_s:g} s: {'; '.join(missing)}. It goes on; look with: swarmtui status"
    )


async def _start_all(context: Context) -> None:
    """`up` on a running cluster starts what was killed or stopped; what is paused or refused stays, and is named."""
    report = await context.cluster.host.report()
    for node in report.nodes:
        if node.power in _OFF:
            await context.cluster.host.power(node.name, "start")


async def _wait_for_leader(context: Context, missing: list[str]) -> None:
    while True:
        status = await _status(context)
        if status is not None and status.leader is not None and status.quorum.held:
            return
        if status is not None:
            quorum = status.quorum
            missing[:] = [f"no leader, {quorum.reachable} of {quorum.voters} managers answer, {quorum.needed} needed"]
            await _give_up_on_lost(context, status, needed=quorum.needed)
        await trio.sleep(POLL_S)


async def _give_up_on_lost(context: Context, status: StatusView, needed: int) -> None:
    """So many managers are refused for good, or have ended by themselves since they were started here (as on a full disk),
    that there can be no quorum: no use in waiting. How many are needed is known once one of them has said who votes; some
    of those refused may have been put out."""
    report = await context.cluster.host.report()
    managers = [node for node in report.nodes if node.role == "manager"]
    lost = [node for node in managers if _is_lost(node)]
    can_run = len(managers) - len(lost)
    if managers and can_run < (needed if status.term else 1):
        raise CommandFailed("; ".join(f"{node.name}: {node.text}" for node in lost))


async def _status(context: Context) -> StatusView | None:
    """What is known now; None while nothing answers yet."""
    try:
        return await context.cluster.status()
    except Exception as error:
        if exit_code_of(error) is None:
            raise
        return None


async def _wait_until_healthy(context: Context, missing: list[str]) -> list[str]:
    """Returns the nodes that can never be well, each with what to do; everything else is."""
    while True:
        await trio.sleep(POLL_S)  # first too: what was just written begins to have tasks
        gone = await _look(context, missing)
        if not missing:
            return gone


async def _look(context: Context, missing: list[str]) -> list[str]:
    """Fills `missing` with what is not well yet, and returns the nodes that can never be."""
    status = await _status(context)
    if status is None or status.leader is None or not status.quorum.held:
        missing[:] = ["no leader"]
        return []
    report: HostReport = await context.cluster.host.report()
    powers = {node.name: node for node in report.nodes}
    gone = [_gone(node) for node in report.nodes if _is_lost(node)]
    waiting = [
        f"{node.name} is {_why_not_ready(node, powers.get(node.name))}"
        for node in status.nodes
        if not _is_lost(powers.get(node.name)) and not _is_ready(node)
    ]
    slots = [
        SlotProgress(node.name, SlotMark.RUNNING if _is_ready(node) else SlotMark.MOVING, node.status)
        for node in status.nodes
    ]
    behind = [
        f"{service.name} has {service.running} of {service.wanted} tasks running"
        for service in status.services
        if service.running < service.wanted
    ]
    if behind and not waiting:  # as long as nodes are missing it is no use to ask which tasks fit nowhere
        behind = await _unconverged(context)
    waiting += behind
    if waiting:  # nothing is written where the leader's disk is full: no node becomes ready, no task runs
        waiting += [node.disk for node in status.nodes if node.disk]
    waiting += [f"port {port} does not listen yet" for port in ports_not_yet(report)]
    if not waiting:
        for text in ports_in_trouble(report):
            context.out.show(Note(text))
    missing[:] = waiting
    ready = sum(slot.mark is SlotMark.RUNNING for slot in slots)
    context.out.show(
        Progress(report.name, tuple(slots), ready, len(slots), done=not waiting, text="; ".join(waiting), unit="nodes")
    )
    return gone


def _is_lost(node: NodePower | None) -> bool:
    return node is not None and node.power in _LOST


def _gone(node: NodePower) -> str:
    retry = f"; try again with: swarmtui start {node.name}" if node.power is Power.EXITED else ""
    return f"{node.name}: {node.text}{retry}"


async def _unconverged(context: Context) -> list[str]:
    """The services that are not where they should be. Those that no node fits, or that failed for good, are named and hold
    nothing up."""
    tables = await fetch(context, "service", "task", "node")
    standings = [convergence_of(service, tables.tasks, tables.nodes) for service in tables.services]
    behind = [one for one in standings if not one.is_settled and one.running < one.wanted]
    if not behind:
        for one in standings:
            if said := "; ".join([*one.stuck, *filter(None, [one.what_failed])]):
                context.out.show(Note(f"{one.service}: {said}"))
    return [f"{one.service} has {one.running} of {one.wanted} tasks running" for one in behind]


def _is_ready(node: NodeView) -> bool:
    """It answers, and the managers have it as ready: what is stored may be from before a power cut."""
    return node.status == "ready" and node.state in (*LIVE_MANAGER_STATES, "learner", "worker")


def _why_not_ready(node: NodeView, power: NodePower | None) -> str:
    if power is not None and power.power in _OFF:
        return f"{power.power}, not ready" + (f" ({power.text})" if power.text else "")
    if node.state in ("paused", "stopped", "down", "unknown"):
        return f"{node.state}, not ready"
    return f"not ready ({node.status})"


async def _summary(context: Context) -> str:
    status = await context.cluster.status()
    ready = sum(_is_ready(node) for node in status.nodes)
    running = counted(status.tasks.get("running", 0), "task")
    return f"{status.name} is up: leader {status.leader}, {ready} of {len(status.nodes)} nodes ready, {running} running"


# ----------------------------------------------------------------------------------------------------------- foreground


async def _stay(context: Context, plan: UpPlan, manifest: Manifest, limit_s: float) -> None:
    """Brings it up and shows all output until Ctrl-C, which is `down`, whenever it comes."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_show_all, context, plan, manifest, limit_s)
            async for _ in signals:
                break
            nursery.cancel_scope.cancel()
    await context.machine.ensure_host(plan.directory)  # it may have been starting just now, and would be left behind
    context.out.show(Note(f"stopping {manifest.name} …"))
    await shut_down(context, plan.directory, manifest.name)


async def _show_all(context: Context, plan: UpPlan, manifest: Manifest, limit_s: float) -> None:
    """What goes wrong is said, and then it goes on: in the foreground a person is there to see it."""
    await context.machine.ensure_host(plan.directory)
    async with context.machine.connect(plan.directory) as cluster:
        inner = attrs.evolve(context, found=cluster)
        await _said_if_it_fails(inner, lambda: _apply_and_wait(inner, plan, manifest, limit_s))
        while True:
            await _said_if_it_fails(inner, lambda: show_logs(inner, Arguments({"follow": True, "tail": "all"}), ()))
            await trio.sleep(AGAIN_S)


async def _said_if_it_fails(context: Context, act: Callable[[], Awaitable[object]]) -> None:
    try:
        await act()
    except Exception as group:
        error = leading_error(group)
        if exit_code_of(error) is None:
            raise
        context.out.show(Failure(str(error)))
