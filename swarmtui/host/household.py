"""Who lives on this machine: the manifest, and the orders that change it. One order at a time, each whole on the disk
before the next begins, and before anybody is told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from swarmtui.agent.sweep import kill_marked
from swarmtui.host.enrolment import EnrolmentRefused, forget_node, make_node, move_node
from swarmtui.host.events import YOU, EventRing
from swarmtui.host.feed import Feed
from swarmtui.host.layout import Layout
from swarmtui.host.power import PowerSupply
from swarmtui.host.roles import RoleCalls, RoleKeeper
from swarmtui.host.supply import NodeSupply
from swarmtui.objects.manifest import Manifest, NodeEntry
from swarmtui.objects.records import Node
from swarmtui.wire.host_calls import ForgetNode, MakeNode, MoveNode, Power


class Household:
    """Implements what `roles` needs of the host."""

    def __init__(self, layout: Layout, manifest: Manifest, events: EventRing) -> None:
        self.layout = layout
        self.manifest = manifest
        self._events = events
        self._one_at_a_time = trio.Lock()
        self._power: PowerSupply
        self._feed: Feed
        self._take_in: Callable[[NodeSupply], Awaitable[None]]
        self.roles: RoleKeeper

    def settle(
        self, power: PowerSupply, feed: Feed, calls: RoleCalls, take_in: Callable[[NodeSupply], Awaitable[None]]
    ) -> None:
        """Join the rooms that need each other. `take_in` runs a new node's supply."""
        self._power, self._feed, self._take_in = power, feed, take_in
        self.roles = RoleKeeper(self, calls, self._events, lambda: self._one_at_a_time)

    # ------------------------------------------------------------------------------------------------------- reading

    def record_of(self, node_id: str) -> Node | None:
        """As the most advanced manager has told it."""
        return self._feed.best.nodes.get(node_id)

    def power_of(self, node_id: str) -> Power | None:
        return self._power.power_of(node_id)

    def manager_addresses(self) -> dict[str, str]:
        """Where this machine's managers listen, by node id: what a node is handed when it starts."""
        return {node.id: node.address for node in self.manifest.managers}

    def entry_changed(self, manifest: Manifest, entry: NodeEntry) -> None:
        """The manifest is so from now on, because of this node."""
        self.manifest = manifest
        supply = self._power.supplies.get(entry.name)
        if supply is not None:
            supply.node = entry
        self._feed.follow(manifest.managers)

    # -------------------------------------------------------------------------------------------------------- orders

    async def make(self, order: MakeNode) -> str:
        """Returns the new node's address. Raises EnrolmentRefused, PowerRefused."""
        async with self._one_at_a_time:
            self.manifest, entry = make_node(self.layout, self.manifest, order.entry)
            supply = self._power.add(entry)
            await self._take_in(supply)
            self._feed.follow(self.manifest.managers)
            self._events.emit("host", f"{entry.name} was made, it listens on {entry.address}", by=YOU, about=entry.id)
        await supply.start()
        return entry.address

    async def forget(self, order: ForgetNode) -> str:
        """Returns what to say. Raises EnrolmentRefused."""
        async with self._one_at_a_time:
            entry = self.manifest.node(order.node)
            if entry is None:
                return f"there is no node {order.node} on this machine"
            supply = self._power.supplies[entry.name]
            await supply.let_go()
            await kill_marked(self.manifest.id, entry.id)
            self._power.drop(entry)
            self.manifest = forget_node(self.layout, self.manifest, entry)
            self._feed.follow(self.manifest.managers)
        text = f"{entry.name} was removed and its directory deleted"
        self._events.emit("host", text, by=YOU, about=entry.id, data={"node": entry.name})
        return text

    async def move(self, order: MoveNode) -> str:
        """Returns the new address. Raises EnrolmentRefused."""
        async with self._one_at_a_time:
            entry = self.manifest.node(order.node)
            if entry is None:
                raise EnrolmentRefused(f"there is no node {order.node} on this machine")
            if self._power.supplies[entry.name].runs:
                stop = f"swarmtui stop {entry.name}"
                raise EnrolmentRefused(f"{entry.name} runs and cannot change its address so; stop it first: {stop}")
            manifest, moved = move_node(self.layout, self.manifest, entry, order.address)
            self.entry_changed(manifest, moved)
        self._events.emit("host", f"{moved.name} moves to {moved.address}", by=YOU, about=moved.id)
        return moved.address
