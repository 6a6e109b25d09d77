"""What `up` says of the cluster that it makes: whose state it begins with."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from swarmtui.commands.output import Line
from tests.commands.fakes import FakeMachine

FILE = '[cluster]\nname = "dev"\nmanagers = 3\nworkers = 1\n'


@pytest.fixture
def empty(machine: FakeMachine, tmp_path: Path) -> FakeMachine:
    """No cluster yet, and a file to make one from."""
    machine.cluster = None
    (tmp_path / "cluster.toml").write_text(FILE)
    return machine


def lines(out) -> list[str]:
    return [item.text for item in out.items if isinstance(item, Line)]


@pytest.mark.parametrize(("stale", "doubt"), [(False, ""), (True, ", which no quorum vouched for")])
async def test_a_restored_cluster_says_from_what(order, empty, autojump_clock, monkeypatch, stale, doubt):
    head = SimpleNamespace(manifest=SimpleNamespace(name="old"), index=412, stale=stale)
    monkeypatch.setattr(empty, "read_backup", lambda path: SimpleNamespace(head=head), raising=False)
    out = await order("up -d --restore b.swarm")
    assert lines(out)[0] == f"created cluster dev: 3 managers, 1 worker, from the state of old at index 412{doubt}"
