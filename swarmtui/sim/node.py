"""One simulated node: the real core, a simulated disk, a small state machine, and a clock of its own."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from swarmtui.raft.configuration import Configuration
from swarmtui.raft.core import RaftCore
from swarmtui.raft.effects import (
    Accepted,
    Apply,
    Compact,
    Effect,
    Expelled,
    InstallSnapshot,
    MembersChanged,
    Narrate,
    ReadChunk,
    ReadReady,
    ReadRefused,
    Refused,
    Role,
    RoleChanged,
    Send,
    Write,
    WriteChunk,
)
from swarmtui.raft.entries import Entry
from swarmtui.raft.inputs import Applied, Gap, Input, SnapshotInstalled, SnapshotTaken, Tick
from swarmtui.raft.invariants import InvariantViolation
from swarmtui.raft.messages import SnapshotMark
from swarmtui.raft.text import effect_line, input_line
from swarmtui.sim.clock import NodeClock
from swarmtui.sim.desk import Desk
from swarmtui.sim.disk import DropLog, Ruin, SaveSnapshot, SimulatedDisk, checksum
from swarmtui.sim.files import StoredDisk
from swarmtui.sim.machine import StateMachine, StoreMachine
from swarmtui.storage.errors import StorageError

if TYPE_CHECKING:
    from swarmtui.sim.cluster import SimulatedCluster


class SimulatedNode:
    """`core` is None while the node is down; `paused_until` is set while it is stopped."""

    def __init__(self, cluster: SimulatedCluster, id: str, configuration: Configuration, genesis: Entry | None) -> None:
        self.cluster = cluster
        self.id = id
        self.joined_later = genesis is None
        self.retired = False  # it was told that it is no member any more
        disk_rng, segment_bytes = random.Random(f"disk {cluster.seed} {id}"), cluster.parameters.segment_bytes
        self.disk = (
            StoredDisk(configuration, genesis, disk_rng, id, segment_bytes, cluster.parameters.copies_rate > 0)
            if segment_bytes
            else SimulatedDisk(configuration, genesis, disk_rng)
        )
        self.core: RaftCore | None = None
        self.machine = self._new_machine()
        self.life = 0  # counts starts, so that nothing reaches a later life
        self.paused_until: float | None = None
        self.hung = False  # the disk completes nothing until the next crash
        self.suspect = False  # its disk was damaged, which nobody has noticed yet
        self.lost = False  # its disk is of no use any more: it never starts again
        self.effects_left = 0  # until it crashes in the middle of carrying them out; 0: it does not
        self.to_apply: deque[Entry] = deque()
        self.held_back: list[Callable[[], None]] = []
        self.tick_at: float | None = None
        self.clock = NodeClock(cluster)
        self.commit_seen = 0
        self.snapshot_due_after = 0
        self.saving = False
        self.desk = Desk(self)

    def _new_machine(self) -> StateMachine:
        return StoreMachine() if self.cluster.parameters.with_store else StateMachine()

    # ---- life ----

    @property
    def is_out(self) -> bool:
        """It never starts again."""
        return self.lost or self.retired

    @property
    def runs(self) -> bool:
        return self.core is not None and self.paused_until is None

    def start(self) -> None:
        cluster = self.cluster
        self.life += 1
        if not self._open_disk():
            return
        self.clock.begin()
        restored = self.disk.restore()
        self.machine = self._new_machine()
        if restored.snapshot is not None:
            self.machine.load(self.disk.snapshots[restored.snapshot])
        self.core = RaftCore(
            node_id=self.id,
            cluster="sim",
            options=cluster.parameters.options,
            restored=restored,
            draw=random.Random(f"core {cluster.seed} {self.id} {self.life}").random,
            now=self.clock.time,
        )
        self.commit_seen = self.core.log.commit
        self.snapshot_due_after = self.machine.index + cluster.parameters.snapshot_entries
        self.saving = self.hung = False
        self.tick_at = None
        cluster.note(self.id, "start", None)
        self.pump()

    def _open_disk(self) -> bool:
        """Whether this node can start; if not, it never will."""
        try:
            self.disk.reopen()
        except StorageError as error:
            if not self.suspect:
                raise InvariantViolation("a disk that nobody damaged can be read", node=self.id, error=error) from None
            self.lose_disk(str(error))
            return False
        self.suspect = False
        return True

    def lose_disk(self, why: str) -> None:
        """What was on it cannot be had any more, and a voter that forgot its vote may not vote again."""
        self.lost = True
        self.suspect = False
        self.cluster.note(self.id, f"lost: {why}", None)
        self.cluster.counts["disks lost"] += 1

    def crash(self, ruin: Ruin) -> None:
        """Memory is gone, and of what the disk had not reported some first part or nothing is there."""
        self.cluster.note(self.id, f"crash ({ruin})", None)
        self.core = None
        self.life += 1
        self.disk.crash(ruin)
        self.paused_until = None
        self.effects_left = 0
        self.held_back.clear()
        self.to_apply.clear()
        self.desk.close()

    def _retire(self, life: int) -> None:
        """It was told that it is no member any more: its part is over."""
        if self.life == life and self.core is not None:
            self.crash(Ruin.KILLED)
            self.retired = True
            self.cluster.counts["retired"] += 1

    def resume(self) -> None:
        """Wake from a pause: first the gap, if this node notices it, then everything that came meanwhile."""
        slept = self.cluster.now - (self.paused_until or 0.0)
        self.paused_until = None
        self.cluster.note(self.id, f"resume after {slept:.3f} s", None)
        held, self.held_back = self.held_back, []
        if slept > self.cluster.parameters.options.election_timeout_s and self.cluster.rng.random() < 0.8:
            self.feed(Gap())
        for action in held:
            action()
        self.schedule_tick()

    def mend_clock(self) -> None:
        """From now on it runs as true time does."""
        self.clock.mend()
        self.tick_at = None
        if self.core is not None:
            self.schedule_tick()

    # ---- inputs and effects ----

    def feed(self, event: Input) -> None:
        """Feed and drain; sometimes leave the draining to the next input, as a busy shell does."""
        if self.core is None:
            return
        if self.paused_until is not None:
            self.held_back.append(partial(self.feed, event))
            return
        self.take(event)
        self.pump_soon()

    def take(self, event: Input) -> None:
        """Feed, and leave what follows from it to the next drain."""
        assert self.core is not None
        self.cluster.note(self.id, "<", event)
        self.core.feed(event, self.clock.time)

    def when_awake(self, action: Callable[[], None]) -> None:
        """Now, or, while this node is paused, when it wakes."""
        if self.paused_until is not None:
            self.held_back.append(action)
        else:
            action()

    def pump_soon(self) -> None:
        cluster = self.cluster
        batching = cluster.parameters.batching
        if batching and cluster.rng.random() < batching:
            cluster.after(cluster.rng.uniform(0, 0.002), self.pump_life, self.life)
        else:
            self.pump()

    def pump_life(self, life: int) -> None:
        if life == self.life and self.runs:
            self.pump()

    def pump(self) -> None:
        """Carry out effects until there are none."""
        core = self.core
        assert core is not None
        cluster = self.cluster
        self.desk.flush()
        while True:
            effects = core.drain()
            if core.log.commit > self.commit_seen:
                cluster.observer.commits(self, core.log.commit)
                self.commit_seen = core.log.commit
            applied = 0
            for effect in effects:
                if self.effects_left:
                    self.effects_left -= 1
                    if not self.effects_left:
                        cluster.trouble.power.crash(self)
                        return
                cluster.note(self.id, ">", effect)
                kind = type(effect)
                if kind is Send:
                    cluster.transmit(self, effect.message)  # type: ignore[union-attr]
                elif kind is Apply:
                    applied = self._apply_soon(effect.entries)  # type: ignore[union-attr]
                else:
                    self._carry_out(effect)
            if not applied:
                break
            core.feed(Applied(applied), self.clock.time)
            cluster.note(self.id, "<", Applied(applied))
        self.schedule_tick()
        self._perhaps_snapshot()
        for look in cluster.lookers:
            look(self)

    def _carry_out(self, effect: Effect) -> None:
        cluster, core = self.cluster, self.core
        assert core is not None
        if isinstance(effect, Write | InstallSnapshot | WriteChunk | ReadChunk):
            if isinstance(effect, Write):
                cluster.observer.writes(self, effect)
            self._to_disk(effect)
        elif isinstance(effect, Compact):
            self._to_disk(DropLog(effect.index))
        elif isinstance(effect, RoleChanged):
            if effect.role is Role.LEADER:
                cluster.observer.leads(self, effect.term)
        elif isinstance(effect, Accepted):
            self.desk.accepted(effect)
        elif isinstance(effect, ReadReady):
            self.desk.ready(effect)
        elif isinstance(effect, ReadRefused):
            self.desk.read_refused(effect)
        elif isinstance(effect, MembersChanged):
            cluster.observer.members_changed(self, effect)
        elif isinstance(effect, Expelled):
            cluster.observer.expels(self)
            cluster.after(cluster.rng.expovariate(100.0), self._retire, self.life)
        elif isinstance(effect, Narrate) and effect.what == "truncated":
            cluster.observer.truncates(self, effect.term)
        elif isinstance(effect, Refused):
            cluster.counts[f"refused {effect.rule}"] += 1
            self.desk.refused(effect)

    def _apply_soon(self, entries: tuple[Entry, ...]) -> int:
        """Now, or piece by piece when the state machine gets to it. The last index that was applied now, or 0."""
        late_s = self.cluster.parameters.apply_late_s
        if not late_s and not self.to_apply:
            return self._apply(entries)
        if not self.to_apply:
            self.cluster.after(self.cluster.rng.uniform(0, late_s), self._apply_some, self.life)
        self.to_apply.extend(entries)
        return 0

    def _apply_some(self, life: int) -> None:
        if life != self.life or not self.to_apply:
            return
        if self.paused_until is not None:
            self.held_back.append(partial(self._apply_some, life))
            return
        count = self.cluster.rng.randint(1, len(self.to_apply))
        index = self._apply(tuple(self.to_apply.popleft() for _ in range(count)))
        if self.to_apply:
            late_s = self.cluster.parameters.apply_late_s
            self.cluster.after(self.cluster.rng.uniform(0, late_s), self._apply_some, life)
        self.feed(Applied(index))

    def _apply(self, entries: Sequence[Entry]) -> int:
        observer = self.cluster.observer
        for entry in entries:
            results = self.machine.apply(entry)
            is_first = observer.applies(self, entry, self.machine.digest)
            if is_first and self.cluster.parameters.services and isinstance(self.machine, StoreMachine):
                self.cluster.scheduling.applied(self.machine.store)
            self.desk.applied(entry, results)
        return entries[-1].index

    def schedule_tick(self) -> None:
        """Wake at the core's deadline; an alarm that comes too early only looks again."""
        deadline = None if self.core is None else self.core.deadline
        if deadline is None:
            return  # or it has crashed meanwhile
        at = self.clock.true_time(deadline)
        if self.tick_at is None or at < self.tick_at - 1e-9:
            late = self.cluster.parameters.tick_late_s
            at = max(at, self.cluster.now) + (self.cluster.rng.uniform(0, late) if late else 0.0)
            self.tick_at = at
            self.cluster.at(at, self._alarm, self.life, at)

    def _alarm(self, life: int, at: float) -> None:
        if life != self.life or self.tick_at != at:
            return
        self.tick_at = None
        if not self.runs:
            return
        assert self.core is not None
        deadline = self.core.deadline
        if deadline is not None and self.clock.has_come(deadline):
            self.feed(Tick())
        self.schedule_tick()

    # ---- the disk ----

    def _to_disk(self, operation: Write | InstallSnapshot | WriteChunk | ReadChunk | SaveSnapshot | DropLog) -> None:
        self.disk.waiting.append(operation)
        self._work()

    def _work(self) -> None:
        if not self.hung and self.disk.take_batch():
            self.cluster.after(self.cluster.sync_time(), self._synced, self.life)

    def _synced(self, life: int) -> None:
        """One sync is done. The disk works on while the process is paused; its reports wait."""
        if life != self.life or self.hung:
            return
        before, base = list(self.disk.entries), self.disk.base
        truncates = any(isinstance(op, Write) and op.truncate_after is not None for op in self.disk.working)
        reports = self.disk.finish_batch()
        if truncates:
            self.cluster.observer.truncates_disk(
                self, [entry for entry in before if entry.index > base and not self.disk.holds(entry.index, entry.term)]
            )
        for report in reports:
            if self.life != life:
                return  # what the last report led to, it did not survive
            if isinstance(report, SnapshotTaken):
                self.saving = False
            elif isinstance(report, SnapshotInstalled):
                self._restore_machine(report.mark)
            self.feed(report)
        self._work()

    def _restore_machine(self, mark: SnapshotMark) -> None:
        self.to_apply.clear()
        self.machine = self._new_machine()
        self.machine.load(self.disk.snapshots[mark])
        self.snapshot_due_after = mark.index + self.cluster.parameters.snapshot_entries
        self.desk.passed_over(mark.index)
        self.cluster.observer.restores(self, self.machine.index, self.machine.digest)
        self.cluster.counts["snapshots installed"] += 1

    def _perhaps_snapshot(self) -> None:
        core = self.core
        if core is None or self.saving or self.machine.index < self.snapshot_due_after or core.incoming.is_installing:
            return
        index = self.machine.index
        term = core.term_at(index)
        if term is None or index != core.applied:
            return
        self.saving = True
        self.snapshot_due_after = index + self.cluster.parameters.snapshot_entries
        data = self.machine.snapshot()
        self.cluster.observer.snapshots(self)
        mark = SnapshotMark(index, term, core.configuration_at(index), len(data), checksum(data))
        self._to_disk(SaveSnapshot(mark, data))
        self.cluster.counts["snapshots taken"] += 1

    def line(self, mark: str, what: Input | Effect | None) -> str:
        if what is None:
            return mark
        return f"{mark} {input_line(what) if mark == '<' else effect_line(what)}"  # type: ignore[arg-type]
