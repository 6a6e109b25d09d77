"""`service create | ls | ps | inspect | logs | update | scale | rm`: Docker's verbs on services."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from swarmtui.commands.command import Arguments, Command, Completes, Context, Parameter, Risk, flag, positional
from swarmtui.commands.common import CONSISTENT, FILTER, NO_RESOLVE, NO_TRUNC, QUIET, fail_for, look_up, show_tasks
from swarmtui.commands.convergence import wait_for_services
from swarmtui.commands.each import for_each
from swarmtui.commands.filters import SERVICE_FILTERS, filtered
from swarmtui.commands.foreign_options import FOREIGN
from swarmtui.commands.listings import STALE, service_listing
from swarmtui.commands.output import Inspection, Line
from swarmtui.commands.pretty import pretty_service
from swarmtui.commands.service_options import CREATE, UPDATE, created_spec, scaled_spec, updated_spec
from swarmtui.commands.targets import Kind, find_service
from swarmtui.commands.task_output import LOG_FOREIGN, LOG_OPTIONS, show_logs
from swarmtui.commands.views import fetch, show_tables
from swarmtui.objects.compose import Surroundings
from swarmtui.objects.engine import to_engine, with_defaults
from swarmtui.objects.identifiers import new_id
from swarmtui.objects.notations import parse_replicas
from swarmtui.objects.operations import Create, Remove, Transaction, Update
from swarmtui.objects.records import Cluster, Service
from swarmtui.objects.specs import ServiceSpec

DETACH = flag("-d --detach", "Return at once instead of waiting for the service to converge")
GOES_ON = "the operation continues in the background, look with: swarmtui service ls"
SERVICE = positional("service", completes=Completes.SERVICE)
SERVICES = positional("services", repeated=True, completes=Completes.SERVICE, metavar="SERVICE")


# --------------------------------------------------------------------------------------------------------------- reading


async def run_ls(context: Context, arguments: Arguments) -> None:
    tables = await show_tables(context, arguments, "service", "task", "node")
    services = filtered(tables.services, arguments.values.get("filter") or (), SERVICE_FILTERS)
    context.out.show(service_listing(services, tables.tasks, tables.nodes, tables.shown(context, arguments)))


async def run_ps(context: Context, arguments: Arguments) -> None:
    tables = await show_tables(context, arguments, "service", "task", "node")
    services, missing = look_up(arguments.texts("services"), lambda word: find_service(word, tables.services))
    ids = {service.id for service in services}
    if services:
        show_tasks(context, arguments, tables, [task for task in tables.tasks if task.service_id in ids])
    fail_for(context, missing)


async def run_inspect(context: Context, arguments: Arguments) -> None:
    tables = await show_tables(context, arguments, "service", Cluster.TABLE)
    found, missing = look_up(arguments.texts("services"), lambda word: find_service(word, tables.services))
    for settings in tables.clusters:
        found = [with_defaults(service, settings) for service in found]
    objects = [{**to_engine(service), **(STALE if tables.stale else {})} for service in found]
    pretty = "\n\n".join(pretty_service(service) for service in found) if arguments.flag("pretty") else ""
    context.out.show(Inspection(objects, pretty))
    fail_for(context, missing)


async def run_logs(context: Context, arguments: Arguments) -> None:
    await show_logs(context, arguments, (arguments.text("service"),), (Kind.TASK, Kind.SERVICE))


# -------------------------------------------------------------------------------------------------------------- changing


async def run_create(context: Context, arguments: Arguments) -> None:
    name = arguments.text("name") or random_name()
    service = Service(id=new_id(), spec=created_spec(arguments, name, _surroundings(context)))
    await context.cluster.transact(Transaction((Create(service),)))
    context.out.show(Line(service.id, "ID"))
    if not arguments.flag("detach"):
        await wait_for_services(context, [service.id], quiet=arguments.flag("quiet"))


def _surroundings(context: Context) -> Surroundings:
    def read_file(name: str) -> str:
        return (context.place.start / name).read_text(encoding="utf-8", errors="replace")

    return Surroundings(context.place.environment, read_file)


async def run_update(context: Context, arguments: Arguments) -> None:
    word = arguments.text("service")
    service = await change_spec(context, word, lambda spec: updated_spec(spec, arguments, _surroundings(context)))
    context.out.show(Line(word))
    if not arguments.flag("detach"):
        await wait_for_services(context, [service.id], quiet=arguments.flag("quiet"))


async def run_scale(context: Context, arguments: Arguments) -> None:
    wishes: Mapping[str, int] = dict(arguments.values["services"])
    scaled: list[str] = []

    async def scale(word: str) -> None:
        service = await change_spec(context, word, lambda spec: scaled_spec(spec, wishes[word]))
        context.out.show(Line(f"{word} scaled to {wishes[word]}"))
        scaled.append(service.id)

    await for_each(context, list(wishes), scale, before_raising=lambda: _wait_unless(context, arguments, scaled))


async def _wait_unless(context: Context, arguments: Arguments, service_ids: list[str]) -> None:
    if not arguments.flag("detach"):
        await wait_for_services(context, service_ids)


async def run_rm(context: Context, arguments: Arguments) -> None:
    tables = await fetch(context, "service")

    async def remove(word: str) -> None:
        service = find_service(word, tables.services)
        await context.cluster.transact(Transaction((Remove("service", service.id),)))
        context.out.show(Line(word))

    await for_each(context, list(arguments.texts("services")), remove)


async def change_spec(context: Context, word: str, change: Callable[[ServiceSpec], ServiceSpec]) -> Service:
    """Reads a service, changes its spec and writes it, named by the spec version that was read: if somebody else changed
    the spec meanwhile this is refused, as docker's `update out of sequence`."""
    tables = await fetch(context, "service")
    service = find_service(word, tables.services)
    spec = change(service.spec)
    if spec == service.spec:
        await fetch(context, "service", consistent=True)  # nothing to write: refused without a quorum all the same
        return service
    wanted = attrs.evolve(service, spec=spec, previous_spec=service.spec, update_status=None)
    await context.cluster.transact(Transaction((Update(wanted, spec_version=service.spec_version),)))
    return wanted


