"""A machine with one directory, and at most one cluster in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs

from swarmtui.client.discovery import FoundCluster
from swarmtui.commands.errors import CommandFailed
from swarmtui.objects.cluster_file import ClusterFile
from swarmtui.objects.manifest import Manifest
from tests.commands.fake_answers import FakeNoQuorum
from tests.commands.fakes import FakeCluster


class FakeMachine:
    """Its clusters are made as `up` orders."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.cluster: FakeCluster | None = None
        self.created: list[ClusterFile] = []
        self.text = "[cluster]\nname = 'demo'\nmanagers = 3\n"
        self.removed: list[Path] = []
        self.after_connect: Callable[[FakeCluster], None] = lambda cluster: None

    def find(self, selector: str | None, start: Path) -> Path:
        if self.cluster is None or selector not in (None, self.cluster.manifest.name):
            raise FakeNoQuorum("no cluster here; start one with: swarmtui up")
        return self.cluster.directory

    def clusters(self) -> Sequence[FoundCluster]:
        if self.cluster is None:
            return []
        manifest = self.cluster.manifest
        return [
            FoundCluster(manifest.name, manifest.id, self.cluster.directory, self.cluster.running, len(manifest.nodes))
        ]

    def default_base(self) -> Path:
        return self.base / "state"

    def default_text(self) -> str:
        return self.text

    def create(self, cluster_file: ClusterFile, base: Path, file: Path | None, backup: Any = None) -> Manifest:
        directory = base / ".swarmtui"
        directory.mkdir()
        self.created.append(cluster_file)
        workers = len(cluster_file.nodes) - len(cluster_file.managers)
        cluster = FakeCluster(directory, len(cluster_file.managers), workers)
        named = [
            attrs.evolve(born, labels=wish.labels, availability=wish.availability)
            for born, wish in zip(cluster.manifest.nodes, cluster_file.nodes, strict=True)
        ]
        cluster.manifest = attrs.evolve(
            cluster.manifest,
            name=cluster_file.name,
            profile=cluster_file.profile,
            raft=cluster_file.raft,
            nodes=tuple(named),
            cluster_file="" if file is None else file.name,
        )
        cluster.play = FakeCluster.run_services
        self.cluster = cluster
        return cluster.manifest

    def manifest(self, directory: Path) -> Manifest:
        if self.cluster is None:
            raise CommandFailed(f"{directory} holds no cluster")
        return self.cluster.manifest

    def is_running(self, directory: Path) -> bool:
        return self.cluster is not None and self.cluster.running

    async def ensure_host(self, directory: Path) -> None:
        assert self.cluster is not None
        self.cluster.running = True

    async def wait_gone(self, directory: Path, limit_s: float) -> bool:
        return not self.is_running(directory)

    def remove(self, directory: Path) -> None:
        self.removed.append(directory)

    def connect(self, directory: Path) -> AbstractAsyncContextManager[FakeCluster]:
        return self._connected()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[FakeCluster]:
        assert self.cluster is not None
        self.after_connect(self.cluster)
        yield self.cluster
