"""The whole store at one index, piece by piece, to whoever makes a backup.

The index is linearizable: every write that was acknowledged before the call is in it. Only for whoever has lost the
majority, and asks for it, it is whatever was applied here. The store is frozen at once, which is cheap, and encoded piece
by piece in a thread, so that the node goes on meanwhile; a slow reader holds nothing up but its own stream. All that was
overwritten while it read is still there at the end, and is let go beside the event loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import trio

from swarmtui.node.consensus import Consensus
from swarmtui.store import Frozen
from swarmtui.wire.node_calls import StatePiece
from swarmtui.wire.rpc import CallRejected
from swarmtui.wire.rules import NO_QUORUM


async def stream_state(
    consensus: Consensus, patience_s: float, let_go: Callable[[Frozen], None], *, stale: bool = False
) -> AsyncIterator[StatePiece]:
    """Raises CallRejected if no quorum vouches for what is here, and that is not what is asked for: `stale`."""
    why = "" if stale else await consensus.reads.confirm(patience_s)
    if why:
        raise CallRejected(NO_QUORUM, f"the state cannot be saved, no quorum vouches for it: {why}")
    frozen = consensus.store.freeze()
    chunks = frozen.chunks()
    try:
        while (data := await trio.to_thread.run_sync(next, chunks, b"")) != b"":
            yield StatePiece(frozen.index, frozen.term, data)
        yield StatePiece(frozen.index, frozen.term, last=True)
    finally:
        let_go(frozen)
