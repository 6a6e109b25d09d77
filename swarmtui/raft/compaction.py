"""How much of the log stays behind a snapshot: the newest few entries for those who lag a little, what followers in contact
still need, and never more than a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmtui.raft.effects import Compact
from swarmtui.raft.invariants import require
from swarmtui.raft.leader import Leader
from swarmtui.raft.messages import SnapshotMark

if TYPE_CHECKING:
    from swarmtui.raft.core import RaftCore


def on_snapshot_taken(core: RaftCore, mark: SnapshotMark) -> None:
    require(mark.index <= core.applied, "a snapshot holds what is applied", mark=mark.index, applied=core.applied)
    if core.snapshot is not None and mark.index <= core.snapshot.index:
        return
    core.snapshot = mark
    keep_after = _keep_after(core, mark.index)
    forgotten = core.log.compact(keep_after)
    if forgotten:
        core.members.compact(keep_after)
    core.emit(Compact(keep_after, forgotten))  # also where every entry is kept: an older snapshot is needed no more


def _keep_after(core: RaftCore, index: int) -> int:
    """Up to where the log may go, for a snapshot of `index`."""
    log, options = core.log, core.options
    keep_after = index - options.keep_entries
    if isinstance(core.role, Leader):
        keep_after = min(keep_after, core.role.needed_after())
    keep_after = max(keep_after, log.base)
    if log.bytes_between(keep_after, index) > options.keep_bytes_max:
        keep_after = log.cut_to_bytes(index, options.keep_bytes_max)
    return keep_after
