"""The power of the whole machine: every node's supply, the table of faults, and how the one follows from the other.

    an order --> the node's supply obeys --> the table says so --> faults.json --> the nodes' link faults --> an event

The table is the truth about links: each node is told what it has to enforce when it starts, before it opens its port, and
again whenever that changes, until it has confirmed it. Nothing here is ever told to a node's consensus or dispatcher.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from time import time as wall_time
from typing import Protocol

import trio

from swarmtui.host.events import HOST_NAME, YOU, EventRing
from swarmtui.host.faults import Fault, FaultKind, FaultTable, InvalidFault
from swarmtui.host.supply import STOP_GRACE_S, NodeSupply, NotReached, PowerRefused
from swarmtui.objects.manifest import Manifest, NodeEntry
from swarmtui.wire.host_calls import CutLinks, FaultReport, Heal, Power, PowerNode, SetLink
from swarmtui.wire.node_calls import LinkFault, SetLinkFaults

PUSH_LIMIT_S = 1.0  # an order about links answers after this even if a node has not confirmed it
PUSH_RETRY_S = 0.1

STOP_MARGIN_S = 2.0  # on top of the longest grace of its tasks, for the node itself

ACTIONS = {"kill": FaultKind.KILL, "stop": FaultKind.STOP, "pause": FaultKind.PAUSE}
FROM_OUTSIDE = (Power.EXITED,)  # ended by itself or by somebody else: `heal` brings it back as well


class LinkCalls(Protocol):
    """How nodes are told about their links."""

    async def set_link_faults(self, node: NodeEntry, call: SetLinkFaults) -> None:
        """Returns when the node enforces them. Raises NotReached."""


class PowerSupply:
    """`run` pushes link faults and ends those whose time has come; the orders may be given while it runs."""

    def __init__(
        self,
        manifest: Manifest,
        table: FaultTable,
        *,
        make_supply: Callable[[NodeEntry, Callable[[str], tuple[LinkFault, ...]]], NodeSupply],
        calls: LinkCalls,
        events: EventRing,
        save: Callable[[FaultTable], None],
        grace_s: Callable[[str], float] = lambda node_id: STOP_GRACE_S,
        wall: Callable[[], float] = wall_time,
    ) -> None:
        self._ids = {node.name: node.id for node in manifest.nodes}
        self._names = {node.id: node.name for node in manifest.nodes}
        self._table = table
        self._make_supply = make_supply
        self._nursery: trio.Nursery | None = None
        self._scopes: dict[str, trio.CancelScope] = {}  # of who is told about its links, by name
        self._calls = calls
        self._events = events
        self._save = save
        self._grace_s = grace_s
        self._wall = wall
        self._changed = trio.Event()
        self._told: dict[str, tuple[LinkFault, ...] | None] = dict.fromkeys(self._ids.values(), ())
        self.supplies = {node.name: make_supply(node, self.handover) for node in manifest.nodes}

    # ------------------------------------------------------------------------------------------------------- reading

    def faults(self) -> tuple[FaultReport, ...]:
        return self._table.reports()

    def links(self) -> dict[str, tuple[LinkFault, ...]]:
        """What each node has to enforce, by node id."""
        return self._table.links(self._ids)

    def handover(self, node_id: str) -> tuple[LinkFault, ...]:
        """What a node that is being started has to enforce from its first frame on."""
        links = self.links()[node_id]
        self._told[node_id] = links
        return links

    def power_of(self, node_id: str) -> Power | None:
        """None for a node that is not of this machine."""
        name = self._names.get(node_id)
        return None if name is None else self.supplies[name].power

    # -------------------------------------------------------------------------------------------- nodes come and go

    def add(self, node: NodeEntry) -> NodeSupply:
        """A node of this machine from now on; its nursery is the caller's to run."""
        self._ids[node.name], self._names[node.id] = node.id, node.name
        self._told[node.id] = ()
        self._set(self._table.with_nodes(self._ids))
        supply = self.supplies[node.name] = self._make_supply(node, self.handover)
        if self._nursery is not None:
            self._nursery.start_soon(self._tell, supply)
        return supply

    def drop(self, node: NodeEntry) -> None:
        """This node, which has ended, is none of ours any more; nor are the faults that concerned it alone."""
        scope = self._scopes.pop(node.name, None)
        if scope is not None:
            scope.cancel()
        del self.supplies[node.name], self._ids[node.name], self._names[node.id], self._told[node.id]
        self._set(self._table.with_nodes(self._ids), "the node was removed")
        self.power_changed()

    # -------------------------------------------------------------------------------------------------------- orders

    async def obey(self, order: PowerNode) -> str:
        """kill, stop, start, restart, pause, resume one node. Returns what to say; raises PowerRefused, InvalidFault."""
        supply = self._supply(order.node)
        name = supply.node.name
        if order.for_s is not None and order.action not in ACTIONS:
            raise InvalidFault(f"{order.action} has no time limit")
        kind = ACTIONS.get(order.action)
        if kind is not None:
            if supply.power not in (Power.RUNNING, Power.PAUSED):
                if kind is FaultKind.PAUSE:
                    raise PowerRefused(f"{name} is {supply.power.value}; start it first")
                if order.for_s is None:
                    return f"{name} is {supply.power.value} already"
            # In the table first: the event then precedes all that follows from the fault.
            self._set(self._table.power(kind, name, self._wall(), order.for_s))
        match order.action:
            case "kill":
                await supply.kill()
            case "stop":
                await supply.stop(self._grace_s(supply.node.id) + STOP_MARGIN_S)
            case "pause":
                await supply.pause()
            case "resume":
                await supply.resume()
                self._set(self._table.restored(name))
            case "start":
                await supply.start()
                self._set(self._table.restored(name))
            case "restart":
                await supply.restart(self._grace_s(supply.node.id) + STOP_MARGIN_S)
                self._set(self._table.restored(name))
            case _:
                raise InvalidFault(f"{order.action} is none of kill, stop, start, restart, pause, resume")
        return f"{name} is {supply.power.value}"

    async def cut(self, order: CutLinks) -> str:
        """Partition. Raises InvalidFault."""
        return await self._break(self._table.partition(order.groups, self._wall(), order.for_s))

    async def set_link(self, order: SetLink) -> str:
        """Cut, delay or lose on one link. Raises InvalidFault."""
        now = self._wall()
        if order.cut:
            table = self._table.cut(order.source, order.target, now, one_way=order.one_way, for_s=order.for_s)
        else:
            table = self._table.link(
                order.source,
                order.target,
                now,
                one_way=order.one_way,
                delay_ms=order.delay_ms,
                jitter_ms=order.jitter_ms,
                loss=order.loss,
                for_s=order.for_s,
            )
        return await self._break(table)

    async def heal(self, order: Heal) -> str:
        """Every fault, or every fault of some nodes. Nodes that ended by themselves are started too."""
        names = [self._supply(name).node.name for name in order.nodes] or list(self.supplies)
        healed = self._table.heal(order.nodes and names)
        changed = {fault.id for fault in self._table.changed(healed)}
        partly = [f"{' '.join(names)} of {fault.text}" for fault in self._table.faults if fault.id in changed]
        ended, refused = await self._end(healed)
        outside = [name for name in names if self.supplies[name].power in FROM_OUTSIDE]
        refused += await self._power_on(outside)
        return _told("healed", [*ended, *partly, *(f"start {name}" for name in outside)], refused)

    async def undo(self) -> str:
        """The last fault."""
        return _told("undone", *await self._end(self._table.undo()))

    def forget_faults(self) -> None:
        """`down` is a clean end: the next `up` finds every link whole."""
        self._set(self._table.heal(), "shut down")

    # ------------------------------------------------------------------------------------------------------- the loop

    async def run(self) -> None:
        """For ever: ends faults whose time has come, and tells each node about its links until it has confirmed."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for supply in self.supplies.values():
                nursery.start_soon(self._tell, supply)
            while True:
                changed = self._changed
                deadline = self._table.deadline
                with trio.move_on_after(float("inf") if deadline is None else max(0.0, deadline - self._wall())):
                    await changed.wait()
                    continue
                ended = self._set(self._table.expire(self._wall()), "time is up")
                nursery.start_soon(self._restore, ended)

    def power_changed(self) -> None:
        """A node was started, stopped, paused …: whoever waits looks again."""
        self._changed.set()
        self._changed = trio.Event()

    async def _tell(self, supply: NodeSupply) -> None:
        node = supply.node
        with trio.CancelScope() as self._scopes[node.name]:
            while True:
                changed = self._changed
                wanted = self.links()[node.id]
                if supply.power is not Power.RUNNING or self._told[node.id] == wanted:
                    await changed.wait()
                    continue
                try:
                    await self._calls.set_link_faults(supply.node, SetLinkFaults(wanted))
                except NotReached:
                    await trio.sleep(PUSH_RETRY_S)
                    continue
                self._told[node.id] = wanted
                self.power_changed()

    # ------------------------------------------------------------------------------------------------------- changes

    def _set(self, table: FaultTable, why: str = "") -> list[Fault]:
        """The table from now on, on disk, with an event for each fault that begins, changes or ends. Returns what ended."""
        before, self._table = self._table, table
        if table == before:
            return []
        self._save(table)
        ended = before.ended(table)
        for fault in before.begun(table):
            self._announce("begin", fault.text, fault, why)
        for fault in before.changed(table):
            self._announce("change", fault.text, fault, why)
        for fault in ended:
            self._announce("end", f"healed {fault.text}" + (f": {why}" if why else ""), fault, why)
        self.power_changed()
        return ended

    def _announce(self, action: str, text: str, fault: Fault, why: str) -> None:
        data = {
            "action": action,
            "id": fault.id,
            "kind": fault.kind.value,
            "nodes": list(fault.nodes),
            "until": fault.until,
        }
        self._events.emit("fault", text, by=HOST_NAME if why else YOU, data=data)

    async def _break(self, table: FaultTable) -> str:
        self._set(table)
        await self._told_to_all()
        return table.faults[-1].text

    async def _end(self, table: FaultTable) -> tuple[list[str], list[str]]:
        """Ends the faults that are in ours and not in that table; what they are, and which nodes are refused all the same."""
        ended = self._set(table)
        refused = await self._restore(ended)
        return [fault.text for fault in ended], refused

    async def _restore(self, ended: list[Fault]) -> list[str]:
        """What follows from the end of these faults: power comes back, links are told. Who is refused, and why."""
        powered = {name for fault in ended if fault.kind.is_power for name in fault.nodes}
        refused = await self._power_on(name for name in self.supplies if name in powered)
        await self._told_to_all()
        return refused

    async def _power_on(self, names: Iterable[str]) -> list[str]:
        """All at once. Who is refused, and why."""
        refused: list[str] = []

        async def start(name: str) -> None:
            if why := await self.supplies[name].try_start():
                refused.append(why)

        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(start, name)
        return refused

    async def _told_to_all(self) -> None:
        """Until every node that runs enforces what it has to, or PUSH_LIMIT_S is over (a node may be mute)."""
        with trio.move_on_after(PUSH_LIMIT_S):
            while True:
                changed = self._changed
                links = self.links()
                running = [supply.node.id for supply in self.supplies.values() if supply.power is Power.RUNNING]
                if all(self._told[id] == links[id] for id in running):
                    return
                await changed.wait()

    def _supply(self, name: str) -> NodeSupply:
        supply = self.supplies.get(self._names.get(name, name))
        if supply is None:
            raise InvalidFault(f"there is no node {name}; the nodes are {' '.join(self.supplies)}")
        return supply


def _told(what: str, ended: Sequence[str], refused: Sequence[str]) -> str:
    """The line for whoever gave the order: what is over, and whom that did not bring back."""
    if not ended:
        return "nothing is broken"
    return "; ".join([f"{what}: {', '.join(ended)}", *sorted(refused)])
