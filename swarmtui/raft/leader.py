"""Leading: append what is proposed, commit what a majority holds durably, and stop when that majority is no longer heard.

How entries reach each peer is in `replication.py`; here is what a leader decides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from swarmtui.raft.effects import Accepted, ReadRefused, Refused, Role
from swarmtui.raft.entries import ENTRY_BYTES_MAX, Entry, EntryKind
from swarmtui.raft.inputs import Proposed
from swarmtui.raft.membership import LeaderMembership
from swarmtui.raft.messages import AnyMessage, AppendReply, ReadReply, ReadRequest, SnapshotReply
from swarmtui.raft.reads import Read, ReadRounds
from swarmtui.raft.reasons import Why
from swarmtui.raft.replication import Replication
from swarmtui.raft.transfer import Transfer

if TYPE_CHECKING:
    from swarmtui.raft.core import RaftCore

NEVER = float("-inf")


class Leader:
    """`first_index` is the entry that this leader appended on election: from its commit on, all before is committed too.
    `silent_since` is the moment from which silence counts: the election, or the last gap."""

    kind = Role.LEADER

    def __init__(self, core: RaftCore, votes: Mapping[str, bool]) -> None:
        self.core = core
        self.leader = core.node_id
        self.since = self.silent_since = core.now
        self.first_index = core.log.last + 1
        self.replication = Replication(core)
        self.progress = self.replication.progress
        self.reads = ReadRounds()
        self.transfer = Transfer(self)
        self.membership = LeaderMembership(self)
        self.heartbeat_at = core.now + core.options.heartbeat_s
        self.contact_check_at = core.now + core.options.election_timeout_s
        self.notice_at: float | None = None
        self.notice_commit = 0
        self.meet_members()
        for peer, progress in self.progress.items():
            progress.heard_at = core.now if votes.get(peer) else None
        core.append([Entry(self.first_index, core.ballot.term, EntryKind.NOOP)])

    def meet_members(self) -> None:
        """The configuration changed: know exactly its members."""
        self.replication.meet(self.core.members.ids)
        self.membership.met()

    # ---- time ----

    def deadline(self) -> float | None:
        due = min(self.heartbeat_at, self.contact_check_at)
        if self.notice_at is not None:
            due = min(due, self.notice_at)
        if self.transfer.target:
            due = min(due, self.transfer.gives_up_at)
        oldest = self.core.log.oldest_write_at
        return due if oldest is None else min(due, oldest + self.core.disk_patience_s)

    def tick(self) -> None:
        core, now = self.core, self.core.now
        if now >= self.contact_check_at and not self._still_has_quorum():
            return
        if core.disk_is_stuck():
            core.follow(core.ballot.term, "", Why("disk-hangs", patience_ms=round(core.disk_patience_s * 1000)))
            return
        self.transfer.tick()
        if now >= self.heartbeat_at:
            self.heartbeat_at = now + core.options.heartbeat_s
            if self.reads.waiting and self.may_read:
                self.reads.begin(core.log.commit)  # whatever became of the round before
            self.replication.heartbeat(self.reads.number)
            self._confirm_reads()
            self.membership.tick()
        if self.notice_at is not None and now >= self.notice_at:
            self.notice_at = None
            self.replication.notice(self.notice_commit, self.reads.number)
            if core.log.commit > self.notice_commit:
                self._plan_notice()

    def quorum_heard_at(self) -> float:
        """The latest moment since which a majority has been heard; ourselves always."""
        heard: dict[str, float] = {self.core.node_id: self.core.now}
        for peer, progress in self.progress.items():
            heard_at = progress.heard_at
            heard[peer] = self.silent_since if heard_at is None else max(heard_at, self.silent_since)
        return self.core.members.quorum.agreed(heard, NEVER)

    def contact_age(self) -> float | None:
        """Seconds since the quorum was heard, while that protects us from being deposed."""
        age = self.core.now - self.quorum_heard_at()
        return age if age < self.core.options.election_timeout_s else None

    def _still_has_quorum(self) -> bool:
        core, patience = self.core, self.core.options.election_timeout_s
        heard_at = self.quorum_heard_at()
        if core.now < heard_at + patience:  # the very sum that the deadline is, lest rounding ask again for ever
            self.contact_check_at = heard_at + patience
            return True
        heard, quorum = self.heard(), core.members.quorum
        names = [core.name(id) for id in heard]
        why = Why(
            "contact-lost",
            heard=quorum.count(heard),
            needed=quorum.needs,
            patience_ms=round(patience * 1000),
            hears=names,
        )
        core.follow(core.ballot.term, "", why)
        return False

    def heard(self) -> tuple[str, ...]:
        """The voters that answer."""
        return tuple(id for id in self.core.members.voters if self.answers(id))

    def answers(self, id: str) -> bool:
        """Whether this member answered within an election timeout and its connection is not known to be broken."""
        core, peer = self.core, self.progress.get(id)
        if peer is None or not peer.connected or peer.heard_at is None:
            return id == core.node_id
        return peer.heard_at > core.now - core.options.election_timeout_s

    def gap(self) -> None:
        self.silent_since = self.core.now
        self.contact_check_at = self.core.now + self.core.options.election_timeout_s
        self.membership.gap()

    def end(self) -> None:
        """No longer leading: every read that was not decided is refused."""
        for read in self.reads.abandon():
            self._refuse_read(read, Why("leadership-lost", term=self.core.ballot.term))

    # ---- proposals ----

    def propose(self, proposal: Proposed) -> None:
        core = self.core
        why = self._why_not(proposal)
        if why is not None:
            core.emit(Refused(proposal.ticket, why))
            return
        first, term, kind = core.log.last + 1, core.ballot.term, proposal.kind
        core.append([Entry(first + i, term, kind, payload) for i, payload in enumerate(proposal.payloads)])
        core.emit(Accepted(proposal.ticket, term, first))

    def _why_not(self, proposal: Proposed) -> Why | None:
        """The rule, with its operands, that forbids to append; nothing is appended then."""
        core = self.core
        if proposal.term != core.ballot.term:
            return Why("wrong-term", asked=proposal.term, mine=core.ballot.term)
        if self.transfer.target:
            return Why("transfer", heir=core.name(self.transfer.target))
        waiting_bytes = core.log.bytes_behind(core.applied)
        if waiting_bytes > core.options.uncommitted_bytes_max:
            return Why("overload", waiting_bytes=waiting_bytes, limit_bytes=core.options.uncommitted_bytes_max)
        if not proposal.payloads:
            return Why("malformed/nothing")
        if proposal.kind is EntryKind.CONFIGURATION:
            return Why("malformed/configuration")
        entry_bytes = max(map(len, proposal.payloads))
        if entry_bytes > ENTRY_BYTES_MAX:
            return Why("malformed/entry", entry_bytes=entry_bytes, limit_bytes=ENTRY_BYTES_MAX)
        quorum = core.members.quorum
        reachable = self.reachable_voters()
        if not quorum.reached(reachable):
            names = sorted(core.name(id) for id in reachable)
            return Why("no-quorum", answering=quorum.count(reachable), needed=quorum.needs, hears=names)
        return None

    def reachable_voters(self) -> set[str]:
        """Voters not known to be silent: also those that a new leader has had no time to hear."""
        core = self.core
        oldest = core.now - core.options.election_timeout_s
        reachable = {core.node_id}
        for id in core.members.voters:
            peer = self.progress.get(id)
            if peer is not None and peer.connected:
                heard_at = self.silent_since if peer.heard_at is None else max(peer.heard_at, self.silent_since)
                if heard_at > oldest:
                    reachable.add(id)
        return reachable

    # ---- commit ----

    def written(self) -> None:
        """Our own disk caught up: our own copy counts from now on."""
        self.advance_commit()

    def advance_commit(self) -> None:
        """Commit what a majority holds durably, if it is of this term (paper 5.4.2: an older entry is never counted)."""
        core, log = self.core, self.core.log
        held = {peer: progress.match for peer, progress in self.progress.items()}
        held[core.node_id] = log.durable
        index = core.members.quorum.agreed(held, 0)
        if index <= log.commit or log.term_at(index) != core.ballot.term:
            return
        core.commit_to(index)
        if self.notice_at is None:
            self._plan_notice()
        if index >= self.membership.due_at:
            self.membership.on_commit()

    def _plan_notice(self) -> None:
        """Followers that get no Append meanwhile shall hear of this commit by a message of its own."""
        self.notice_at = self.core.now + self.core.options.commit_notice_s
        self.notice_commit = self.core.log.commit

    def needed_after(self) -> int:
        """The last index that every peer in contact has, or will have by the snapshot that it gets."""
        core = self.core
        needed = core.log.last
        for progress in self.progress.values():
            heard_at = progress.heard_at
            if progress.connected and heard_at is not None and core.now - heard_at < core.options.election_timeout_s:
                needed = min(needed, progress.outgoing.mark.index if progress.outgoing else progress.match)
        return needed

    # ---- messages of the same term ----

    def receive(self, message: AnyMessage) -> None:
        if type(message) is AppendReply or type(message) is SnapshotReply:
            self._on_reply(message)
        elif type(message) is ReadRequest:
            self._add_read(Read(message.ticket, message.source))

    def _on_reply(self, message: AppendReply | SnapshotReply) -> None:
        progress = self.progress.get(message.source)
        if progress is None or message.session != progress.session:
            return
        progress.heard_at = self.core.now
        progress.connected = True
        round_is_news = message.round > progress.round
        if round_is_news:
            progress.round = min(message.round, self.reads.number)
        if isinstance(message, AppendReply):
            advanced = self.replication.on_append_reply(progress, message)
        else:
            advanced = self.replication.on_snapshot_reply(progress, message)
        if advanced:
            self.advance_commit()
            if self.core.role is not self:
                return
            self.transfer.advance()
            if self.membership.catching_up:
                self.membership.on_match(message.source, progress.match)
        if round_is_news:
            self._confirm_reads()

    def reachable(self, peer: str) -> None:
        self.replication.reachable(peer)

    def unreachable(self, peer: str) -> None:
        self.replication.unreachable(peer)

    # ---- reads ----

    def ask_read(self, ticket: int) -> None:
        self._add_read(Read(ticket))

    def _add_read(self, read: Read) -> None:
        """A follower's question is itself a message of this term that left after its read was asked for: where the two of
        us are a majority, as of three voters, no round is needed. It vouches for that one read, and for no other."""
        core = self.core
        waiting = self.reads.size + len(core.reads)
        if read.source and self.may_read and core.members.quorum.reached((core.node_id, read.source)):
            self._answer_read(read, core.log.commit)
        elif waiting >= core.options.reads_waiting_max:
            self._refuse_read(read, Why("too-many-reads", waiting=waiting))
        else:
            self.reads.add(read)

    def _refuse_read(self, read: Read, why: Why) -> None:
        if read.source:
            self.core.reads.refuse(read.source, read.ticket, why)
        else:
            self.core.emit(ReadRefused(read.ticket, why))

    @property
    def may_read(self) -> bool:
        """Before its first own entry is committed a leader may not know all that is (etcd#7331)."""
        return self.core.log.commit >= self.first_index

    def quorum_among(self, asked: Collection[str]) -> tuple[str, ...]:
        """The voters among these and itself, if they are a quorum and it may be read from: see `attestation`."""
        members, id = self.core.members, self.core.node_id
        found = tuple([voter for voter in members.voters if voter in asked or voter == id])
        return found if self.may_read and members.quorum.reached(found) else ()

    def _confirm_reads(self) -> None:
        if not self.reads.asked:
            return
        core = self.core
        rounds = {peer: progress.round for peer, progress in self.progress.items()}
        rounds[core.node_id] = self.reads.number
        for decided in self.reads.confirm(core.members.quorum.agreed(rounds, 0)):
            for read in decided.reads:
                self._answer_read(read, decided.index)

    def _answer_read(self, read: Read, index: int) -> None:
        core = self.core
        if not read.source:
            core.reads.add(index, read.ticket)
        else:
            core.send(
                ReadReply(
                    cluster=core.cluster,
                    source=core.node_id,
                    target=read.source,
                    term=core.ballot.term,
                    ticket=read.ticket,
                    index=index,
                )
            )

    # ---- before each drain ----

    def flush(self) -> None:
        if self.reads.may_begin and self.may_read:
            self.reads.begin(self.core.log.commit)
            self.replication.heartbeat(self.reads.number)
            self._confirm_reads()
        has_sent = self.replication.feed_peers(self.reads.number)
        if has_sent and self.notice_at is not None and self.replication.has_told(self.core.log.commit):
            self.notice_at = None
