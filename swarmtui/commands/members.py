"""`node promote | demote | rm`, `swarm join | leave`: who is a manager, and which nodes there are.

Docker's words where it has them. A command returns when it has come about, and with `-d` when it is ordered: what is ordered
goes on by itself, whoever leads.
"""

from __future__ import annotations

from collections.abc import Callable

from swarmtui.commands.command import Arguments, Command, Completes, Context, Risk, flag, option, positional
from swarmtui.commands.each import for_each
from swarmtui.commands.effects import Effect, View, leaving
from swarmtui.commands.errors import CommandFailed, exit_code_of
from swarmtui.commands.output import Line, Note
from swarmtui.commands.service_options import choice, parse_label
from swarmtui.commands.targets import Kind, UnknownTarget, resolve, resolve_node
from swarmtui.commands.views import fetch_view
from swarmtui.objects.notations import check_address, check_name
from swarmtui.objects.quantities import parse_duration_s
from swarmtui.objects.records import Node
from swarmtui.objects.states import Availability, NodeRole

NODES = positional("nodes", repeated=True, completes=Completes.NODE, metavar="NODE")
DETACH = flag("-d --detach", "Return at once; it goes on by itself")
TIMEOUT = option(
    "--timeout", "How long to wait for it", metavar="DURATION", default="30s", reader=parse_duration_s, name="timeout"
)


def _patience_s(arguments: Arguments) -> float:
    return 0.0 if arguments.flag("detach") else float(arguments.get("timeout") or 0.0)


def notes(context: Context) -> Callable[[str], None]:
    """Says what a command waits for, beside its answer."""
    return lambda text: context.out.show(Note(text))


async def run_promote(context: Context, arguments: Arguments) -> None:
    view = await fetch_view(context, "node")

    async def promote(word: str) -> None:
        target = resolve_node(word, view)
        changed = await context.cluster.nodes.promote(target.id, timeout_s=_patience_s(arguments), say=notes(context))
        done = f"Node {target.name} promoted to a manager in the swarm."
        context.out.show(Line(done if changed else f"Node {target.name} is already a manager."))

    await for_each(context, arguments.texts("nodes"), promote)


async def run_demote(context: Context, arguments: Arguments) -> None:
    view = await fetch_view(context, "node")

    async def demote(word: str) -> None:
        target = resolve_node(word, view)
        changed = await context.cluster.nodes.demote(target.id, timeout_s=_patience_s(arguments), say=notes(context))
        done = f"Manager {target.name} demoted in the swarm."
        context.out.show(Line(done if changed else f"Node {target.name} is already a worker."))

    await for_each(context, arguments.texts("nodes"), demote)


async def run_rm(context: Context, arguments: Arguments) -> None:
    view = await fetch_view(context, "node")

    async def remove(word: str) -> None:
        id, name = _known(context, word, view)
        await context.cluster.nodes.remove(id, force=arguments.flag("force"), say=notes(context))
        context.out.show(Line(name))

    await for_each(context, arguments.texts("nodes"), remove)


def _known(context: Context, word: str, view: View) -> tuple[str, str]:
    """Also of a node whose record is gone and whose directory is still here: its removal was broken off."""
    try:
        target = resolve_node(word, view)
    except UnknownTarget:
        here = context.cluster.manifest.node(word)
        if here is None:
            raise
        return here.id, here.name
    return target.id, target.name


async def run_join(context: Context, arguments: Arguments) -> None:
    role = arguments.get("role") or NodeRole.WORKER
    node: Node = await context.cluster.nodes.join(
        name=arguments.text("name"),
        role=role,
        availability=arguments.get("availability") or Availability.ACTIVE,
        labels=dict(arguments.values.get("label") or ()),
        address=arguments.text("address"),
        timeout_s=_patience_s(arguments),
        say=notes(context),
    )
    context.out.show(Line(f"{node.name} joined the swarm as a {role}."))


