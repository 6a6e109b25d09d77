"""`up`: from a file to a healthy cluster, whatever is there already.

    find the file and where its data lies  ->  create it, or find it created  ->  see that the host runs  ->  connect
    ->  apply the file's changed services  ->  wait until healthy, or say what is missing  ->  console, or return

Every step is safe to take twice and by two at once: creation happens or does not, the host holds a lock, a service that
somebody else created meanwhile is found.
"""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import attrs
import trio

from swarmtui.commands.apply_file import apply_services, differing_settings
from swarmtui.commands.command import Arguments, Context, OpenConsole
from swarmtui.commands.convergence import convergence_of
from swarmtui.commands.errors import CommandFailed, SomeFailed, WrongUsage, exit_code_of
from swarmtui.commands.machine import CLUSTER_DIRECTORY, CLUSTER_FILE, DEFAULT_NAME
from swarmtui.commands.output import Failure, Line, Note, Progress, SlotMark, SlotProgress
from swarmtui.commands.ports import ClusterPort, NodeView, StatusView
from swarmtui.commands.task_output import show_logs
from swarmtui.commands.views import fetch
from swarmtui.objects.cluster_file import ClusterFile, InvalidClusterFile, bare_cluster_file, parse_cluster_file
from swarmtui.objects.manifest import Manifest
from swarmtui.objects.notations import parse_env_file
from swarmtui.wire.calls import HostReport, NodePower, Power

POLL_S = 0.05
RETRY_S = 0.05
GONE_LIMIT_S = 90.0

_LISTENS = (" task", " tasks")  # as the host reports a published port: `web: 5 tasks`, `web: not yet`, or why not
_NOT_YET = ": not yet"
_OFF = (Power.KILLED, Power.STOPPED, Power.EXITED)


@attrs.frozen
class Plan:
    """Which cluster is meant. `file` is None for a cluster that is resumed without one."""

    base: Path  # the directory that holds `.swarmtui/`
    file: ClusterFile | None
    path: Path | None  # where the file was read from; None: the packaged default, a bare cluster, or no file
    introduction: str = ""

    @property
    def directory(self) -> Path:
        return self.base / CLUSTER_DIRECTORY


async def bring_up(context: Context, arguments: Arguments) -> None:
    if arguments.flag("detach") and arguments.flag("foreground"):
        raise WrongUsage("--detach returns and --foreground stays; choose one")
    plan = plan_up(context, arguments)
    if plan.introduction:
        context.out.show(Line(plan.introduction))
    for note in plan.file.notes if plan.file is not None else ():
        context.out.show(Note(note))
    manifest = _manifest(context, plan)
    await context.machine.ensure_host(plan.directory)
    async with context.machine.connect(plan.directory) as cluster:
        inner = attrs.evolve(context, found=cluster)
        refused = await _apply_and_wait(inner, plan, manifest, float(arguments.get("wait_timeout")))
        if arguments.flag("foreground"):
            await _stay(inner, plan.directory)
            return
    if context.place.is_terminal and not arguments.flag("detach"):
        context.follow_up = OpenConsole(plan.directory)
    elif refused:
        raise SomeFailed(1)


# ------------------------------------------------------------------------------------------------------ which cluster


def plan_up(context: Context, arguments: Arguments) -> Plan:
    """Which cluster these arguments mean, read and checked. Nothing is written."""
    managers, workers = arguments.get("managers"), arguments.get("workers")
    if context.place.selector is not None:
        if arguments.get("file") is not None:
            raise WrongUsage("--cluster names a cluster that exists and -f a file to make one from; choose one")
        directory = context.machine.find(context.place.selector, context.place.start)
        return _resumed(context, directory.parent, managers, workers)
    path = _named_file(arguments.text("file"), context.place.start)
    if path is None and managers is None and workers is None:
        return _nearest(context)
    path = path or _nearest_file(context.place.start)
    if path is not None:
        return Plan(path.parent, _read(context, path, managers, workers), path)
    base = context.place.start
    return Plan(base, _parsed(lambda: bare_cluster_file(_name_of(base), managers, workers), ""), None)


