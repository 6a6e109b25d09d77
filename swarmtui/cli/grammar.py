"""The words of an order, read by the registry: for the shell and for the console's `:` line alike.

`parse(["service", "scale", "web=5"])` gives a `Parsed`; `UsageProblem` says in one sentence what is wrong with the words and
which help to read. Neither runs, prints or exits. click reads the options of one command at a time, made from its
`Parameter`s when it is asked for; the nouns and verbs themselves are looked up here, so that a typo gets its nearest word.
"""

from __future__ import annotations

import difflib
import shlex
import shutil
from collections.abc import Sequence
from typing import Any

import attrs
import click

from swarmtui.cli.formats import Format, InvalidFormat, parse_format
from swarmtui.commands.command import Arguments, Command, Parameter
from swarmtui.commands.registry import GROUPS, REGISTRY
from swarmtui.version import __version__

PROGRAM = "swarmtui"
HELP_WIDTH_MAX = 100  # columns

_SUGGESTION_CUTOFF = 0.6


class UsageProblem(Exception):
    """The words are no order: one sentence, and the help to read."""

    exit_code = 2

    def __init__(self, text: str, help_words: Sequence[str] = ()) -> None:
        see = " ".join((PROGRAM, *help_words, "--help"))
        text = text.rstrip(".")
        super().__init__(f"{text}{'' if text.endswith('?') else '.'} See '{see}'")


@attrs.frozen
class Parsed:
    """What the words ask for. `help` holds the text to show instead of running `command`; without either, the order was
    bare `swarmtui`."""

    command: Command | None = None
    arguments: Arguments = Arguments({})
    cluster: str | None = None
    format: Format = Format()
    help: str | None = None


_COMMON: tuple[Parameter, ...] = (
    Parameter(name="cluster", flags=("--cluster",), metavar="NAME|DIR", help="Which cluster, by name or directory"),
    Parameter(
        name="format", flags=("--format",), metavar="FORMAT", help="table, json, plain or a template such as {{.ID}}"
    ),
    Parameter(name="help", flags=("-h", "--help"), is_flag=True, default=False, help="Show this help"),
)


