"""One command of the registry, run for the console: the same words, the same `run`, its output as lines."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Sequence

import trio

from swarmtui.cli.grammar import UsageProblem, parse
from swarmtui.cli.terminal import Terminal
from swarmtui.client import Cluster
from swarmtui.commands.command import Context, Place
from swarmtui.commands.errors import exit_code_of
from swarmtui.commands.machine import ThisMachine
from swarmtui.commands.output import Item, Progress
from swarmtui.commands.registry import REGISTRY
from swarmtui.commands.together import leading_error
from swarmtui.console.backend import Answer

ORDER_SECONDS = 60.0
OUTPUT_WIDTH_MIN = 74  # columns
PAGE_FRAME_WIDTH = 6  # columns around the page that shows it


class WithoutProgress(Terminal):
    """What a command shows, but for how far it is: that is seen on the screen behind it."""

    def show(self, item: Item) -> None:
        if not isinstance(item, Progress):
            super().show(item)


async def run_order(cluster: Cluster, words: Sequence[str]) -> Answer:
    """Run it in trio. Every failure is an answer with the exit code of the command line."""
    try:
        parsed = parse(words)
    except UsageProblem as error:
        return Answer(2, error=str(error).replace("See 'swarmtui ", "See ':"))
    if parsed.help is not None:
        return Answer(0, tuple(parsed.help.splitlines()))
    command = parsed.command
    if command is None or not command.in_console:
        return Answer(2, error=f"`{' '.join(words)}` is not for the console: leave with q and run it in the shell")
    out, error_stream = io.StringIO(), io.StringIO()
    width = max(OUTPUT_WIDTH_MIN, shutil.get_terminal_size().columns - PAGE_FRAME_WIDTH)
    terminal = WithoutProgress(out, error_stream, parsed.format, parsed.arguments.flag("quiet"), width)
    place = Place(selector=None, start=cluster.directory.parent, environment=os.environ)
    context = Context(out=terminal, place=place, machine=ThisMachine(), found=cluster)
    code = 0
    with trio.move_on_after(ORDER_SECONDS) as limit:
        try:
            await command.run(context, parsed.arguments)
        except Exception as group:
            reason = leading_error(group)
            known = exit_code_of(reason)
            code = 1 if known is None else known
            terminal.fail(str(reason) if known is not None else f"internal error: {type(reason).__name__}: {reason}")
    if limit.cancelled_caught:
        return Answer(3, tuple(out.getvalue().splitlines()), f"still not done after {ORDER_SECONDS:g} s; it may go on")
    said = error_stream.getvalue().strip()
    return Answer(code, tuple(out.getvalue().splitlines()), said.replace("swarmtui: ", ""))


def command_words() -> tuple[str, ...]:
    """The words of every command that the console offers."""
    return tuple(command.words for command in REGISTRY.values() if command.in_console)
