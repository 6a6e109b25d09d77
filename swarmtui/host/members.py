"""Who is a member no more: asked before a manager is started.

Who was put out is written down in one place alone, the snapshots of those that are in: a new epoch holds from the rename
of the survivor's snapshot on, so there is no second file that could disagree with it after a crash. As long as such a
snapshot is there, whom it removed is not started as what it was: a majority of old voters that came back together would be
a second cluster. Whom no snapshot names yet is told by the members themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from swarmtui.host.layout import Layout
from swarmtui.objects.manifest import Manifest, NodeEntry

if TYPE_CHECKING:
    from swarmtui.raft.messages import SnapshotMark

AS_NEW = "to use it again: swarmtui node demote {name}, swarmtui start {name}, swarmtui node promote {name}"


def why_out(layout: Layout, manifest: Manifest, node: NodeEntry) -> str:
    """Why this manager is not to be started as what it was: another one's snapshot says that it was removed. "" if none
    does; what cannot be read says nothing."""
    for other in manifest.managers:
        newest = _newest_snapshot(layout.node(other.name).raft_of(other)) if other.id != node.id else None
        if newest is not None and node.member_id in newest.configuration.removed:
            went_on = f"{other.name} went on without it at index {newest.index}"
            return f"it was put out of the cluster: {went_on}; {AS_NEW.format(name=node.name)}"
    return ""


def _newest_snapshot(raft: Path) -> SnapshotMark | None:
    if not any(raft.glob("*.snap")):
        return None  # most clusters are young, and the import below takes its time
    from swarmtui.storage.errors import StorageError
    from swarmtui.storage.snapshots import SnapshotFiles

    try:
        return SnapshotFiles(raft).newest()
    except (StorageError, OSError):
        return None