def _nearest(context: Context) -> Plan:
    """The nearest cluster.toml or cluster upward; with neither, the packaged default."""
    start = context.place.start.resolve()
    for base in (start, *start.parents):
        path = base / CLUSTER_FILE
        if path.is_file():
            return Plan(base, _read(context, path, None, None), path)
        if _is_own_cluster(base / CLUSTER_DIRECTORY):
            return _resumed(context, base, None, None)
    base = context.machine.default_base()
    file = _parsed(
        lambda: parse_cluster_file(
            context.machine.default_text(), environment=context.place.environment, name=DEFAULT_NAME
        ),
        "packaged ",
    )
    introduction = (
        f"no {CLUSTER_FILE} from here upward: this is the packaged default cluster {file.name!r}, its data in {base}"
    )
    return Plan(base, file, None, introduction)


def _is_own_cluster(directory: Path) -> bool:
    """A cluster directory that is ours and that nobody else may write to: what lies around is not to be believed."""
    try:
        found = directory.stat()
    except OSError:
        return False
    is_private = found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return is_private and (directory / "cluster.json").is_file()


def _resumed(context: Context, base: Path, managers: int | None, workers: int | None) -> Plan:
    """A cluster that exists: with the file it was made from, if that still lies there."""
    manifest = context.machine.manifest(base / CLUSTER_DIRECTORY)
    path = base / manifest.cluster_file if manifest.cluster_file else None
    if path is not None and path.is_file():
        return Plan(base, _read(context, path, managers, workers), path)
    return Plan(base, None, None)


def _named_file(name: str, start: Path) -> Path | None:
    if not name:
        return None
    path = (start / name).resolve()
    if path.is_dir():
        path = path / CLUSTER_FILE
    if not path.is_file():
        raise CommandFailed(f"there is no file {name}")
    return path


def _nearest_file(start: Path) -> Path | None:
    start = start.resolve()
    found = (directory / CLUSTER_FILE for directory in (start, *start.parents))
    return next((path for path in found if path.is_file()), None)


def _read(context: Context, path: Path, managers: int | None, workers: int | None) -> ClusterFile:
    """The file, with the variables of the shell and of `.env` beside it (the shell's win, as in Compose)."""
    environment = {**_env_beside(path), **context.place.environment}
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from None

    def read_file(name: str) -> str:
        return (path.parent / name).read_text(encoding="utf-8", errors="replace")

    def parse() -> ClusterFile:
        return parse_cluster_file(
            text,
            environment=environment,
            name=_name_of(path.parent),
            managers=managers,
            workers=workers,
            read_file=read_file,
        )

    return _parsed(parse, f"{path.name}: ")


