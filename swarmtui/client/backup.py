"""Saving the state of a cluster in a file (`storage.backup`), from whichever manager gives it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from swarmtui.client.errors import ClientError, NoQuorum, Refused
from swarmtui.storage.backup import BackupRefused, BackupWriter, Head, Saved
from swarmtui.wire.node_calls import StatePiece, StreamState
from swarmtui.wire.rules import NO_QUORUM

if TYPE_CHECKING:
    from swarmtui.client.cluster import Cluster


async def save_backup(cluster: Cluster, path: Path, *, node: str = "", replace: bool = False) -> Saved:
    """A consistent copy of everything in the store at a linearizable index, in one new file that only its owner can read.
    `node` is the manager to ask ("": the leader, or whoever answers). Raises NoQuorum, Refused, NotReached."""
    names = [node] if node else [manager.name for manager in cluster.managers()]
    failure: ClientError | None = None
    for name in names:
        try:
            return await _save_from(cluster, name, path, replace)
        except BackupRefused as error:
            raise Refused("file", str(error)) from None
        except ClientError as error:  # the next one may do
            failure = failure if _is_no_quorum(failure) else error
    if _is_no_quorum(failure):
        quorum = (await cluster.status()).quorum
        raise NoQuorum(quorum.reachable, quorum.needed, quorum.voters)
    raise failure or cluster.nobody(len(names))


def _is_no_quorum(failure: ClientError | None) -> bool:
    """It says more than that another one does not answer."""
    return isinstance(failure, Refused) and failure.rule == NO_QUORUM


async def _save_from(cluster: Cluster, name: str, path: Path, replace: bool) -> Saved:
    writer: BackupWriter | None = None
    try:
        async for piece in _pieces(cluster, name):
            if writer is None:
                head = Head(
                    cluster=cluster.manifest.id,
                    index=piece.index,
                    term=piece.term,
                    taken_at=time.time(),
                    saved_by=name,
                    manifest=cluster.manifest,
                )
                writer = BackupWriter(path, head, replace=replace)
            writer.put(piece.data)
            if piece.last:
                return await trio.to_thread.run_sync(writer.finish)
        raise Refused("broken", f"{name} ended before all of the state had come; try again")
    finally:
        if writer is not None:
            writer.close()


async def _pieces(cluster: Cluster, name: str) -> AsyncIterator[StatePiece]:
    async for answer in cluster.stream(name, StreamState()):
        assert isinstance(answer, StatePiece)
        yield answer
