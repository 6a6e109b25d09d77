"""How connections come in: admitted one by one, and nobody can hold the door.

Until its certificate is checked a caller costs one place in a short row: when the row is full the one that has waited
longest goes, so that silent strangers cannot keep out a node, whose handshake takes milliseconds. Admitted connections
are counted; managers are always admitted. Whoever is refused is told why, if it speaks TLS at all, and so is the log.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

import attrs
import trio

from swarmtui.wire.admission import Refusal
from swarmtui.wire.calls import Peerage
from swarmtui.wire.certificates import Credentials
from swarmtui.wire.connection import Connection, ConnectionEnded
from swarmtui.wire.dial import parse_address
from swarmtui.wire.faults import LinkFaults
from swarmtui.wire.tls import HANDSHAKE_TIMEOUT_S, HUNG_UP, HandshakeFailed, shake_hands

BACKLOG = 512

Handler = Callable[[Connection], Awaitable[None]]


@attrs.frozen(kw_only=True)
class ListenerLimits:
    """How many may stand at the door, and inside."""

    handshakes_max: int = 64  # under way at once
    handshake_timeout_s: float = HANDSHAKE_TIMEOUT_S
    connections_max: int = 1024  # admitted, managers not counted


@attrs.define(eq=False)
class _Door:
    """One listener's state. `waiting` is in order of arrival."""

    credentials: Credentials
    handler: Handler
    limits: ListenerLimits
    faults: LinkFaults | None
    on_refused: Callable[[Refusal], None] | None
    waiting: dict[int, trio.CancelScope] = attrs.field(factory=dict)
    arrivals: int = 0
    connections: int = 0

    async def receive(self, transport: trio.SocketStream) -> None:
        """One caller from its arrival to its end. Never raises what the caller is to blame for."""
        address = _address_of(transport)
        try:
            connection = await self._admit(transport, address)
            if connection is not None:
                await self._handle(connection)
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(transport)

    async def _admit(self, transport: trio.SocketStream, address: str) -> Connection | None:
        self.arrivals += 1
        arrival = self.arrivals
        with trio.move_on_after(self.limits.handshake_timeout_s) as scope:
            self._make_place()
            self.waiting[arrival] = scope
            try:
                if not await _says_something(transport):
                    return None  # a dial that only asked whether anybody listens
                stream, identity = await shake_hands(transport, self.credentials.server)
                connection = Connection(
                    stream,
                    self.credentials.identity,
                    identity,
                    address=address,
                    faults=self.faults,
                    on_refused=self.on_refused,
                )
                if self.faults is not None and identity.is_on_node:
                    await self.faults.wait_reaches(identity.node_id)  # the dial hangs
                if (reason := self._objection(connection)) is not None:
                    self._tell(Refusal(identity, address, *reason))
                    await connection.turn_away(reason[1])
                    return None
                await connection.greet()
                return connection
            except HandshakeFailed as error:
                if error.rule != HUNG_UP:  # it was not refused: a client that has what it wanted leaves its dials
                    self._tell(Refusal(None, address, error.rule, error.reason))
            except ConnectionEnded:
                return None  # gone before it greeted; what was refused of it has been told
            finally:
                self.waiting.pop(arrival, None)
        if scope.cancelled_caught:
            self._tell(Refusal(None, address, "handshake-timeout", "no handshake came about in time"))
        return None

    def _make_place(self) -> None:
        if len(self.waiting) >= self.limits.handshakes_max:
            longest = next(iter(self.waiting))
            self.waiting.pop(longest).cancel()

    def _objection(self, connection: Connection) -> tuple[str, str] | None:
        peer, own = connection.identity, self.credentials.identity
        if peer.cluster != own.cluster:
            return "wrong-cluster", f"this is cluster {own.cluster}, the certificate is of cluster {peer.cluster}"
        if peer.role is not Peerage.MANAGER and self.connections >= self.limits.connections_max:
            return "too-many", f"{self.connections} connections stand already, at most {self.limits.connections_max}"
        return None

    async def _handle(self, connection: Connection) -> None:
        counted = connection.identity.role is not Peerage.MANAGER
        self.connections += counted
        try:
            async with connection:
                await self.handler(connection)
        finally:
            self.connections -= counted

    def _tell(self, refusal: Refusal) -> None:
        if self.on_refused is not None:
            self.on_refused(refusal)


async def serve(
    address: str,
    credentials: Credentials,
    handler: Handler,
    *,
    faults: LinkFaults | None = None,
    on_refused: Callable[[Refusal], None] | None = None,
    limits: ListenerLimits = ListenerLimits(),
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Listen on `address` ("127.0.0.1:0" takes a free port) until cancelled, and call `handler(connection)` in a task of
    its own for every connection that is admitted; the connection is closed when the handler returns. Starts with the
    address that is listened on. Raises OSError when it cannot be (taken)."""
    host, port = parse_address(address)
    listeners = await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
    door = _Door(credentials, handler, limits, faults, on_refused)
    bound = listeners[0].socket.getsockname()
    await trio.serve_listeners(door.receive, listeners, task_status=_Announcing(task_status, f"{host}:{bound[1]}"))


@attrs.define(eq=False)
class _Announcing(trio.TaskStatus[object]):
    """Says the address, once the listeners accept."""

    outer: trio.TaskStatus[str]
    address: str

    def started(self, value: object = None) -> None:
        self.outer.started(self.address)


async def _says_something(transport: trio.SocketStream) -> bool:
    """False if the caller hangs up without a byte, as a probe does."""
    try:
        return bool(await transport.socket.recv(1, socket.MSG_PEEK))
    except OSError:
        return False


def _address_of(transport: trio.SocketStream) -> str:
    try:
        peer = transport.socket.getpeername()
    except OSError:
        return "gone"
    return f"{peer[0]}:{peer[1]}"
