"""How the host speaks with its nodes: calls over TLS with its own certificate, a connection for each thing asked.

Handshakes cost milliseconds and the host asks seldom; only the watches of records stay open.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import trio

from swarmtui.host.supply import NotReached
from swarmtui.objects.manifest import NodeEntry
from swarmtui.objects.operations import Transaction
from swarmtui.wire.calls import Answer, Call
from swarmtui.wire.certificates import Credentials
from swarmtui.wire.dial import DialFailed, dial
from swarmtui.wire.node_calls import (
    Done,
    Fate,
    Propose,
    Proposed,
    ReadRole,
    RecordsChanged,
    SetLinkFaults,
    StopNode,
    WatchRecords,
)
from swarmtui.wire.rpc import Caller, CallFailed

T = TypeVar("T")

DIAL_LIMIT_S = 2.0
CALL_LIMIT_S = 2.0
ROLE_LIMIT_S = 10.0  # a manager's side of a node opens or closes: it reads a log, or awaits its disk


class NodeLines:
    """Implements what the rooms of the host ask of nodes: NodeCalls, LinkCalls and WatchCalls."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def stop_node(self, node: NodeEntry, call: StopNode, timeout_s: float) -> None:
        _agreed(await self.ask(node, call, timeout_s))

    async def set_link_faults(self, node: NodeEntry, call: SetLinkFaults) -> None:
        _agreed(await self.ask(node, call, CALL_LIMIT_S))

    async def read_role(self, node: NodeEntry) -> None:
        """Returns when the node acts on its new certificate and role. Raises NotReached."""
        _agreed(await self.ask(node, ReadRole(), ROLE_LIMIT_S))

    async def watch(self, node: NodeEntry, tables: tuple[str, ...], take: Callable[[RecordsChanged], None]) -> None:
        async def follow(caller: Caller) -> None:
            async with caller.stream(WatchRecords(tables)) as answers:
                async for answer in answers:
                    if isinstance(answer, RecordsChanged):
                        take(answer)

        await self._with_caller(node, follow)

    async def propose(self, managers: Iterable[NodeEntry], transaction: Transaction, timeout_s: float) -> bool:
        """True once the transaction is committed, through the first manager that gets it done."""
        for node in managers:
            try:
                answer = await self.ask(node, Propose.of(transaction, timeout_s=timeout_s), timeout_s)
            except NotReached:
                continue
            if isinstance(answer, Proposed) and answer.outcomes[0].fate is Fate.DONE:
                return True
        return False

    async def ask(self, node: NodeEntry, call: Call, timeout_s: float) -> Answer:
        """One call, one answer. Raises NotReached."""

        async def one(caller: Caller) -> Answer:
            return await caller.call(call, timeout_s)

        return await self._with_caller(node, one)

    async def _with_caller(self, node: NodeEntry, use: Callable[[Caller], Awaitable[T]]) -> T:
        try:
            connection = await dial(node.address, self._credentials, node.id, timeout_s=DIAL_LIMIT_S)
        except DialFailed as error:
            raise NotReached(str(error)) from None
        failure: CallFailed | None = None
        async with connection, trio.open_nursery() as nursery:
            caller = Caller(connection)
            nursery.start_soon(caller.run)
            try:
                return await use(caller)
            except CallFailed as error:  # raised outside of the nursery, which would wrap it
                failure = error
            finally:
                nursery.cancel_scope.cancel()
        raise NotReached(str(failure))


def _agreed(answer: Answer) -> None:
    if isinstance(answer, Done) and answer.refused:
        raise NotReached(answer.refused)
