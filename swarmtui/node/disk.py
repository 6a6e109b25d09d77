"""The way to the disk: what the core wants written, in order, on the one standing thread.

All Writes that have come together meanwhile become one write and one sync. Every acknowledgement waits for them, so they
are begun in the step in which they are wanted, and a step with nothing else to do waits for them as well: a disk in good
order is done before the loop would have gone to sleep and woken up. One that is not is left to the thread, and for a rest not waited for;
then what it did is reported in the step in which the thread is done. Everything else that touches the log is rare, is done
by the one task here, and keeps its place in the order.

A failure of the disk leaves `run` as an exception and ends the node: after a failed sync nobody knows what is on the disk,
and only a new process may look.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

import trio
from outcome import Outcome

from swarmtui.node.bell import Bell
from swarmtui.raft.effects import Compact, InstallSnapshot, ReadChunk, Write, WriteChunk
from swarmtui.raft.entries import Entry
from swarmtui.raft.inputs import ChunkRead, ChunkWritten, Input, Written
from swarmtui.storage.log import RaftStorage
from swarmtui.storage.snapshots import SnapshotFiles
from swarmtui.storage.worker import DiskWorker

WAIT_S = 0.002  # for a write, where it is wanted; some ten times what a good disk needs
REST_S = (
    10 * WAIT_S
)  # without waiting, after a write that took longer: a slow disk stops the loop for a tenth of the time

MayWait = Callable[[], bool]
"""Whether the loop has nothing better to do than to wait for the disk: asked where there is something to write."""

DiskEffect = Write | Compact | ReadChunk | WriteChunk | InstallSnapshot


class Disk:
    """`written` is called with the report when Writes are durable, `discarded` when segments and older snapshots have lost
    their names, with the entries that the log in memory has let go."""

    def __init__(
        self,
        storage: RaftStorage,
        snapshots: SnapshotFiles,
        worker: DiskWorker,
        feed: Callable[[Input], None],
        written: Callable[[Written], None],
        installed: Callable[[InstallSnapshot], Awaitable[None]],
        discarded: Callable[[list[Entry]], None] = lambda forgotten: None,
    ) -> None:
        self._storage = storage
        self._snapshots = snapshots
        self._worker = worker
        self._feed = feed
        self._report = written
        self._installed = installed
        self._discarded = discarded
        self._queue: deque[DiskEffect] = deque()
        self._busy = False
        self._rests_until = float("-inf")
        self._failure: Exception | None = None
        self._bell = Bell()  # the task has something to do

    def want(self, effect: DiskEffect) -> None:
        """Begun by `begin`, in the order in which it was wanted."""
        self._queue.append(effect)

    def begin(self, may_wait: MayWait) -> Written | None:
        """Begin what is wanted, unless something is under way. What was written while the loop waited for it, if it may, is
        reported here."""
        writes = self._take()
        if not writes:
            return None
        sequence = writes[-1].sequence
        done = partial(self._written, sequence)
        now = trio.current_time()
        if now < self._rests_until or not may_wait():
            self._worker.begin(done, self._storage.write_many, writes)
            return None
        result = self._worker.attempt(done, WAIT_S, self._storage.write_many, writes)
        if result is None:
            self._rests_until = now + WAIT_S + REST_S
            return None
        self._busy = False
        try:
            result.unwrap()
        except Exception as error:  # of the disk: `run` raises it
            self._fail(error)
            return None
        return Written(sequence)

    def _take(self) -> list[Write]:
        """The Writes that are next, to be begun now. What is next and no Write is given to the task."""
        writes: list[Write] = []
        if self._busy or not self._queue or self._failure is not None:
            return writes
        self._busy = True
        if not isinstance(self._queue[0], Write):
            self._bell.ring()
        while self._queue and isinstance(self._queue[0], Write):
            writes.append(self._queue.popleft())  # type: ignore[arg-type]
        return writes

    def _go_on(self) -> None:
        """With what has come meanwhile."""
        writes = self._take()
        if writes:
            self._worker.begin(partial(self._written, writes[-1].sequence), self._storage.write_many, writes)

    def _written(self, sequence: int, result: Outcome[None]) -> None:
        self._busy = False
        try:
            result.unwrap()
            self._go_on()  # the disk first, then what its news brings
            self._report(Written(sequence))
        except Exception as error:  # of the disk, or of the core that was told: `run` raises it
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._failure = error
        self._bell.ring()

    async def run(self) -> None:
        """Until cancelled. Raises DiskFailure, and InvariantViolation where a report brings it to light."""
        while True:
            await self._bell.heard()
            if self._failure is not None:
                raise self._failure
            await self._carry_out(self._queue.popleft())
            self._busy = False
            self._go_on()

    async def _carry_out(self, effect: DiskEffect) -> None:
        """What is no Write."""
        match effect:
            case Compact():
                await self._worker.run(self._storage.compact, effect.index)
                await self._worker.run(self._snapshots.discard_older)
                self._discarded(effect.forgotten)
            case ReadChunk():
                data = await self._worker.run(self._snapshots.read, effect.mark, effect.offset, effect.bytes_max)
                self._feed(ChunkRead(effect.peer, effect.mark, effect.offset, data or b"", missing=data is None))
            case WriteChunk():
                outcome, next_offset = await self._worker.run(
                    self._snapshots.receive, effect.mark, effect.offset, effect.data
                )
                self._feed(ChunkWritten(effect.mark, next_offset, outcome))
            case InstallSnapshot():
                await self._worker.run(self._storage.install, effect.mark, effect.kept)
                await self._installed(effect)
                self._discarded([])
