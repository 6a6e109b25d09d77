"""What `up` says of the cluster that it makes, or finds made: whose state it begins with, and who made it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from swarmtui.commands.machine import ThisMachine
from swarmtui.commands.output import Line
from swarmtui.objects.cluster_file import bare_cluster_file
from tests.commands.fake_machine import FakeMachine

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


async def test_of_two_at_once_only_the_one_that_created_it_says_so(order, empty, autojump_clock, monkeypatch):
    """Both said `created cluster`."""
    create = empty.create

    def create_too_late(*words):
        create(*words)  # the other's

    monkeypatch.setattr(empty, "create", create_too_late)
    out = await order("up -d")
    assert lines(out)[0] == "found cluster dev: 3 managers, 1 worker; another swarmtui up has just created it"
    assert not any(line.startswith("created cluster") for line in lines(out))


def test_a_second_creation_in_one_directory_makes_nothing(tmp_path):
    file = bare_cluster_file("dev", 1, 0)
    made = ThisMachine().create(file, tmp_path, None)
    assert made is not None
    assert ThisMachine().create(file, tmp_path, None) is None
    assert ThisMachine().manifest(tmp_path / ".swarmtui") == made
