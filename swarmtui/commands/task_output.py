"""The output of tasks, merged: `logs` and `service logs`, each line with `web.2@n3` in front.

Output lies with the node that ran the task. Every task's lines are gathered and shown in the order of their times; with
`-f` what comes later is shown as it comes, and tasks that replace others are followed as they appear.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime

import attrs
import trio

from swarmtui.commands.command import Arguments, Context, flag, option
from swarmtui.commands.effects import View
from swarmtui.commands.errors import CommandFailed, exit_code_of
from swarmtui.commands.listings import shown_name
from swarmtui.commands.output import Document, Note
from swarmtui.commands.targets import EVERY_KIND, Kind, NodeTarget, ServiceTarget, resolve
from swarmtui.commands.views import fetch, fetch_view
from swarmtui.objects.quantities import parse_duration_s
from swarmtui.objects.records import Task
from swarmtui.objects.states import TaskState
from swarmtui.wire.node_calls import OUTPUT_TAIL_MAX, OutputLine, OutputLines, TaskOutput

NEW_TASKS_POLL_S = 0.25
PAST_PATIENCE_S = 2.0  # for what was written before to come from every node; a paused one says nothing

Since = Callable[[float], float]
"""From the time now to the time that lines must not be older than; seconds since the epoch."""


def parse_since(text: str) -> Since:
    """`42m` (ago), `2013-01-02T13:23:37Z`, or seconds since the epoch."""
    try:
        age_s = parse_duration_s(text)
    except ValueError:
        pass
    else:
        return lambda now: now - age_s
    try:
        moment = float(text) if text.replace(".", "", 1).isdecimal() else _timestamp(text)
    except ValueError:
        raise ValueError(f'{text!r} is no time; write "42m" for 42 minutes ago, or "2026-01-31T13:23:37Z"') from None
    return lambda _: moment


def _timestamp(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.astimezone()).timestamp()


def parse_tail(text: str) -> int:
    if text == "all":
        return OUTPUT_TAIL_MAX
    if not text.isdecimal():
        raise ValueError(f'{text!r} is no number of lines; write "all" or a whole number')
    return min(int(text), OUTPUT_TAIL_MAX)


LOG_OPTIONS = (
    flag("-f --follow", "Go on with new lines, and with tasks that replace these"),
    option(
        "--since",
        'Lines since a time ("2026-01-31T13:23:37Z") or for so long ("42m")',
        metavar="TIME",
        reader=parse_since,
    ),
    option("-n --tail", "Lines from the end of each task's output", metavar="N", default="all", reader=parse_tail),
    flag("-t --timestamps", "Show the time of each line"),
    flag("--raw", "The lines alone, without the task in front"),
)


@attrs.frozen
class Source:
    """A task whose output is wanted, as it is named in front of its lines."""

    task: Task
    name: str
    node_name: str

    @property
    def prefix(self) -> str:
        return f"{self.name}@{self.node_name}"


def sources_of(words: Sequence[str], view: View, kinds: Collection[Kind] = EVERY_KIND) -> list[Source]:
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
    return _as_sources(wanted, view)


def _as_sources(tasks: Iterable[Task], view: View) -> list[Source]:
    names = {node.id: node.name for node in view.status.nodes}
    started = {task.id: task for task in tasks if task.node_id and task.status.state >= TaskState.STARTING}
    return [
        Source(task, shown_name(task, names), names.get(task.node_id, task.node_id))
        for task in sorted(started.values(), key=lambda task: (task.created_at, task.id))
    ]


async def show_logs(
    context: Context, arguments: Arguments, words: Sequence[str], kinds: Collection[Kind] = EVERY_KIND
) -> None:
    """Shows the output of these targets, once or following it."""
    view = await fetch_view(context, "node", "service", "task")
    sources = sources_of(words, view, kinds)
    if arguments.flag("follow"):
        await _follow(context, arguments, words, view, sources)
        return
    past = _Past(context, arguments, sources)

    async def gather(source: Source) -> None:
        async for said in _answers(context, arguments, source, follow=False):
            past.hold(source, said.lines)

    async with trio.open_nursery() as nursery:
        for source in sources:
            nursery.start_soon(gather, source)
    past.show()


class _Past:
    """What tasks wrote before now, held until all of it has come, or somebody's patience is over, and then shown in the
    order of its times. A task whose past is here is read no further until then, so no more than the tails is held."""

    def __init__(self, context: Context, arguments: Arguments, sources: Iterable[Source]) -> None:
        self._context = context
        self._arguments = arguments
        self._missing = {source.task.id for source in sources}
        self._lines: list[tuple[Source, OutputLine]] = []
        self._all_here = trio.Event()
        self._shown = trio.Event()

    def holds_up(self, source: Source) -> bool:
        """What this task says belongs to the past."""
        return source.task.id in self._missing and not self._shown.is_set()

    def hold(self, source: Source, lines: Iterable[OutputLine]) -> None:
        self._lines += [(source, line) for line in lines]

    async def is_here(self, source: Source) -> None:
        """All that this task wrote before has come: waits until the past is shown."""
        self._missing.discard(source.task.id)
        if not self._missing:
            self._all_here.set()
        await self._shown.wait()

    async def show_when_here(self, patience_s: float) -> None:
        if self._missing:
            with trio.move_on_after(patience_s):
                await self._all_here.wait()
        self.show()

    def show(self) -> None:
        for source, line in sorted(self._lines, key=lambda held: held[1].time):
            self._context.out.show(_document(source, line, self._arguments))
        self._lines.clear()
        self._shown.set()


async def _follow(
    context: Context, arguments: Arguments, words: Sequence[str], view: View, sources: Sequence[Source]
) -> None:
    seen = {source.task.id for source in sources}
    past = _Past(context, arguments, sources)

    async def follow_one(source: Source) -> None:
        async for said in _answers(context, arguments, source, follow=True):
            if not past.holds_up(source):
                for line in said.lines:
                    context.out.show(_document(source, line, arguments))
                continue
            past.hold(source, said.lines)
            if said.caught_up:
                await past.is_here(source)
        await past.is_here(source)  # it has ended, or cannot be read

    async with trio.open_nursery() as nursery:
        for source in sources:
            nursery.start_soon(follow_one, source)
        await past.show_when_here(PAST_PATIENCE_S)
        while True:
            await trio.sleep(NEW_TASKS_POLL_S)
            for source in await _sources_now(context, words, view):
                if source.task.id not in seen:
                    seen.add(source.task.id)
                    nursery.start_soon(follow_one, source)


async def _sources_now(context: Context, words: Sequence[str], before: View) -> list[Source]:
    """The tasks meant now. What cannot be asked now is asked again; what was named and is gone leaves nothing to follow."""
    try:
        tables = await fetch(context, "node", "service", "task")
        return sources_of(words, attrs.evolve(before, nodes=tables.nodes, services=tables.services, tasks=tables.tasks))
    except CommandFailed:
        return []
    except Exception as error:
        if exit_code_of(error) is None:
            raise
        return []


async def _answers(
    context: Context, arguments: Arguments, source: Source, *, follow: bool
) -> AsyncIterator[OutputLines]:
    """What one task wrote, with the lines that are wanted; what is missing becomes one note."""
    since: Since | None = arguments.get("since")
    oldest = since(context.wall()) if since is not None else 0.0
    tail = arguments.get("tail")
    call = TaskOutput(source.task.id, follow=follow, tail=OUTPUT_TAIL_MAX if tail in (None, "all") else int(tail))
    try:
        async for answer in context.cluster.stream(source.node_name, call):
            if answer.missing:
                context.out.show(Note(f"{source.prefix}: {answer.missing}"))
            yield attrs.evolve(answer, lines=tuple(line for line in answer.lines if line.time >= oldest))
    except Exception as error:
        if exit_code_of(error) is None:
            raise
        context.out.show(Note(f"{source.prefix}: output cannot be read: {error}"))


def _document(source: Source, line: OutputLine, arguments: Arguments) -> Document:
    moment = datetime.fromtimestamp(line.time, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    text = line.text if arguments.flag("raw") else f"{source.prefix}    | {line.text}"
    value = {
        "time": line.time,
        "task": source.name,
        "task_id": source.task.id,
        "node": source.node_name,
        "stream": line.stream,
        "text": line.text,
    }
    shown = f"{moment} {text}" if arguments.flag("timestamps") else text
    return Document(value, shown, to_error=line.stream == "stderr")
