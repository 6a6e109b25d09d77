"""One member of the consensus: what is fed to it, what it wants done, what it says of itself.

The role (follower, candidate, leader) is an object that holds only its own data; here is what outlives a role: the
term and the vote (`ballot`), the log, the members, and how much of the log the state machine has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from swarmtui.raft.ballot import Ballot
from swarmtui.raft.belonging import Belonging
from swarmtui.raft.candidate import Candidate
from swarmtui.raft.compaction import on_snapshot_taken
from swarmtui.raft.configuration import Configuration
from swarmtui.raft.effects import (
    Apply,
    Effect,
    Narrate,
    Refused,
    RoleChanged,
    Send,
)
from swarmtui.raft.entries import Entry
from swarmtui.raft.follower import Follower
from swarmtui.raft.hurry import Hurry, hurry_on, on_leader_lost
from swarmtui.raft.incoming import Incoming
from swarmtui.raft.inputs import (
    Applied,
    CampaignAsked,
    ChunkRead,
    ChunkWritten,
    Gap,
    Input,
    LeaderLost,
    MembersAsked,
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
from swarmtui.raft.messages import Message, SnapshotMark
from swarmtui.raft.options import RaftOptions
from swarmtui.raft.progress import Progress
from swarmtui.raft.reads import AwaitingApply
from swarmtui.raft.reasons import Why
from swarmtui.raft.receiving import receive
from swarmtui.raft.status import Status
from swarmtui.raft.status_of import status_of
from swarmtui.raft.timers import ElectionTimer

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
        self.ballot = Ballot(restored.hard_state, self.log.last_term)
        self.hurry: Hurry | None = None
        self.incoming = Incoming(self)
        self.unreachable: set[str] = set()  # peers whose connection is broken, until the next sign of life
        self.disk_patience_s = options.election_timeout_s * DISK_PATIENCE
        self.reads = AwaitingApply(self, first_number=int(draw() * READ_NUMBERS))
        self._effects: list[Effect] = []
        self.role: Follower | Candidate | Leader = Follower(self, "", self._first_timer())
        self.belonging = Belonging(self)

    # ---- the three verbs ----

    def feed(self, event: Input, now: float) -> None:
        """Something happened at `now`. Many inputs may be fed before one drain: their writes become one."""
        self.now = max(now, self.now)
        _INPUTS[type(event)](self, event)

    def drain(self) -> list[Effect]:
        """What must be done, in this order. Raises InvariantViolation: the node has to stop."""
        self.role.flush()
        self.write_now()
        self._hand_out()
        check(self)
        effects, self._effects = self._effects, []
        return effects

    @property
    def has_effects(self) -> bool:
        """The last input has brought about something already. Without it a drain may yet find something to send or write."""
        return bool(self._effects)

    def status(self, now: float) -> Status:
        return status_of(self, max(now, self.now))

    @property
    def deadline(self) -> float | None:
        """When the next Tick is due."""
        due = self.role.deadline()
        if self.hurry is not None:
            return self.hurry.due_at if due is None else min(due, self.hurry.due_at)
        return due

    # ---- read at any time, beside the status ----

    @property
    def term(self) -> int:
        """The rules read it off `ballot`, as the vote."""
        return self.ballot.term

    @property
    def vote(self) -> str:
        return self.ballot.vote

    @property
    def hard_state_is_durable(self) -> bool:
        """Whether the term and the vote may be told."""
        return self.ballot.is_durable(self.log.completed)

    def entries(self, first: int, last: int) -> list[Entry]:
        """Entries [first, last], as far as they are in memory."""
        return self.log.between(first, last)

    def term_at(self, index: int) -> int | None:
        """None where the log does not reach, or no longer."""
        return self.log.term_at(index)

    def configuration_at(self, index: int) -> Configuration:
        """Who was a member after this entry: what a snapshot of that state must carry."""
        return self.members.at(index)

    # ---- inputs ----

    def _on_tick(self, event: Tick) -> None:
        hurry_on(self)
        self.role.tick()

    def _on_gap(self, event: Gap) -> None:
        self.hurry = None
        self.log.forgive_disk(self.now)
        self.role.gap()
        self.narrate("gap")

    def _on_proposed(self, event: Proposed) -> None:
        if isinstance(self.role, Leader):
            self.role.propose(event)
        else:
            self._refuse(event.ticket)

    def _refuse(self, ticket: int) -> None:
        """Only a leader does what is asked."""
        self.emit(Refused(ticket, self.why_not_leading()))

    def why_not_leading(self) -> Why:
        node, leader = self.name(self.node_id), self.role.leader
        return (
            Why("not-leader", node=node, leader=self.name(leader)) if leader else Why("not-leader/unknown", node=node)
        )

    def _on_written(self, event: Written) -> None:
        if not self.log.complete(event.sequence):
            return
        owed = self.ballot.owed
        if owed is not None and self.hard_state_is_durable:
            self.send(owed)
            self.ballot.owed = None
        if not isinstance(self.role, Follower):
            self.role.written()

    def _on_applied(self, event: Applied) -> None:
        require(event.index <= self.handed, "applied <= handed", applied=event.index, handed=self.handed)
        self.applied = max(self.applied, event.index)
        self.reads.serve()

    def _on_unreachable(self, event: Unreachable) -> None:
        self.unreachable.add(event.peer)
        self.role.unreachable(event.peer)

    def _on_reachable(self, event: Reachable) -> None:
        self.unreachable.discard(event.peer)
        self.role.reachable(event.peer)

    def _on_transfer_asked(self, event: TransferAsked) -> None:
        if isinstance(self.role, Leader):
            self.role.transfer.ask(event.ticket, event.target)
        else:
            self._refuse(event.ticket)

    def _on_members_asked(self, event: MembersAsked) -> None:
        if isinstance(self.role, Leader):
            self.role.membership.ask(event)
        else:
            self._refuse(event.ticket)

    def _on_campaign_asked(self, event: CampaignAsked) -> None:
        if not isinstance(self.role, Leader) and self.role.contact_age() is None:
            self.begin_election(Why("genesis"))

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

    def quorum_among(self, asked: Collection[str]) -> tuple[str, ...]:
        """While this node leads, see there; nobody else knows of a quorum."""
        return self.role.quorum_among(asked) if isinstance(self.role, Leader) else ()

    def new_timer(self) -> ElectionTimer:
        return ElectionTimer.drawn(self.options, self.draw, self.now)

    def _first_timer(self) -> ElectionTimer:
        """The only voter has nobody to wait for."""
        return ElectionTimer(self.now, 0.0) if self.members.voters == (self.node_id,) else self.new_timer()

    def follow(self, term: int, leader: str, why: Why) -> None:
        """Become a follower of `leader` ("" while unknown), in a new term or in this one."""
        role = self.role
        if term > self.ballot.term:
            self.ballot.change(term, "", self.log.next_sequence)
        elif isinstance(role, Follower) and role.leader == leader:
            return
        role.end()
        timer = self.new_timer() if isinstance(role, Leader) else role.timer
        self.role = Follower(self, leader, timer)
        self.announce(why)

    def begin_election(self, cause: Why, *, transfer: bool = False, timer: ElectionTimer | None = None) -> None:
        """Ask for pre-votes, or stand at once if the leader itself wishes it; not while it would be in vain."""
        why = self.belonging.why_no_campaign(asked_by_leader=transfer)
        if why is not None:
            self.narrate("no pre-vote asked", why)
            if not isinstance(self.role, Leader):
                self.role.timer = self.new_timer()
            return
        if transfer:
            self.stand(cause, transfer=True)
        else:
            self._campaign(Candidate(self, timer or self.new_timer(), cause, pre=True, transfer=False))

    def stand(self, cause: Why, transfer: bool) -> None:
        """Be a candidate in a new term, with a vote for ourselves."""
        self.ballot.change(self.ballot.term + 1, self.node_id, self.log.next_sequence)
        self._campaign(Candidate(self, self.new_timer(), cause, pre=False, transfer=transfer))

    def _campaign(self, candidate: Candidate) -> None:
        before, self.role = self.role, candidate
        before.end()
        if before.kind is candidate.kind:
            self.narrate("pre-vote asked again", candidate.cause)
        else:
            self.announce(candidate.cause)
        candidate.begin()

    def lead(self, cause: Why, votes: Mapping[str, bool]) -> None:
        self.hurry = None
        self.role = leader = Leader(self, votes)
        self.announce(cause, leader.first_index)

    def disk_is_stuck(self) -> bool:
        oldest = self.log.oldest_write_at
        return oldest is not None and self.now >= oldest + self.disk_patience_s

    # ---- the log ----

    def append(self, entries: Sequence[Entry]) -> None:
        self.log.append(entries)
        if self.members.append(entries):
            self.belonging.changed()

    def truncate(self, after: int) -> None:
        self.narrate("truncated", after=after, last=self.log.last)
        self.log.truncate(after)
        if self.members.truncate(after):
            self.belonging.changed()

    def commit_to(self, index: int) -> None:
        self.log.commit_to(index)
        if index >= self.belonging.settles_at:
            self.belonging.settled()

    def restart_at(self, mark: SnapshotMark, kept: Sequence[Entry]) -> None:
        """The snapshot is installed: log, members and state begin there."""
        self.log.restart_at(mark.index, mark.term, kept)
        self.members.restart_at(mark.configuration, mark.index, kept)
        self.snapshot = mark
        self.applied = self.handed = mark.index
        self.belonging.changed()
        self.reads.serve()

    def write_now(self) -> None:
        """Emit everything that changed since the last Write as one; the commit index travels along for free."""
        ballot, log = self.ballot, self.log
        if ballot.changed or log.is_dirty:
            self.emit(log.take_write(ballot.take(log.commit), self.now))

    def _hand_out(self) -> None:
        """Apply what is committed everywhere and durable here."""
        ready = min(self.log.commit, self.log.durable)
        if ready > self.handed and not self.incoming.is_installing:
            self.emit(Apply(tuple(self.log.between(self.handed + 1, ready))))
            self.handed = ready

    # ---- saying things ----

    def emit(self, effect: Effect) -> None:
        self._effects.append(effect)

    def send(self, message: Message) -> None:
        self._effects.append(Send(message))  # type: ignore[arg-type]

    def announce(self, why: Why, first_index: int = 0) -> None:
        self.emit(RoleChanged(self.role.kind, self.ballot.term, self.role.leader, why, first_index))

    def narrate(self, what: str, why: Why | None = None, **operands: object) -> None:
        topic = "election" if "vote" in what else "raft"
        self.emit(Narrate(topic, what, self.ballot.term, self.log.last, operands, why))

    def drop(self, message: Message, why: Why) -> None:
        """A peer's mistake: said, and otherwise ignored."""
        self.narrate("dropped", why, kind=type(message).__name__, source=message.source)

    def name(self, id: str) -> str:
        """What people call this node."""
        return self.members.names.get(id, id)


_INPUTS: dict[type, Callable[[RaftCore, Any], None]] = {
    Tick: RaftCore._on_tick,
    Gap: RaftCore._on_gap,
    Received: lambda core, event: receive(core, event.message),
    Proposed: RaftCore._on_proposed,
    Written: RaftCore._on_written,
    Applied: RaftCore._on_applied,
    LeaderLost: on_leader_lost,
    Unreachable: RaftCore._on_unreachable,
    Reachable: RaftCore._on_reachable,
    ReadAsked: lambda core, event: core.role.ask_read(event.ticket),
    TransferAsked: RaftCore._on_transfer_asked,
    MembersAsked: RaftCore._on_members_asked,
    CampaignAsked: RaftCore._on_campaign_asked,
    SnapshotTaken: lambda core, event: on_snapshot_taken(core, event.mark),
    ChunkRead: RaftCore._on_chunk_read,
    ChunkWritten: lambda core, event: core.incoming.on_written(event),
    SnapshotInstalled: lambda core, event: core.incoming.on_installed(event),
}
"""What each input does."""
