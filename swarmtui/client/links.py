"""One connection to each node, and one to the host: dialled when first needed, kept, dialled again when lost."""

from __future__ import annotations

from collections.abc import Callable

import trio

from swarmtui.client.errors import NotReached, Refused, Unknown
from swarmtui.wire.calls import Answer, Call
from swarmtui.wire.certificates import Credentials
from swarmtui.wire.connection import Connection
from swarmtui.wire.dial import DialFailed, dial
from swarmtui.wire.dial import Refused as DialRefused
from swarmtui.wire.host_calls import GetHost
from swarmtui.wire.node_calls import GetKey, GetKeys, GetStatus, ListRecords, LogRange
from swarmtui.wire.rpc import Broken, Caller, CallRefused, NotSent

DIAL_TIMEOUT_S = 2.0

READS: tuple[type, ...] = (GetStatus, ListRecords, GetKey, GetKeys, LogRange, GetHost)
"""Calls that change nothing: asking twice does no harm."""


class Link:
    """The way to one node. Any number of tasks may use it at once."""

    def __init__(
        self, name: str, node_id: str, address: Callable[[], str], credentials: Credentials, nursery: trio.Nursery
    ) -> None:
        self.name = name
        self._node_id = node_id
        self._address = address
        self._credentials = credentials
        self._nursery = nursery
        self._caller: Caller | None = None
        self._dialling = trio.Lock()

    @property
    def connected(self) -> bool:
        return self._caller is not None and self._caller.connection.ended is None

    @property
    def live(self) -> Caller | None:
        """Somebody to ask at once, if there is a connection."""
        caller = self._caller
        return caller if caller is not None and caller.connection.ended is None else None

    async def caller(self, timeout_s: float = DIAL_TIMEOUT_S) -> Caller:
        """Somebody to ask. Raises NotReached."""
        if (caller := self._caller) is not None and caller.connection.ended is None:
            return caller
        timeout_s = max(0.0, timeout_s)
        with trio.move_on_after(timeout_s):
            async with self._dialling:
                if (caller := self._caller) is not None and caller.connection.ended is None:
                    return caller
                return await self._dial(timeout_s)
        raise NotReached(self.name, f"no connection in {timeout_s:g} s")

    async def ask(self, call: Call, timeout_s: float) -> Answer:
        """One call, one answer. What only reads is asked once more on a new connection if the old one turns out to be
        dead; anything else that was sent and not answered is Unknown. Raises NotReached, Refused, Unknown."""
        deadline = trio.current_time() + timeout_s
        may_repeat = isinstance(call, READS)
        while True:
            caller = await self.caller(deadline - trio.current_time())
            try:
                return await caller.call(call, deadline - trio.current_time())
            except CallRefused as error:
                raise Refused(error.rule, error.reason) from None
            except (NotSent, Broken) as error:
                if isinstance(error, Broken) and not isinstance(call, READS):
                    raise Unknown(f"{self.name} was asked, but {error}; see swarmtui status") from None
                if caller.connection.ended is None or not may_repeat:
                    raise NotReached(self.name, str(error)) from None
                may_repeat = False

    async def _dial(self, timeout_s: float) -> Caller:
        try:
            connection = await dial(self._address(), self._credentials, self._node_id, timeout_s=timeout_s)
        except DialRefused:
            raise NotReached(self.name, "it does not run", refused=True) from None
        except (DialFailed, ValueError) as error:
            raise NotReached(self.name, str(error)) from None
        caller: Caller = await self._nursery.start(self._serve, connection)
        return caller

    async def _serve(self, connection: Connection, task_status: trio.TaskStatus[Caller]) -> None:
        async with connection:
            self._caller = caller = Caller(connection)
            task_status.started(caller)
            await caller.run()
