"""Fixtures of the commands' tests: a cluster in one process, and orders given to it in words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from swarmtui.cli.grammar import parse, split_line
from swarmtui.commands.command import Context, Place
from swarmtui.commands.output import Recorder
from tests.commands.fake_answers import NOW
from tests.commands.fake_machine import FakeMachine
from tests.commands.fakes import FakeCluster


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    machine = FakeMachine(tmp_path)
    machine.cluster = FakeCluster(tmp_path / ".swarmtui")
    return machine


@pytest.fixture
def cluster(machine: FakeMachine) -> FakeCluster:
    assert machine.cluster is not None
    return machine.cluster


@pytest.fixture
def order(machine: FakeMachine, tmp_path: Path) -> Callable[..., Awaitable[Recorder]]:
    """`await order("service ls")` gives what was shown; errors are raised."""

    async def give(line: str, *, read_input: bytes = b"", **changes: Any) -> Recorder:
        parsed = parse(split_line(line))
        assert parsed.command is not None
        out = give.out = Recorder()  # type: ignore[attr-defined] # what was shown before an error
        place = Place(parsed.cluster, tmp_path, give.environment, is_terminal=changes.get("is_terminal", False))
        context = Context(
            out=out,
            place=place,
            machine=machine,
            found=machine.cluster,
            read_input=lambda: read_input,
            wall=lambda: NOW,
        )
        await parsed.command.run(context, parsed.arguments)
        return out

    give.environment = {}  # type: ignore[attr-defined] # the shell's
    return give
