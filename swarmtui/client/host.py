"""The host of a cluster's machine: what it powers, and what was broken there on purpose."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import trio

from swarmtui.client.errors import NoHost, NotReached, Refused, Unknown
from swarmtui.client.links import Link
from swarmtui.host.info import HostInfo, running_host
from swarmtui.objects.manifest import NodeEntry
from swarmtui.wire.calls import Answer, Call
from swarmtui.wire.certificates import HOST_ID, Credentials
from swarmtui.wire.host_calls import (
    CutLinks,
    ForgetNode,
    GetHost,
    Heal,
    HostReport,
    MakeNode,
    MoveNode,
    PowerNode,
    SetLink,
    ShutDown,
    Undo,
)
from swarmtui.wire.node_calls import Done, Observe

REPORT_TIMEOUT_S = 2.0
CONNECT_TIMEOUT_S = 5.0  # however long the order itself may take: a host that was stopped accepts nothing
ORDER_TIMEOUT_S = 60.0  # a stop waits for the grace of the tasks
DOWN_TIMEOUT_S = 600.0


class HostClient:
    """`cluster.host`. Every order answers with one line of text; without a host each raises NoHost."""

    def __init__(self, directory: Path, credentials: Credentials, nursery: trio.Nursery) -> None:
        self._directory = directory
        self._link = Link("the host", HOST_ID, self._address, credentials, nursery)

    def _address(self) -> str:
        return self._info().address

    def _info(self) -> HostInfo:
        info = running_host(self._directory)
        if info is None:
            raise NoHost(f"nothing of the cluster in {self._directory.parent} runs here; start it with swarmtui up")
        return info

    async def report(self, timeout_s: float = REPORT_TIMEOUT_S) -> HostReport:
        """What the host powers. Raises NoHost, NotReached."""
        answer = await self.ask(GetHost(), timeout_s)
        assert isinstance(answer, HostReport)
        return answer

    async def power(self, node: str, action: str, for_s: float | None = None) -> str:
        """kill, stop, start, restart, pause or resume a node by name."""
        return await self._order(PowerNode(node, action, for_s))

    async def partition(self, groups: Sequence[Sequence[str]], for_s: float | None = None) -> str:
        """Nothing passes between these groups of node names; who is not named belongs to the last, and to one group the rest is
        the other. `for_s`: heal by itself after so long."""
        return await self._order(CutLinks(tuple(tuple(group) for group in groups), for_s))

    async def link(
        self,
        source: str,
        target: str,
        *,
        one_way: bool = False,
        cut: bool = False,
        delay_ms: float = 0.0,
        jitter_ms: float = 0.0,
        loss: float = 0.0,
        for_s: float | None = None,
    ) -> str:
        """Cut, delay (milliseconds) or lose (a share from 0 to 1) what passes between two nodes, both ways unless `one_way`."""
        return await self._order(SetLink(source, target, one_way, cut, delay_ms, jitter_ms, loss, for_s))

    async def make(self, entry: NodeEntry) -> str:
        """A new node of this machine, whose record exists; returns where it listens."""
        return await self._order(MakeNode(entry))

    async def forget(self, node: str) -> str:
        """A node whose record is gone: its process ends and its directory is deleted."""
        return await self._order(ForgetNode(node))

    async def move(self, node: str, address: str) -> str:
        """Where a node that does not run listens from its next start on; returns that."""
        return await self._order(MoveNode(node, address))

    async def heal(self, nodes: Sequence[str] = ()) -> str:
        """End every fault, or those of these nodes: links, pauses, kills."""
        return await self._order(Heal(tuple(nodes)))

    async def undo(self) -> str:
        """End the last fault."""
        return await self._order(Undo())

    async def shut_down(self) -> str:
        """`down`: returns when everything has ended, the host last."""
        try:
            return await self._order(ShutDown(), DOWN_TIMEOUT_S)
        except Unknown:
            return "the cluster is down"  # the host ended before its answer left

    async def observe(self, call: Observe) -> AsyncIterator[Answer]:
        """The host's own events. Raises NoHost, NotReached, Broken."""
        caller = await self._link.caller()
        async with caller.stream(call) as answers:
            async for answer in answers:
                yield answer

    async def _order(self, call: Call, timeout_s: float = ORDER_TIMEOUT_S) -> str:
        answer = await self.ask(call, timeout_s)
        if isinstance(answer, Done) and answer.refused:
            raise Refused("host", answer.refused)
        return answer.text if isinstance(answer, Done) else ""

    async def ask(self, call: Call, timeout_s: float) -> Answer:
        """One call, one answer. Raises ClientError."""
        try:
            await self._link.caller(min(timeout_s, CONNECT_TIMEOUT_S))
            return await self._link.ask(call, timeout_s)
        except NotReached as error:
            info = self._info()  # raises NoHost if that is why
            raise NotReached(error.node, f"{error.reason} (its pid is {info.pid})", refused=error.refused) from None