async def run_leave(context: Context, arguments: Arguments) -> None:
    view = await fetch_view(context, "node")
    force = arguments.flag("force")

    async def leave(word: str) -> None:
        target = resolve_node(word, view)
        node = await context.cluster.nodes.inspect(target.id)
        if NodeRole.MANAGER in (node.role, node.spec.role):
            if not force:
                raise CommandFailed(
                    f"{node.name} is a manager: it leaves the managers first: swarmtui node demote {node.name}, or "
                    f"swarmtui swarm leave --force {node.name} does both"
                )
            await context.cluster.nodes.demote(node.id, say=notes(context))
        await _stop(context, node.name)
        await context.cluster.nodes.remove(node.id, force=True)
        context.out.show(Line(f"{node.name} left the swarm."))

    await for_each(context, arguments.texts("nodes"), leave)


async def _stop(context: Context, name: str) -> None:
    """In good order, so that its tasks are elsewhere by the time it goes."""
    try:
        await context.cluster.host.power(name, "stop")
    except Exception as error:
        if exit_code_of(error) is None:
            raise
        context.out.show(Note(f"{name} could not be stopped in good order: {error}"))


def demote_effect(view: View, arguments: Arguments) -> Effect:
    targets = [resolve(word, view, (Kind.NODE,)) for word in arguments.texts("nodes")]
    return leaving(view, {target.name for target in targets})


def parse_node_name(text: str) -> str:
    return check_name(text, "a node's name")


def parse_address(text: str) -> str:
    """HOST:PORT on loopback; `auto` is a free port, which the host chooses where it is told ""."""
    if text == "auto":
        return ""
    try:
        return check_address(text)
    except ValueError as error:
        raise ValueError(f"{error}, or auto for a free port") from None


COMMANDS: tuple[Command, ...] = (
    Command(
        name=("node", "promote"),
        summary="Make nodes managers; their tasks run on",
        parameters=(DETACH, TIMEOUT, NODES),
        run=run_promote,
        risk=Risk.CHANGE,
        undo="node demote NODE",
    ),
    Command(
        name=("node", "demote"),
        summary="Make managers workers; refused where the quorum would be lost",
        detail="A leader hands over first. The node forgets its log when it has left for good; promoted again it is a new "
        "member of the consensus.",
        parameters=(DETACH, TIMEOUT, NODES),
        run=run_demote,
        risk=Risk.CHANGE,
        undo="node promote NODE",
        effect=demote_effect,
    ),
    Command(
        name=("node", "rm"),
        summary="Remove nodes that are down from the swarm, and from this machine",
        detail="With --force also a worker that is ready, and a manager that is down (it is demoted first).",
        parameters=(flag("-f --force", "Remove a node that is ready, or a manager that is down"), NODES),
        run=run_rm,
        risk=Risk.DESTROYS,
        effect=demote_effect,
    ),
    Command(
        name=("swarm", "join"),
        summary="Make a new node on this machine and let it join",
        detail="A manager enters as a learner and votes once it has caught up. It needs no token: whoever holds the "
        "cluster's directory may make nodes here.",
        parameters=(
            option("--role", "manager or worker", metavar="WORD", reader=choice(NodeRole)),
            option("--name", "Its name; default: the next of n1, n2 …", metavar="NAME", reader=parse_node_name),
            option("--availability", "active, pause or drain", metavar="WORD", reader=choice(Availability)),
            option("--label", "A label", metavar="KEY=VALUE", repeated=True, reader=parse_label),
            option("--address", "Where it listens; default: a free port", metavar="HOST:PORT", reader=parse_address),
            DETACH,
            TIMEOUT,
        ),
        run=run_join,
        risk=Risk.CHANGE,
        undo="swarm leave NODE",
        examples=("swarm join --role manager --name n8 --label zone=b",),
    ),
    Command(
        name=("swarm", "leave"),
        summary="Stop nodes in good order and remove them from the swarm",
        parameters=(flag("-f --force", "A manager too: it is demoted first"), NODES),
        run=run_leave,
        risk=Risk.DESTROYS,
        effect=demote_effect,
    ),
)
