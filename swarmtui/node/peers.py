"""One connection to each peer: dialled by whoever misses it first, kept, and replaced.

Two nodes may dial each other at the same moment; both then keep the connection that the lower node id dialled. When the
last connection to a peer ends it is dialled again at once, and if the dial is *refused* (the process is gone, silence is
not enough) whoever asked is told: that is the only evidence of death there is.

Whom to dial may change while the node runs: members come, go and move. A connection that stands outlives that, for whoever
has it knows better.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import attrs
import trio

from swarmtui.node.bell import Bell
from swarmtui.objects.dispatch import AgentMessage
from swarmtui.objects.membership import node_of
from swarmtui.raft.messages import AnyMessage
from swarmtui.wire.calls import Peerage
from swarmtui.wire.channels import Channel
from swarmtui.wire.connection import Connection
from swarmtui.wire.dial import DialFailed, HungUp, Refused

REDIAL_FIRST_S = 0.02
REDIAL_MOST_S = 0.5
REDIAL_HUNG_UP_S = 0.001  # a process that is dying takes no longer than a few of these to refuse
SAME_MOMENT_S = 0.5  # two connections within this are a race, a later one is a peer that came back

Dial = Callable[[str, str], Awaitable[Connection]]
"""Dials (node id, address). Raises Refused or DialFailed."""


@attrs.define
class PeerEvents:
    """Who is told what: all called synchronously, in order."""

    connected: Callable[[str], None]
    disconnected: Callable[[str], None]
    refused: Callable[[str], None]  # no connection is left and a dial was refused


class Outgoing:
    """Connections to which something was posted in this step: it all leaves together when the step ends."""

    def __init__(self) -> None:
        self._connections: set[Connection] = set()

    def add(self, connection: Connection) -> None:
        self._connections.add(connection)

    def flush(self) -> None:
        while self._connections:
            self._connections.pop().flush()


@attrs.define
class _Peer:
    node_id: str
    address: str
    connection: Connection | None = None
    dialled_here: bool = False
    since: float = 0.0
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    missing: Bell = attrs.field(factory=Bell)
    is_kept: bool = False  # a task dials it whenever it is missing


class Peers:
    def __init__(
        self, node_id: str, dial: Dial, serve: Callable[[Connection], Awaitable[None]], events: PeerEvents
    ) -> None:
        self._node_id = node_id
        self._dial = dial
        self._serve = serve
        self._events = events
        self._peers: dict[str, _Peer] = {}
        self._wanted: dict[str, str] = {}
        self._wants_changed = Bell()
        self.outgoing = Outgoing()

    # --------------------------------------------------------------------------------------------------- sending

    def send_raft(self, message: AnyMessage) -> None:
        """It leaves with the next flush of `outgoing`. What finds no connection, or its queue full, is lost: the core
        notices by what is not answered."""
        peer = self._peers.get(node_of(message.target))
        if peer is not None and peer.connection is not None and self.is_manager(peer.node_id):
            peer.connection.post(Channel.RAFT, message)
            self.outgoing.add(peer.connection)

    def send_agent(self, node_id: str, message: AgentMessage) -> bool:
        peer = self._peers.get(node_id)
        if peer is None or peer.connection is None:
            return False
        return peer.connection.send_soon(Channel.AGENT, message)

    def connection(self, node_id: str) -> Connection | None:
        peer = self._peers.get(node_id)
        return peer.connection if peer else None

    def is_manager(self, node_id: str) -> bool:
        """It is connected, and showed a manager's certificate. To anybody else raft may not be spoken."""
        connection = self.connection(node_id)
        return connection is not None and connection.identity.role is Peerage.MANAGER

    def connected(self) -> list[str]:
        return [peer.node_id for peer in self._peers.values() if peer.connection is not None]

    def heard_within(self, seconds: float) -> list[str]:
        """Peers that said anything at all in the last `seconds`."""
        since = trio.current_time() - seconds
        return [
            peer.node_id
            for peer in self._peers.values()
            if peer.connection is not None and peer.connection.heard_at >= since
        ]

    # ------------------------------------------------------------------------------------------------ connections

    async def adopt(self, connection: Connection, *, dialled_here: bool) -> None:
        """Serve this connection until it ends; it is the peer's one connection unless a better one takes its place."""
        node_id = connection.identity.node_id
        peer = self._peers.setdefault(node_id, _Peer(node_id, ""))
        now = trio.current_time()
        if peer.connection is not None:
            race = now - peer.since < SAME_MOMENT_S
            if race and self._kept(node_id, peer.dialled_here) and not self._kept(node_id, dialled_here):
                await connection.aclose("this pair of nodes has a connection already")
                return
            peer.scope.cancel()
            self._lose(peer)
        scope = trio.CancelScope()
        peer.connection, peer.dialled_here, peer.since, peer.scope = connection, dialled_here, now, scope
        self._events.connected(node_id)
        try:
            with scope:
                await self._serve(connection)
        finally:
            if peer.connection is connection:
                self._lose(peer)
                peer.missing.ring()

    def _lose(self, peer: _Peer) -> None:
        peer.connection = None
        self._events.disconnected(peer.node_id)

    def _kept(self, peer_id: str, dialled_here: bool) -> bool:
        """Of two connections dialled at the same moment, is one dialled by that side the one to keep?"""
        return dialled_here == (self._node_id < peer_id)

    def want(self, members: Mapping[str, str]) -> None:
        """Keep a connection to each of these (address by node id) from now on, and to no others."""
        wanted = {node_id: address for node_id, address in members.items() if node_id != self._node_id}
        if wanted != self._wanted:
            self._wanted = wanted
            self._wants_changed.ring()

    def part(self) -> None:
        """End every connection: whoever dials next meets who we are now."""
        for peer in self._peers.values():
            if peer.connection is not None:
                peer.scope.cancel()

    async def run(self) -> None:
        """Keep the connections that are wanted, until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                for node_id, address in self._wanted.items():
                    peer = self._peers.setdefault(node_id, _Peer(node_id, address))
                    if peer.address != address:
                        peer.address = address
                        peer.missing.ring()
                    if not peer.is_kept:
                        peer.is_kept = True
                        nursery.start_soon(self._keep, peer)
                await self._wants_changed.heard()

    async def _keep(self, peer: _Peer) -> None:
        pause_s = REDIAL_FIRST_S
        while True:
            if peer.connection is not None:
                await peer.missing.heard()
                pause_s = REDIAL_FIRST_S
                continue
            if peer.node_id not in self._wanted:
                peer.is_kept = False
                return
            try:
                connection = await self._dial(peer.node_id, peer.address)
            except Refused:
                pause_s = max(pause_s, REDIAL_FIRST_S)
                if peer.connection is None:
                    self._events.refused(peer.node_id)
            except HungUp:
                if pause_s == REDIAL_FIRST_S:
                    pause_s = REDIAL_HUNG_UP_S
            except DialFailed:
                pause_s = max(pause_s, REDIAL_FIRST_S)
            else:
                async with connection:
                    await self.adopt(connection, dialled_here=True)
                if peer.since > trio.current_time() - REDIAL_FIRST_S:
                    await trio.sleep(REDIAL_FIRST_S)  # it ended at once: never dial in a tight loop
                continue
            with trio.move_on_after(pause_s):
                await peer.missing.heard()
            pause_s = min(2 * pause_s, REDIAL_MOST_S)
