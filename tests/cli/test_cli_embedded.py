"""Orders inside the console: the shell's words, answered as lines."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from swarmtui.cli.embedded import console_commands, run_line, run_words
from tests.commands.fakes import FakeCluster, FakeNoQuorum


@pytest.fixture
def cluster(tmp_path: Path) -> FakeCluster:
    return FakeCluster(tmp_path)


async def test_an_order_is_answered_in_lines(cluster):
    answer = await run_line("kill leader", cluster)
    assert (answer.exit_code, answer.lines, answer.error) == (0, ("n1",), "")
    assert cluster.host.orders == ["kill n1"]
    assert (await run_words(["kv", "put", "a", "b"], cluster)).lines[0].isdecimal()


async def test_nothing_waits_and_nothing_follows(cluster):
    answer = await run_line("service create --name web -- sleep 1", cluster)
    assert answer.exit_code == 0
    assert (await run_line("logs -f web", cluster)).exit_code == 0
    assert (await run_line("events", cluster)).exit_code == 0


async def test_what_goes_wrong_is_a_line_and_a_code(cluster):
    for line, code, words in (
        ("kil n1", 2, "did you mean 'kill'?"),
        ("kv put 'a", 2, "cannot be split into words"),
        ("up", 1, "is for the shell"),
        ("status --cluster x", 2, "--cluster is for the shell"),
        ("kv get nope", 1, "no such key"),
    ):
        answer = await run_line(line, cluster)
        assert answer.exit_code == code, line
        assert words in answer.error
    cluster.fails = FakeNoQuorum("no quorum")
    assert (await run_line("kv put a b", cluster)).exit_code == 4


async def test_an_order_that_hangs_is_given_up(cluster, autojump_clock):
    async def forever(*_, **__):
        await trio.sleep_forever()

    cluster.host.power = forever
    answer = await run_words(["kill", "n1"], cluster)
    assert answer.exit_code == 3
    assert "no answer after 15 s" in answer.error


async def test_help_is_lines_too(cluster):
    assert (await run_line("kv --help", cluster)).lines[0] == "Usage:  swarmtui kv COMMAND"
    assert (await run_line("swarmtui kill --help", cluster)).lines[0].startswith("Usage:  swarmtui kill")


def test_the_palette_has_what_can_be_given_here():
    words = console_commands()
    assert "kill" in words
    assert "service scale" in words
    assert "up" not in words
