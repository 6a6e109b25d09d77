"""The way to the disk: what the core wants written, in order, on the one standing thread.

All Writes that have come together meanwhile become one write and one sync. Everything else that touches the log keeps its
place in that order. A failure of the disk leaves this loop as an exception and ends the node: after a failed sync nobody
knows what is on the disk, and only a new process may look.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

from swarmtui.node.bell import Bell
from swarmtui.raft.effects import Compact, InstallSnapshot, ReadChunk, Write, WriteChunk
from swarmtui.raft.inputs import ChunkRead, ChunkWritten, Input, Written
from swarmtui.storage.log import RaftStorage
from swarmtui.storage.snapshots import SnapshotFiles
from swarmtui.storage.worker import DiskWorker

DiskEffect = Write | Compact | ReadChunk | WriteChunk | InstallSnapshot


class Disk:
    def __init__(
        self,
        storage: RaftStorage,
        snapshots: SnapshotFiles,
        worker: DiskWorker,
        feed: Callable[[Input], None],
        installed: Callable[[InstallSnapshot], Awaitable[None]],
    ) -> None:
        self._storage = storage
        self._snapshots = snapshots
        self._worker = worker
        self._feed = feed
        self._installed = installed
        self._queue: deque[DiskEffect] = deque()
        self._bell = Bell()

    def want(self, effect: DiskEffect) -> None:
        self._queue.append(effect)
        self._bell.ring()

    async def run(self) -> None:
        """Until cancelled. Raises DiskFailure."""
        while True:
            await self._bell.heard()
            while self._queue:
                await self._next()

    async def _next(self) -> None:
        effect = self._queue.popleft()
        match effect:
            case Write():
                writes = [effect]
                while self._queue and isinstance(self._queue[0], Write):
                    writes.append(self._queue.popleft())  # type: ignore[arg-type]
                await self._worker.run(self._storage.write_many, writes)
                self._feed(Written(writes[-1].sequence))
            case Compact():
                await self._worker.run(self._storage.compact, effect.index)
                await self._worker.run(self._snapshots.discard_older)
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
