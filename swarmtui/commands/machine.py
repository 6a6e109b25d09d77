"""What `up`, `down` and `ls` need of this machine: directories, files, and the host that powers a cluster's nodes.

A protocol, so that tests hand in a machine of their own; `ThisMachine` is the real one. It alone in this room asks `host/`
anything, and but for the names of files imports it only then: most orders concern a cluster that runs already.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from swarmtui.commands.errors import CommandFailed
from swarmtui.host.layout import DIRECTORY_NAME as CLUSTER_DIRECTORY

if TYPE_CHECKING:
    from swarmtui.client.discovery import FoundCluster
    from swarmtui.commands.ports import ClusterPort
    from swarmtui.host.recovery import Epoch
    from swarmtui.host.restore import Backup
    from swarmtui.host.survey import Survey
    from swarmtui.objects.cluster_file import ClusterFile
    from swarmtui.objects.manifest import Manifest

__all__ = ["CLUSTER_DIRECTORY", "CLUSTER_FILE", "Machine", "ThisMachine"]

CLUSTER_FILE = "cluster.toml"


class Machine(Protocol):
    """What commands need of it."""

    def find(self, selector: str | None, start: Path) -> Path:
        """The `.swarmtui/` that is meant; raises the client's NoCluster."""
        ...

    def clusters(self) -> Sequence[FoundCluster]: ...
    def default_base(self) -> Path:
        """Where the data of the packaged default cluster lies."""
        ...

    def default_text(self) -> str:
        """The packaged default's cluster.toml."""
        ...

    def create(
        self, cluster_file: ClusterFile, base: Path, file: Path | None, backup: Backup | None = None
    ) -> Manifest | None:
        """None if somebody else's `up` was first: then theirs is there."""
        ...

    def read_backup(self, path: Path) -> Backup:
        """The whole file, checked."""
        ...

    def file_of_backup(self, backup: Backup) -> ClusterFile:
        """The nodes and settings that the saved cluster had."""
        ...

    def manifest(self, directory: Path) -> Manifest: ...
    def is_running(self, directory: Path) -> bool: ...
    async def ensure_host(self, directory: Path) -> None: ...
    async def wait_gone(self, directory: Path, limit_s: float) -> bool: ...
    def remove(self, directory: Path) -> None: ...
    def survey(self, directory: Path) -> Sequence[Survey]:
        """What is left of every manager here; those that run are only named."""
        ...

    def force_new_cluster(self, directory: Path, node: str) -> Epoch:
        """Makes this manager, which must not run, the only one."""
        ...

    def connect(self, directory: Path) -> AbstractAsyncContextManager[ClusterPort]: ...
    async def run_program(self, argv: Sequence[str], environment: Mapping[str, str], grace_s: float) -> int:
        """Its exit code. Cancelled: it is ended first."""
        ...


class ThisMachine:
    """The real one."""

    def find(self, selector: str | None, start: Path) -> Path:
        from swarmtui.client.discovery import find_cluster

        return find_cluster(selector, start)

    def clusters(self) -> Sequence[FoundCluster]:
        from swarmtui.client.discovery import list_clusters

        return list_clusters()

    def default_base(self) -> Path:
        from swarmtui.client.discovery import default_base

        return default_base()

    def default_text(self) -> str:
        from swarmtui.demo import default_cluster_file

        try:
            return default_cluster_file().read_text(encoding="utf-8")
        except OSError:
            raise CommandFailed(
                "the packaged default cluster is missing; write a cluster.toml, or use --managers"
            ) from None

    def create(
        self, cluster_file: ClusterFile, base: Path, file: Path | None, backup: Backup | None = None
    ) -> Manifest | None:
        from swarmtui.host.create import ClusterExists, CreationFailed, create_cluster

        plant = None
        if backup is not None:
            from swarmtui.host.restore import Planter

            plant = Planter(backup)
        try:
            return create_cluster(cluster_file, base, file=file, plant=plant)
        except ClusterExists as error:
            if backup is not None:
                raise CommandFailed(str(error)) from None
            return None
        except CreationFailed as error:
            raise CommandFailed(str(error)) from None

    def read_backup(self, path: Path) -> Backup:
        from swarmtui.host.create import CreationFailed
        from swarmtui.host.restore import read_backup

        try:
            return read_backup(path)
        except CreationFailed as error:
            raise CommandFailed(str(error)) from None

    def file_of_backup(self, backup: Backup) -> ClusterFile:
        from swarmtui.host.restore import cluster_file_of

        return cluster_file_of(backup.head)

    def manifest(self, directory: Path) -> Manifest:
        from swarmtui.host.manifest_file import UnreadableCluster, read_manifest

        try:
            return read_manifest(directory)
        except UnreadableCluster as error:
            raise CommandFailed(str(error)) from None

    def is_running(self, directory: Path) -> bool:
        from swarmtui.host.info import running_host

        return running_host(directory) is not None

    async def ensure_host(self, directory: Path) -> None:
        from swarmtui.client.discovery import register_cluster
        from swarmtui.host.start import HostFailed, ensure_host

        try:
            await ensure_host(directory)
        except HostFailed as error:
            raise CommandFailed(str(error)) from None
        register_cluster(directory)

    async def wait_gone(self, directory: Path, limit_s: float) -> bool:
        from swarmtui.host.start import wait_gone

        return await wait_gone(directory, limit_s)

    def remove(self, directory: Path) -> None:
        from swarmtui.client.discovery import holds_cluster

        if holds_cluster(directory):
            shutil.rmtree(directory)

    def survey(self, directory: Path) -> Sequence[Survey]:
        from swarmtui.host.manifest_file import UnreadableCluster
        from swarmtui.host.recovery import survey

        try:
            return survey(directory)
        except UnreadableCluster as error:
            raise CommandFailed(str(error)) from None

    def force_new_cluster(self, directory: Path, node: str) -> Epoch:
        from swarmtui.host.recovery import RecoveryRefused, force_new_cluster

        try:
            return force_new_cluster(directory, node)
        except RecoveryRefused as error:
            raise CommandFailed(str(error)) from None

    def connect(self, directory: Path) -> AbstractAsyncContextManager[ClusterPort]:
        from swarmtui.client import connect

        return connect(directory)

    async def run_program(self, argv: Sequence[str], environment: Mapping[str, str], grace_s: float) -> int:
        from swarmtui.commands.child import run_program

        return await run_program(argv, environment, grace_s)
