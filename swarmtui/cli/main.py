"""One order from beginning to exit code.

    0 done    1 refused or failed, nothing changed    2 wrong usage    3 outcome unknown
    4 no cluster or no quorum, try later    130 interrupted

Whatever goes wrong is one line on standard error that says what happened and what to do next. A traceback is never shown:
an error that nobody expected is written to a file, and the line says where.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from swarmtui.cli.grammar import Parsed, UsageProblem, group_help, parse
from swarmtui.cli.terminal import OutputLost, Terminal, open_missing_streams, shell_terminal, silence
from swarmtui.commands.command import Arguments, Command, Context, Needs, OpenConsole, Place
from swarmtui.commands.errors import exit_code_of

if TYPE_CHECKING:
    from swarmtui.commands.machine import Machine

DONE, FAILED, USAGE, UNKNOWN, TRY_LATER, INTERRUPTED = 0, 1, 2, 3, 4, 130

CLUSTER_VARIABLE = "SWARMTUI_CLUSTER"


def main(words: Sequence[str] | None = None) -> int:
    """Runs one order; the process exits with what it returns."""
    terminal: Terminal | None = None
    open_missing_streams()
    try:
        parsed = parse(sys.argv[1:] if words is None else words)
        quiet = parsed.arguments.flag("quiet")
        terminal = shell_terminal(parsed.format, quiet=quiet, environment=os.environ)
        code = run(parsed, terminal)
        sys.stdout.flush()
        return code
    except UsageProblem as error:
        sys.stderr.write(f"swarmtui: {error}\n")
        return USAGE
    except BrokenPipeError:
        silence(sys.stdout)
        return DONE  # whoever reads has had enough, as `| head`
    except OSError as error:  # of standard output alone: `run` tells of every other
        silence(sys.stdout)
        sys.stderr.write(f"swarmtui: {OutputLost.of(error)}\n")
        return FAILED
    except KeyboardInterrupt:
        if terminal is not None:
            terminal.close()
        return INTERRUPTED


def run(parsed: Parsed, terminal: Terminal, machine: Machine | None = None) -> int:
    """Runs what was parsed and answers with the exit code."""
    if parsed.help is not None:
        terminal.out.write(parsed.help + "\n")
        return DONE
    place = Place(
        selector=parsed.cluster or os.environ.get(CLUSTER_VARIABLE) or None,
        start=_working_directory(),
        environment=os.environ,
        is_terminal=sys.stdin.isatty() and sys.stdout.isatty(),
    )
    command, arguments = parsed.command, parsed.arguments
    if command is None:
        if not place.has_screen:
            terminal.out.write(group_help() + "\n")
            return DONE
        from swarmtui.commands.registry import REGISTRY

        command, arguments = REGISTRY[("console",)], Arguments({})
    if machine is None:
        from swarmtui.commands.machine import ThisMachine

        machine = ThisMachine()
    context = Context(out=terminal, place=place, machine=machine, read_input=_standard_input)
    context.confirm = _ask_person if place.is_terminal else None
    try:
        code = _obey(command, context, arguments)
        if code == DONE and context.follow_up is not None:
            code = _open_console(context.follow_up)
    except BrokenPipeError:
        raise
    except Exception as error:
        return _report_unexpected(error, terminal)
    return code


def _obey(command: Command, context: Context, arguments: Arguments) -> int:
    """Runs the command in trio; expected errors become their line and exit code."""
    import trio

    from swarmtui.commands.together import leading_error

    terminal = context.out
    assert isinstance(terminal, Terminal)
    try:
        trio.run(_execute, command, context, arguments)
    except BaseException as group:
        error = leading_error(group)
        if isinstance(error, KeyboardInterrupt):
            terminal.fail(f"interrupted; {command.interrupted}" if command.interrupted else "")
            return INTERRUPTED
        code = exit_code_of(error)
        if code is None:
            raise error from None
        terminal.fail(str(error))
        return code
    terminal.close()
    return DONE


async def _execute(command: Command, context: Context, arguments: Arguments) -> None:
    if command.needs is Needs.NOTHING:
        await command.run(context, arguments)
        return
    directory = context.machine.find(context.place.selector, context.place.start)
    async with context.machine.connect(directory) as cluster:
        context.found = cluster
        await command.run(context, arguments)


def _open_console(console: OpenConsole) -> int:
    from swarmtui.console.start import open_console  # the one door to textual, opened only here

    return open_console(console.directory, console.watch)


def _report_unexpected(error: Exception, terminal: Terminal) -> int:
    """An error of ours: its details go into a file, and one line says so."""
    import tempfile
    import traceback

    details = "".join(traceback.format_exception(error))
    try:
        handle, name = tempfile.mkstemp(prefix=f"swarmtui-error-{time.strftime('%Y%m%d-%H%M%S')}-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(f"swarmtui {' '.join(sys.argv[1:])}\n\n{details}")
        where = f"details are in {name}"
    except OSError:
        where = "details could not be written"
    kind = type(error).__name__
    terminal.fail(f"internal error: {kind}: {_first_line(str(error))}; {where}, please report it")
    return FAILED


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:200] or "no text"


def _standard_input() -> bytes:
    return sys.stdin.buffer.read()


def _ask_person(question: str) -> bool:
    """Anything but yes is no, and so is the end of the input."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path("/")
