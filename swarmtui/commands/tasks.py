"""`ps` and `logs`: the tasks of the whole cluster, of a service or of a node, and what they say."""

from __future__ import annotations

from swarmtui.commands.command import Arguments, Command, Completes, Context, flag, positional
from swarmtui.commands.common import CONSISTENT, FILTER, NO_RESOLVE, NO_TRUNC, QUIET, show_tasks
from swarmtui.commands.effects import View
from swarmtui.commands.filters import any_of
from swarmtui.commands.targets import NodeTarget, ServiceTarget, resolve
from swarmtui.commands.task_output import LOG_FOREIGN, LOG_OPTIONS, show_logs
from swarmtui.commands.together import together
from swarmtui.commands.views import Tables, show_tables
from swarmtui.objects.records import Task
from swarmtui.objects.states import TaskState


async def run_ps(context: Context, arguments: Arguments) -> None:
    async def tables_now() -> Tables:
        return await show_tables(context, arguments, "service", "task", "node")

    tables, status = await together(tables_now, context.cluster.status)
    filters = arguments.values.get("filter") or ()
    tasks = _meant(arguments.text("target"), View(status, tables.nodes, tables.services, tables.tasks))
    if not arguments.flag("all") and not any_of(filters, "desired-state"):
        tasks = [task for task in tasks if task.desired_state <= TaskState.RUNNING or not task.status.state.is_terminal]
    show_tasks(context, arguments, tables, tasks)


def _meant(word: str, view: View) -> list[Task]:
    if not word:
        return list(view.tasks)
    target = resolve(word, view)
    if isinstance(target, ServiceTarget):
        return [task for task in view.tasks if task.service_id == target.id]
    if isinstance(target, NodeTarget):
        return [task for task in view.tasks if task.node_id == target.id]
    task = target.task
    if word == task.id or word != target.name:  # an id, or the beginning of one
        return [task]
    node_id = "" if task.slot else task.node_id  # a slot, which of a global service is the node
    return [
        other
        for other in view.tasks
        if (other.service_id, other.slot) == (task.service_id, task.slot) and node_id in ("", other.node_id)
    ]


async def run_logs(context: Context, arguments: Arguments) -> None:
    await show_logs(context, arguments, arguments.texts("targets"))


COMMANDS: tuple[Command, ...] = (
    Command(
        name=("ps",),
        summary="List tasks: all, or those of a service, a node or a slot",
        parameters=(
            flag("-a --all", "Also tasks that ended and were replaced"),
            FILTER,
            QUIET,
            NO_TRUNC,
            NO_RESOLVE,
            CONSISTENT,
            positional("target", required=False, completes=Completes.TARGET),
        ),
        run=run_ps,
    ),
    Command(
        name=("logs",),
        summary="Show the output of tasks: of all, or of services, nodes and slots",
        parameters=(
            *LOG_OPTIONS,
            positional("targets", required=False, repeated=True, completes=Completes.TARGET, metavar="TARGET"),
        ),
        run=run_logs,
        foreign=LOG_FOREIGN,
        examples=("logs -f web", "logs web.2 ticker"),
    ),
)
