"""The manager's half of a node: consensus, the disk, the store, and the leadership while there is one."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import attrs
import trio

from swarmtui.manager.loop import run_manager
from swarmtui.node.answers import Manager
from swarmtui.node.chronicle import chronicle
from swarmtui.node.compaction import Compaction, resting
from swarmtui.node.consensus import Consensus
from swarmtui.node.disk import Disk
from swarmtui.node.events import Events
from swarmtui.node.large_pages import HeapMover
from swarmtui.node.leadership import LeadershipKeeper, NodeLeadership
from swarmtui.node.members import ConsensusMembers
from swarmtui.node.peers import Peers
from swarmtui.node.refusals import data_of
from swarmtui.node.sessions import Sessions
from swarmtui.node.wiring import Wiring
from swarmtui.node.writes import Forward, Writes
from swarmtui.objects.manifest import Manifest, NodeEntry
from swarmtui.objects.membership import node_of
from swarmtui.objects.records import Cluster
from swarmtui.raft.configuration import Configuration
from swarmtui.raft.core import RaftCore
from swarmtui.raft.effects import InstallSnapshot, Role, RoleChanged
from swarmtui.raft.inputs import CampaignAsked, LeaderLost, Reachable, Received, Unreachable
from swarmtui.raft.log import Restored
from swarmtui.raft.messages import AnyMessage
from swarmtui.raft.options import RaftOptions
from swarmtui.storage.log import RaftStorage
from swarmtui.storage.seen import Seen, begin_start, note_seen
from swarmtui.storage.snapshots import SnapshotFiles
from swarmtui.storage.worker import DiskWorker
from swarmtui.store import Store
from swarmtui.store.snapshot import MalformedSnapshot, read_snapshot

DISK_LOOK_S = 5.0  # how often the free space is looked at
GENESIS_LAST_INDEX = 1
CLIENTS_FIRST_S = 0.02  # clients that waited for this leader are answered before its loops look at the whole cluster
STARTING_S = 3.0  # nodes that are started together may not listen yet: a refused dial is no death until then


@attrs.frozen
class Hearing:
    """Who is told what of the members."""

    members_changed: Callable[[], None]
    expelled: Callable[[str], None]  # this member was removed for ever, with the reason


@attrs.define
class Opened:
    """What recovery found on the disk."""

    storage: RaftStorage
    snapshots: SnapshotFiles
    store: Store
    seen: Seen  # how far it had come, counted with this start


def open_disk(directory: Path, member_id: str, introduction: Configuration | None = None) -> Opened:
    """Recover log, snapshot and state. Slow for a long log; raises what storage raises. `introduction`: see RaftStorage."""
    storage = RaftStorage.open(directory, member_id, introduction=introduction)
    snapshots = storage.snapshots
    store = Store()
    mark = storage.restored.snapshot
    if mark is not None:
        chunks = snapshots.open_chunks(mark)
        try:
            store.restore(chunks)
        except MalformedSnapshot:
            for _ in chunks:  # its checksum says whether the disk or a newer version is to blame: DamagedSnapshot
                continue
            raise
    return Opened(storage, snapshots, store, _count_start(directory, member_id, storage.restored))


def _count_start(directory: Path, member_id: str, restored: Restored) -> Seen:
    """Refuses a directory that was put back to what it was before its last start."""
    mark, entries = restored.snapshot, restored.entries
    snapshot = mark.index if mark is not None else 0
    last = entries[-1].index if entries else snapshot
    now = Seen(member=member_id, term=restored.hard_state.term, commit=max(restored.hard_state.commit, snapshot))
    return begin_start(directory.parent, directory, now, last)


class ManagerSide:
    """`run` is its life; `is_voter` says whether it has a vote yet, and with it a leader to lead agents' sessions to."""

    def __init__(
        self,
        node: NodeEntry,
        manifest: Manifest,
        opened: Opened,
        log_worker: DiskWorker,
        snapshot_worker: DiskWorker,
        events: Events,
    ) -> None:
        self.node = node
        self.manifest = manifest
        self.opened = opened
        self.events = events
        self.store = opened.store
        raft = manifest.raft
        options = RaftOptions(
            heartbeat_s=raft.heartbeat_s,
            election_timeout_s=raft.election_timeout_s,
            hurry=raft.hurry,
            keep_entries=raft.keep_entries,
        )
        core = RaftCore(
            node_id=node.member_id,
            cluster=manifest.id,
            options=options,
            restored=opened.storage.restored,
            draw=random.SystemRandom().random,
            now=trio.current_time(),
        )
        self.consensus = Consensus(core, opened.store, events, election_timeout_s=raft.election_timeout_s)
        self.compaction = Compaction(self.consensus, opened.snapshots, snapshot_worker, events, raft)
        self._heap_mover = HeapMover(snapshot_worker)
        self.disk = Disk(
            opened.storage,
            opened.snapshots,
            log_worker,
            self.consensus.feed,
            self.consensus.hear,
            self._installed,
            self.compaction.discarded,
        )
        self.keeper = LeadershipKeeper(self.consensus, events, election_timeout_s=raft.election_timeout_s)
        self._log_worker = log_worker
        self._started = trio.current_time()
        self._has_followed = False  # another leader: then this is no cold start, and a refused dial is a death
        self._disk_refuses = ""
        restored = opened.storage.restored
        self._is_first = self._is_first_at_genesis(restored)
        opened.storage.restored = attrs.evolve(restored, entries=())  # the core has them, and lets them go in time
        self._gaps: trio.MemorySendChannel[float] | None = None

    def attach(
        self,
        peers: Peers,
        sessions: Sessions,
        forward: Forward,
        reachable: Callable[[], list[str]],
        hear: Hearing,
    ) -> Manager:
        """Join the rooms that need each other. Returns what clients' answers need of this side."""
        self._peers = peers
        self._sessions = sessions
        self._hear = hear
        self.members = ConsensusMembers(self.consensus, self.node.id, peers.is_manager)
        timeout_s = self.manifest.raft.election_timeout_s
        writes = Writes(self.node.id, self.consensus, forward, reachable, timeout_s)
        return Manager(
            self.consensus,
            writes,
            take_snapshot=self.compaction.ask,
            disk_refuses=lambda: self._disk_refuses,
            why_stays=self.members.why_stays,
            let_go=self.compaction.let_go,
        )

    @property
    def is_voter(self) -> bool:
        return self.consensus.core.is_voter

    def addresses(self) -> dict[str, str]:
        """Where the members listen, by node id, as this node's log has it."""
        return {node_of(member.id): member.address for member in self.consensus.core.members.current.members}

    @property
    def is_member(self) -> bool:
        """It has a seat, and its log says so: the log names everybody whom it has to know."""
        return self.node.member_id in self.consensus.core.members.ids

    async def run(
        self, moved: Callable[[], None], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Until cancelled. Raises DiskFailure or InvariantViolation: then this process must not go on."""
        wiring = Wiring(
            send=self._peers.send_raft,
            disk=self.disk.want,
            begin_disk=self.disk.begin,
            role_changed=self._role_changed,
            applied=self._applied,
            moved=moved,
            members_changed=self._members_changed,
            expelled=self._hear.expelled,
            flush=self._peers.outgoing.flush,
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.disk.run)
            nursery.start_soon(self.consensus.run, wiring)
            nursery.start_soon(self.keeper.run, self._lead)
            nursery.start_soon(self.compaction.run)
            nursery.start_soon(self._heap_mover.run)
            nursery.start_soon(self._watch_disk)
            if self._is_first:
                self.consensus.feed(CampaignAsked())
            task_status.started()

    def shall_hand_over(self) -> bool:
        """True if this node leads, and others are to go on without it: not when the whole cluster is shutting down."""
        down = any(cluster.shutting_down for cluster in self.store.all(Cluster))
        return self.consensus.status().role is Role.LEADER and not down

    def _is_first_at_genesis(self, restored: Restored) -> bool:
        new = restored.snapshot is None and len(restored.entries) == GENESIS_LAST_INDEX and not restored.hard_state.vote
        return new and self.manifest.managers[0].id == self.node.id

    # ------------------------------------------------------------------------------------------------- from outside

    def receive(self, messages: Sequence[AnyMessage]) -> None:
        """What has come from one peer at once."""
        self.consensus.hear(*[Received(message) for message in messages])

    def peer_connected(self, node_id: str) -> None:
        for member in self.consensus.member_ids(node_id):
            self.consensus.feed(Reachable(member))
        self.members.changed()

    def peer_disconnected(self, node_id: str) -> None:
        for member in self.consensus.member_ids(node_id):
            self.consensus.feed(Unreachable(member))
        self._sessions.disconnected(node_id)

    def peer_refused(self, node_id: str) -> None:
        """No connection to this peer is left and a dial was refused: news only if it leads."""
        core = self.consensus.core
        if node_of(core.role.leader) == node_id and node_id != self.node.id:
            self.consensus.feed(LeaderLost(core.role.leader, core.term))

    def _members_changed(self) -> None:
        self.members.changed()
        self._hear.members_changed()

    def gap(self) -> None:
        """The machine slept until now: whoever judges silence gives it a new period."""
        if self._gaps is not None:
            try:
                self._gaps.send_nowait(trio.current_time())
            except trio.WouldBlock:
                return  # several gaps are waiting to be heard already: one more says nothing new

    # ---------------------------------------------------------------------------------------------------- effects

    def _role_changed(self, effect: RoleChanged) -> None:
        names = {member.id: member.name for member in self.consensus.status().configuration.members}
        leader = names.get(effect.leader, effect.leader)
        text = f"{self.node.name} {effect.role} of term {effect.term}"
        if effect.leader and effect.leader != self.node.id:
            text += f", leader {leader}"
        self.events.tell(
            "election",
            f"{text}: {effect.cause}" if effect.cause else text,
            term=effect.term,
            data=data_of(effect),
        )
        self._has_followed = self._has_followed or effect.leader not in ("", self.node.id)
        self._sessions.leader_changed(effect.leader)
        self.keeper.role_changed(effect)

    def _applied(self, index: int) -> None:
        self.keeper.applied(index)
        self.compaction.applied(index)

    async def _installed(self, effect: InstallSnapshot) -> None:
        before = self.store.freeze()
        chunks = self.opened.snapshots.open_chunks(effect.mark)
        state = await self._log_worker.run(read_snapshot, resting(chunks), before)
        self.consensus.installed(effect, state)
        self.compaction.let_go(before)
        self.compaction.installed(effect.mark)
        self._heap_mover.replaced()
        self.events.tell(
            "raft", f"snapshot {effect.mark.index} installed", term=effect.mark.term, index=effect.mark.index
        )

    # -------------------------------------------------------------------------------------------------- leadership

    async def _lead(self, leadership: NodeLeadership) -> None:
        self.events.tell(
            "raft",
            f"{self.node.name} takes writes: the first entry of term {leadership.term} is applied",
            term=leadership.term,
            index=self.store.index,
            data={"milestone": "leading"},
        )
        gaps_in, gaps = trio.open_memory_channel[float](8)
        self._gaps = gaps_in
        port = self._sessions.lead()
        try:
            with trio.move_on_after(CLIENTS_FIRST_S):
                await self.consensus.proposals.all_answered()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(chronicle, self.store, self.events, leadership.term)
                nursery.start_soon(
                    partial(
                        run_manager,
                        leadership,
                        port,
                        gaps,
                        manifest=self.manifest,
                        trust_refusals_from=0.0 if self._has_followed else self._started + STARTING_S,
                        members=self.members,
                    )
                )
        finally:
            self._gaps = None
            self._sessions.resign()

    async def _watch_disk(self) -> None:
        reserve = self.manifest.raft.disk_reserve_bytes
        while True:
            free = await self._log_worker.run(self.opened.storage.free_bytes)
            full = (
                f"{self.node.name}'s disk has {free} bytes free, {reserve} are kept in reserve; free some space"
                if free < reserve
                else ""
            )
            if bool(full) != bool(self._disk_refuses):
                self.events.tell(
                    "raft", full or f"{self.node.name}'s disk has {free} bytes free again: writes are taken"
                )
            self._disk_refuses = self.consensus.proposals.closed = full
            await self._note_seen()
            await trio.sleep(DISK_LOOK_S)

    async def _note_seen(self) -> None:
        """Beside the directory, how far it has come; what is durable here only, so that it is never ahead of the log."""
        core, known = self.consensus.core, self.opened.seen
        if not core.hard_state_is_durable:
            return
        seen = attrs.evolve(known, term=core.term, commit=min(core.log.commit, core.log.durable))
        if seen != known:
            self.opened.seen = seen
            with suppress(OSError):  # a disk that refuses this says so where it matters
                await self._log_worker.run(note_seen, self.opened.storage.path.parent, seen)
