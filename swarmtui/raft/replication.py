"""A leader's sending side: each peer gets entries by its progress, or a snapshot piece by piece."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from typing import TYPE_CHECKING

from swarmtui.raft.effects import ReadChunk
from swarmtui.raft.entries import Entry
from swarmtui.raft.inputs import ChunkRead
from swarmtui.raft.invariants import InvariantViolation
from swarmtui.raft.messages import Append, AppendReply, SnapshotChunk, SnapshotReply
from swarmtui.raft.progress import Progress, ProgressState
from swarmtui.raft.reasons import Why

if TYPE_CHECKING:
    from swarmtui.raft.core import RaftCore

PROBE, REPLICATE, SNAPSHOT = ProgressState.PROBE, ProgressState.REPLICATE, ProgressState.SNAPSHOT


class Replication:
    """`progress` by peer, without ourselves. Sessions are numbered within the term and never used twice."""

    def __init__(self, core: RaftCore) -> None:
        self.core = core
        self.progress: dict[str, Progress] = {}
        self._session = 0
        self._round = 0

    def meet(self, members: Collection[str]) -> None:
        """Know exactly these peers; who is new is probed from the end of our log."""
        core = self.core
        for peer in [peer for peer in self.progress if peer not in members]:
            del self.progress[peer]
        for peer in members:
            if peer != core.node_id and peer not in self.progress:
                self._session += 1
                connected = peer not in core.unreachable
                self.progress[peer] = Progress(self._session, core.log.last + 1, connected=connected)

    # ---- sending ----

    def feed_peers(self, round_number: int) -> bool:
        """Send what each peer's window has room for. True if there was something."""
        self._round = round_number
        last, options = self.core.log.last, self.core.options
        has_sent = False
        for peer, progress in self.progress.items():
            while (progress.next <= last or progress.state is PROBE) and progress.is_open(options):
                if not self._send_entries(peer, progress):
                    break
                has_sent = True
        return has_sent

    def has_told(self, commit: int) -> bool:
        """Nobody is left for `notice`."""
        return not any(_is_to_be_told(progress, commit) for progress in self.progress.values())

    def _send_entries(self, peer: str, progress: Progress) -> bool:
        core, log = self.core, self.core.log
        previous_term = log.term_at(progress.next - 1)
        if previous_term is None:
            return self._begin_snapshot(peer, progress)
        before = progress.next - 1
        entries = log.batch(progress.next, core.options.append_bytes_max)
        self._append(peer, progress, before, previous_term, entries)
        progress.sent(before + len(entries), log.bytes_between(before, before + len(entries)))
        return True

    def _append(self, peer: str, progress: Progress, previous: int, term: int, entries: tuple[Entry, ...]) -> None:
        core = self.core
        progress.commit_sent = core.log.commit
        core.send(
            Append(
                cluster=core.cluster,
                source=core.node_id,
                target=peer,
                term=core.ballot.term,
                session=progress.session,
                previous_index=previous,
                previous_term=term,
                commit=core.log.commit,
                round=self._round,
                entries=entries,
            )
        )

    def _empty_append(self, peer: str, progress: Progress) -> None:
        """A heartbeat: it also finds out whether what was sent before has arrived, for it claims to follow it."""
        log = self.core.log
        previous = progress.match if progress.state is SNAPSHOT else progress.next - 1
        term = log.term_at(previous)
        if term is None:
            previous, term = 0, 0  # agrees with every log, and verifies nothing
        self._append(peer, progress, previous, term, ())

    def heartbeat(self, round_number: int) -> None:
        """Everybody gets a sign of life, whatever its window; it carries the newest read round."""
        self._round = round_number
        now, patience = self.core.now, self.core.options.election_timeout_s / 2
        log = self.core.log
        for peer, progress in self.progress.items():
            if progress.state is REPLICATE and log.term_at(progress.next - 1) is None:
                # What is in flight is compacted here: no heartbeat can follow it, so a loss would never show.
                progress.probe(progress.match + 1)
            self._empty_append(peer, progress)
            if progress.state is PROBE:
                progress.paused = True  # that was the probe
            outgoing = progress.outgoing
            if outgoing is not None and progress.connected and now - outgoing.asked_at >= patience:
                self._ask_piece(peer, progress)  # the piece or its answer was lost

    def notice(self, commit: int, round_number: int) -> None:
        """Tell those that have not heard of this commit and got no Append that would have said so."""
        self._round = round_number
        for peer, progress in self.progress.items():
            if _is_to_be_told(progress, commit):
                self._empty_append(peer, progress)

    # ---- answers ----

    def on_append_reply(self, progress: Progress, message: AppendReply) -> bool:
        """True if the peer's match advanced."""
        log = self.core.log
        if not message.accepted:
            self._on_rejection(progress, message)
            return False
        if max(message.match, message.previous_index) > log.last:
            self.core.drop(message, Why("impossible-match", match=message.match, last=log.last))
            return False
        if progress.state is SNAPSHOT:
            # Any acknowledgement that reaches our log ends it, also if the report of the last piece was lost (etcd#10308).
            if message.match >= log.base:
                progress.replicate(message.match + 1)
        elif progress.state is PROBE:
            progress.replicate(message.previous_index + 1)
        return progress.acknowledge(message.match)

    def _on_rejection(self, progress: Progress, message: AppendReply) -> None:
        """Go back to where the logs can still agree, skipping whole terms; late answers change nothing."""
        log, at = self.core.log, message.previous_index
        is_late = at != progress.next - 1 if progress.state is PROBE else at <= progress.match
        if progress.state is SNAPSHOT or is_late:
            return
        if at <= progress.match:
            self._begin_again(progress, message)
            return
        if progress.state is REPLICATE and not progress.may_go_back(self.core.now, self.core.options.heartbeat_s):
            return  # where messages overtake each other, each would beget a window of them; the next heartbeat asks anew
        progress.probe(log.search(min(message.conflict_index, at), message.conflict_term) + 1)

    def _begin_again(self, progress: Progress, message: AppendReply) -> None:
        """The peer does not hold what it acknowledged: its disk was put back to an older state (or a late answer looks so,
        which costs a search). What it holds is found out anew, in a session of its own, and it is filled again."""
        core, peer = self.core, message.source
        kept = core.log.search(min(message.conflict_index, message.previous_index), message.conflict_term)
        why = Why("entries-gone", acknowledged=progress.match, kept=kept)
        core.narrate("acknowledged entries are gone", why, of=core.name(peer))
        self._session += 1
        self.progress[peer] = Progress(
            self._session, kept + 1, connected=progress.connected, heard_at=progress.heard_at, round=progress.round
        )

    def reachable(self, peer: str) -> None:
        """A new connection: begin again from what is acknowledged, at once."""
        progress = self.progress.get(peer)
        if progress is None:
            return
        progress.connected = True
        if progress.outgoing is not None:
            self._ask_piece(peer, progress)
        elif progress.match:
            progress.probe(progress.match + 1)
        else:
            progress.paused = False

    def unreachable(self, peer: str) -> None:
        """What was in flight may be lost: probe at the next heartbeat or connection."""
        progress = self.progress.get(peer)
        if progress is None:
            return
        progress.connected = False
        if progress.state is REPLICATE:
            progress.probe(progress.match + 1 if progress.match else progress.next)
        progress.paused = True

    # ---- snapshots ----

    def _begin_snapshot(self, peer: str, progress: Progress) -> bool:
        core = self.core
        if not progress.connected:
            progress.paused = True
            return False
        if core.snapshot is None:
            raise InvariantViolation("what was compacted is in a snapshot", next=progress.next, base=core.log.base)
        core.narrate("snapshot begun", to=core.name(peer), index=core.snapshot.index, needs=progress.next)
        progress.begin_snapshot(core.snapshot, core.now)
        self._ask_piece(peer, progress)
        return False

    def _ask_piece(self, peer: str, progress: Progress) -> None:
        outgoing = progress.outgoing
        if outgoing is None or outgoing.offset >= outgoing.mark.size_bytes:
            return
        outgoing.asked_at = self.core.now
        self.core.emit(ReadChunk(peer, outgoing.mark, outgoing.offset, self.core.options.snapshot_chunk_bytes))

    def on_chunk_read(self, event: ChunkRead) -> None:
        core, progress = self.core, self.progress.get(event.peer)
        outgoing = progress.outgoing if progress is not None else None
        if progress is None or outgoing is None or outgoing.mark != event.mark or outgoing.offset != event.offset:
            return
        if event.missing or not event.data:
            progress.probe(progress.match + 1)  # gone: a newer one will do, or the log
            if core.snapshot == event.mark:
                progress.paused = True
            return
        core.send(
            SnapshotChunk(
                cluster=core.cluster,
                source=core.node_id,
                target=event.peer,
                term=core.ballot.term,
                session=progress.session,
                mark=event.mark,
                offset=event.offset,
                data=event.data,
                chunk_checksum=zlib.crc32(event.data),
                round=self._round,
            )
        )

    def on_snapshot_reply(self, progress: Progress, message: SnapshotReply) -> bool:
        """True if the peer's match advanced."""
        outgoing = progress.outgoing
        if outgoing is None or outgoing.mark.index != message.index:
            return False
        if message.installed:
            progress.replicate(message.index + 1)
            return progress.acknowledge(message.index)
        if message.next_offset != outgoing.offset:
            outgoing.offset = min(message.next_offset, outgoing.mark.size_bytes)
            self._ask_piece(message.source, progress)
        return False


def _is_to_be_told(progress: Progress, commit: int) -> bool:
    """Its log agrees with ours, and no Append has said yet how far that is committed."""
    return progress.state is REPLICATE and progress.commit_sent < commit
