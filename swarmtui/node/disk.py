"""The way to the disk: what the core wants written, in order, on the one standing thread.

All Writes that have come together meanwhile become one write and one sync. Every acknowledgement waits for them, so they
are begun in the step in which they are wanted and reported in the step in which the thread is done: no task has to wake up
in between. Everything else that touches the log is rare, is done by the one task here, and keeps its place in the order.

A failure of the disk leaves `run` as an exception and ends the node: after a failed sync nobody knows what is on the disk,
and only a new process may look.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

from outcome import Outcome

from swarmtui.node.bell import Bell
from swarmtui.raft.effects import Compact, InstallSnapshot, ReadChunk, Write, WriteChunk
from swarmtui.raft.inputs import ChunkRead, ChunkWritten, Input, Written
from swarmtui.storage.log import RaftStorage
from swarmtui.storage.snapshots import SnapshotFiles
from swarmtui.storage.worker import DiskWorker

DiskEffect = Write | Compact | ReadChunk | WriteChunk | InstallSnapshot


class Disk:
    """`written` is called with the report when Writes are durable, `discarded` when older snapshots have lost their names."""

    def __init__(
        self,
        storage: RaftStorage,
        snapshots: SnapshotFiles,
        worker: DiskWorker,
        feed: Callable[[Input], None],
        written: Callable[[Written], None],
        installed: Callable[[InstallSnapshot], Awaitable[None]],
        discarded: Callable[[], None] = lambda: None,
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
        self._failure: Exception | None = None
        self._bell = Bell()  # the task has something to do

    def want(self, effect: DiskEffect) -> None:
        self._queue.append(effect)
        self._go_on()

    def _go_on(self) -> None:
        """Begin what is next, unless something is under way."""
        if self._busy or not self._queue or self._failure is not None:
            return
        self._busy = True
        if not isinstance(self._queue[0], Write):
            self._bell.ring()
            return
        writes: list[Write] = []
        while self._queue and isinstance(self._queue[0], Write):
            writes.append(self._queue.popleft())  # type: ignore[arg-type]
        self._worker.begin(partial(self._written, writes[-1].sequence), self._storage.write_many, writes)

    def _written(self, sequence: int, result: Outcome[None]) -> None:
        self._busy = False
        try:
            result.unwrap()
            self._go_on()  # the disk first, then what its news brings
            self._report(Written(sequence))
        except Exception as error:  # of the disk, or of the core that was told: `run` raises it
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
                self._discarded()
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
