"""The term, this node's vote in it, and what of them the disk has: what must never be forgotten (paper, figure 2).

A new term or vote counts at once, and binds at once: there is one vote in a term. It may be *told* only once the Write that
carries it is durable, for whoever forgot it in a crash could vote again in that term. So a candidate asks for votes, and a
voter answers, no sooner (`is_durable`). One answer at most waits (`owed`): a change after it makes it void, since it is for
a term that is over.

The commit index travels in the same record whenever one is written; alone it is worth no Write.

It knows the log by the sequence numbers of its Writes alone. It never decides who gets a vote (`voting`), and never
writes, sends or looks at a clock: the core does, with what stands here.
"""

from __future__ import annotations

from swarmtui.raft.effects import HardState
from swarmtui.raft.invariants import require
from swarmtui.raft.messages import VoteReply


class Ballot:
    """`term` and `vote` ("" while for nobody) as they are, durable or not; `changed` until a Write has taken them. `voted_at`
    is when this node voted for another, while that one may still be on its way to be elected."""

    def __init__(self, known: HardState, log_term: int) -> None:
        """`known` is what the disk had; `log_term` the term of the newest entry, or of the snapshot."""
        self.term, self.vote = known.term, known.vote
        if log_term > self.term:  # a snapshot arrived in a term that had not reached the disk
            self.term, self.vote = log_term, ""
        self.voted_at: float | None = None
        self.owed: VoteReply | None = None
        self.changed = False
        self._sequence = 0  # the Write that makes (term, vote) durable
        self._commit_taken = known.commit

    def change(self, term: int, vote: str, sequence: int) -> None:
        """Enter a term, or vote in this one; Write `sequence`, the next one, will carry it."""
        require(term > self.term or (term == self.term and not self.vote), "one vote in a term", term=term, vote=vote)
        self.term, self.vote = term, vote
        self.owed = None
        self.changed = True
        self._sequence = sequence

    def is_durable(self, completed: int) -> bool:
        """Whether (term, vote) may be told, now that all Writes up to `completed` are durable."""
        return completed >= self._sequence

    def take(self, commit: int) -> HardState | None:
        """What the Write that leaves now has to carry of this; None if an earlier one did."""
        if not self.changed and commit <= self._commit_taken:
            return None
        self.changed, self._commit_taken = False, commit
        return HardState(self.term, self.vote, commit)
