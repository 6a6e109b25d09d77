"""Leading is one nursery: opened when the log is applied up to the leader's own first entry, cancelled and *awaited* on
stepping down. A new one on the same node opens only after the old one has ended, so two of them never overlap.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import trio

from swarmtui.manager.leadership import LeadershipLost, OutcomeUnknown, ProposalRefused
from swarmtui.node.bell import Bell
from swarmtui.node.consensus import Consensus
from swarmtui.node.events import Events
from swarmtui.objects.identifiers import new_id
from swarmtui.objects.operations import Result, Transaction
from swarmtui.raft.effects import Role, RoleChanged
from swarmtui.store import Store
from swarmtui.wire.node_calls import Fate
from swarmtui.wire.rules import NOT_LEADER, OVERWRITTEN, WRONG_TERM

log = logging.getLogger("swarmtui.node")

PROPOSAL_TIMEOUT_S = 30.0  # of the manager's own transactions; the step-down usually comes first
LOST_RULES = frozenset({NOT_LEADER, WRONG_TERM, OVERWRITTEN})
REOPEN_DELAY_S = 1.0  # after a manager loop failed unexpectedly


class NodeLeadership:
    """What the manager's loops see of the node that leads, for one term."""

    def __init__(self, consensus: Consensus, events: Events, term: int, confirm_patience_s: float) -> None:
        self.term = term
        self._consensus = consensus
        self._events = events
        self._confirm_patience_s = confirm_patience_s

    @property
    def store(self) -> Store:
        return self._consensus.store

    async def propose(self, transaction: Transaction) -> Result:
        """Its result once applied here. Raises ProposalRefused (certainly not done; LeadershipLost if it never will be
        here) or OutcomeUnknown."""
        (outcome,) = await self._consensus.proposals.submit([transaction], self.term, PROPOSAL_TIMEOUT_S)
        if outcome.result is not None:
            return outcome.result
        if outcome.fate is Fate.UNKNOWN:
            raise OutcomeUnknown(outcome.reason)
        raise (LeadershipLost if outcome.rule in LOST_RULES else ProposalRefused)(outcome.reason)

    async def confirmed(self) -> None:
        """A quorum answers now. Raises LeadershipLost."""
        reason = await self._consensus.reads.confirm(self._confirm_patience_s)
        if reason:
            raise LeadershipLost(reason)

    def narrate(
        self,
        kind: str,
        text: str,
        *,
        object: str = "",  # noqa: A002 - the event's field
        data: Mapping[str, Any] | None = None,
    ) -> None:
        self._events.tell(kind, text, term=self.term, index=self.store.index, object=object, data=data)

    def now(self) -> float:
        return trio.current_time()

    def wall(self) -> float:
        return time.time()

    def new_id(self) -> str:
        return new_id()


class LeadershipKeeper:
    """Opens and closes leaderships as roles change. `lead` runs everything that only a leader runs, until cancelled."""

    def __init__(self, consensus: Consensus, events: Events, *, election_timeout_s: float) -> None:
        self._consensus = consensus
        self._events = events
        self._election_timeout_s = election_timeout_s
        self._bell = Bell()
        self._wanted: RoleChanged | None = None
        self._scope: trio.CancelScope | None = None
        self.open_term = 0  # of the leadership that is open now, 0: none

    def role_changed(self, effect: RoleChanged) -> None:
        self._wanted = effect if effect.role is Role.LEADER else None
        if self._scope is not None:
            self._scope.cancel()
        self._bell.ring()

    def applied(self, _index: int) -> None:
        if self._wanted is not None and not self.open_term:
            self._bell.ring()

    async def run(self, lead: Callable[[NodeLeadership], Awaitable[None]]) -> None:
        """Until cancelled."""
        while True:
            await self._bell.heard()
            wanted = self._wanted
            if wanted is None or self._consensus.store.index < wanted.first_index:
                continue
            await self._lead(wanted, lead)
            self._bell.ring()

    async def _lead(self, wanted: RoleChanged, lead: Callable[[NodeLeadership], Awaitable[None]]) -> None:
        leadership = NodeLeadership(self._consensus, self._events, wanted.term, self._election_timeout_s)
        failure = ""
        with trio.CancelScope() as self._scope:
            self.open_term = wanted.term
            try:
                await lead(leadership)
            except* (ProposalRefused, OutcomeUnknown) as lost:
                failure = f"leadership of term {wanted.term} ended: {lost.exceptions[0]}"
            except* Exception as broken:
                # A fault of this program. It must not take manager after manager down with it: told, and begun anew.
                log.exception("leading term %d", wanted.term)
                failure = f"leadership of term {wanted.term} failed and begins anew: {broken.exceptions[0]!r}"
            finally:
                self.open_term = 0
        self._scope = None
        if failure and self._wanted is wanted:
            # Still leader by raft's account: look again shortly, with everything read anew.
            self._events.tell("raft", failure, term=wanted.term)
            with trio.move_on_after(REOPEN_DELAY_S):
                while self._wanted is wanted:
                    await self._bell.heard()
