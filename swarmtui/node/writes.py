"""A client's write on whichever node it arrives: here if this node leads, else forwarded, once, to the leader.

While no leader is known the request waits, at most two election timeouts, so that a client does not notice an election;
after that it is refused with the quorum's arithmetic. What certainly was not sent is tried again with the next leader;
what was sent and not answered is *unknown* and never sent twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import attrs
import trio

from swarmtui.node.consensus import Consensus
from swarmtui.wire.node_calls import PROPOSAL_TIMEOUT_MAX_S, Fate, Outcome, Propose, Proposed
from swarmtui.wire.responder import Pending
from swarmtui.wire.rules import LOST, NO_LEADER, NO_QUORUM, NOT_LEADER, TRANSFER, WRONG_TERM

ELECTION_TIMEOUTS_MAX = 2  # a write waits for a leader this long
LOOK_AGAIN_S = 0.005  # at a leader that could not be reached or does not take anything; another one wakes us
LOST_LEADER_S = 0.1  # for this long a client is believed that its leader is dead; if it lives, we hear it until then
# Refusals by a leader that mean "ask the next one": nothing was appended.
RETRY_RULES = frozenset({NOT_LEADER, WRONG_TERM, TRANSFER})


class NotSent(Exception):
    """The request did not leave this node: certainly not appended anywhere."""


class Lost(Exception):
    """The request left and no answer came back."""


Forward = Callable[[str, Propose, float], Awaitable[Proposed]]
"""Sends to this node id with this patience. Raises NotSent or Lost."""


class Writes:
    def __init__(
        self,
        node_id: str,
        consensus: Consensus,
        forward: Forward,
        reachable: Callable[[], Sequence[str]],
        election_timeout_s: float,
    ) -> None:
        self._node_id = node_id
        self._consensus = consensus
        self._forward = forward
        self._reachable = reachable
        self._patience_s = ELECTION_TIMEOUTS_MAX * election_timeout_s

    def begin(self, call: Propose) -> Pending | Coroutine[Any, Any, Proposed]:
        """The answer. Where this node leads it comes about without a task that waits for it; unless the lead is lost before
        the call is appended, then a task goes on with it."""
        leader, term = self._consensus.reign
        if leader != self._node_id:
            return self.propose(call)
        pending = Pending()
        timeout_s = min(call.timeout_s, PROPOSAL_TIMEOUT_MAX_S)
        deadline = trio.current_time() + timeout_s

        def decided(outcomes: tuple[Outcome, ...]) -> None:
            if isinstance(self._or_retry(outcomes), str):
                left_s = deadline - trio.current_time()
                pending.leave_to(self.propose(attrs.evolve(call, timeout_s=left_s)))
            else:
                pending.give(Proposed(self._with_arithmetic(outcomes)))

        self._consensus.proposals.begin(call.bundle, term, timeout_s, decided)
        return pending

    async def propose(self, call: Propose) -> Proposed:
        timeout_s = min(call.timeout_s, PROPOSAL_TIMEOUT_MAX_S)
        deadline = trio.current_time() + timeout_s
        give_up = min(deadline, trio.current_time() + self._patience_s)
        reason = ""
        while True:
            left_s = deadline - trio.current_time()
            await self._let_lost_leader_go(call)
            outcomes = await self._once(call, left_s)
            if isinstance(outcomes, tuple):
                return Proposed(outcomes)
            reason = outcomes or reason
            if trio.current_time() >= give_up or call.forwarded:
                return Proposed((self._refusal(reason),) * call.count)
            with trio.move_on_at(give_up if not self._consensus.reign[0] else trio.current_time() + LOOK_AGAIN_S):
                await self._consensus.reign_changed()

    async def _let_lost_leader_go(self, call: Propose) -> None:
        """The client has seen the leader die and we have not: wait for what comes next, a little while."""
        if call.lost and call.lost != self._node_id:
            with trio.move_on_after(LOST_LEADER_S):
                while self._consensus.reign[0] == call.lost:
                    await self._consensus.reign_changed()

    async def _once(self, call: Propose, left_s: float) -> tuple[Outcome, ...] | str:
        """The outcomes, or why there was no leader to ask."""
        leader, term = self._consensus.reign
        if leader == self._node_id:
            outcomes = await self._consensus.proposals.submit_encoded(call.bundle, term, left_s)
            return self._or_retry(self._with_arithmetic(outcomes))
        if call.forwarded or not leader:
            return "no leader is known"
        try:
            answer = await self._forward(leader, Propose(call.bundle, left_s, forwarded=True), left_s)
        except NotSent as error:
            return str(error)
        except Lost as error:
            unknown = Outcome(
                Fate.UNKNOWN, rule=LOST, reason=f"sent to the leader, but {error}; read it again before you repeat it"
            )
            return (unknown,) * call.count
        return self._or_retry(answer.outcomes)

    @staticmethod
    def _or_retry(outcomes: tuple[Outcome, ...]) -> tuple[Outcome, ...] | str:
        if outcomes and all(outcome.fate is Fate.REFUSED and outcome.rule in RETRY_RULES for outcome in outcomes):
            return outcomes[0].reason
        return outcomes

    def _with_arithmetic(self, outcomes: tuple[Outcome, ...]) -> tuple[Outcome, ...]:
        """A leader that is in contact with too few refuses as a follower would: with the same count."""
        if outcomes[0].rule != NO_QUORUM:  # of one call none or all are
            return outcomes
        status = self._consensus.status()
        found = self._no_quorum(len(set(self._reachable()) & set(status.configuration.voter_ids)))
        return tuple([found if outcome.rule == NO_QUORUM else outcome for outcome in outcomes])

    def _no_quorum(self, reachable: int) -> Outcome:
        voters = len(self._consensus.status().configuration.voters)
        needed = voters // 2 + 1
        text = f"no quorum: {reachable} of {voters} managers answer, {needed} are needed"
        return Outcome(Fate.REFUSED, rule=NO_QUORUM, reason=text, reachable=reachable, needed=needed, voters=voters)

    def _refusal(self, reason: str) -> Outcome:
        """No leader: say how many managers answer and how many are needed."""
        configuration = self._consensus.status().configuration
        voters = len(configuration.voters)
        needed = voters // 2 + 1
        reachable = len(set(self._reachable()) & set(configuration.voter_ids))
        if reachable < needed:
            return self._no_quorum(reachable)
        text = f"no leader yet ({reason}): {reachable} of {voters} managers answer, an election is under way; try again"
        return Outcome(Fate.REFUSED, rule=NO_LEADER, reason=text, reachable=reachable, needed=needed, voters=voters)
