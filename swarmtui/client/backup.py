"""Saving the state of a cluster in a file (`storage.backup`), from whichever manager gives it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from swarmtui.client.errors import ClientError, NoLeader, NoQuorum, NotReached, Refused
from swarmtui.storage.backup import BackupRefused, BackupWriter, Head, Saved
from swarmtui.wire.node_calls import StatePiece, StreamState
from swarmtui.wire.rules import NO_QUORUM

if TYPE_CHECKING:
    from swarmtui.client.cluster import Cluster

COMPARE_S = 2.0  # for managers to say how far they are; one that is paused says nothing at all
PIECE_QUIET_S = 5.0  # between two pieces: a manager that was paused on the way keeps its connection and sends no more


async def save_backup(
    cluster: Cluster, path: Path, *, node: str = "", replace: bool = False, stale: bool = False
) -> Saved:
    """A consistent copy of everything in the store at a linearizable index, in one new file that only its owner can read.
    `node` is the manager to ask ("": the leader, or whoever answers). `stale`: what that manager, or the most advanced one
    that answers, has applied, with no quorum asked. Raises NoQuorum, NoLeader, Refused, NotReached."""
    if node:
        names = [node]
    elif stale:
        names = await _most_advanced_first(cluster)
    else:
        names = [manager.name for manager in cluster.managers()]
    failure: ClientError | None = None
    for name in names:
        try:
            return await _save_from(cluster, name, path, replace, stale)
        except BackupRefused as error:
            raise Refused("file", str(error)) from None
        except ClientError as error:  # the next one may do
            failure = failure if _is_no_quorum(failure) else error
    if _is_no_quorum(failure):
        raise await _without_quorum(cluster)
    raise failure or cluster.nobody(len(cluster.manifest.managers))


async def _most_advanced_first(cluster: Cluster) -> list[str]:
    reports = [report for report in await cluster.reports(timeout_s=COMPARE_S) if report.raft_role]
    return [report.name for report in sorted(reports, key=lambda report: (-report.applied, -report.term, report.name))]


async def _without_quorum(cluster: Cluster) -> ClientError:
    """Why it was refused, with the arithmetic, and that it can be had all the same."""
    quorum = (await cluster.status()).quorum
    if quorum.reachable < quorum.needed:
        instead = "save what the most advanced manager has with --stale"
        return NoQuorum(quorum.reachable, quorum.needed, quorum.voters, instead=instead)
    return NoLeader("no quorum vouches for the state yet; try again, or save what one manager has with --stale")


def _is_no_quorum(failure: ClientError | None) -> bool:
    """It says more than that another one does not answer."""
    return isinstance(failure, Refused) and failure.rule == NO_QUORUM


async def _save_from(cluster: Cluster, name: str, path: Path, replace: bool, stale: bool) -> Saved:
    writer: BackupWriter | None = None
    try:
        async for piece in _pieces(cluster, name, stale):
            if writer is None:
                head = Head(
                    cluster=cluster.manifest.id,
                    index=piece.index,
                    term=piece.term,
                    taken_at=time.time(),
                    saved_by=name,
                    manifest=cluster.manifest,
                    stale=stale,
                )
                writer = BackupWriter(path, head, replace=replace)
            writer.put(piece.data)
            if piece.last:
                return await trio.to_thread.run_sync(writer.finish)
        raise Refused("broken", f"{name} ended before all of the state had come; try again")
    finally:
        if writer is not None:
            writer.close()


async def _pieces(cluster: Cluster, name: str, stale: bool) -> AsyncIterator[StatePiece]:
    """However long all of it takes, as long as it goes on. Raises NotReached if it does not."""
    call = StreamState(stale=stale)
    answers = cluster.stream(name, call)
    patience_s = PIECE_QUIET_S if stale else PIECE_QUIET_S + call.timeout_s  # a quorum is asked before the first
    while True:
        with trio.move_on_after(patience_s) as waiting:
            answer = await anext(answers, None)
        if waiting.cancelled_caught:
            raise NotReached(name, f"no more of its state came in {patience_s:.3g} s")
        if answer is None:
            return
        assert isinstance(answer, StatePiece)
        yield answer
        patience_s = PIECE_QUIET_S
