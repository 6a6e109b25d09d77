"""Linearizable reads without a log entry: numbered rounds (dissertation 6.4). Those that a client confirms by itself are in
`attestation`.

A read may be served once (1) an entry of the leader's own term is committed, (2) a majority has answered a message that
left *after* the read was asked for, so that no newer leader existed then, and (3) the commit index of that moment is
applied. All reads asked for since the last round share the next one. Rounds are numbered within a term and never reused,
so a late answer to an old round can never confirm a later read (etcd#20418). A follower's question for a read of its own
left after that was asked for, too, so for this one read it is as good as its answer: of three voters it needs no other.
(Whoever could have led a later term by then had the vote of one of the two, for every configuration that may elect it meets the
leader's own: but the asker had not given it when it asked, nor has the leader now that it answers.)
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import attrs

from swarmtui.raft.effects import ReadReady
from swarmtui.raft.messages import ReadReply
from swarmtui.raft.reasons import Why

if TYPE_CHECKING:
    from swarmtui.raft.core import RaftCore


@attrs.frozen
class Read:
    """`source` is the follower that asked, "" for this node; `ticket` is theirs."""

    ticket: int
    source: str = ""


@attrs.frozen
class Round:
    number: int
    index: int
    reads: tuple[Read, ...]


class ReadRounds:
    """A leader's reads: `waiting` for a round to begin, or in `asked` for a majority to confirm theirs."""

    def __init__(self) -> None:
        self.number = 0
        self.waiting: list[Read] = []
        self.asked: deque[Round] = deque()
        self.size = 0

    def add(self, read: Read) -> None:
        self.waiting.append(read)
        self.size += 1

    @property
    def may_begin(self) -> bool:
        """One round at a time: reads that come meanwhile share the next."""
        return bool(self.waiting) and not self.asked

    def begin(self, commit: int) -> None:
        """Number a new round for all that wait; the caller sends the number to everybody."""
        self.number += 1
        self.asked.append(Round(self.number, commit, tuple(self.waiting)))
        self.waiting.clear()

    def confirm(self, number: int) -> list[Round]:
        """The rounds that are decided now that a majority has confirmed `number`."""
        done = []
        while self.asked and self.asked[0].number <= number:
            done.append(self.asked.popleft())
            self.size -= len(done[-1].reads)
        return done

    def abandon(self) -> list[Read]:
        """Every read that is not decided, to be refused."""
        reads = [read for asked in self.asked for read in asked.reads] + self.waiting
        self.asked.clear()
        self.waiting = []
        self.size = 0
        return reads


class AwaitingApply:
    """Reads of this node whose index is known: ready once it is applied. Questions to a leader are numbered from a drawn
    start, so that no answer to a question of an earlier life is taken for one to a new question."""

    def __init__(self, core: RaftCore, first_number: int) -> None:
        self.core = core
        self._number = first_number
        self._reads: deque[tuple[int, int]] = deque()

    def __len__(self) -> int:
        return len(self._reads)

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def add(self, index: int, ticket: int) -> None:
        """May be served once `index` is applied here; perhaps it is."""
        self._reads.append((index, ticket))
        self.serve()

    def serve(self) -> None:
        """Those that may be served now."""
        while self._reads and self._reads[0][0] <= self.core.applied:
            index, ticket = self._reads.popleft()
            self.core.emit(ReadReady(ticket, index))

    def refuse(self, source: str, ticket: int, why: Why) -> None:
        """Tell the follower that asked us."""
        core = self.core
        core.send(
            ReadReply(
                cluster=core.cluster,
                source=core.node_id,
                target=source,
                term=core.ballot.term,
                ticket=ticket,
                index=0,
                why=why,
            )
        )
