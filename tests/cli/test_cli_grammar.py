"""Words become orders, or one sentence that says what is wrong. Goal: every command parses, every mistake is exit 2 with
the nearest right word. Method: lines as people type them."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from swarmtui.cli.formats import Style
from swarmtui.cli.grammar import UsageProblem, command_help, group_help, parse, split_line, words_after
from swarmtui.commands import registry
from swarmtui.commands.registry import GROUPS, REGISTRY


@pytest.mark.parametrize(
    ("line", "name", "values"),
    [
        ("up -d --wait-timeout 1m", "up", {"detach": True, "wait_timeout": 60.0}),
        ("up -f x.toml --managers 5 --workers 2", "up", {"file": "x.toml", "managers": 5, "workers": 2}),
        ("up", "up", {"wait_timeout": 30.0, "foreground": False}),
        ("down --volumes", "down", {"volumes": True}),
        ("ls -q", "ls", {"quiet": True}),
        ("console --watch", "console", {"watch": True}),
        ("status", "status", {}),
        ("ps -a web.2", "ps", {"all": True, "target": "web.2"}),
        ("logs -f web ticker", "logs", {"follow": True, "targets": ("web", "ticker")}),
        ("logs -n 5 --since 1m web", "logs", {"tail": 5}),
        ("events --no-follow --filter kind=election", "events", {"no_follow": True, "filter": (("kind", "election"),)}),
        ("kill leader n2 --for 30s", "kill", {"targets": ("leader", "n2"), "for_s": 30.0}),
        ("start n1", "start", {"targets": ("n1",)}),
        ("partition n1 n2 / n3 n4 --for 1m30s", "partition", {"nodes": ("n1", "n2", "/", "n3", "n4"), "for_s": 90.0}),
        ("cut n1 n2 --one-way", "cut", {"source": "n1", "target": "n2", "one_way": True}),
        (
            "link n1 n2 delay=200ms jitter=50ms loss=10%",
            "link",
            {"amounts": (("delay_ms", 200.0), ("jitter_ms", 50.0), ("loss", 0.1))},
        ),
        ("heal", "heal", {"nodes": ()}),
        ("undo", "undo", {}),
        ("drain n2 n3", "drain", {"nodes": ("n2", "n3")}),
        ("node update --label-add a=b --availability drain n1", "node update", {"label_add": (("a", "b"),)}),
        ("service scale web=5 api=0", "service scale", {"services": (("web", 5), ("api", 0))}),
        ("service update --env-add A=b web -- sleep --x 1", "service update", {"command": ("sleep", "--x", "1")}),
        ("kv put color green", "kv put", {"key": "color", "value": "green"}),
        ("kv put color -", "kv put", {"value": "-"}),
        ("kv put -- color -5", "kv put", {"value": "-5"}),
        ("kv cas color 0 x", "kv cas", {"version": 0}),
        ("raft log -n 3 n2", "raft log", {"tail": 3, "node": "n2"}),
    ],
)
def test_lines_become_orders(line, name, values):
    parsed = parse(split_line(line))
    assert parsed.command is not None
    assert parsed.command.words == name
    assert {key: parsed.arguments.values[key] for key in values} == values


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("statsu", "there is no command 'statsu'; did you mean 'status'? See 'swarmtui --help'"),
        ("stat", "there is no command 'stat'; did you mean 'status'?"),
        ("scale web=3", "there is no command 'scale'; did you mean 'service scale'?"),
        ("xyzzy", "there is no command 'xyzzy'. See 'swarmtui --help'"),
        ("service crate", "'service' has no command 'crate'; did you mean 'create'?"),
        ("secret ls", "there is no command 'secret'"),
        ("kv get", "missing argument 'KEY'. See 'swarmtui kv get --help'"),
        ("kv get a b", "got unexpected extra argument (b)"),
        ("kill", "missing argument 'TARGET'"),
        ("up --wait 3s", "no such option '--wait'. Did you mean '--wait-timeout'"),
        ("up --managers x", "'x' is no whole number"),
        ("up --wait-timeout 5", "'5' is no duration"),
        ("up --managers", "requires an argument"),
        ("--cluster '' down", "--cluster needs a value"),
        ("down --cluster ''", "--cluster needs a value"),
        ("service scale web", "write SERVICE=REPLICAS, as in web=5"),
        ("service scale web=-1", "must be a whole number from 0 to"),
        ("service create --name x sleep 100", "the command to run goes after --"),
        ("service create --name a.b -- x", "cannot be a service's name"),
        ("service create -p 80:80 -- x", "cannot be both the published port"),
        ("service create --constraint node.lables.a==b -- x", "no node has 'node.lables.a'"),
        ("service create --restart-condition always -- x", "must be one of none, on-failure, any"),
        ("service create --reserve-memory 1MB -- x", "at least 4MB"),
        ("service create --stop-signal KILLL -- x", "did you mean SIGKILL"),
        ("service create --mode job -- x", "must be replicated or global"),
        ("service ls --filter web", "is no filter; write KEY=VALUE"),
        ("kv cas k v x", "is no version"),
        ("kv cas k 9999999999999999999 x", "is no version"),
        ("link n1 n2 delay=2", "is no duration"),
        ("link n1 n2 loss=200%", 'write a share from "0%" to "100%"'),
        ("link n1 n2 speed=3", "is nothing a link has"),
        ("logs --since yesterday web", "is no time"),
        ("logs -n many web", "is no number of lines"),
        ("kill n1 --for 0s", "must be longer than nothing"),
        ("raft log -n 0", "is no number of entries"),
        ("node update --availability gone n1", "must be one of active, pause, drain"),
        ("status --format {{range}}", "{{range}} is not known"),
        ("status --format tabel", "is none of table, json, plain"),
        ("status --format {{.A", "lacks a closing"),
        (
            "service create --mount type=bind,src=/,dst=/x -- x",
            "docker's --mount is not supported here: tasks are plain processes of this machine. See",
        ),
        (
            "service create --no-resolve-image -- x",
            "docker's --no-resolve-image is not supported here: IMAGE is a version",
        ),
        (
            "service create -td -- x",
            "docker's -t is not supported here: tasks are plain processes of this machine. See",
        ),
        (
            "service update --secret-add x web",
            "docker's --secret-add is not supported here: there are no secrets yet. See",
        ),
        (
            "service update --update-order x web",
            "docker's --update-order is not supported here: write deploy.update_config",
        ),
        ("service logs --details web", "docker's --details is not supported here: no log driver adds anything"),
        ("service update --nonsense web", "no such option '--nonsense'"),
        ("--claster x status", "no such option: --claster; did you mean '--cluster'?"),
        ("--cluster", "--cluster needs a value"),
        ("kv put 'a b", "cannot be split into words"),
    ],
)
def test_mistakes_are_one_sentence_with_a_help_to_read(line, sentence):
    with pytest.raises(UsageProblem) as problem:
        parse(split_line(line))
    text = str(problem.value)
    assert sentence in text
    assert "\n" not in text
    assert problem.value.exit_code == 2


def test_a_service_s_command_keeps_its_own_options():
    parsed = parse(["service", "create", "--name", "x", "--", "prog", "--help", "-d", "--", "y"])
    assert parsed.help is None
    assert parsed.arguments.texts("command") == ("prog", "--help", "-d", "--", "y")
    assert parsed.arguments.get("image") is None


def test_global_options_stand_before_or_after():
    for line in (
        "--cluster dev --format json status",
        "status --cluster dev --format=json",
        "--cluster=dev status --format json",
    ):
        parsed = parse(split_line(line))
        assert parsed.cluster == "dev"
        assert parsed.format.style is Style.JSON


def test_swarmtui_in_front_is_allowed_in_a_line():
    assert parse(split_line("swarmtui status")).command is REGISTRY[("status",)]


def test_bare_words_and_help():
    assert parse([]).command is None
    assert parse([]).help is None
    assert parse(["--help"]).help == group_help()
    assert parse(["help"]).help == group_help()
    assert parse(["--version"]).help.startswith("swarmtui ")
    assert parse(["service"]).help == group_help(("service",))
    assert parse(["service", "--help"]).help == group_help(("service",))
    assert parse(["help", "service", "scale"]).help == command_help(REGISTRY[("service", "scale")])
    assert parse(["service", "scale", "--help"]).help == command_help(REGISTRY[("service", "scale")])
    assert parse(["kv", "get", "-h"]).help == command_help(REGISTRY[("kv", "get")])


@pytest.mark.parametrize("command", REGISTRY.values(), ids=lambda command: command.words)
def test_every_command_has_help_that_names_its_parameters(command):
    text = command_help(command)
    assert text.startswith(f"Usage:  swarmtui {command.words}")
    assert command.summary.split()[0] in text
    for parameter in command.parameters:
        for name in parameter.flags:
            assert name in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_every_example_parses():
    for command in REGISTRY.values():
        for example in command.examples:
            parsed = parse(split_line(example.replace("< FILE", "")))
            assert parsed.command is command


def test_the_registry_names_every_command_of_every_module():
    modules = [import_module(f"swarmtui.commands.{module}") for module, _ in registry.MODULES]
    assert dict(REGISTRY) == {command.name: command for module in modules for command in module.COMMANDS}
    for file in Path(registry.__file__).parent.glob("*.py"):  # and no module with commands is forgotten
        assert not re.search(r"^COMMANDS\b", file.read_text(), re.MULTILINE) or file.stem in dict(registry.MODULES)


def test_every_noun_has_a_line_and_every_line_a_noun():
    assert {name[0] for name in REGISTRY if len(name) > 1} == set(GROUPS)
    assert words_after(("node",)) == ("ls", "inspect", "ps", "update", "promote", "demote", "rm")


def test_later_issues_commands_are_not_registered():
    words = {command.words for command in REGISTRY.values()}
    for later in (
        "swarm join-token",
        "service rollback",
        "stack deploy",
        "secret ls",
        "lesson ls",
    ):
        assert later not in words


def test_whatever_changes_says_how_to_undo_it_or_that_it_destroys():
    for command in REGISTRY.values():
        if command.risk == "fault":
            assert command.undo or command.words == "restart"
