"""`events`: elections, votes, refusals, faults, nodes, services and tasks, one line each, from every node."""

from __future__ import annotations

from datetime import datetime

import attrs

from swarmtui.commands.command import Arguments, Command, Context, flag, option
from swarmtui.commands.errors import WrongUsage
from swarmtui.commands.filters import Match, filtered, parse_filter
from swarmtui.commands.moments import SINCE, UNTIL, asked_span
from swarmtui.commands.output import Document
from swarmtui.commands.words import one_line
from swarmtui.objects.events import EVENT_KINDS, Event
from swarmtui.objects.tables import nearest

FILTERS: dict[str, Match[Event]] = {
    "kind": lambda event, value: event.kind == value,
    "type": lambda event, value: event.kind == value,  # docker's word
    "node": lambda event, value: event.node == value,
    "object": lambda event, value: event.object == value or event.object.startswith(f"{value}."),
    "text": lambda event, value: value.lower() in event.text.lower(),
}


async def run_events(context: Context, arguments: Arguments) -> None:
    wanted: tuple[tuple[str, str], ...] = arguments.values.get("filter") or ()
    for key, value in wanted:
        if key in ("kind", "type") and value not in EVENT_KINDS:
            raise WrongUsage(f"invalid filter {key}={value}; {nearest(value, EVENT_KINDS)}")
    filtered((), wanted, FILTERS)  # a wrong key is refused before anything is waited for
    follow = not arguments.flag("no_follow")
    span = asked_span(arguments, context.wall())
    has_end = span.until is not None or not follow  # then, as docker has it, it begins with what is still known
    oldest = 0.0 if span.since is None and has_end else span.since
    async for event in context.cluster.events(since=oldest, until=span.until, follow=follow):
        if filtered((event,), wanted, FILTERS):
            context.out.show(Document(attrs.asdict(event), event_line(event)))


def event_line(event: Event) -> str:
    """`12:01:07.412 n1  election  won term 7 …`"""
    moment = datetime.fromtimestamp(event.time).strftime("%H:%M:%S.%f")[:-3]
    return f"{moment} {event.node:<5} {event.kind:<8} {one_line(event.text)}"


COMMANDS: tuple[Command, ...] = (
    Command(
        name=("events",),
        summary="Show what happens, as it happens",
        detail=f"Filters: kind ({', '.join(EVENT_KINDS)}), node, object, text. That a task started or ended is told by its "
        "node as it happens, and by the leader (recorded as …) once the cluster knows: each outlives the other's death.",
        parameters=(
            SINCE,
            UNTIL,
            flag("--no-follow", "Show what is still known and end"),
            option("-f --filter", "Only KEY=VALUE", metavar="FILTER", repeated=True, reader=parse_filter),
        ),
        run=run_events,
        examples=("events --filter kind=election", "events --since 5m --no-follow", "events --since 5m --until 2m"),
    ),
)
