"""What the cluster in one process says of itself, as a client does, and how it refuses."""

from __future__ import annotations

from typing import Any

import attrs

from swarmtui.objects.manifest import NodeEntry
from swarmtui.objects.states import NodeRole

NOW = 1_700_000_000.0


class FakeRefused(Exception):
    exit_code = 1


class FakeUnknown(Exception):
    exit_code = 3


class FakeNoQuorum(Exception):
    exit_code = 4


@attrs.define
class Quorum:
    voters: int = 3
    needed: int = 2
    reachable: int = 3
    held: bool = True


@attrs.define
class NodeRow:
    name: str
    id: str
    address: str
    pid: int | None
    role: str
    state: str
    term: int | None
    commit: int | None
    applied: int | None
    last: int | None
    availability: str
    status: str
    disk: str = ""


@attrs.define
class Status:
    cluster: str
    name: str
    term: int
    leader: str | None
    quorum: Quorum
    stale: bool
    nodes: list[NodeRow]
    services: list[Any]
    tasks: dict[str, int]
    faults: list[Any]


def entry(number: int, role: NodeRole = NodeRole.MANAGER) -> NodeEntry:
    return NodeEntry(
        id=f"node{number}".ljust(25, "0"),
        name=f"n{number}",
        role=role,
        address=f"127.0.0.1:{7100 + number}",
        labels={"zone": "abc"[(number - 1) % 3]},
    )
