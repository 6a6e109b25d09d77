"""Receiving a snapshot: pieces in order onto the disk, then, whole and checked, in place of the log and the state.

What arrived stays over a change of leader and a restart (the disk knows how much it has), so a broken transfer goes on
where it stopped. While a received snapshot is installed, what Appends bring is not looked at, for the log is about to be
replaced; they are answered, so that the leader hears this voter.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import attrs

from swarmtui.raft.effects import InstallSnapshot, WriteChunk
from swarmtui.raft.follower import Follower
from swarmtui.raft.inputs import ChunkOutcome, ChunkWritten, SnapshotInstalled
from swarmtui.raft.messages import SnapshotChunk, SnapshotMark, SnapshotReply
from swarmtui.raft.reasons import Why

if TYPE_CHECKING:
    from swarmtui.raft.core import RaftCore


@attrs.define
class Arriving:
    """`next_offset` is None until the disk has said how much of it is there."""

    mark: SnapshotMark
    next_offset: int | None = None
    writing_offset: int | None = None


class Incoming:
    """At most one snapshot at a time arrives, and then is installed."""

    def __init__(self, core: RaftCore) -> None:
        self.core = core
        self.arriving: Arriving | None = None
        self.installing: SnapshotMark | None = None

    @property
    def is_installing(self) -> bool:
        return self.installing is not None

    def on_chunk(self, message: SnapshotChunk) -> None:
        core, mark = self.core, message.mark
        if mark.index <= core.log.commit:
            if mark.index <= core.log.durable:
                self._reply(mark, mark.size_bytes, installed=True)
            return  # else the entries themselves are on their way to the disk and will be acknowledged
        if self.is_installing:
            return
        arriving = self.arriving
        if arriving is None or arriving.mark != mark:
            if arriving is not None and arriving.writing_offset is not None:
                return  # the disk still writes a piece of another one; the leader will repeat this
            arriving = self.arriving = Arriving(mark)
        if arriving.writing_offset is not None:
            return
        if zlib.crc32(message.data) != message.chunk_checksum:
            core.drop(message, Why("damaged-piece", offset=message.offset))
            self._reply(mark, arriving.next_offset or 0, installed=False)
        elif arriving.next_offset is not None and message.offset != arriving.next_offset:
            self._reply(mark, arriving.next_offset, installed=False)
        else:
            arriving.writing_offset = message.offset
            core.emit(WriteChunk(mark, message.offset, message.data))

    def on_written(self, event: ChunkWritten) -> None:
        core, arriving = self.core, self.arriving
        if arriving is None or arriving.mark != event.mark:
            return
        arriving.writing_offset = None
        arriving.next_offset = event.next_offset
        if event.outcome is ChunkOutcome.COMPLETE:
            self.arriving = None
            if event.mark.index > core.log.commit and isinstance(core.role, Follower):
                self._install(event.mark)
            return
        if event.outcome is ChunkOutcome.DAMAGED:
            core.narrate("snapshot refused", Why("damaged-snapshot"), index=event.mark.index)
            arriving.next_offset = 0
        self._reply(event.mark, arriving.next_offset, installed=False)

    def _install(self, mark: SnapshotMark) -> None:
        """What is in the log behind the snapshot, if it agrees with it, is kept; else nothing (hashicorp#697)."""
        core, log = self.core, self.core.log
        core.write_now()  # the disk gets everything older first
        kept = tuple(log.between(mark.index + 1, log.last)) if log.term_at(mark.index) == mark.term else ()
        self.installing = mark
        core.narrate("snapshot received", index=mark.index, size_bytes=mark.size_bytes, kept=len(kept))
        core.emit(InstallSnapshot(mark, kept))

    def on_installed(self, event: SnapshotInstalled) -> None:
        core, mark = self.core, event.mark
        if mark != self.installing:
            return
        self.installing = None
        log = core.log
        kept = log.between(mark.index + 1, log.last) if log.term_at(mark.index) == mark.term else []
        core.restart_at(mark, kept)
        self._reply(mark, mark.size_bytes, installed=True)

    def _reply(self, mark: SnapshotMark, next_offset: int, installed: bool) -> None:
        core, role = self.core, self.core.role
        if not isinstance(role, Follower) or not role.leader:
            return  # whoever sent it leads no more
        core.send(
            SnapshotReply(
                cluster=core.cluster,
                source=core.node_id,
                target=role.leader,
                term=core.ballot.term,
                session=role.session,
                index=mark.index,
                next_offset=next_offset,
                installed=installed,
                round=role.round,
            )
        )
