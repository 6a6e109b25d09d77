"""`lock NAME -- COMMAND…`: what the command is given, and what comes of its end."""

from __future__ import annotations

from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from swarmtui.cli.grammar import UsageProblem
from swarmtui.commands.errors import FailedWith, WrongUsage
from swarmtui.commands.registry import REGISTRY


@pytest.fixture
def locks(cluster, machine, monkeypatch):
    """What the lock was asked for and what was run, in order; `code` is what the program ends with."""
    seen = SimpleNamespace(order=[], code=0)

    @asynccontextmanager
    async def lock(name, *, timeout_s=None, ttl_s=None):
        seen.ttl_s = ttl_s
        seen.order.append(("take", name, timeout_s))
        yield SimpleNamespace(version=412)
        seen.order.append(("release", name))

    async def run_program(argv, environment, grace_s):
        seen.order.append(("run", argv, environment["SWARMTUI_LOCK"], environment["SWARMTUI_LOCK_VERSION"]))
        return seen.code

    monkeypatch.setattr(cluster.kv, "lock", lock, raising=False)
    monkeypatch.setattr(machine, "run_program", run_program, raising=False)
    return seen


async def test_the_command_runs_while_the_lock_is_held(order, locks):
    await order("lock deploy -- ./deploy.sh --fast web")
    assert locks.order == [
        ("take", "deploy", None),
        ("run", ("./deploy.sh", "--fast", "web"), "deploy", "412"),
        ("release", "deploy"),
    ]


@pytest.mark.parametrize(
    ("options", "timeout_s"),
    [("--wait", None), ("--no-wait", 0.0), ("--timeout 1m", 60.0), ("--wait --timeout 5s", 5.0)],
)
async def test_how_long_it_is_waited_for(order, locks, options: str, timeout_s: float | None):
    await order(f"lock {options} deploy -- true")
    assert locks.order[0] == ("take", "deploy", timeout_s)


async def test_how_long_it_outlives_a_holder_that_was_killed(order, locks):
    await order("lock --ttl 30s deploy -- true")
    assert locks.ttl_s == 30.0
    await order("lock deploy -- true")
    assert locks.ttl_s is None
    with pytest.raises(WrongUsage, match="--ttl: at least 5s"):
        await order("lock --ttl 4s deploy -- true")


async def test_the_exit_code_is_the_commands(order, locks):
    locks.code = 7
    with pytest.raises(FailedWith) as caught:
        await order("lock deploy -- false")
    assert (caught.value.exit_code, str(caught.value)) == (7, "")
    assert locks.order[-1] == ("release", "deploy")


async def test_not_waiting_for_a_while_is_no_order(order, locks):
    with pytest.raises(WrongUsage):
        await order("lock --no-wait --timeout 5s deploy -- true")


@pytest.mark.parametrize("line", ["lock deploy", "lock deploy --"])
async def test_a_lock_without_a_command_takes_no_lock(order, locks, line: str):
    with pytest.raises(WrongUsage, match="the command to run is missing; write it after --, as in: lock deploy -- "):
        await order(line)
    assert locks.order == []


async def test_what_cannot_be_a_locks_name_is_wrong_usage(order, locks):
    with pytest.raises(UsageProblem, match="cannot be a lock's name"):
        await order("lock a/b -- true")


def test_it_takes_over_the_terminal_and_is_not_offered_in_the_console():
    assert not REGISTRY[("lock",)].in_console
