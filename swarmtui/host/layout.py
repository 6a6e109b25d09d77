"""Where the things of one cluster directory lie: the only place that knows the names.

All but one: `host.lock`, which `main` opens before it imports anything that takes long.
"""

from __future__ import annotations

from pathlib import Path

import attrs

from swarmtui.objects.manifest import NodeEntry, raft_directory

DIRECTORY_NAME = ".swarmtui"
NEW_DIRECTORY_NAME = ".swarmtui.new"  # being created; whoever finds one without its lock throws it away


@attrs.frozen
class Layout:
    """Paths inside `.swarmtui/`, here called the directory."""

    directory: Path

    @property
    def manifest(self) -> Path:
        return self.directory / "cluster.json"

    @property
    def authority(self) -> Path:
        return self.directory / "ca"

    @property
    def authority_certificate(self) -> Path:
        return self.authority / "ca.pem"

    @property
    def authority_key(self) -> Path:
        return self.authority / "ca.key"

    @property
    def host_info(self) -> Path:
        return self.directory / "host.json"

    @property
    def host_log(self) -> Path:
        return self.directory / "host.log"

    @property
    def processes(self) -> Path:
        """Who ran last, so that the next host finds what a power cut left over."""
        return self.directory / "processes.json"

    @property
    def faults(self) -> Path:
        return self.directory / "faults.json"

    @property
    def nodes(self) -> Path:
        return self.directory / "nodes"

    def certificate(self, role: str) -> Path:
        """`admin.pem`, `observer.pem` or `host.pem`: certificate and key in one file."""
        return self.directory / f"{role}.pem"

    def node(self, name: str) -> NodeLayout:
        return NodeLayout(self.nodes / name)


def locate(directory: Path) -> Layout:
    """The layout of this `.swarmtui/`, however it was named."""
    return Layout(directory.resolve())


@attrs.frozen
class NodeLayout:
    """Paths inside `.swarmtui/nodes/NAME/`."""

    directory: Path

    @property
    def birth(self) -> Path:
        return self.directory / "node.json"

    @property
    def certificate(self) -> Path:
        return self.directory / "node.pem"

    @property
    def task_certificate(self) -> Path:
        """For the tasks that run on the node; they reach `kv` with it and nothing else."""
        return self.directory / "task.pem"

    @property
    def authority_certificate(self) -> Path:
        return self.directory / "ca.pem"

    def raft_of(self, node: NodeEntry) -> Path:
        """The log and the snapshots of the node as the member that it is now."""
        return self.directory / raft_directory(node.promotions)

    @property
    def tasks(self) -> Path:
        return self.directory / "tasks"

    @property
    def log(self) -> Path:
        return self.directory / "node.log"
