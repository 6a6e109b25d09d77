"""What the manager needs of the node that runs it: a store to read, a way to propose, a way to reach agents.

Protocols only; `node` and `sim` implement them. Errors are sorted by what is known of the proposal.
"""

from __future__ import annotations

from typing import Protocol

import attrs
import trio

from swarmtui.objects.dispatch import DispatchMessage
from swarmtui.objects.events import Narrate
from swarmtui.objects.operations import Result, Transaction
from swarmtui.store import Store


class ProposalRefused(Exception):
    """Certainly not appended: no contact with a quorum, a full disk. Worth trying later, if this is still the leader."""


class LeadershipLost(ProposalRefused):
    """Certainly not appended: this leadership has ended, or is about to; whoever runs the manager will cancel it."""


class OutcomeUnknown(Exception):
    """The proposal may have been appended and may still be applied."""


class Leadership(Protocol):
    """One term in which this node leads. Everything proposed is proposed in exactly this term, or refused."""

    @property
    def term(self) -> int: ...
    @property
    def store(self) -> Store: ...
    async def propose(self, transaction: Transaction) -> Result:
        """Returns when the result is applied here. Raises ProposalRefused (LeadershipLost) or OutcomeUnknown."""
        ...

    async def confirmed(self) -> None:
        """Returns once a quorum has confirmed this leadership in a round that began after the call."""
        ...

    @property
    def narrate(self) -> Narrate: ...
    def now(self) -> float: ...
    def wall(self) -> float: ...
    def new_id(self) -> str: ...


@attrs.frozen
class SessionKey:
    """One session of one node's agent: `node_id` as certified, `session` the agent's own random text, `via` the manager
    that relays it."""

    node_id: str
    session: str
    via: str


@attrs.frozen
class SessionBroken:
    """The connection that carried the session has ended. `reason` is for people."""

    reason: str = ""


class SessionPort(Protocol):
    """Where agents' sessions come in, whichever manager they connected to."""

    @property
    def incoming(self) -> trio.MemoryReceiveChannel[tuple[SessionKey, DispatchMessage | SessionBroken]]: ...
    def send(self, key: SessionKey, message: DispatchMessage) -> None:
        """Never blocks; a message to a session that is gone is dropped."""
        ...

    async def probe(self, node_id: str, address: str) -> bool:
        """Dials. True: the dial was *refused*, which is evidence of death; a dial that succeeds or hangs is none."""
        ...
