"""Options and small steps that several nouns share: what is shown of a list, and names of which some may not be there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from swarmtui.commands.command import Arguments, Context, flag, option
from swarmtui.commands.errors import CommandFailed, SomeFailed
from swarmtui.commands.filters import filtered, parse_filter, task_filters
from swarmtui.commands.listings import shown_name, task_listing
from swarmtui.commands.output import Failure
from swarmtui.commands.views import Tables
from swarmtui.objects.records import Task

T = TypeVar("T")

FILTER = option("-f --filter", "Only those that match KEY=VALUE", metavar="FILTER", repeated=True, reader=parse_filter)
QUIET = flag("-q --quiet", "Only IDs")
NO_TRUNC = flag("--no-trunc", "Do not cut anything")
NO_RESOLVE = flag("--no-resolve", "Show ids of nodes instead of names")
CONSISTENT = flag("--consistent", "Refuse instead of showing what may be old")


def show_tasks(context: Context, arguments: Arguments, tables: Tables, tasks: Iterable[Task]) -> None:
    """Docker's table of these tasks, by the options FILTER, NO_TRUNC and NO_RESOLVE where the command has them."""
    resolve = not arguments.flag("no_resolve")
    tasks = list(tasks)
    names = {task.id: shown_name(task, tables.node_names if resolve else {}) for task in tasks}
    wanted = filtered(tasks, arguments.values.get("filter") or (), task_filters(names, tables.node_names))
    context.out.show(task_listing(wanted, tables.nodes, tables.shown(context, arguments), resolve=resolve))


def look_up(words: Iterable[str], find: Callable[[str], T]) -> tuple[list[T], list[str]]:
    """What `find` finds for each word, and for those that it refuses, why."""
    found: list[T] = []
    missing: list[str] = []
    for word in words:
        try:
            found.append(find(word))
        except CommandFailed as error:
            missing.append(str(error))
    return found, missing


def fail_for(context: Context, missing: Sequence[str]) -> None:
    """After what was found is shown: says what was not. Raises SomeFailed if there is anything to say."""
    for text in missing:
        context.out.show(Failure(text))
    if missing:
        raise SomeFailed(1)
