"""A member of the consensus as it is on its first day, under the driver that a node runs it with; and one that leads alone, over
a disk that is a promise, so every order of events can be chosen."""

from __future__ import annotations

import random
from typing import Any

import pytest
import trio

from swarmtui.node.consensus import Consensus
from swarmtui.node.events import Events
from swarmtui.node.wiring import Wiring
from swarmtui.objects.operations import Put, Transaction
from swarmtui.raft.configuration import Configuration, Member, encode_configuration
from swarmtui.raft.core import RaftCore
from swarmtui.raft.effects import HardState, Role, Write
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.inputs import CampaignAsked, Written
from swarmtui.raft.log import Restored
from swarmtui.raft.options import RaftOptions
from swarmtui.store import Store

UNWIRED = Wiring(lambda message: None, lambda effect: None, lambda effect: None, lambda index: None, lambda: None)
"""No network, no disk and nobody who wants to know: what the driver itself does is watched by its core and its store."""


class AtOnce:
    """A DiskWorker that does everything in the caller's turn."""

    def begin(self, done: Any, work: Any, *arguments: Any) -> None:
        work(*arguments)

    async def run(self, work: Any, *arguments: Any) -> Any:
        return work(*arguments)


def newborn(members: Configuration, id: str = "a", election_timeout_s: float = 0.5) -> Consensus:
    """The member `id` of these, whose disk has the genesis and nothing else. It runs as soon as the test wires it."""
    genesis = Entry(1, 1, EntryKind.CONFIGURATION, encode_configuration(members))
    core = RaftCore(
        node_id=id,
        cluster="c",
        options=RaftOptions(),
        restored=Restored(HardState(1, "", 1), None, members, (genesis,)),
        draw=random.Random(1).random,
        now=trio.current_time(),
    )
    return Consensus(core, Store(), Events("n1"), election_timeout_s=election_timeout_s)


ALONE = Configuration(voters=(Member("a", "n1", "127.0.0.1:1"),))


class PromisedDisk:
    """Writes are durable when the test says so."""

    def __init__(self, consensus: Consensus) -> None:
        self.writes: list[Write] = []
        self.held = False
        self._consensus = consensus

    def want(self, effect) -> None:
        if isinstance(effect, Write):
            self.writes.append(effect)
            if not self.held:
                self._consensus.feed(Written(effect.sequence))

    def release(self) -> None:
        self.held = False
        self._consensus.feed(Written(self.writes[-1].sequence))


@pytest.fixture
async def alone(nursery):
    return await lead_alone(nursery)


async def lead_alone(nursery):
    consensus = newborn(ALONE)
    disk = PromisedDisk(consensus)
    led = trio.Event()

    def role_changed(effect) -> None:
        if effect.role is Role.LEADER:
            led.set()

    nursery.start_soon(
        consensus.run,
        Wiring(
            send=lambda message: None,
            disk=disk.want,
            role_changed=role_changed,
            applied=lambda index: None,
            moved=lambda: None,
        ),
    )
    consensus.feed(CampaignAsked())
    with trio.fail_after(5):
        await led.wait()
    return consensus, disk


def put(key: str, value: bytes, expected: int | None = None) -> Transaction:
    return Transaction((Put(key, value, expected),))
