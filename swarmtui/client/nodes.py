"""Nodes: look at them, and say what may be scheduled on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from swarmtui.client.errors import Refused
from swarmtui.objects.operations import Transaction, Update
from swarmtui.objects.records import Node
from swarmtui.objects.states import Availability

if TYPE_CHECKING:
    from swarmtui.client.cluster import Cluster


class Nodes:
    """`cluster.nodes`. A node is named by its id or its name."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def list(self) -> list[Node]:
        records = (await self._cluster.records(Node.TABLE)).records
        return sorted((one for one in records if isinstance(one, Node)), key=lambda node: node.name)

    async def inspect(self, node: str) -> Node:
        """Raises Refused if there is none."""
        for found in await self.list():
            if node in (found.id, found.name):
                return found
        raise Refused("absent", f"there is no node {node}; see swarmtui node ls")

    async def update(self, node: str, *, availability: Availability | str) -> None:
        """Raises Conflict if somebody else changed the node meanwhile."""
        found = await self.inspect(node)
        wanted = attrs.evolve(found, spec=attrs.evolve(found.spec, availability=Availability(availability)))
        await self._cluster.transact(Transaction((Update(wanted, spec_version=found.spec_version),)))
