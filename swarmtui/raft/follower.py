"""Following: take entries from the leader, answer for what is durable, and watch the election timer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from swarmtui.raft.effects import ReadRefused, Role
from swarmtui.raft.entries import Entry
from swarmtui.raft.invariants import require
from swarmtui.raft.messages import (
    AnyMessage,
    Append,
    AppendReply,
    ReadReply,
    ReadRequest,
    SnapshotChunk,
    TimeoutNow,
    VoteRequest,
)
from swarmtui.raft.reasons import Why
from swarmtui.raft.timers import ElectionTimer

if TYPE_CHECKING:
    from swarmtui.raft.core import RaftCore


NOTHING_YET = -1


@attrs.define
class Forwarded:
    """A read that the leader was asked about."""

    ticket: int
    asked_at: float


class Follower:
    """`verified` is the last index known to agree with this leader's log; only up to there does its commit index count,
    and only up to there, as far as it is durable, does the leader get an acknowledgement. `acknowledged` is what it was
    told last, `NOTHING_YET` in a session in which nothing was verified."""

    def __init__(self, core: RaftCore, leader: str, timer: ElectionTimer) -> None:
        self.core = core
        self.leader = leader
        self.timer = timer
        self.heard_at: float | None = None  # None also after a hint that the leader is gone
        self.verified = 0
        self.acknowledged = NOTHING_YET
        self.session = 0
        self.round = 0
        self.reply_due = False
        self.forwarded: dict[int, Forwarded] = {}
        self.turned_away: dict[
            str, VoteRequest
        ] = {}  # early pre-votes refused for this leader, since it was last heard

    @property
    def kind(self) -> Role:
        return Role.FOLLOWER if self.core.is_voter else Role.LEARNER

    def deadline(self) -> float | None:
        due = self.timer.expires_at
        if self.forwarded:
            oldest = next(iter(self.forwarded.values()))
            due = min(due, oldest.asked_at + self.core.options.read_timeout_s)
        return due

    def contact_age(self) -> float | None:
        """Seconds since the leader was heard, while the rule holds that a living leader is not to be deposed."""
        if self.heard_at is None:
            return None
        age = self.core.now - self.heard_at
        return age if age < self.core.options.election_timeout_s else None

    def tick(self) -> None:
        core = self.core
        while self.forwarded:
            number, oldest = next(iter(self.forwarded.items()))
            if core.now < oldest.asked_at + core.options.read_timeout_s:
                break
            del self.forwarded[number]
            waited_ms = round(core.options.read_timeout_s * 1000)
            why = Why("leader-silent", leader=core.name(self.leader), waited_ms=waited_ms)
            core.emit(ReadRefused(oldest.ticket, why))
        if core.now >= self.timer.expires_at:
            timer_ms = round(self.timer.total_s * 1000)
            core.begin_election(Why("timer", timer_ms=timer_ms) if timer_ms else Why("only-voter"))

    def gap(self) -> None:
        if self.heard_at is not None:
            self.heard_at = self.core.now
        self.timer = self.core.new_timer()

    def end(self) -> None:
        """This role is over: what it began is answered."""
        self.abandon_reads(Why("leader-changed"))

    def abandon_reads(self, why: Why) -> None:
        for waiting in self.forwarded.values():
            self.core.emit(ReadRefused(waiting.ticket, why))
        self.forwarded.clear()

    def forget_leader(self) -> None:
        """A hint says that it is gone; if it is not, its next message brings it back."""
        self.leader, self.heard_at = "", None
        self.abandon_reads(Why("leader-gone"))

    # ---- messages of the same term ----

    def receive(self, message: AnyMessage) -> None:
        if type(message) is Append:
            self.on_append(message)
        elif type(message) is SnapshotChunk:
            self._heard(message.source, message.session, message.round)
            self.core.incoming.on_chunk(message)
        elif type(message) is ReadReply:
            self.on_read_reply(message)
        elif type(message) is ReadRequest:
            self.core.reads.refuse(message.source, message.ticket, self.core.why_not_leading())
        elif type(message) is TimeoutNow and message.source == self.leader:
            self.core.begin_election(Why("transfer-asked", by=self.core.name(message.source)), transfer=True)

    def _heard(self, leader: str, session: int, round_number: int) -> None:
        core = self.core
        if leader != self.leader:
            require(not self.leader, "one leader in a term", term=core.ballot.term, leader=self.leader, other=leader)
            self.leader = leader
            core.announce(Why("leader-heard", leader=core.name(leader)))
        core.hurry = None
        self.turned_away.clear()
        self.heard_at = self.timer.started_at = core.now
        if session != self.session:
            self.session, self.acknowledged = session, NOTHING_YET
        self.round = max(self.round, round_number)

    def on_append(self, message: Append) -> None:
        core, log, entries = self.core, self.core.log, message.entries
        self._heard(message.source, message.session, message.round)
        if core.incoming.is_installing:
            # The log is about to be replaced, which may take seconds: the leader shall hear us meanwhile. What we answered
            # for before, we still can: the snapshot has it, or it stays behind it.
            self.reply_due = True
            return
        previous = message.previous_index
        if entries and not _is_sound(message):
            core.drop(message, Why("malformed/entries", previous=message.previous_index, first=entries[0].index))
            return
        if entries and (waiting := log.bytes_between(core.applied, log.commit)) > core.options.uncommitted_bytes_max:
            core.drop(
                message, Why("overload/apply", waiting_bytes=waiting, limit_bytes=core.options.uncommitted_bytes_max)
            )
            return  # as if it were lost: its sender asks again at the next heartbeat
        if previous > log.commit and log.term_at(previous) != message.previous_term:
            self._reject(message)
            return
        known = log.term_at(previous)
        require(
            known is None or known == message.previous_term,
            "committed entries agree with the leader's",
            index=previous,
            here=known,
            leader=message.previous_term,
        )
        last = previous + len(entries)
        if self.acknowledged == NOTHING_YET:
            self.acknowledged = min(previous, log.durable)
        if entries:
            self._store(entries, previous)
        self.verified = max(self.verified, last)
        self._learn_commit(message.commit)
        if last <= log.durable or not entries:
            self.reply_due = True  # else the reply waits for the disk

    def _learn_commit(self, index: int) -> None:
        """The leader's commit index, from an Append or the answer to a read. It waits for a snapshot that takes the log's
        place: that ends where it was made, and never takes a commit index back."""
        if not self.core.incoming.is_installing:
            self.core.commit_to(min(index, self.verified))

    def _store(self, entries: tuple[Entry, ...], previous: int) -> None:
        """Append what is new. Entries that are here already stay, also those behind a stale message's end."""
        core, log = self.core, self.core.log
        if previous != log.last:
            skip = 0
            for entry in entries:
                term = log.term_at(entry.index)
                if entry.index > log.base and term != entry.term:
                    if term is not None:
                        core.truncate(entry.index - 1)
                    break
                skip += 1
            entries = entries[skip:]
        if entries:
            core.append(entries)

    def _reject(self, message: Append) -> None:
        """Say where the logs can still agree: below the leader's term there, and never below what is committed."""
        core, log = self.core, self.core.log
        at = max(log.commit, log.search(message.previous_index, message.previous_term))
        index, asked = message.previous_index, message.previous_term
        why = Why("conflict", index=index, asked=asked, here=log.term_at(index) or 0, go_on_at=at)
        core.narrate("append refused", why, to=core.name(message.source))
        core.send(
            AppendReply(
                cluster=core.cluster,
                source=core.node_id,
                target=message.source,
                term=core.ballot.term,
                session=message.session,
                accepted=False,
                match=0,
                previous_index=message.previous_index,
                conflict_index=at,
                conflict_term=log.term_at(at) or 0,
                round=self.round,
            )
        )

    def on_read_reply(self, message: ReadReply) -> None:
        waiting = self.forwarded.pop(message.ticket, None)
        if waiting is None:
            return
        if message.index:
            self._learn_commit(message.index)
            self.core.reads.add(message.index, waiting.ticket)
        else:
            why = message.why or Why("no-reason", by=self.core.name(message.source))
            self.core.emit(ReadRefused(waiting.ticket, why))

    # ---- what is asked of this node ----

    def ask_read(self, ticket: int) -> None:
        core = self.core
        waiting = len(self.forwarded) + len(core.reads)
        if not self.leader:
            core.emit(ReadRefused(ticket, Why("no-leader")))
        elif waiting >= core.options.reads_waiting_max:
            core.emit(ReadRefused(ticket, Why("too-many-reads", waiting=waiting)))
        else:
            number = core.reads.next_number()
            self.forwarded[number] = Forwarded(ticket, core.now)
            core.send(
                ReadRequest(
                    cluster=core.cluster, source=core.node_id, target=self.leader, term=core.ballot.term, ticket=number
                )
            )

    def reachable(self, peer: str) -> None:
        """Nothing to send again: the leader speaks first."""

    def unreachable(self, peer: str) -> None:
        """Nothing is in flight from here; a lost answer is given again at the next heartbeat."""

    # ---- before each drain ----

    def _has_news(self) -> bool:
        """More of what is verified has become durable since the leader was told."""
        return self.acknowledged != NOTHING_YET and min(self.verified, self.core.log.durable) > self.acknowledged

    def flush(self) -> None:
        """One answer for all that became durable since the last, and for all that asked for one."""
        log = self.core.log
        if not self.leader or not (self.reply_due or self._has_news()):
            return
        self.reply_due = False
        agreed = max(self.verified, log.commit)  # a leader has all that is committed (leader completeness)
        match = min(agreed, log.durable)
        self.acknowledged = match
        core = self.core
        core.send(
            AppendReply(
                cluster=core.cluster,
                source=core.node_id,
                target=self.leader,
                term=core.ballot.term,
                session=self.session,
                accepted=True,
                match=match,
                previous_index=agreed,
                round=self.round,
            )
        )


def _is_sound(message: Append) -> bool:
    """Whether the entries follow the previous one and belong to the leader's past."""
    entries, previous = message.entries, message.previous_index
    return (
        entries[0].index == previous + 1
        and entries[-1].index == previous + len(entries)
        and message.previous_term <= entries[0].term
        and entries[-1].term <= message.term
    )