def split_line(line: str) -> list[str]:
    """The words of the console's `:` line, without a `swarmtui` in front. Raises UsageProblem."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageProblem(f"the line cannot be split into words: {error}") from None
    if words[:1] == [PROGRAM]:
        del words[0]
    return words


def parse(words: Sequence[str]) -> Parsed:
    """The order that these words are. Raises UsageProblem."""
    words = list(words)
    cluster, form, help_asked = None, None, False
    while words and words[0].startswith("-"):
        word = words.pop(0)
        option, equals, value = word.partition("=")
        if word in ("-h", "--help"):
            help_asked = True
        elif word in ("-V", "--version"):
            return Parsed(help=f"{PROGRAM} {__version__}")
        elif option in ("--cluster", "--format"):
            if not equals and not words:
                raise UsageProblem(f"{option} needs a value")
            value = value if equals else words.pop(0)
            cluster, form = (value, form) if option == "--cluster" else (cluster, value)
        else:
            near = _nearest(option, ("--cluster", "--format", "--help", "--version"))
            raise UsageProblem(f"no such option: {option}{near}")
    if words[:1] == ["help"]:
        help_asked, words = True, words[1:]
    command, rest = _find(words)
    if command is None:
        shows_help = help_asked or bool(words)
        return Parsed(cluster=cluster, format=_format(form, ()), help=group_help(tuple(words)) if shows_help else None)
    if help_asked:
        return Parsed(command, help=command_help(command))
    return _parsed(command, rest, cluster, form)


def _find(words: list[str]) -> tuple[Command | None, list[str]]:
    """The command that the first words name, and the words after it; None for a group alone."""
    prefix: tuple[str, ...] = ()
    while True:
        command = REGISTRY.get(prefix)
        longer = words[len(prefix) : len(prefix) + 1]
        if command is not None and not (longer and longer[0] in words_after(prefix)):
            return command, words[len(prefix) :]
        if len(prefix) == len(words):
            return None, []
        word = words[len(prefix)]
        if word in ("-h", "--help") and prefix:
            del words[len(prefix) :]
            return None, []
        choices = words_after(prefix)
        if word not in choices:
            what = " ".join(prefix)
            kind = f"{what!r} has no command" if prefix else "there is no command"
            raise UsageProblem(f"{kind} {word!r}{_nearest_command(prefix, word, choices)}", prefix)
        prefix = (*prefix, word)


def words_after(prefix: tuple[str, ...]) -> tuple[str, ...]:
    """The words that may follow these: `("service",)` gives its verbs."""
    length = len(prefix)
    found = (name[length] for name in REGISTRY if name[:length] == prefix and len(name) > length)
    return tuple(dict.fromkeys(found))


def _nearest_command(prefix: tuple[str, ...], word: str, choices: Sequence[str]) -> str:
    if near := _nearest(word, choices):
        return near
    elsewhere = [name for name in REGISTRY if word in name]
    return f"; did you mean '{' '.join(elsewhere[0])}'?" if elsewhere and not prefix else ""


def _nearest(word: str, choices: Sequence[str]) -> str:
    begun = [choice for choice in choices if len(word) >= 2 and choice.startswith(word)]
    close = begun if len(begun) == 1 else difflib.get_close_matches(word, choices, n=1, cutoff=_SUGGESTION_CUTOFF)
    return f"; did you mean '{close[0]}'?" if close else ""


# ---------------------------------------------------------------------------------------------- one command, by click


def _parsed(command: Command, words: list[str], cluster: str | None, form: str | None) -> Parsed:
    rest_parameter = next((parameter for parameter in command.parameters if parameter.rest), None)
    after: tuple[str, ...] = ()
    if rest_parameter is not None and "--" in words:
        position = words.index("--")
        words, after = words[:position], tuple(words[position + 1 :])
    bytes_allowed = any(parameter.is_bytes for parameter in command.parameters)
    for word in (*words, *after):
        if not bytes_allowed and not _is_utf8(word):
            raise UsageProblem(f"{word.encode(errors='surrogateescape')!r} is no UTF-8 text", command.name)
    if "--help" in words or "-h" in words:
        stop = words.index("--") if "--" in words else len(words)
        if {"--help", "-h"} & set(words[:stop]):
            return Parsed(command, help=command_help(command))
    try:
        context = _click_command(command).make_context(command.words, list(words))
    except click.NoSuchOption as error:
        raise UsageProblem(_no_such_option(command, error), command.name) from None
    except click.UsageError as error:
        text = _lower(error.format_message())
        if rest_parameter is not None and not after and text.startswith("got unexpected"):
            text = f"the command to run goes after --, as in: {usage(command)}"
        raise UsageProblem(text, command.name) from None
    values: dict[str, Any] = dict(context.params)
    if rest_parameter is not None:
        values[rest_parameter.name] = after
    own_cluster = values.pop("cluster", None)
    cluster = cluster if own_cluster is None else own_cluster
    if cluster == "":  # as from a variable that is not set: another cluster would be taken
        raise UsageProblem("--cluster needs a value", command.name)
    form = values.pop("format", None) or form
    values.pop("help", None)
    return Parsed(command, Arguments(values), cluster, _format(form, command.name))


def _no_such_option(command: Command, error: click.NoSuchOption) -> str:
    reason = command.foreign.get(error.option_name)
    if reason is None:
        return _lower(error.format_message())
    return f"docker's {error.option_name} is not supported here: {reason}"


def _format(text: str | None, help_words: Sequence[str]) -> Format:
    try:
        return parse_format(text)
    except InvalidFormat as error:
        raise UsageProblem(str(error), help_words) from None


def _is_utf8(word: str) -> bool:
    """False where the shell handed over bytes that Python had to escape."""
    return not any("\ud800" <= character <= "\udfff" for character in word)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


class _Read(click.ParamType):  # type: ignore[type-arg] # generic only since click 8.5
    """A parameter's own reader as click's type: its ValueError becomes a usage error."""

    def __init__(self, parameter: Parameter) -> None:
        self.name = parameter.metavar or parameter.name
        self._reader = parameter.reader

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str) or self._reader is None:
            return value
        try:
            return self._reader(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _common_of(command: Command) -> list[Parameter]:
    """The options that every command has, but for those whose flags it uses itself."""
    own = {name for parameter in command.parameters for name in parameter.flags}
    return [parameter for parameter in _COMMON if not own & set(parameter.flags)]


def _click_command(command: Command) -> click.Command:
    every = (*command.parameters, *_common_of(command))
    parameters = [_click_parameter(parameter) for parameter in every if not parameter.rest]
    return click.Command(command.words, params=parameters, add_help_option=False)


def _click_parameter(parameter: Parameter) -> click.Parameter:
    kind = _Read(parameter) if parameter.reader else click.STRING
    if not parameter.flags:
        return click.Argument(
            [parameter.name],
            type=kind,
            nargs=-1 if parameter.repeated else 1,
            required=parameter.required,
            metavar=parameter.metavar,
        )
    if parameter.is_flag:
        return click.Option([*parameter.flags, parameter.name], is_flag=True, default=False, help=parameter.help)
    return click.Option(
        [*parameter.flags, parameter.name],
        type=kind,
        default=parameter.default,
        multiple=parameter.repeated,
        metavar=parameter.metavar,
        help=parameter.help,
    )


# ------------------------------------------------------------------------------------------------------------------ help


def usage(command: Command) -> str:
    """`swarmtui service scale [OPTIONS] SERVICE=REPLICAS...`"""
    words = [PROGRAM, *command.name]
    if any(parameter.flags for parameter in command.parameters):
        words.append("[OPTIONS]")
    for parameter in command.parameters:
        if parameter.flags:
            continue
        word = parameter.metavar + ("..." if parameter.repeated else "")
        if parameter.rest:
            word = f"-- {parameter.metavar}" if parameter.required else f"[-- {parameter.metavar}]"
        elif not parameter.required:
            word = f"[{word}]"
        words.append(word)
    return " ".join(words)


def command_help(command: Command) -> str:
    """The help of one command, as docker lays it out."""
    formatter = click.HelpFormatter(max_width=HELP_WIDTH_MAX, width=_width())
    formatter.write(f"Usage:  {usage(command)}\n\n")
    formatter.write_text(command.summary)
    if command.detail:
        formatter.write_paragraph()
        formatter.write_text(command.detail)
    named = [(parameter.metavar, parameter.help) for parameter in command.parameters if not parameter.flags]
    if any(text for _, text in named):
        with formatter.section("Arguments"):
            formatter.write_dl([(name, text) for name, text in named if text])
    options = [parameter for parameter in command.parameters if parameter.flags] + _common_of(command)
    with formatter.section("Options"):
        formatter.write_dl([(_option_words(parameter), _option_help(parameter)) for parameter in options])
    if command.undo:
        formatter.write_paragraph()
        formatter.write_text(f"Undo: {command.undo}")
    if command.examples:
        with formatter.section("Examples"):
            for example in command.examples:
                formatter.write(f"  {PROGRAM} {example}\n")
    return formatter.getvalue().rstrip("\n")


def _option_words(parameter: Parameter) -> str:
    short = [name for name in parameter.flags if not name.startswith("--")]
    long = [name for name in parameter.flags if name.startswith("--")]
    text = (f"{short[0]}, " if short else "    ") + (long[0] if long else "")
    return text.rstrip(", ") + ("" if parameter.is_flag else f" {parameter.metavar}")


def _option_help(parameter: Parameter) -> str:
    if parameter.default in (None, False):
        return parameter.help
    return f"{parameter.help} (default {parameter.default})"


def group_help(prefix: tuple[str, ...] = ()) -> str:
    """The help of `swarmtui` itself, or of one noun."""
    formatter = click.HelpFormatter(max_width=HELP_WIDTH_MAX, width=_width())
    formatter.write(f"Usage:  {' '.join((PROGRAM, *prefix))} COMMAND\n\n")
    if prefix:
        formatter.write_text(GROUPS[prefix[0]])
        verbs = [(" ".join(name[1:]), command.summary) for name, command in REGISTRY.items() if name[0] == prefix[0]]
        with formatter.section("Commands"):
            formatter.write_dl(verbs)
    else:
        formatter.write_text(
            "A swarm of real processes on this machine: Raft, tasks that are replaced when they die, a live console. "
            "Without a command the console opens; 'swarmtui up' starts a cluster first."
        )
        singles = [(command.words, command.summary) for name, command in REGISTRY.items() if len(name) == 1]
        with formatter.section("Commands"):
            formatter.write_dl(singles)
        with formatter.section("Nouns with commands of their own"):
            formatter.write_dl([(f"{noun} ({', '.join(words_after((noun,)))})", text) for noun, text in GROUPS.items()])
    formatter.write(f"\nRun '{' '.join((PROGRAM, *prefix))} COMMAND --help' for more about a command.\n")
    return formatter.getvalue().rstrip("\n")


def _width() -> int:
    return min(HELP_WIDTH_MAX, max(40, shutil.get_terminal_size().columns - 1))