def _env_beside(path: Path) -> dict[str, str]:
    env = path.parent / ".env"
    try:
        return parse_env_file(env.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CommandFailed(f"{env} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise CommandFailed(f"{env}: {error}") from None


def _parsed(parse: Callable[[], ClusterFile], source: str) -> ClusterFile:
    try:
        return parse()
    except InvalidClusterFile as error:
        if error.key.startswith("--"):
            raise WrongUsage(str(error)) from None
        raise CommandFailed(f"{source}{error}") from None


def _name_of(base: Path) -> str:
    """A directory's name as a cluster's: what DNS does not allow becomes -."""
    words = "".join(
        character if character.isascii() and character.isalnum() else "-" for character in base.resolve().name
    )
    return words.strip("-")[:63].strip("-") or "swarm"


def _manifest(context: Context, plan: Plan) -> Manifest:
    """Creates the cluster unless it exists; two at once make one."""
    if plan.directory.exists():
        return context.machine.manifest(plan.directory)
    if plan.file is None:
        raise CommandFailed(f"there is no cluster in {plan.base}")
    try:
        plan.base.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandFailed(f"{plan.base} cannot be made: {error.strerror}; choose another directory") from None
    manifest = context.machine.create(plan.file, plan.base, plan.path)
    nodes = f"{len(manifest.managers)} managers, {len(manifest.nodes) - len(manifest.managers)} workers"
    context.out.show(Line(f"created cluster {manifest.name}: {nodes}"))
    return manifest


# -------------------------------------------------------------------------------------------------------------- healthy


async def _apply_and_wait(context: Context, plan: Plan, manifest: Manifest, limit_s: float) -> int:
    """Applies the file once there is a leader and waits until all is well. Returns how many parts were refused."""
    deadline = trio.current_time() + limit_s
    missing: list[str] = ["no answer from any node"]
    with trio.move_on_at(deadline):
        await _start_all(context)
        await _wait_for_leader(context, missing)
        refused = 0
        if plan.file is not None:
            nodes = (await fetch(context, "node")).nodes
            lines = differing_settings(plan.file, manifest, nodes)
            for line in lines:
                context.out.show(Failure(line))
            refused = len(lines) + await apply_services(context, plan.file.services)
        for text in await _wait_until_healthy(context, missing):
            context.out.show(Failure(text))
            refused += 1
        context.out.show(Line(await _summary(context)))
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
            await _give_up_on_refused(context, status, needed=quorum.needed)
        await trio.sleep(POLL_S)


async def _give_up_on_refused(context: Context, status: StatusView, needed: int) -> None:
    """So many managers are refused for good that there can be no quorum: no use in waiting."""
    report = await context.cluster.host.report()
    refused = [node for node in report.nodes if node.power is Power.REFUSED and node.role == "manager"]
    if len(report.nodes) and status.quorum.voters - len(refused) < needed:
        raise CommandFailed("; ".join(f"{node.name}: {node.text}" for node in refused))


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
        gone = await _look(context, missing)
        if not missing:
            return gone
        await trio.sleep(POLL_S)


async def _look(context: Context, missing: list[str]) -> list[str]:
    """Fills `missing` with what is not well yet, and returns the nodes that can never be."""
    status = await _status(context)
    if status is None or status.leader is None or not status.quorum.held:
        missing[:] = ["no leader"]
        return []
    report: HostReport = await context.cluster.host.report()
    powers = {node.name: node for node in report.nodes}
    refused = {name: node.text for name, node in powers.items() if node.power is Power.REFUSED}
    waiting = [
        f"{node.name} is {_why_not_ready(node, powers.get(node.name))}"
        for node in status.nodes
        if node.name not in refused and node.status != "ready"
    ]
    slots = [
        SlotProgress(node.name, SlotMark.RUNNING if node.status == "ready" else SlotMark.MOVING, node.status)
        for node in status.nodes
    ]
    tables = await fetch(context, "service", "task", "node")
    for service in tables.services:
        standing = convergence_of(service, tables.tasks, tables.nodes)
        if not standing.is_settled and standing.running < standing.wanted:
            waiting.append(f"{service.name} has {standing.running} of {standing.wanted} tasks running")
        elif standing.stuck and not waiting:
            context.out.show(Note(f"{service.name}: {'; '.join(standing.stuck)}"))
    for port, text in report.published.items():
        if text.endswith(_NOT_YET):
            waiting.append(f"port {port} does not listen yet")
        elif not waiting and not text.endswith(_LISTENS):
            context.out.show(Note(f"port {port} does not listen: {text}"))
    missing[:] = waiting
    ready = sum(slot.mark is SlotMark.RUNNING for slot in slots)
    context.out.show(Progress(report.name, tuple(slots), ready, len(slots), done=not waiting, text="; ".join(waiting)))
    return [f"{name}: {text}" for name, text in refused.items()]


def _why_not_ready(node: NodeView, power: NodePower | None) -> str:
    if power is not None and power.power in _OFF:
        return f"{power.power}, not ready" + (f" ({power.text})" if power.text else "")
    if node.state in ("paused", "stopped", "down"):
        return f"{node.state}, not ready"
    return f"not ready ({node.status})"


async def _summary(context: Context) -> str:
    status = await context.cluster.status()
    ready = sum(node.status == "ready" for node in status.nodes)
    running = status.tasks.get("running", 0)
    return f"{status.name} is up: leader {status.leader}, {ready} of {len(status.nodes)} nodes ready, {running} tasks running"


# ----------------------------------------------------------------------------------------------------------- foreground


async def _stay(context: Context, directory: Path) -> None:
    """Shows all output until Ctrl-C, which is `down`."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def follow() -> None:
                await show_logs(context, Arguments({"follow": True, "tail": "all"}), ())

            nursery.start_soon(follow)
            async for _ in signals:
                break
            nursery.cancel_scope.cancel()
    await shut_down(context, context.cluster, directory)


async def shut_down(context: Context, cluster: ClusterPort, directory: Path) -> None:
    """The order `down` of a connected cluster, and waiting until its host has ended."""
    name = cluster.manifest.name
    context.out.show(Note(f"stopping {name} …"))
    await cluster.host.shut_down()
    if not await context.machine.wait_gone(directory, GONE_LIMIT_S):
        raise CommandFailed(f"{name} did not end within {GONE_LIMIT_S:g} s; see {directory / 'host.log'}")
    context.out.show(Line(f"{name} is down"))
