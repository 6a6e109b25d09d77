"""Sessions between agents and the leader's dispatcher: who carries what to whom.

A node's agent speaks to one manager; where that manager does not lead, it relays to the leader, and closes the session
when its leader changes, so that no agent goes on speaking to the past. A relay carries only what a node said under its own
certified id, and the leader believes it as it believes the manager's certificate.

    agent ── its manager ──(Relay)── leader: SessionPort ── dispatcher
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
import trio

from swarmtui.manager.leadership import SessionBroken, SessionKey
from swarmtui.objects.dispatch import (
    AgentMessage,
    Assignment,
    DispatchMessage,
    Register,
    Registered,
    Relay,
    ReportReceived,
    SessionEnded,
)

INCOMING_MAX = 10_000  # messages of agents waiting for the dispatcher; beyond, sessions are ended
_FROM_DISPATCHER = (Registered, ReportReceived, Assignment)

Delivered = tuple[SessionKey, DispatchMessage | SessionBroken]


@attrs.define
class LeaderPort:
    """The dispatcher's side of all sessions, for as long as one leadership lasts."""

    incoming: trio.MemoryReceiveChannel[Delivered]
    _deliver: trio.MemorySendChannel[Delivered]
    _to_agent: Callable[[SessionKey, DispatchMessage], None]
    _probe: Callable[[str, str], Awaitable[bool]]
    sessions: set[SessionKey] = attrs.field(factory=set)

    def send(self, key: SessionKey, message: DispatchMessage) -> None:
        """Never blocks; nothing happens if the session is gone."""
        if isinstance(message, SessionEnded):
            self.sessions.discard(key)
        self._to_agent(key, message)

    async def probe(self, node_id: str, address: str) -> bool:
        """Dial the node: True if the dial was refused, which with a broken session is evidence of death."""
        return await self._probe(node_id, address)

    def receive(self, key: SessionKey, message: DispatchMessage) -> None:
        if isinstance(message, SessionEnded):
            self.broken(key, message.reason)
            return
        if isinstance(message, Register):
            self.sessions.add(key)
        try:
            self._deliver.send_nowait((key, message))
        except trio.WouldBlock:
            self.send(key, SessionEnded(key.session, "the dispatcher is overloaded"))
        except trio.BrokenResourceError:
            self.send(key, SessionEnded(key.session, "this manager no longer leads"))

    def broken(self, key: SessionKey, reason: str) -> None:
        if key not in self.sessions:
            return
        self.sessions.discard(key)
        try:
            self._deliver.send_nowait((key, SessionBroken(reason)))
        except (trio.WouldBlock, trio.BrokenResourceError):
            return  # silence says it as well, a little later


class Sessions:
    """Routes the AGENT channel of one manager."""

    def __init__(
        self,
        node_id: str,
        send_to_peer: Callable[[str, AgentMessage], bool],
        to_local_agent: Callable[[DispatchMessage], None],
        probe: Callable[[str, str], Awaitable[bool]],
    ) -> None:
        self._node_id = node_id
        self._send_to_peer = send_to_peer
        self._to_local_agent = to_local_agent
        self._probe = probe
        self._leader = ""
        self._port: LeaderPort | None = None
        self._relayed: dict[str, str] = {}  # session by node id, while another manager leads

    # ------------------------------------------------------------------------------------------------ from agents

    def from_agent(self, node_id: str, message: DispatchMessage) -> None:
        """The agent of this node, connected to us (or our own), says something to whoever leads."""
        if isinstance(message, _FROM_DISPATCHER):
            return  # not an agent's to say
        if isinstance(message, Register) and message.node_id != node_id:
            self._to_agent(
                node_id, SessionEnded(message.session, f"a node may register itself only, not {message.node_id}")
            )
            return
        if self._port is not None:
            self._port.receive(SessionKey(node_id, message.session, self._node_id), message)
        elif (
            self._leader and self._leader != self._node_id and self._send_to_peer(self._leader, Relay(node_id, message))
        ):
            if isinstance(message, SessionEnded):
                self._relayed.pop(node_id, None)
            else:
                self._relayed[node_id] = message.session
        elif not isinstance(message, SessionEnded):
            self._to_agent(node_id, SessionEnded(message.session, "no leader is known", self._leader))

    def from_manager(self, manager_id: str, relay: Relay) -> None:
        """Another manager relays: upwards if we lead, else downwards from the leader."""
        message = relay.message
        if self._port is not None:
            if not isinstance(message, _FROM_DISPATCHER):
                self._port.receive(SessionKey(relay.node_id, message.session, manager_id), message)
        elif manager_id == self._leader:
            if self._relayed.get(relay.node_id) == message.session:
                if isinstance(message, SessionEnded):
                    del self._relayed[relay.node_id]
                self._to_agent(relay.node_id, message)
        elif not isinstance(message, SessionEnded):
            ended = SessionEnded(message.session, "this manager does not lead", self._leader)
            self._send_to_peer(manager_id, Relay(relay.node_id, ended))

    # ------------------------------------------------------------------------------------------------- to agents

    def _to_agent(self, node_id: str, message: DispatchMessage) -> None:
        if node_id == self._node_id:
            self._to_local_agent(message)
        else:
            self._send_to_peer(node_id, message)

    def _answer(self, key: SessionKey, message: DispatchMessage) -> None:
        if key.via == self._node_id:
            self._to_agent(key.node_id, message)
        else:
            self._send_to_peer(key.via, Relay(key.node_id, message))

    # ------------------------------------------------------------------------------------------------ what changes

    def lead(self) -> LeaderPort:
        """A leadership opens: from now on agents' messages come out of the port's `incoming`."""
        deliver, incoming = trio.open_memory_channel[Delivered](INCOMING_MAX)
        self._end_relays("this manager leads now")
        self._port = LeaderPort(incoming, deliver, self._answer, self._probe)
        return self._port

    def resign(self) -> None:
        """The leadership has ended: so have all its sessions."""
        port, self._port = self._port, None
        if port is not None:
            for key in port.sessions:
                self._answer(key, SessionEnded(key.session, "the leader changed", self._leader))

    def leader_changed(self, leader_id: str) -> None:
        if leader_id != self._leader:
            self._leader = leader_id
            self._end_relays("the leader changed")

    def disconnected(self, peer_id: str) -> None:
        """The connection to this peer has ended."""
        if self._port is not None:
            for key in [key for key in self._port.sessions if peer_id in (key.via, key.node_id)]:
                if key.via == peer_id or key.via == self._node_id:
                    self._port.broken(key, "its connection ended")
        elif peer_id == self._leader:
            self._end_relays("the connection to the leader ended")
        elif peer_id in self._relayed:
            ended = SessionEnded(self._relayed.pop(peer_id), "its connection ended")
            self._send_to_peer(self._leader, Relay(peer_id, ended))

    def _end_relays(self, reason: str) -> None:
        relayed, self._relayed = self._relayed, {}
        for node_id, session in relayed.items():
            self._to_agent(node_id, SessionEnded(session, reason, self._leader))
