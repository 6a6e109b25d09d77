"""One connection to each node, and one to the host: dialled when first needed, kept, dialled again when lost.

A dial outlives who asked for it: on a busy machine a handshake may take longer than the patience of one question, and were
it begun anew by each, none would ever end.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from swarmtui.client.errors import ClientError, NotReached, Refused, Unknown
from swarmtui.wire.calls import Answer, Call
from swarmtui.wire.certificates import Credentials
from swarmtui.wire.dial import DialFailed, dial
from swarmtui.wire.dial import Refused as DialRefused
from swarmtui.wire.host_calls import GetHost
from swarmtui.wire.key_calls import Attest, GetKeys
from swarmtui.wire.node_calls import (
    GetKey,
    GetStatus,
    ListRecords,
    LogRange,
)
from swarmtui.wire.rpc import Broken, Caller, CallRefused, NotSent

DIAL_TIMEOUT_S = 2.0  # at least, however little patience who asks has

READS: tuple[type, ...] = (GetStatus, ListRecords, GetKey, GetKeys, Attest, LogRange, GetHost)
"""Calls that change nothing: asking twice does no harm."""


@attrs.define(eq=False)
class _Dial:
    """One that is under way; `error` is why it has failed."""

    over: trio.Event = attrs.field(factory=trio.Event)
    error: ClientError | None = None


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
        self._dialling: _Dial | None = None

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
        timeout_s = max(0.0, timeout_s)
        with trio.move_on_after(timeout_s):
            while (caller := self.live) is None:
                await self._dialled(max(timeout_s, DIAL_TIMEOUT_S))
            return caller
        raise NotReached(self.name, f"no connection in {round(timeout_s, 2):g} s")

    async def _dialled(self, timeout_s: float) -> None:
        """Wait for the end of the dial that is under way, or of one that begins now: only of that the failure is told.
        Raises NotReached, or why there is no address."""
        if self._dialling is not None:
            await self._dialling.over.wait()
            return
        dialling = self._dialling = _Dial()
        self._nursery.start_soon(self._dial, dialling, timeout_s)
        await dialling.over.wait()
        if dialling.error is not None:
            raise dialling.error

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

    async def _dial(self, dialling: _Dial, timeout_s: float) -> None:
        """The connection, from its dial to its end."""
        try:
            connection = await dial(self._address(), self._credentials, self._node_id, timeout_s=timeout_s)
        except DialRefused:
            dialling.error = NotReached(self.name, "it does not run", refused=True)
        except (DialFailed, ValueError) as error:
            dialling.error = NotReached(self.name, str(error))
        except ClientError as error:
            dialling.error = error
        else:
            async with connection:
                self._caller = caller = Caller(connection)
                self._end(dialling)
                await caller.run()
        finally:
            self._end(dialling)

    def _end(self, dialling: _Dial) -> None:
        if self._dialling is dialling:
            self._dialling = None
        dialling.over.set()
