"""Standing for election: first ask whether it would succeed (pre-vote), then stand in a new term.

A real candidate asks for votes only once its own vote is durable: were it to forget it in a crash, it could come back with
a shorter log and still be elected by grants that were meant for the longer one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmtui.raft.effects import ReadRefused, Role
from swarmtui.raft.messages import AnyMessage, ReadRequest, VoteReply, VoteRequest
from swarmtui.raft.quorum import Tally
from swarmtui.raft.reasons import Why
from swarmtui.raft.timers import ElectionTimer

if TYPE_CHECKING:
    from swarmtui.raft.core import RaftCore


class Candidate:
    """`votes` by id; a grant is never taken back. `pre`: nothing is bound yet, the term is still the old one."""

    leader = ""

    def __init__(self, core: RaftCore, timer: ElectionTimer, cause: Why, pre: bool, transfer: bool) -> None:
        self.core = core
        self.timer = timer
        self.cause = cause
        self.pre = pre
        self.transfer = transfer
        self.asked = False
        self.asked_at = core.now
        self.votes: dict[str, bool] = {}

    @property
    def kind(self) -> Role:
        return Role.PRE_CANDIDATE if self.pre else Role.CANDIDATE

    def deadline(self) -> float | None:
        return self.timer.expires_at

    def make_way(self, rival: str) -> None:
        """Another asks for an early pre-vote too, and comes first by id: let grants to ourselves come to nothing, lest both
        stand and split the votes. The hurry will ask again."""
        if self.pre and rival < self.core.node_id:
            self.asked = False

    def is_overdue(self) -> bool:
        """Everybody was asked long enough ago: the votes are split or lost."""
        return self.asked and self.core.now >= self.asked_at + self.core.options.hurry_patience_s

    def contact_age(self) -> float | None:
        """A candidate hears no leader."""
        return None

    def begin(self) -> None:
        """Ask everybody; a real candidate waits for its own vote to be durable (see `written`)."""
        if self.pre or self.core.hard_state_is_durable:
            self._ask_everybody()

    def written(self) -> None:
        """Writes completed: perhaps our own vote among them."""
        if not self.pre and not self.asked and self.core.hard_state_is_durable:
            self._ask_everybody()

    def _ask_everybody(self) -> None:
        core = self.core
        self.asked, self.asked_at = True, core.now
        for peer in core.members.voters:
            if peer != core.node_id:
                self._ask(peer)
        self._count(core.node_id, True)

    def _ask(self, peer: str) -> None:
        core = self.core
        core.send(
            VoteRequest(
                cluster=core.cluster,
                source=core.node_id,
                target=peer,
                term=core.ballot.term + 1 if self.pre else core.ballot.term,
                last_index=core.log.last,
                last_term=core.log.last_term,
                pre=self.pre,
                transfer=self.transfer,
            )
        )

    def receive(self, message: AnyMessage) -> None:
        if type(message) is ReadRequest:
            self.core.reads.refuse(message.source, message.ticket, Why("no-leader"))

    def on_vote_reply(self, message: VoteReply) -> None:
        """Grants count only for the very election that asked; refusals come from any term up to ours."""
        if message.pre != self.pre or not self.asked:
            return  # to another question, or to one that was taken back
        if message.granted:
            if message.term == self.core.ballot.term + (1 if self.pre else 0):
                self._count(message.source, True)
        else:
            by = self.core.name(message.source)
            why = message.why or Why("no-reason", by=by)
            self.core.narrate("pre-vote refused" if self.pre else "vote refused", why, by=by)
            if not self.votes.get(message.source):
                self._count(message.source, False)

    def _count(self, voter: str, granted: bool) -> None:
        core = self.core
        self.votes[voter] = granted
        tally = core.members.quorum.tally(self.votes)
        if tally is Tally.WON:
            if self.pre:
                core.stand(self.cause, self.transfer)
            else:
                core.lead(self.cause, self.votes)
        elif tally is Tally.LOST and not self.pre:
            refused = sum(not vote for vote in self.votes.values())
            core.follow(core.ballot.term, "", Why("election-lost", refused=refused, voters=len(core.members.voters)))
        # A lost pre-vote binds nothing: wait for the hurry's next attempt or the timer.

    def tick(self) -> None:
        if self.core.now >= self.timer.expires_at:
            self.core.begin_election(Why("timer", timer_ms=round(self.timer.total_s * 1000)))

    def gap(self) -> None:
        self.timer = self.core.new_timer()

    def end(self) -> None:
        """Nothing was begun that needs an answer."""

    def ask_read(self, ticket: int) -> None:
        self.core.emit(ReadRefused(ticket, Why("no-leader")))

    def reachable(self, peer: str) -> None:
        """Ask again over the new connection: the first request may have been lost with the old one."""
        if self.asked and peer in self.core.members.voters and peer not in self.votes:
            self._ask(peer)

    def unreachable(self, peer: str) -> None:
        """The timer repeats what was lost."""

    def flush(self) -> None:
        """Everything left when it happened."""
