"""How a task reaches `kv`: a directory of its own that a client finds through SWARMTUI_CLUSTER, shaped as the cluster's.

    TASK_DIR/cluster/cluster.json    which managers there are: a link to the cluster's own, so that it stays true
    TASK_DIR/cluster/task.pem        this node's certificate for its tasks and its key, 0600
    TASK_DIR/cluster/ca/ca.pem       whom to believe

The certificate's role is `task`: it reads and writes `kv` and nothing else (`wire.rights`), and its links are broken with
those of the node. Blocking operations on small files; callers run them in a thread.
"""

from __future__ import annotations

import os
from pathlib import Path

from swarmtui.agent.environment import DOORWAY_NAME, Surroundings
from swarmtui.objects.codec import encode_json
from swarmtui.storage.files import replace_file

MANIFEST_NAME = "cluster.json"
CERTIFICATE_NAME = "task.pem"
AUTHORITY_NAME = "ca.pem"


def doorway_of(private: Path) -> Path:
    """Where it lies in a task's private directory."""
    return private / DOORWAY_NAME


def make_doorway(around: Surroundings, private: Path) -> None:
    """Makes it, or makes it anew. A node that has no certificate for its tasks (its cluster was made by an older version
    and was not started with `up` since) leaves that out: then a task reaches nothing. Not synced: no task outlives the
    machine. Raises OSError."""
    doorway = doorway_of(private)
    for directory in (doorway, doorway / "ca"):
        directory.mkdir(mode=0o700, exist_ok=True)
    manifest = doorway / MANIFEST_NAME
    manifest.unlink(missing_ok=True)
    original = around.state_directory / MANIFEST_NAME
    if original.is_file():
        manifest.symlink_to(os.path.relpath(original, doorway))
    else:
        replace_file(manifest, encode_json(around.manifest).encode(), durable=False)
    for source, target in (
        (around.directory / CERTIFICATE_NAME, doorway / CERTIFICATE_NAME),
        (around.directory / AUTHORITY_NAME, doorway / "ca" / AUTHORITY_NAME),
    ):
        if source.is_file():
            replace_file(target, source.read_bytes(), durable=False)
