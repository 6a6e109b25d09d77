"""`node ls | inspect | ps | update`, and the two short orders `drain` and `activate`."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from swarmtui.commands.command import Arguments, Command, Completes, Context, Risk, flag, option, positional
from swarmtui.commands.common import CONSISTENT, FILTER, NO_RESOLVE, NO_TRUNC, QUIET, fail_for, look_up, show_tasks
from swarmtui.commands.each import for_each
from swarmtui.commands.effects import Effect, View, draining
from swarmtui.commands.errors import CommandFailed
from swarmtui.commands.filters import NODE_FILTERS, filtered
from swarmtui.commands.listings import STALE, manager_status, node_listing
from swarmtui.commands.members import notes, parse_address
from swarmtui.commands.output import Inspection, Line, Note
from swarmtui.commands.pretty import pretty_node
from swarmtui.commands.service_options import choice, parse_label
from swarmtui.commands.targets import Kind, find_node, resolve, resolve_node
from swarmtui.commands.together import together
from swarmtui.commands.views import Tables, fetch, fetch_view, show_tables
from swarmtui.objects.engine import to_engine
from swarmtui.objects.operations import Transaction, Update
from swarmtui.objects.records import Node
from swarmtui.objects.specs import NodeSpec
from swarmtui.objects.states import Availability, NodeRole

SELF = "self"
NODE = positional("node", completes=Completes.NODE)
NODES = positional("nodes", repeated=True, completes=Completes.NODE, metavar="NODE")


async def run_ls(context: Context, arguments: Arguments) -> None:
    async def tables_now() -> Tables:
        return await show_tables(context, arguments, "node")

    tables, status = await together(tables_now, context.cluster.status)
    nodes = filtered(tables.nodes, arguments.values.get("filter") or (), NODE_FILTERS)
    context.out.show(node_listing(nodes, status, tables.shown(context, arguments), tables.answering))


async def run_inspect(context: Context, arguments: Arguments) -> None:
    async def tables_now() -> Tables:
        return await show_tables(context, arguments, "node")

    tables, status = await together(tables_now, context.cluster.status)
    view = View(status, tables.nodes)
    found, missing = look_up(arguments.texts("nodes"), lambda word: find_node(_id_of(word, tables, view), tables.nodes))
    objects, pretties = [], []
    for node in found:
        reachability = manager_status(node, status)
        managing: Mapping[str, object] = {
            "ManagerStatus": {
                **({"Leader": True} if reachability == "Leader" else {}),
                "Reachability": "unreachable" if reachability == "Unreachable" else "reachable",
                "Addr": node.status.address,
            }
        }
        objects.append({**to_engine(node), **(managing if reachability else {}), **(STALE if tables.stale else {})})
        pretties.append(pretty_node(node, reachability))
    context.out.show(Inspection(objects, "\n\n".join(pretties) if arguments.flag("pretty") else ""))
    fail_for(context, missing)


def _id_of(word: str, tables: Tables, view: View) -> str:
    """docker's `self` is the node that answers."""
    return tables.answering if word == SELF and tables.answering else resolve_node(word, view).id


async def run_ps(context: Context, arguments: Arguments) -> None:
    """docker's default is `self`; outside of every node, it is all of them."""
    tables = await show_tables(context, arguments, "task", "node")
    view = View(await context.cluster.status(), tables.nodes)
    ids = {_id_of(word, tables, view) for word in arguments.texts("nodes")}
    show_tasks(context, arguments, tables, [task for task in tables.tasks if task.node_id in ids or not ids])


async def run_update(context: Context, arguments: Arguments) -> None:
    word = arguments.text("node")
    if arguments.get("address") is not None:
        await _move(context, word, arguments.text("address"))
        if not any(arguments.get(key) for key in ("availability", "label_add", "label_rm", "role")):
            context.out.show(Line(word))
            return
    tables = await fetch(context, "node")
    node = find_node(word, tables.nodes)
    if (role := arguments.get("role")) is not None:
        change = context.cluster.nodes.promote if role is NodeRole.MANAGER else context.cluster.nodes.demote
        await change(node.id, say=notes(context))
        node = await context.cluster.nodes.inspect(node.id)
    await change_node(context, node, _updated_spec(node.spec, arguments))
    context.out.show(Line(word))


