"""One connection to each node, and one to the host: dialled when first needed, kept, dialled again when lost."""

from __future__ import annotations

import math
from collections.abc import Callable

import trio

from swarmtui.client.errors import NotReached
from swarmtui.wire.certificates import Credentials
from swarmtui.wire.connection import Connection
from swarmtui.wire.dial import DialFailed, Refused, dial
from swarmtui.wire.rpc import Caller

DIAL_TIMEOUT_S = 2.0


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
    def silent_s(self) -> float:
        """Seconds since the node last said anything; infinite without a connection."""
        caller = self._caller
        if caller is None or caller.connection.ended is not None:
            return math.inf
        return trio.current_time() - caller.connection.heard_at

    async def caller(self, timeout_s: float = DIAL_TIMEOUT_S) -> Caller:
        """Somebody to ask. Raises NotReached."""
        if (caller := self._caller) is not None and caller.connection.ended is None:
            return caller
        with trio.move_on_after(timeout_s):
            async with self._dialling:
                if (caller := self._caller) is not None and caller.connection.ended is None:
                    return caller
                return await self._dial(timeout_s)
        raise NotReached(self.name, f"no connection in {timeout_s:g} s")

    async def _dial(self, timeout_s: float) -> Caller:
        try:
            connection = await dial(self._address(), self._credentials, self._node_id, timeout_s=timeout_s)
        except Refused:
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
