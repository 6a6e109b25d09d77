"""The agent's way to the leader: over its own manager half if it has one, else over a connection to some manager.

A worker prefers the manager that was last named as the leader, then any that it is connected to, another one than the
time before; the choice only saves a hop, since every manager relays.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from types import TracebackType

import trio

from swarmtui.agent.session import SessionLost
from swarmtui.objects.dispatch import DispatchMessage, SessionEnded

INBOX_MAX = 1_000  # messages to an agent that it has not looked at; beyond, the session ends


class NodeAgentSession:
    """One session's pipe: `send` towards the leader, iterate over what comes back. Ends with the pipe."""

    def __init__(self, say: Callable[[DispatchMessage], bool]) -> None:
        self._say = say
        self._inbox: deque[DispatchMessage] = deque()
        self._arrived = trio.lowlevel.ParkingLot()
        self._over = False

    async def send(self, message: DispatchMessage) -> None:
        """Raises SessionLost."""
        await trio.lowlevel.checkpoint()
        if self._over or not self._say(message):
            raise SessionLost("the connection to the manager has ended")

    def push(self, message: DispatchMessage) -> None:
        """From outside: something came for the agent."""
        if len(self._inbox) >= INBOX_MAX:
            self.end()
            return
        self._inbox.append(message)
        self._arrived.unpark_all()

    def end(self) -> None:
        """From outside: nothing more will come."""
        self._over = True
        self._arrived.unpark_all()

    def __aiter__(self) -> NodeAgentSession:
        return self

    async def __anext__(self) -> DispatchMessage:
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._inbox:
            if self._over:
                raise StopAsyncIteration
            await self._arrived.park()
        return self._inbox.popleft()

    async def __aenter__(self) -> NodeAgentSession:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.end()


class AgentConnector:
    """Opens sessions for the one agent of this node. `managers` are the ids a session may be opened through."""

    def __init__(self, say: Callable[[str, DispatchMessage], bool], managers: Callable[[], list[str]]) -> None:
        self._say = say
        self._managers = managers
        self._leader = ""
        self._via = ""
        self._name = ""  # of the session, as the agent called it
        self._session: NodeAgentSession | None = None

    async def open(self) -> NodeAgentSession:
        """A pipe to a manager. Raises SessionLost if none can be reached."""
        await trio.lowlevel.checkpoint()
        via = self._choose()
        session = NodeAgentSession(lambda message: self._say_through(via, message))
        self._via, self._session = via, session
        return session

    def _say_through(self, via: str, message: DispatchMessage) -> bool:
        self._name = message.session
        return self._say(via, message)

    def is_of_own_session(self, via: str, message: DispatchMessage) -> bool:
        """It is meant for our agent, and not from that node's agent for the leader."""
        return via == self._via and message.session == self._name

    def _choose(self) -> str:
        managers = self._managers()
        if not managers:
            raise SessionLost("no manager can be reached")
        if self._leader in managers and self._leader != self._via:
            return self._leader
        return random.choice([manager for manager in managers if manager != self._via] or managers)

    def deliver(self, via: str, message: DispatchMessage) -> None:
        """Something for the agent came from this manager."""
        if isinstance(message, SessionEnded):
            self._leader = message.leader_id or self._leader
        if self._session is not None and via == self._via:
            self._session.push(message)

    def lost(self, via: str) -> None:
        """The connection to this manager has ended."""
        if self._session is not None and via == self._via:
            self._session.end()