async def _move(context: Context, word: str, address: str) -> None:
    """The host alone does it, so that managers whose ports are taken can be moved while there is no quorum."""
    here = context.cluster.manifest.node(word)
    name = here.name if here is not None else find_node(word, (await fetch(context, "node")).nodes).name
    moved = await context.cluster.nodes.move(name, address)
    context.out.show(Note(f"{name} listens on {moved} once it is started: swarmtui start {name}"))


def _updated_spec(spec: NodeSpec, arguments: Arguments) -> NodeSpec:
    labels = dict(spec.labels)
    for key in arguments.texts("label_rm"):
        if key not in labels:
            raise CommandFailed(f"key {key!r} doesn't exist in node's labels")
        del labels[key]
    labels |= dict(arguments.values.get("label_add") or ())
    return attrs.evolve(spec, labels=labels, availability=arguments.get("availability") or spec.availability)


async def change_node(context: Context, node: Node, spec: NodeSpec) -> None:
    """Writes the spec unless it is so already; refused if somebody else changed it since it was read."""
    if spec == node.spec:
        await fetch(context, "node", consistent=True)  # nothing to write: refused without a quorum all the same
    else:
        wanted = attrs.evolve(node, spec=spec)
        await context.cluster.transact(Transaction((Update(wanted, spec_version=node.spec_version),)))


async def run_drain(context: Context, arguments: Arguments) -> None:
    await _make_available(context, arguments, Availability.DRAIN)


async def run_activate(context: Context, arguments: Arguments) -> None:
    await _make_available(context, arguments, Availability.ACTIVE)


async def _make_available(context: Context, arguments: Arguments, availability: Availability) -> None:
    view = await fetch_view(context, "node")

    async def change(word: str) -> None:
        node = find_node(resolve_node(word, view).id, view.nodes)
        await change_node(context, node, attrs.evolve(node.spec, availability=availability))
        context.out.show(Line(node.name))

    await for_each(context, arguments.texts("nodes"), change)


def drain_effect(view: View, arguments: Arguments) -> Effect:
    targets = [resolve(word, view, (Kind.NODE,)) for word in arguments.texts("nodes")]
    return draining(view, {target.name for target in targets})


COMMANDS: tuple[Command, ...] = (
    Command(
        name=("node", "ls"),
        summary="List nodes",
        parameters=(FILTER, QUIET, CONSISTENT),
        run=run_ls,
    ),
    Command(
        name=("node", "inspect"),
        summary="Show everything about one or more nodes",
        detail="`self` is the manager that answers, which `node ls` marks with an asterisk.",
        parameters=(flag("--pretty", "For people instead of JSON"), CONSISTENT, NODES),
        run=run_inspect,
    ),
    Command(
        name=("node", "ps"),
        summary="List the tasks on one or more nodes (without NODE: on all)",
        parameters=(
            FILTER,
            QUIET,
            NO_TRUNC,
            NO_RESOLVE,
            CONSISTENT,
            attrs.evolve(NODES, required=False),
        ),
        run=run_ps,
    ),
    Command(
        name=("node", "update"),
        summary="Change a node's availability, labels, role or address",
        parameters=(
            option("--availability", "active, pause or drain", metavar="WORD", reader=choice(Availability)),
            option("--label-add", "Add or change a label", metavar="KEY=VALUE", repeated=True, reader=parse_label),
            option("--label-rm", "Remove a label", metavar="KEY", repeated=True),
            option("--role", "manager or worker, as promote and demote", metavar="WORD", reader=choice(NodeRole)),
            option(
                "--address",
                "Where a stopped node listens from its next start on; auto: a free port",
                metavar="HOST:PORT",
                reader=parse_address,
            ),
            NODE,
        ),
        run=run_update,
        risk=Risk.CHANGE,
        undo="node update with the values before",
    ),
    Command(
        name=("drain",),
        summary="Move every task off nodes and give them no more",
        parameters=(NODES,),
        run=run_drain,
        risk=Risk.CHANGE,
        undo="activate NODE",
        effect=drain_effect,
    ),
    Command(
        name=("activate",),
        summary="Let nodes have tasks again",
        parameters=(NODES,),
        run=run_activate,
        risk=Risk.CHANGE,
        undo="drain NODE",
    ),
)
