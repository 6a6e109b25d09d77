"""A member of the consensus as it is on its first day, under the driver that a node runs it with."""

from __future__ import annotations

import random

import trio

from swarmtui.node.consensus import Consensus, Wiring
from swarmtui.node.events import Events
from swarmtui.raft.configuration import Configuration, encode_configuration
from swarmtui.raft.core import RaftCore
from swarmtui.raft.effects import HardState
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.log import Restored
from swarmtui.raft.options import RaftOptions
from swarmtui.store import Store

UNWIRED = Wiring(lambda message: None, lambda effect: None, lambda effect: None, lambda index: None, lambda: None)
"""No network, no disk and nobody who wants to know: what the driver itself does is watched by its core and its store."""


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
