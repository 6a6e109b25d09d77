"""One member of the consensus: what is fed to it, what it wants done, what it says of itself.

The role (follower, candidate, leader) is an object that holds only its own data; here is what outlives a role: the term
and the vote, the log, the members, and how much of the log the state machine has.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from swarmtui.raft.candidate import Candidate
from swarmtui.raft.configuration import Configuration
from swarmtui.raft.effects import (
    Apply,
    Compact,
    Effect,
    HardState,
    Narrate,
    ReadReady,
    Refused,
    RoleChanged,
    Send,
)
from swarmtui.raft.entries import Entry
from swarmtui.raft.follower import Follower
from swarmtui.raft.incoming import Incoming
from swarmtui.raft.inputs import (
    Applied,
    CampaignAsked,
    ChunkRead,
    ChunkWritten,
    Gap,
    Input,
    LeaderLost,
    Proposed,
    Reachable,
    ReadAsked,
    Received,
    SnapshotInstalled,
    SnapshotTaken,
    Tick,
    TransferAsked,
    Unreachable,
    Written,
)
from swarmtui.raft.invariants import check, require
from swarmtui.raft.leader import Leader
from swarmtui.raft.log import Log, Restored
from swarmtui.raft.members import Members
from swarmtui.raft.messages import (
    AnyMessage,
    Append,
    AppendReply,
    Message,
    ReadReply,
    SnapshotChunk,
    SnapshotMark,
    VoteReply,
    VoteRequest,
)
from swarmtui.raft.options import RaftOptions
from swarmtui.raft.progress import Progress
from swarmtui.raft.status import Status
from swarmtui.raft.status_of import status_of
from swarmtui.raft.timers import ElectionTimer, Hurry
from swarmtui.raft.voting import answer_vote_request

READ_NUMBERS = 1 << 40  # follower's reads are numbered from a drawn start, so that no answer outlives a restart
DISK_PATIENCE = 2  # election timeouts a leader waits for its own disk


class RaftCore:
    """Feed inputs, drain effects, read the status. Nothing here blocks, and nothing happens but in `feed` and `drain`.

    `draw` gives a float in [0, 1): the caller's randomness. `now` is the caller's monotonic clock, in seconds. `handed` is
    how far entries were given out to be applied, `applied` how far that was reported done.
    """

    def __init__(
        self,
        *,
        node_id: str,
        cluster: str,
        options: RaftOptions,
        restored: Restored,
        draw: Callable[[], float],
        now: float,
    ) -> None:
        self.node_id = node_id
        self.cluster = cluster
        self.options = options
        self.now = now
        self.draw = draw
        self.log = Log.restore(restored)
        self.snapshot = restored.snapshot
        self.applied = self.handed = restored.snapshot.index if restored.snapshot else 0
        self.members = Members(restored.configuration, self.applied)
        self.members.append(self.log.between(self.applied + 1, self.log.last))
        self.term, self.vote = restored.hard_state.term, restored.hard_state.vote
        if self.log.last_term > self.term:  # a snapshot arrived in a term that had not reached the disk
            self.term, self.vote = self.log.last_term, ""
        self.hurry: Hurry | None = None
        self.incoming = Incoming(self)
        self.disk_patience_s = options.election_timeout_s * DISK_PATIENCE
        self._hard_state_sequence = 0  # the Write that makes (term, vote) durable
        self._hard_state_changed = False
        self._commit_written = restored.hard_state.commit
        self._vote_reply: VoteReply | None = None  # granted, waiting for its vote to be durable
        self._voted_at: float | None = None
        self._reads: deque[tuple[int, int]] = deque()  # (index, ticket): ready once index is applied
        self._read_number = int(draw() * READ_NUMBERS)
        self._effects: list[Effect] = []
        self.role: Follower | Candidate | Leader = Follower(self, "", self.new_timer())
        self._inputs: dict[type, Callable[[Any], None]] = {
            Tick: self._on_tick,
            Gap: self._on_gap,
            Received: self._on_received,
            Proposed: self._on_proposed,
            Written: self._on_written,
            Applied: self._on_applied,
            LeaderLost: self._on_leader_lost,
            Unreachable: lambda event: self.role.unreachable(event.peer),
            Reachable: lambda event: self.role.reachable(event.peer),
            ReadAsked: lambda event: self.role.ask_read(event.ticket),
            TransferAsked: self._on_transfer_asked,
            CampaignAsked: self._on_campaign_asked,
            SnapshotTaken: self._on_snapshot_taken,
            ChunkRead: self._on_chunk_read,
            ChunkWritten: self.incoming.on_written,
            SnapshotInstalled: self.incoming.on_installed,
        }

    # ---- the three verbs ----

    def feed(self, event: Input, now: float) -> None:
        """Something happened at `now`. Many inputs may be fed before one drain: their writes become one."""
        self.now = max(now, self.now)
        self._inputs[type(event)](event)

    def drain(self) -> list[Effect]:
        """What must be done, in this order. Raises InvariantViolation: the node has to stop."""
        self.role.flush()
        self.write_now()
        self._hand_out()
        check(self)
        effects, self._effects = self._effects, []
        return effects

    def status(self, now: float) -> Status:
        return status_of(self, max(now, self.now))

    @property
    def deadline(self) -> float | None:
        """When the next Tick is due."""
        due = self.role.deadline()
        if self.hurry is not None:
            return self.hurry.due_at if due is None else min(due, self.hurry.due_at)
        return due

    def entries(self, first: int, last: int) -> list[Entry]:
        """Entries [first, last], as far as they are in memory."""
        return self.log.between(first, last)

    def term_at(self, index: int) -> int | None:
        return self.log.term_at(index)

    def configuration_at(self, index: int) -> Configuration:
        """Who was a member after this entry: what a snapshot of that state must carry."""
        return self.members.at(index)

    # ---- inputs ----

    def _on_tick(self, event: Tick) -> None:
        if self.hurry is not None and self.now >= self.hurry.due_at:
            self._hurry_on(self.hurry)
        self.role.tick()

    def _on_gap(self, event: Gap) -> None:
        self.hurry = None
        self.log.forgive_disk(self.now)
        self.role.gap()
        self.narrate("gap")

    def _on_received(self, event: Received) -> None:
        message = event.message
        if not self._is_ours(message):
            return
        kind = type(message)
        if kind is VoteRequest:
            answer_vote_request(self, message)  # type: ignore[arg-type]
            return
        speaks_as_leader = kind is Append or kind is SnapshotChunk
        if message.term > self.term and not (kind is VoteReply and message.pre and message.granted):  # type: ignore[union-attr]
            self.follow(message.term, "", f"saw term {message.term} of {self.name(message.source)}")
        if kind is VoteReply:
            if isinstance(self.role, Candidate):
                self.role.on_vote_reply(message)  # type: ignore[arg-type]
        elif message.term < self.term:
            self._answer_stale(message, speaks_as_leader)
        else:
            if speaks_as_leader and not isinstance(self.role, Follower):
                require(not isinstance(self.role, Leader), "one leader in a term", term=self.term, other=message.source)
                self.follow(self.term, message.source, f"heard from leader {self.name(message.source)}")
            self.role.receive(message)

    def _is_ours(self, message: AnyMessage) -> bool:
        """Before the term is looked at: right cluster, right addressee, a sender that may speak."""
        if message.cluster != self.cluster:
            self.drop(message, f"of cluster {message.cluster}")
        elif message.target != self.node_id:
            self.drop(message, f"for {message.target}")
        elif message.source == self.node_id or message.term < 1:
            self.drop(message, f"malformed, term {message.term}")
        elif message.source in self.members.removed:
            self.drop(message, "its sender was removed")
        else:
            return True
        return False

    def _answer_stale(self, message: AnyMessage, speaks_as_leader: bool) -> None:
        """A leader of an older term learns of ours; so does a candidate stuck above its leader free the cluster."""
        if speaks_as_leader:
            assert isinstance(message, Append | SnapshotChunk)
            self.send(
                AppendReply(
                    cluster=self.cluster,
                    source=self.node_id,
                    target=message.source,
                    term=self.term,
                    session=message.session,
                    accepted=False,
                    match=0,
                    previous_index=0,
                )
            )

    def _on_proposed(self, event: Proposed) -> None:
        if isinstance(self.role, Leader):
            self.role.propose(event)
        else:
            known = f"the leader is {self.name(self.role.leader)}" if self.role.leader else "no leader is known"
            self.emit(Refused(event.ticket, "not-leader", f"{self.name(self.node_id)} does not lead, {known}"))

    def _on_written(self, event: Written) -> None:
        if not self.log.complete(event.sequence):
            return
        if self._vote_reply is not None and self.hard_state_is_durable:
            self.send(self._vote_reply)
            self._vote_reply = None
        if not isinstance(self.role, Follower):
            self.role.written()

    def _on_applied(self, event: Applied) -> None:
        require(event.index <= self.handed, "applied <= handed", applied=event.index, handed=self.handed)
        self.applied = max(self.applied, event.index)
        self._serve_reads()

    def _on_leader_lost(self, event: LeaderLost) -> None:
        """Forget that leader's contact, here only, and hurry: safe whether the hint is true or not."""
        role = self.role
        if not isinstance(role, Follower) or role.leader != event.leader or event.term != self.term:
            return
        left_ms = max(0.0, role.timer.expires_at - self.now) * 1000
        cause = f"connection to leader refused, {left_ms:.0f} ms left on the timer"
        role.forget_leader()
        if self.options.hurry and self.is_voter and self.hurry is None:
            rank = [id for id in self.members.voters if id != event.leader].index(self.node_id)
            self.hurry = Hurry.begin(cause, rank, self.options, self.now)
            if self.now >= self.hurry.due_at:
                self._hurry_on(self.hurry)
        if self.role is role:
            self.announce(cause)

    def _hurry_on(self, hurry: Hurry) -> None:
        """One early pre-vote; our own candidacy, if it is fresh, is given time first."""
        role = self.role
        if isinstance(role, Candidate) and not role.pre and not role.is_overdue():
            hurry.hold(self.options, self.now)
            return
        if not hurry.next_attempt(self.options, self.now):
            self.hurry = None
        if not isinstance(role, Leader):
            self.begin_election(hurry.cause, timer=role.timer)

    def _on_transfer_asked(self, event: TransferAsked) -> None:
        if isinstance(self.role, Leader):
            self.role.begin_transfer(event.ticket, event.target)
        else:
            self.emit(Refused(event.ticket, "not-leader", f"{self.name(self.node_id)} does not lead"))

    def _on_campaign_asked(self, event: CampaignAsked) -> None:
        if not isinstance(self.role, Leader) and self.role.contact_age() is None:
            self.begin_election("first manager of a new cluster")

    def _on_snapshot_taken(self, event: SnapshotTaken) -> None:
        mark = event.mark
        require(mark.index <= self.applied, "a snapshot holds what is applied", mark=mark.index, applied=self.applied)
        if self.snapshot is not None and mark.index <= self.snapshot.index:
            return
        self.snapshot = mark
        keep_after = self._keep_after(mark.index)
        if self.log.compact(keep_after):
            self.members.compact(keep_after)
            self.emit(Compact(keep_after))

    def _keep_after(self, index: int) -> int:
        """Up to where the log may go: the newest few entries stay, and what followers in contact still need, within limits."""
        keep_after = index - self.options.keep_entries
        if isinstance(self.role, Leader):
            keep_after = min(keep_after, self.role.needed_after())
        log = self.log
        keep_after = max(keep_after, log.base)
        if log.bytes_between(keep_after, index) > self.options.keep_bytes_max:
            keep_after = log.cut_to_bytes(index, self.options.keep_bytes_max)
        return keep_after

    def _on_chunk_read(self, event: ChunkRead) -> None:
        if isinstance(self.role, Leader):
            self.role.replication.on_chunk_read(event)

    # ---- roles ----

    @property
    def is_voter(self) -> bool:
        return self.node_id in self.members.voters

    @property
    def progress(self) -> Mapping[str, Progress]:
        """A leader's view of its peers; others have none."""
        return self.role.progress if isinstance(self.role, Leader) else {}

    def new_timer(self) -> ElectionTimer:
        return ElectionTimer.drawn(self.options, self.draw, self.now)

    def follow(self, term: int, leader: str, cause: str) -> None:
        """Become a follower of `leader` ("" while unknown), in a new term or in this one."""
        role = self.role
        if term > self.term:
            self._set_hard_state(term, "")
        elif isinstance(role, Follower) and role.leader == leader:
            return
        role.end()
        timer = self.new_timer() if isinstance(role, Leader) else role.timer
        self.role = Follower(self, leader, timer)
        self.announce(cause)

    def begin_election(self, cause: str, *, transfer: bool = False, timer: ElectionTimer | None = None) -> None:
        """Ask for pre-votes, or stand at once if the leader itself wishes it; not while it would be in vain."""
        if not self.is_voter or self.incoming.is_installing or self.disk_is_stuck():
            if not isinstance(self.role, Leader):
                self.role.timer = self.new_timer()
            return
        if transfer:
            self.stand(cause, transfer=True)
        else:
            self._campaign(Candidate(self, timer or self.new_timer(), cause, pre=True, transfer=False))

    def stand(self, cause: str, transfer: bool) -> None:
        """Be a candidate in a new term, with a vote for ourselves."""
        self._set_hard_state(self.term + 1, self.node_id)
        self._campaign(Candidate(self, self.new_timer(), cause, pre=False, transfer=transfer))

    def _campaign(self, candidate: Candidate) -> None:
        before, self.role = self.role, candidate
        before.end()
        if before.kind is candidate.kind:
            self.narrate("pre-vote asked again", cause=candidate.cause)
        else:
            self.announce(candidate.cause)
        candidate.begin()

    def lead(self, cause: str, votes: Mapping[str, bool]) -> None:
        self.hurry = None
        self.role = leader = Leader(self, votes)
        self.announce(cause, leader.first_index)

    def vote_for(self, candidate: str, reply: VoteReply) -> None:
        """Vote, tell once that is durable, and give the candidate time."""
        if self.vote != candidate:
            self._set_hard_state(self.term, candidate)
            self.narrate("vote granted", to=self.name(candidate))
        self.hurry = None
        self._voted_at = self.now
        if isinstance(self.role, Follower):
            self.role.timer = self.new_timer()
        if self.hard_state_is_durable:
            self.send(reply)
        else:
            self._vote_reply = reply

    def fresh_candidate(self) -> str:
        """Whose election is under way as far as we know and may well succeed: "" if nobody's."""
        if isinstance(self.role, Candidate) and not self.role.pre:
            return "" if self.role.is_overdue() else self.node_id
        voted_at = self._voted_at
        if voted_at is None or self.role.leader or self.now >= voted_at + self.options.candidacy_patience_s:
            return ""
        return self.vote

    def _set_hard_state(self, term: int, vote: str) -> None:
        require(term > self.term or (term == self.term and not self.vote), "one vote in a term", term=term, vote=vote)
        self.term, self.vote = term, vote
        self._vote_reply = None
        self._hard_state_changed = True
        self._hard_state_sequence = self.log.next_sequence

    @property
    def hard_state_is_durable(self) -> bool:
        return self.log.completed >= self._hard_state_sequence

    def disk_is_stuck(self) -> bool:
        oldest = self.log.oldest_write_at
        return oldest is not None and self.now >= oldest + self.disk_patience_s

    # ---- the log ----

    def append(self, entries: Sequence[Entry]) -> None:
        self.log.append(entries)
        if self.members.append(entries):
            self._members_changed()

    def truncate(self, after: int) -> None:
        self.narrate("truncated", after=after, last=self.log.last)
        self.log.truncate(after)
        if self.members.truncate(after):
            self._members_changed()

    def _members_changed(self) -> None:
        if isinstance(self.role, Leader):
            self.role.meet_members()
        self.narrate("members", configuration=str(self.members.current), since=self.members.index)

    def commit_to(self, index: int) -> None:
        self.log.commit_to(index)

    def restart_at(self, mark: SnapshotMark, kept: Sequence[Entry]) -> None:
        """The snapshot is installed: log, members and state begin there."""
        self.log.restart_at(mark.index, mark.term, kept)
        self.members.restart_at(mark.configuration, mark.index, kept)
        self.snapshot = mark
        self.applied = self.handed = mark.index
        self._members_changed()
        self._serve_reads()

    def write_now(self) -> None:
        """Emit everything that changed since the last Write as one; the commit index travels along for free."""
        if not (self._hard_state_changed or self.log.is_dirty):
            return
        hard_state = None
        if self._hard_state_changed or self.log.commit > self._commit_written:
            hard_state = HardState(self.term, self.vote, self.log.commit)
            self._commit_written = self.log.commit
            self._hard_state_changed = False
        self.emit(self.log.take_write(hard_state, self.now))

    def _hand_out(self) -> None:
        """Apply what is committed everywhere and durable here."""
        ready = min(self.log.commit, self.log.durable)
        if ready > self.handed and not self.incoming.is_installing:
            self.emit(Apply(tuple(self.log.between(self.handed + 1, ready))))
            self.handed = ready

    # ---- reads ----

    def next_read_number(self) -> int:
        self._read_number += 1
        return self._read_number

    def read_when_applied(self, index: int, ticket: int) -> None:
        self._reads.append((index, ticket))
        self._serve_reads()

    def _serve_reads(self) -> None:
        while self._reads and self._reads[0][0] <= self.applied:
            index, ticket = self._reads.popleft()
            self.emit(ReadReady(ticket, index))

    def refuse_read(self, source: str, ticket: int, reason: str) -> None:
        self.send(
            ReadReply(
                cluster=self.cluster,
                source=self.node_id,
                target=source,
                term=self.term,
                ticket=ticket,
                index=0,
                reason=reason,
            )
        )

    # ---- saying things ----

    def emit(self, effect: Effect) -> None:
        self._effects.append(effect)

    def send(self, message: Message) -> None:
        self._effects.append(Send(message))  # type: ignore[arg-type]

    def announce(self, cause: str, first_index: int = 0) -> None:
        self.emit(RoleChanged(self.role.kind, self.term, self.role.leader, cause, first_index))

    def narrate(self, what: str, **operands: object) -> None:
        topic = "election" if "vote" in what else "raft"
        self.emit(Narrate(topic, what, self.term, self.log.last, operands))

    def drop(self, message: Message, reason: str) -> None:
        """A peer's mistake: said, and otherwise ignored."""
        self.narrate("dropped", kind=type(message).__name__, source=message.source, reason=reason)

    def name(self, id: str) -> str:
        """What people call this node."""
        return self.members.names.get(id, id)
