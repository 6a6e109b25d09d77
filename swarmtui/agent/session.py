"""The agent's side of a session with the leader, as seen by the agent. The node implements both protocols: over the network
through any manager, or without it where the node leads itself."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from swarmtui.objects.dispatch import DispatchMessage


class SessionLost(Exception):
    """The session cannot be opened, or is over. One sentence; the agent tries again."""


class AgentSession(Protocol):
    """Messages both ways until either side ends. Iteration ends when the session does. Used as an async context."""

    async def send(self, message: DispatchMessage) -> None:
        """Raises SessionLost."""
        ...

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> DispatchMessage:
        """Raises SessionLost, or StopAsyncIteration at the end."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool | None: ...


class SessionConnector(Protocol):
    async def open(self) -> AgentSession:
        """A way to the leader, through whichever manager; another one than last time if that failed. May take as long as
        a dial does. Raises SessionLost."""
        ...
