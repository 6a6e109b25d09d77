"""One node: its connections, its agent and, on a manager, its half of the consensus, in one nursery.

The order of the start matters: link faults are in force before the peer port opens, and the log is recovered before
anything is answered. The order of the end matters as well: leadership is handed over, then the tasks are stopped.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from functools import partial

import trio

from swarmtui.agent.agent import Agent
from swarmtui.node.acquaintances import Acquaintances
from swarmtui.node.agent_session import AgentConnector
from swarmtui.node.answers import Answers
from swarmtui.node.duty import Duty
from swarmtui.node.events import Events
from swarmtui.node.gaps import duration_text, watch_gaps
from swarmtui.node.manager_side import Hearing, ManagerSide
from swarmtui.node.observing import Observing
from swarmtui.node.peers import PeerEvents, Peers
from swarmtui.node.power import Handover
from swarmtui.node.refusals import Refusals
from swarmtui.node.sessions import Sessions
from swarmtui.node.writes import Lost, NotSent
from swarmtui.objects.dispatch import Assignment, DispatchMessage, Relay
from swarmtui.objects.manifest import NodeEntry
from swarmtui.storage.directory import NodeDirectory
from swarmtui.storage.errors import StorageError
from swarmtui.wire import dial as wire_dial
from swarmtui.wire import rpc
from swarmtui.wire.certificates import Credentials, NotCertified, load_credentials
from swarmtui.wire.channels import Channel
from swarmtui.wire.codec import Message
from swarmtui.wire.connection import Connection
from swarmtui.wire.faults import LinkFaults
from swarmtui.wire.incoming import Received
from swarmtui.wire.listener import serve
from swarmtui.wire.node_calls import Propose, Proposed
from swarmtui.wire.responder import Responder, answer_calls

TRANSFER_TIMEOUTS = 2  # election timeouts that a handover before a stop may take


class CannotListen(Exception):
    """The node's address cannot be listened on: another program has it."""

    def __init__(self, entry: NodeEntry, error: OSError) -> None:
        reason = "another program listens there" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        super().__init__(
            f"{entry.name} cannot listen on {entry.address}: {reason}; stop that, or swarmtui node update --address auto "
            f"{entry.name}, then swarmtui start {entry.name}"
        )


MakeAgent = Callable[[AgentConnector], Agent]


