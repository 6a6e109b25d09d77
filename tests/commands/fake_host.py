"""The host of the cluster in one process: obeys by writing down what it was ordered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs

from swarmtui.client.errors import Refused
from swarmtui.objects.manifest import NodeEntry
from swarmtui.wire.host_calls import HostReport, NodePower, Power, PublishedPort
from tests.commands.fake_answers import FakeRefused

if TYPE_CHECKING:
    from tests.commands.fakes import FakeCluster


class FakeHost:
    """Notes every order as a line."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self.orders: list[str] = []
        self.refuses: dict[str, str] = {}
        self.powers: dict[str, tuple[Power, str]] = {}
        self.ends: dict[str, tuple[Power, str]] = {}  # what becomes of those that are started
        self.published: tuple[PublishedPort, ...] = ()

    async def report(self) -> HostReport:
        manifest = self._cluster.manifest
        nodes = tuple(
            NodePower(
                node.id, node.name, node.role.value, node.address, 100, *self.powers.get(node.name, (Power.RUNNING, ""))
            )
            for node in manifest.nodes
        )
        return HostReport(manifest.name, manifest.id, 99, nodes, (), {}, self.published, str(self._cluster.directory))

    async def power(self, node: str, action: str, for_s: float | None = None) -> str:
        self._note(f"{action} {node}", for_s)
        if node in self.refuses:
            raise FakeRefused(self.refuses[node])
        self.powers[node] = self.ends.get(node, (Power.RUNNING, ""))
        return ""

    async def partition(self, groups: Sequence[Sequence[str]], for_s: float | None = None) -> str:
        return self._note("partition " + " / ".join(" ".join(group) for group in groups), for_s)

    async def link(self, source: str, target: str, *, for_s: float | None = None, **how: Any) -> str:
        words = " ".join(f"{key}={value}" for key, value in how.items() if value)
        return self._note(f"link {source} {target} {words}", for_s)

    async def heal(self, nodes: Sequence[str] = ()) -> str:
        return self._note(" ".join(["heal", *nodes]))

    async def undo(self) -> str:
        return self._note("undo")

    async def make(self, node: NodeEntry) -> str:
        if node.name in self.refuses:
            raise Refused("host", self.refuses[node.name])
        made = attrs.evolve(node, address=node.address or "127.0.0.1:7199")
        self._cluster.manifest = self._cluster.manifest.with_node(made)
        self._note(f"make {node.name} {node.role}")
        self._cluster.play(self._cluster)
        return made.address

    async def forget(self, node: str) -> str:
        entry = self._cluster.manifest.node(node)
        assert entry is not None
        self._cluster.manifest = self._cluster.manifest.without_node(entry.id)
        self._cluster.off.discard(entry.name)
        self.powers.pop(entry.name, None)
        return self._note(f"forget {entry.name}")

    async def move(self, node: str, address: str) -> str:
        entry = self._cluster.manifest.node(node)
        assert entry is not None
        if entry.name in self.refuses:
            raise Refused("host", self.refuses[entry.name])
        moved = attrs.evolve(entry, address=address or "127.0.0.1:7198")
        self._cluster.manifest = self._cluster.manifest.with_node(moved)
        self._note(f"move {entry.name} {moved.address}")
        return moved.address

    async def shut_down(self) -> str:
        self._cluster.running = False
        return self._note("shut down")

    def _note(self, text: str, for_s: float | None = None) -> str:
        self.orders.append(text + (f" for {for_s:g}" if for_s else ""))
        return ""