def random_name() -> str:
    """docker names a nameless service by two random words; a few letters do."""
    return f"service-{new_id()[:6]}"


def parse_scale(text: str) -> tuple[str, int]:
    """`web=5`."""
    name, equals, count = text.rpartition("=")
    if not equals or not name:
        raise ValueError(f"{text!r}: write SERVICE=REPLICAS, as in web=5")
    return name, parse_replicas(count)


COMMANDS: tuple[Command, ...] = (
    Command(
        name=("service", "create"),
        summary="Create a service",
        detail="The command goes after --. IMAGE is a version label; the default is the program and a digest of the spec.",
        parameters=(
            *CREATE,
            positional("image", "Version label", required=False),
            Parameter(name="command", rest=True, metavar="COMMAND [ARG...]", help="The program of each task"),
        ),
        run=run_create,
        foreign=FOREIGN,
        risk=Risk.CHANGE,
        undo="service rm SERVICE",
        interrupted=GOES_ON,
        examples=("service create --name web --replicas 3 -p 8080:auto -- app --port {{.Task.Port}}",),
    ),
    Command(
        name=("service", "ls"),
        summary="List services",
        parameters=(FILTER, QUIET, CONSISTENT),
        run=run_ls,
    ),
    Command(
        name=("service", "ps"),
        summary="List the tasks of one or more services",
        parameters=(FILTER, QUIET, NO_TRUNC, NO_RESOLVE, CONSISTENT, SERVICES),
        run=run_ps,
    ),
    Command(
        name=("service", "inspect"),
        summary="Show everything about one or more services",
        parameters=(flag("--pretty", "For people instead of JSON"), CONSISTENT, SERVICES),
        run=run_inspect,
    ),
    Command(
        name=("service", "logs"),
        summary="Show the output of a service's tasks",
        parameters=(*LOG_OPTIONS, SERVICE),
        run=run_logs,
        foreign=LOG_FOREIGN,
    ),
    Command(
        name=("service", "update"),
        summary="Change a service; what is not written stays as it is",
        parameters=(
            *UPDATE,
            SERVICE,
            Parameter(name="command", rest=True, required=False, metavar="COMMAND [ARG...]", help="A new program"),
        ),
        run=run_update,
        foreign=FOREIGN,
        risk=Risk.CHANGE,
        undo="service update with the values before",
        interrupted=GOES_ON,
        examples=("service update --env-add COLOR=green web", "service update --force web"),
    ),
    Command(
        name=("service", "scale"),
        summary="Change how many tasks replicated services have",
        parameters=(
            DETACH,
            positional("services", repeated=True, reader=parse_scale, metavar="SERVICE=REPLICAS"),
        ),
        run=run_scale,
        risk=Risk.CHANGE,
        undo="service scale with the count before",
        interrupted=GOES_ON,
        examples=("service scale web=5 ticker=1",),
    ),
    Command(
        name=("service", "rm"),
        summary="Remove services and their tasks",
        parameters=(SERVICES,),
        run=run_rm,
        risk=Risk.DESTROYS,
    ),
)
"""`rollback` comes with update policies."""
