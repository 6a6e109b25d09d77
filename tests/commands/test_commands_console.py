"""`up` and `console` on a terminal: when the console opens, and when it does not."""

from __future__ import annotations

import pytest
import trio

from swarmtui.cli.grammar import parse, split_line
from swarmtui.commands.bring_up import bring_up
from swarmtui.commands.cluster import run_console
from swarmtui.commands.command import Context, OpenConsole, Place
from swarmtui.commands.errors import CommandFailed, TryLater
from swarmtui.commands.output import Note, Recorder

FILE = """
[cluster]
name = "dev"
managers = 3
[services.web]
command = "sleep 100"
scale = 2
"""


async def test_a_terminal_gets_the_console(machine, tmp_path, autojump_clock):
    machine.cluster = None
    (tmp_path / "cluster.toml").write_text(FILE)
    for line, opens in (("up", True), ("up -d", False), ("console", True), ("console --watch", True)):
        parsed = parse(split_line(line))
        context = Context(out=Recorder(), place=Place(None, tmp_path, {}, is_terminal=True), machine=machine)
        assert parsed.command is not None
        await parsed.command.run(context, parsed.arguments)
        expected = OpenConsole(tmp_path / ".swarmtui", watch="--watch" in line)
        assert context.follow_up == (expected if opens else None), line


@pytest.mark.parametrize("line", ["up", "up --wait-timeout 2s"])
async def test_a_terminal_gets_the_console_though_a_service_does_not_come_up(machine, tmp_path, autojump_clock, line):
    machine.cluster = None
    machine.after_connect = lambda cluster: setattr(cluster, "play", lambda cluster: None)
    (tmp_path / "cluster.toml").write_text(FILE)
    parsed = parse(split_line(line))
    context = Context(out=Recorder(), place=Place(None, tmp_path, {}, is_terminal=True), machine=machine)
    began = trio.current_time()
    assert parsed.command is not None
    await parsed.command.run(context, parsed.arguments)
    assert context.follow_up == OpenConsole(tmp_path / ".swarmtui", watch=False)
    assert trio.current_time() - began < 10
    assert context.out.items[-1] == Note("not healthy yet: web has 0 of 2 tasks running")


async def test_console_needs_a_terminal_and_a_running_cluster(order, machine):
    with pytest.raises(CommandFailed, match="the console needs a terminal"):
        await order("console")
    machine.cluster.running = False
    with pytest.raises(TryLater, match="start it with: swarmtui up"):
        await order("console", is_terminal=True)


async def test_a_terminal_that_cannot_draw_gets_no_console(machine, tmp_path, autojump_clock):
    """Its size is never what the console is told, which redrew without end and answered to no key."""
    machine.cluster = None
    (tmp_path / "cluster.toml").write_text(FILE)
    place = Place(None, tmp_path, {"TERM": "dumb"}, is_terminal=True)
    context = Context(out=Recorder(), place=place, machine=machine)
    await bring_up(context, parse(split_line("up")).arguments)
    assert context.follow_up is None
    with pytest.raises(CommandFailed, match="cannot draw on this terminal, TERM is 'dumb'; use: swarmtui status"):
        await run_console(context, parse(split_line("console")).arguments)
