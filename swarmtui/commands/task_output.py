"""The output of tasks, merged: `logs` and `service logs`, each line with `web.2@n3` in front.

Output lies with the node that ran the task. Every task's lines are gathered and shown in the order of their times; with
`-f` what comes later is shown as it comes, in order as far as it comes within a moment; tasks that replace others are followed
as they appear.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime

import attrs
import trio

from swarmtui.commands.command import Arguments, Context, flag, option
from swarmtui.commands.common import NO_RESOLVE
from swarmtui.commands.effects import View
from swarmtui.commands.errors import CommandFailed, exit_code_of
from swarmtui.commands.listings import shown_name
from swarmtui.commands.merging import Live, Past, Show
from swarmtui.commands.moments import SINCE, UNTIL, Span, asked_span
from swarmtui.commands.output import Document, Note
from swarmtui.commands.targets import EVERY_KIND, Kind, NodeTarget, ServiceTarget, resolve
from swarmtui.commands.views import fetch, fetch_view
from swarmtui.objects.records import Task
from swarmtui.objects.states import TaskState
from swarmtui.wire.node_calls import OUTPUT_TAIL_MAX, OutputLine, OutputLines, TaskOutput

NEW_TASKS_POLL_S = 0.25
PAST_PATIENCE_S = 2.0  # for what was written before to come from every node; a paused one says nothing
LATE_S = 0.25  # for a line that was written before --until to arrive


def parse_tail(text: str) -> int:
    if text == "all":
        return OUTPUT_TAIL_MAX
    if not text.isdecimal():
        raise ValueError(f'{text!r} is no number of lines; write "all" or a whole number')
    return min(int(text), OUTPUT_TAIL_MAX)


LOG_OPTIONS = (
    flag("-f --follow", "Go on with new lines, and with tasks that replace these"),
    SINCE,
    UNTIL,
    option("-n --tail", "Lines from the end of each task's output", metavar="N", default="all", reader=parse_tail),
    flag("-t --timestamps", "Show the time of each line"),
    flag("--raw", "The lines alone, without the task in front"),
    flag("--no-trunc", "Show each task's id in front as well, uncut"),
    flag("--no-task-ids", "No ids of tasks in front, whatever else is written"),
    NO_RESOLVE,
)
LOG_FOREIGN = {
    "--details": "no log driver adds anything to a line; --no-trunc shows its task's id, --format json all that is known"
}


@attrs.frozen
class Source:
    """A task whose output is wanted, where it lies, and what is written in front of its lines."""

    task: Task
    name: str
    node_name: str
    prefix: str


def sources_of(
    words: Sequence[str], view: View, arguments: Arguments, kinds: Collection[Kind] = EVERY_KIND
) -> list[Source]:
    """The tasks that ran or run and are meant by these words (all tasks without a word), oldest first."""
    wanted: list[Task] = list(view.tasks) if not words else []
    for word in words:
        target = resolve(word, view, kinds)
        if isinstance(target, ServiceTarget):
            wanted += [task for task in view.tasks if task.service_id == target.id]
        elif isinstance(target, NodeTarget):
            wanted += [task for task in view.tasks if task.node_id == target.id]
        else:
            wanted.append(target.task)
    return _as_sources(wanted, view, arguments)


def _as_sources(tasks: Iterable[Task], view: View, arguments: Arguments) -> list[Source]:
    names = {node.id: node.name for node in view.status.nodes}
    shown_names = {} if arguments.flag("no_resolve") else names
    with_id = arguments.flag("no_trunc") and not arguments.flag("no_task_ids")

    def source(task: Task) -> Source:
        name = shown_name(task, shown_names) + (f".{task.id}" if with_id else "")
        prefix = f"{name}@{shown_names.get(task.node_id, task.node_id)}"
        return Source(task, shown_name(task, names), names.get(task.node_id, task.node_id), prefix)

    started = {task.id: task for task in tasks if task.node_id and task.status.state >= TaskState.STARTING}
    return [source(task) for task in sorted(started.values(), key=lambda task: (task.created_at, task.id))]


async def show_logs(
    context: Context, arguments: Arguments, words: Sequence[str], kinds: Collection[Kind] = EVERY_KIND
) -> None:
    """Shows the output of these targets, once or following it."""
    wanted = _Wanted.of(arguments, context.wall())
    view = await fetch_view(context, "node", "service", "task")

    def find(now: View) -> list[Source]:
        return sources_of(words, now, arguments, kinds)

    def show(source: Source, line: OutputLine) -> None:
        context.out.show(_document(source, line, wanted))

    sources = find(view)
    if wanted.follow:
        await _follow(context, wanted, view, sources, find, show)
        return
    past = Past(show, sources)

    async def gather(source: Source) -> None:
        last: deque[OutputLine] = deque(maxlen=wanted.tail)
        async for said in _answers(context, wanted, source):
            last.extend(said.lines)
        past.hold(source, last)

    async with trio.open_nursery() as nursery:
        for source in sources:
            nursery.start_soon(gather, source)
    past.show()


@attrs.frozen
class _Wanted:
    """Which lines, and how they are shown."""

    span: Span
    tail: int
    follow: bool
    with_time: bool
    raw: bool

    @classmethod
    def of(cls, arguments: Arguments, now: float) -> _Wanted:
        span = asked_span(arguments, now)
        tail = arguments.get("tail")
        return cls(
            span,
            OUTPUT_TAIL_MAX if tail in (None, "all") else int(tail),
            arguments.flag("follow") and (span.until is None or span.until > now),
            arguments.flag("timestamps"),
            arguments.flag("raw"),
        )


async def _follow(
    context: Context,
    wanted: _Wanted,
    view: View,
    sources: Sequence[Source],
    find: Callable[[View], list[Source]],
    show: Show,
) -> None:
    seen = {source.task.id for source in sources}
    past, live = Past(show, sources), Live(show)
    limit_s = math.inf if wanted.span.until is None else wanted.span.until - context.wall() + LATE_S

    async def follow_one(source: Source) -> None:
        async for said in _answers(context, wanted, source):
            if not past.holds_up(source):
                live.hold(source, said.lines)
                continue
            past.hold(source, said.lines)
            if said.caught_up:
                await past.is_here(source)
        await past.is_here(source)  # it has ended, or cannot be read

    with trio.move_on_after(max(0.0, limit_s)):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(live.run)
            for source in sources:
                nursery.start_soon(follow_one, source)
            await past.show_when_here(PAST_PATIENCE_S)
            while True:
                await trio.sleep(NEW_TASKS_POLL_S)
                for source in await _sources_now(context, view, find):
                    if source.task.id not in seen:
                        seen.add(source.task.id)
                        nursery.start_soon(follow_one, source)
    past.show()  # what of it was here when the time was over


async def _sources_now(context: Context, before: View, find: Callable[[View], list[Source]]) -> list[Source]:
    """The tasks meant now. What cannot be asked now is asked again; what was named and is gone leaves nothing to follow."""
    try:
        tables = await fetch(context, "node", "service", "task")
        return find(attrs.evolve(before, nodes=tables.nodes, services=tables.services, tasks=tables.tasks))
    except CommandFailed:
        return []
    except Exception as error:
        if exit_code_of(error) is None:
            raise
        return []


async def _answers(context: Context, wanted: _Wanted, source: Source) -> AsyncIterator[OutputLines]:
    """What one task wrote, with the lines that are wanted; what is missing becomes one note. Of lines that end before now
    the last are not those that the node holds last."""
    ends_before = not wanted.follow and wanted.span.until is not None
    tail = OUTPUT_TAIL_MAX if ends_before else wanted.tail
    call = TaskOutput(source.task.id, follow=wanted.follow, tail=tail)
    try:
        async for answer in context.cluster.stream(source.node_name, call):
            if answer.missing:
                context.out.show(Note(f"{source.prefix}: {answer.missing}"))
            yield attrs.evolve(answer, lines=tuple(line for line in answer.lines if line.time in wanted.span))
    except Exception as error:
        if exit_code_of(error) is None:
            raise
        context.out.show(Note(f"{source.prefix}: output cannot be read: {error}"))


def _document(source: Source, line: OutputLine, wanted: _Wanted) -> Document:
    moment = datetime.fromtimestamp(line.time, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    text = line.text if wanted.raw else f"{source.prefix}    | {line.text}"
    value = {
        "time": line.time,
        "task": source.name,
        "task_id": source.task.id,
        "node": source.node_name,
        "stream": line.stream,
        "text": line.text,
    }
    return Document(value, f"{moment} {text}" if wanted.with_time else text, to_error=line.stream == "stderr")
