"""`events`: elections, votes, refusals, faults, nodes, services and tasks, one line each, from every node."""

from __future__ import annotations

from datetime import datetime

import attrs

from swarmtui.commands.command import Arguments, Command, Context, flag, option
from swarmtui.commands.errors import WrongUsage
from swarmtui.commands.filters import Match, filtered, parse_filter
from swarmtui.commands.output import Document
from swarmtui.commands.task_output import Since, parse_since
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
    oldest, newest = _span(arguments, context.wall(), follow)
    async for event in context.cluster.events(since=oldest, until=newest, follow=follow):
        if filtered((event,), wanted, FILTERS):
            context.out.show(Document(attrs.asdict(event), event_line(event)))


def _span(arguments: Arguments, now: float, follow: bool) -> tuple[float | None, float | None]:
    """The times between which events are wanted; without --since from now on, or all that is still known where the stream
    has an end, as docker has it."""
    since: Since | None = arguments.get("since")
    until: Since | None = arguments.get("until")
    newest = until(now) if until is not None else None
    if since is None:
        return (None if follow and until is None else 0.0), newest
    oldest = since(now)
    if newest is not None and newest < oldest:
        raise WrongUsage(f"--until is {oldest - newest:.3g} s before --since; write a later one")
    return oldest, newest


def event_line(event: Event) -> str:
    """`12:01:07.412 n1  election  won term 7 …`"""
    moment = datetime.fromtimestamp(event.time).strftime("%H:%M:%S.%f")[:-3]
    return f"{moment} {event.node:<5} {event.kind:<8} {event.text}"


COMMANDS: tuple[Command, ...] = (
    Command(
        name=("events",),
        summary="Show what happens, as it happens",
        detail=f"Filters: kind ({', '.join(EVENT_KINDS)}), node, object, text. That a task started or ended is told by its "
        "node as it happens, and by the leader (recorded as …) once the cluster knows: each outlives the other's death.",
        parameters=(
            option(
                "--since", 'Begin at a time ("42m" ago, "2026-01-31T13:23:37Z")', metavar="TIME", reader=parse_since
            ),
            option("--until", "End at a time, written as for --since", metavar="TIME", reader=parse_since),
            flag("--no-follow", "Show what is still known and end"),
            option("-f --filter", "Only KEY=VALUE", metavar="FILTER", repeated=True, reader=parse_filter),
        ),
        run=run_events,
        examples=("events --filter kind=election", "events --since 5m --no-follow", "events --since 5m --until 2m"),
    ),
)