class Node:
    """Built from its directory by `run`; `run` is its whole life."""

    def __init__(self, directory: NodeDirectory, handover: Handover, events: Events, make_agent: MakeAgent) -> None:
        self._directory = directory
        self.entry = entry = directory.node
        self.manifest = manifest = directory.birth.manifest
        self.events = events
        self._credentials = self._read_credentials()
        self._faults = LinkFaults(handover.faults)
        self._refusals = Refusals(events)
        self._callers: dict[str, rpc.Caller] = {}
        self._acquaintances = Acquaintances(handover.managers or {node.id: node.address for node in manifest.managers})
        self.peers = Peers(
            entry.id,
            self._dial,
            self._serve_peer,
            PeerEvents(self._peer_connected, self._peer_disconnected, self._peer_refused),
        )
        self.sessions = Sessions(entry.id, self.peers.send_agent, self._to_local_agent, self._probe)
        self._connector = AgentConnector(self._agent_says, self._agent_managers)
        self.agent: Agent = make_agent(self._connector)
        self._stopping = trio.Event()
        self.observing = Observing(entry.id, events)
        self._duty = Duty(directory, events, take_up=self._become_manager, lay_down=self._become_worker)
        self.answers = Answers(
            entry,
            manifest.raft.election_timeout_s,
            time.time(),
            self.peers,
            self.agent,
            self.observing,
            self._faults,
            self.stop,
            self._read_role,
        )

    @property
    def _side(self) -> ManagerSide | None:
        return self._duty.side

    def _read_credentials(self) -> Credentials:
        return load_credentials(self._directory.path / "node.pem", self._directory.path / "ca.pem")

    # ---------------------------------------------------------------------------------------------------- lifetime

    async def run(self) -> None:
        """From the opening of the peer port to an orderly end (see `stop`). Raises what must end the process."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._duty.run)
            await nursery.start(self._listen)
            self._meet()
            nursery.start_soon(self.peers.run)
            await nursery.start(self.agent.run)
            nursery.start_soon(watch_gaps, self.manifest.raft.election_timeout_s, self._gap)
            await self._stopping.wait()
            await self._end_in_order()
            nursery.cancel_scope.cancel()

    async def _listen(self, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        try:
            await serve(
                self.entry.address,
                self._credentials,
                self._serve,
                faults=self._faults,
                on_refused=self._refusals.tell,
                task_status=task_status,
            )
        except OSError as error:
            raise CannotListen(self.entry, error) from None

    def stop(self) -> None:
        """Leave in order: hand over leadership, stop the tasks, end."""
        self._stopping.set()

    async def _end_in_order(self) -> None:
        if self._side is not None and self._side.shall_hand_over():
            answered = trio.Event()
            with trio.move_on_after(TRANSFER_TIMEOUTS * self.manifest.raft.election_timeout_s):
                self._side.consensus.transfer("", lambda _reason: answered.set())
                await answered.wait()
        await self.agent.stop()

    def _gap(self, seconds: float) -> None:
        self.events.tell(
            "gap", f"gap {duration_text(seconds)}: this machine slept", data={"seconds": round(seconds, 3)}
        )
        self.agent.gap()
        if self._side is not None:
            self._side.gap()

    # -------------------------------------------------------------------------------------------------------- roles

    async def _read_role(self) -> str:
        """The host's word: certificate and role lie anew in the directory. Returns "" once they hold, else why not."""
        try:
            self._directory.read_again()
            self._credentials.become(self._read_credentials())
        except (StorageError, NotCertified, OSError) as error:
            return str(error)
        self.entry = self.answers.node = self._directory.node
        await self._duty.follow()
        self.peers.part()  # whoever dials now sees the new certificate
        return ""

    def _become_manager(self, side: ManagerSide) -> Callable[[], None]:
        hearing = Hearing(members_changed=self._meet, expelled=self._duty.expel)
        self.answers.manager = side.attach(
            self.peers, self.sessions, self._forward, lambda: self.answers.reachable(), hearing
        )
        self.observing.manage(side.consensus.status, side.store)
        self._meet()
        return self.observing.moved

    def _become_worker(self) -> None:
        self.answers.manager = None
        self.observing.manage(lambda: None, None)
        self.sessions.leader_changed("")
        self._connector.lost(self.entry.id)
        self._meet()

    def _meet(self) -> None:
        """Dial those who are members, or managers, by what is known now."""
        self.peers.want(self._acquaintances.doors(self._side))

    # -------------------------------------------------------------------------------------------------- connections

    async def _dial(self, node_id: str, address: str) -> Connection:
        return await wire_dial.dial(
            address, self._credentials, node_id, faults=self._faults, on_refused=self._refusals.tell
        )

    async def _probe(self, node_id: str, address: str) -> bool:
        return await wire_dial.probe(address, node_id=node_id, faults=self._faults)

    async def _serve(self, connection: Connection) -> None:
        """A connection that somebody dialled to us."""
        if connection.identity.is_node:
            await self.peers.adopt(connection, dialled_here=False)
        else:
            posted = self.peers.outgoing.add
            await answer_calls(connection, self.answers, on_refused=self._refusals.tell, posted=posted)

    async def _serve_peer(self, connection: Connection) -> None:
        peer_id = connection.identity.node_id
        caller = rpc.Caller(connection, Channel.FORWARD)
        self._callers[peer_id] = caller
        try:
            async with trio.open_nursery() as nursery:
                posted = self.peers.outgoing.add
                responder = Responder(connection, self.answers, nursery, on_refused=self._refusals.tell, posted=posted)
                try:
                    await connection.hear(partial(self._receive, peer_id, caller, responder))
                finally:
                    responder.close()
                nursery.cancel_scope.cancel()
        finally:
            caller.lose(connection.ended or "closed here")
            if self._callers.get(peer_id) is caller:
                del self._callers[peer_id]

    def _receive(self, peer_id: str, caller: rpc.Caller, responder: Responder, messages: Received) -> None:
        """Everything that came at once: first what consensus is told, all of it together."""
        told = [message for channel, message in messages if channel is Channel.RAFT]
        if told and (side := self._side) is not None:
            side.receive(told)  # type: ignore[arg-type]
        for channel, message in messages:
            if channel is Channel.AGENT:
                self._receive_for_agent(peer_id, message)
            elif channel is not Channel.RAFT and not caller.take(message):
                responder.take(message, channel)

    def _receive_for_agent(self, peer_id: str, message: Message) -> None:
        if isinstance(message, Relay):
            self.sessions.from_manager(peer_id, message)
        elif self._side is None or self._connector.is_of_own_session(peer_id, message):  # type: ignore[arg-type]
            self._to_agent(peer_id, message)  # type: ignore[arg-type]
        else:
            self.sessions.from_agent(peer_id, message)  # type: ignore[arg-type]

    def _peer_connected(self, node_id: str) -> None:
        if self._side is not None:
            self._side.peer_connected(node_id)

    def _peer_disconnected(self, node_id: str) -> None:
        self._connector.lost(node_id)
        if self._side is not None:
            self._side.peer_disconnected(node_id)

    def _peer_refused(self, node_id: str) -> None:
        if self._side is not None:
            self._side.peer_refused(node_id)

    async def _forward(self, node_id: str, call: Propose, timeout_s: float) -> Proposed:
        caller = self._callers.get(node_id)
        if caller is None:
            raise NotSent("there is no connection to the leader")
        try:
            answer = await caller.call(call, timeout_s)
        except rpc.NotSent as error:
            raise NotSent(str(error)) from None
        except rpc.CallRefused as error:
            if error.rule in rpc.FAILED_RULES:
                raise Lost(error.reason) from None
            raise NotSent(error.reason) from None
        except rpc.Broken as error:
            raise Lost(str(error)) from None
        if not isinstance(answer, Proposed):
            raise Lost(f"it answered {type(answer).__name__}")
        return answer

    # ---------------------------------------------------------------------------------------------------- the agent

    def _agent_managers(self) -> list[str]:
        """A manager that votes leads its own agent's session; one that is not there yet asks others, as a worker does."""
        if self._side is not None and self._side.is_voter:
            return [self.entry.id]
        managers = self._acquaintances.doors(self._side)
        return [node_id for node_id in self.peers.connected() if node_id in managers]

    def _agent_says(self, via: str, message: DispatchMessage) -> bool:
        if via != self.entry.id:
            return self.peers.send_agent(via, message)
        if self._side is None:
            return False
        self.sessions.from_agent(self.entry.id, message)
        return True

    def _to_local_agent(self, message: DispatchMessage) -> None:
        self._to_agent(self.entry.id, message)

    def _to_agent(self, via: str, message: DispatchMessage) -> None:
        if isinstance(message, Assignment) and self._acquaintances.told(message):
            self._meet()
        self._connector.deliver(via, message)
