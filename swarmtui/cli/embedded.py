"""One order inside a program that is connected already: the console's keys and its `:` line.

The same grammar, commands, formats and exit codes as in a shell, and the answer as lines. An order that would wait for
convergence or follow a stream returns instead: whoever embeds it has panes that show what goes on.
"""

from __future__ import annotations

import io
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import trio

from swarmtui.cli.grammar import UsageProblem, parse
from swarmtui.cli.terminal import Terminal
from swarmtui.commands.command import Arguments, Context, Place
from swarmtui.commands.errors import exit_code_of
from swarmtui.commands.machine import Machine, ThisMachine
from swarmtui.commands.ports import ClusterPort
from swarmtui.commands.registry import REGISTRY
from swarmtui.commands.together import leading_error

LIMIT_S = 15.0  # for one order; longer than any write waits for its outcome
LINES_MAX = 1000

_NEVER_WAIT: Mapping[str, bool] = {"detach": True, "follow": False, "no_follow": True}


@attrs.frozen
class Answered:
    """How an order ended: its exit code as on the command line, what it showed, and its one line of what went wrong."""

    exit_code: int
    lines: tuple[str, ...] = ()
    error: str = ""


async def run_words(
    words: Sequence[str],
    cluster: ClusterPort,
    *,
    machine: Machine | None = None,
    environment: Mapping[str, str] | None = None,
    width: int | None = None,
    limit_s: float = LIMIT_S,
) -> Answered:
    """Runs one order of the registry on `cluster`, in trio. Never raises for what a person can get wrong."""
    try:
        parsed = parse(words)
    except UsageProblem as error:
        return Answered(2, error=str(error))
    if parsed.help is not None or parsed.command is None:
        return Answered(0, _lines(parsed.help or ""))
    command = parsed.command
    if not command.in_console:
        return Answered(1, error=f"{command.words!r} is for the shell: swarmtui {command.words}")
    if parsed.cluster is not None:
        return Answered(2, error="--cluster is for the shell; this console shows one cluster")
    known = {parameter.name for parameter in command.parameters}
    arguments = Arguments(
        {**parsed.arguments.values, **{name: value for name, value in _NEVER_WAIT.items() if name in known}}
    )
    out, errors = io.StringIO(), io.StringIO()
    terminal = Terminal(out, errors, form=parsed.format, quiet=arguments.flag("quiet"), width=width)
    context = Context(
        out=terminal,
        place=Place(None, Path.cwd(), environment or {}),
        machine=machine or ThisMachine(),
        found=cluster,
    )
    code, problem = 0, ""
    try:
        with trio.move_on_after(limit_s) as scope:
            await command.run(context, arguments)
        if scope.cancelled_caught:
            code, problem = 3, f"no answer after {limit_s:g} s; look whether it happened"
    except Exception as caught:
        leading = leading_error(caught)
        expected = exit_code_of(leading)
        if expected is None:
            raise
        code, problem = expected, str(leading)
    return Answered(code, (*_lines(out.getvalue()), *_lines(errors.getvalue())), problem)


async def run_line(line: str, cluster: ClusterPort, *, width: int | None = None) -> Answered:
    """As `run_words`, of a whole line as it was typed; `swarmtui` in front may be written or not."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        return Answered(2, error=f"the line cannot be split into words: {error}")
    return await run_words(words[1:] if words[:1] == ["swarmtui"] else words, cluster, width=width)


def console_commands() -> tuple[str, ...]:
    """The words of every command that may be given inside the console, for completion."""
    return tuple(command.words for command in REGISTRY.values() if command.in_console)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.splitlines()[-LINES_MAX:])
