"""What must hold over the whole cluster at every step: the observer that sees all nodes and all disks at once.

It believes no node: what is committed is checked against what is on the disks (openraft#1802), and what a message promises
against the disk of who promises it. The first node to apply an index fixes what was committed there, for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from swarmtui.raft.configuration import Configuration, Member, decode_configuration
from swarmtui.raft.effects import MembersChanged, Role, Write
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.invariants import require
from swarmtui.raft.messages import AnyMessage, AppendReply, VoteReply, VoteRequest
from swarmtui.raft.quorum import Quorum

if TYPE_CHECKING:
    from swarmtui.sim.node import SimulatedNode


@attrs.frozen
class Committed:
    """`by_term`: the term of the leader that first knew it; `digest`: the state after it."""

    term: int
    by_term: int
    entry: Entry
    digest: int


def ids_of(members: tuple[Member, ...]) -> tuple[str, ...]:
    return tuple(member.id for member in members)


class Observer:
    """`committed` behind index `base`, where an epoch began, without a hole; `acknowledged` is the highest index whose write a client was told."""

    def __init__(self, nodes: Mapping[str, SimulatedNode], base: int = 0) -> None:
        self.nodes = nodes
        self.base = base
        self.leaders: dict[int, str] = {}
        self.chain: dict[tuple[int, int], tuple[int, bytes]] = {}  # (index, term): (previous term, data)
        self.committed: dict[int, Committed] = {}
        self.truncating: dict[str, int] = {}  # the term that has a node drop entries, until they are off its disk
        self.states: dict[int, str] = {}  # checksums of the state machine by index, as snapshots were taken
        self.on_quorum = 1  # every entry up to here was once seen on a quorum of disks
        self.acknowledged = 0
        self.configuration: Configuration | None = None  # the last that is known to be committed, after genesis
        self.removed: set[str] = set()  # by what is committed

    @property
    def last(self) -> int:
        """The last index that is known to be committed."""
        return self.base + len(self.committed)

    # ---- elections ----

    def leads(self, node: SimulatedNode, term: int) -> None:
        """Election safety, and leader completeness: whoever leads has everything that earlier terms committed. A busy node may
        have been deposed in the same breath."""
        core = node.core
        assert core is not None
        known = self.leaders.setdefault(term, node.id)
        require(known == node.id, "one leader in a term", term=term, one=known, other=node.id)
        if core.term != term:
            return
        for index in range(self.last, self.base, -1):
            committed = self.committed[index]
            if committed.by_term < core.term:
                if index > core.log.base:
                    require(
                        core.term_at(index) == committed.term,
                        "a leader has all that is committed",
                        leader=node.id,
                        term=core.term,
                        index=index,
                        has=core.term_at(index),
                        committed=committed.term,
                    )
                break

    # ---- the log ----

    def writes(self, node: SimulatedNode, write: Write) -> None:
        """Log matching: the same index and term means the same entry after the same predecessor, wherever it is."""
        core = node.core
        assert core is not None
        if not write.entries:
            return
        previous = core.term_at(write.entries[0].index - 1) or 0
        for entry in write.entries:
            known = self.chain.setdefault((entry.index, entry.term), (previous, entry.data))
            require(
                known[0] == previous and known[1] == entry.data,
                "equal index and term mean equal logs",
                node=node.id,
                entry=entry,
                previous=previous,
                known_previous=known[0],
            )
            previous = entry.term

    def commits(self, node: SimulatedNode, commit: int) -> None:
        """Every newly committed entry is durable on a quorum of disks, of the configuration in force there; the leader may
        have appended the next one already. (A disk that is lost by now may have been counted before.)"""
        core = node.core
        assert core is not None
        quorums = [core.members.quorum]
        if core.members.index > commit:
            before = core.members.previous
            quorums.append(Quorum(ids_of(before.voters), ids_of(before.outgoing)))
        for index in range(self.on_quorum + 1, commit + 1):
            term = core.term_at(index)
            if term is None:
                continue
            holders = {id for id, other in self.nodes.items() if other.disk.holds(index, term)}
            require(
                any(quorum.reached(holders) for quorum in quorums),
                "committed means durable on a quorum of disks",
                index=index,
                term=term,
                holders=sorted(holders),
                said_by=node.id,
            )
            for entry in core.entries(index, index):
                if entry.kind is EntryKind.CONFIGURATION:
                    self.configuration = decode_configuration(entry.data)
                    self.removed |= self.configuration.gone
        self.on_quorum = max(self.on_quorum, commit)
        known = core.members.at(commit)
        if known.removed:
            barred = core.belonging.barred
            require(barred == known.gone, "barred is who was removed, from the commit on", node=node.id, commit=commit)

    # ---- members ----

    def members_changed(self, node: SimulatedNode, effect: MembersChanged) -> None:
        """One change at a time: a leader appends a configuration only when the one before it is committed."""
        core = node.core
        assert core is not None
        node.cluster.counts["configurations"] += 1
        if core.role.kind is Role.LEADER and not effect.committed and effect.index == core.log.last:
            require(
                core.members.previous_index <= core.log.commit,
                "one change of the members at a time",
                leader=node.id,
                previous=core.members.previous_index,
                commit=core.log.commit,
            )
            require(
                core.term_at(core.log.commit) == core.term,
                "an entry of the leader's term is committed before it changes the members",
                leader=node.id,
                term=core.term,
                commit=core.log.commit,
            )

    def expels(self, node: SimulatedNode) -> None:
        """Only what is committed expels anybody."""
        require(node.id in self.removed, "only who was removed is expelled", node=node.id)

    # ---- promises ----

    def sends(self, node: SimulatedNode, message: AnyMessage) -> None:
        """What a message promises is durable where it comes from."""
        disk = node.disk
        kind = type(message)
        if kind is AppendReply:
            assert isinstance(message, AppendReply)
            if message.accepted and message.match:
                core = node.core
                assert core is not None
                term = core.term_at(message.match)
                require(
                    message.match <= core.log.base or (term is not None and disk.holds(message.match, term)),
                    "an acknowledged entry is durable",
                    node=node.id,
                    match=message.match,
                    disk=disk.last,
                )
        elif kind is VoteReply and message.granted and not message.pre:  # type: ignore[union-attr]
            self._promises_vote(node, message.term, message.target)
        elif kind is VoteRequest and not message.pre:  # type: ignore[union-attr]
            self._promises_vote(node, message.term, node.id)

    def _promises_vote(self, node: SimulatedNode, term: int, candidate: str) -> None:
        state = node.disk.hard_state
        require(
            state.term == term and state.vote == candidate,
            "a vote is durable before it is told",
            node=node.id,
            term=term,
            candidate=candidate,
            disk=state,
        )

    # ---- the state machine ----

    def applies(self, node: SimulatedNode, entry: Entry, digest: int) -> bool:
        """State machine safety: the same entry at the same index everywhere, and only what is durable here. True if nobody
        had applied it before."""
        core = node.core
        assert core is not None
        require(node.disk.holds(entry.index, entry.term), "applied is durable", node=node.id, entry=entry)
        if entry.index <= self.base:
            return False  # of the epoch before, on somebody who does not know that it is over
        committed = self.committed.get(entry.index)
        if committed is None:
            require(entry.index == self.last + 1, "applied without a hole", node=node.id, entry=entry)
            self.committed[entry.index] = Committed(entry.term, core.term, entry, digest)
            return True
        require(
            committed.term == entry.term and committed.entry.data == entry.data and committed.digest == digest,
            "the same entry is applied everywhere",
            node=node.id,
            entry=entry,
            committed=committed.entry,
        )
        return False

    def restores(self, node: SimulatedNode, index: int, digest: int) -> None:
        """A snapshot is the state after its index."""
        committed = self.committed.get(index)
        require(
            committed is not None and committed.digest == digest,
            "a snapshot is the committed state",
            node=node.id,
            index=index,
            digest=digest,
        )
        self.snapshots(node)

    def snapshots(self, node: SimulatedNode) -> None:
        """State machine safety, of the state itself: after the same index it is the same, whoever looks."""
        state = node.machine.state()
        known = self.states.setdefault(node.machine.index, state)
        require(known == state, "equal index means equal state", node=node.id, index=node.machine.index)

    def truncates(self, node: SimulatedNode, term: int) -> None:
        """The leader of this term has a node drop entries; it may be one of the past, whose message was late."""
        self.truncating.setdefault(node.id, term)

    def truncates_disk(self, node: SimulatedNode, dropped: list[Entry]) -> None:
        """Nothing disappears from a disk by truncation that was committed before the term of whoever had it dropped. (What
        later terms committed, they did without this disk.)"""
        assert node.core is not None
        term = self.truncating.get(node.id, node.core.term)
        for entry in dropped:
            committed = self.committed.get(entry.index)
            require(
                committed is None or committed.term != entry.term or committed.by_term > term,
                "committed entries stay on disk",
                node=node.id,
                entry=entry,
                by_term=term,
            )
        if not any(isinstance(each, Write) and each.truncate_after is not None for each in node.disk.waiting):
            self.truncating.pop(node.id, None)

    # ---- clients ----

    def acknowledges(self, node: SimulatedNode, index: int, term: int) -> None:
        """A client is told that its write is done: it is what was committed there, and it is on so many disks that nobody
        can be elected without it."""
        core = node.core
        assert core is not None
        without = {id for id, other in self.nodes.items() if not other.lost and not other.disk.holds(index, term)}
        require(
            not core.members.quorum.reached(without),
            "an acknowledged write is on every quorum of disks",
            index=index,
            term=term,
            without=sorted(without),
        )
        committed = self.committed.get(index)
        require(
            committed is not None and committed.term == term,
            "an acknowledged write is committed",
            index=index,
            term=term,
        )
        self.acknowledged = max(self.acknowledged, index)

    def reads_attested(self, floor: int, applied: int) -> None:
        """The same of a read that nobody but its client confirmed, which is told the state after `applied`."""
        require(applied >= floor, "an attested read is not stale", applied=applied, acknowledged_before=floor)
        self.acknowledged = max(self.acknowledged, applied)

    def reads(self, node: SimulatedNode, floor: int, index: int) -> None:
        """A linearizable read sees all that anybody was told before it was asked for."""
        require(index >= floor, "a read is not stale", node=node.id, index=index, acknowledged_before=floor)
        assert node.core is not None
        require(node.core.applied >= index, "a read waits for its index", node=node.id, index=index)
        self.acknowledged = max(self.acknowledged, index)
