"""The agent's session with the leader: opened again and again, for as long as the node lives.

Register, then beat and report; orders go to `obey` one after the other. A session ends when either side says so, when a
message cannot be sent, or when a leader that answers beats has been silent for half of the node's timeout: the manager
that relays may be cut off, and then there is time to come by another before the leader counts this node as down. The next
is opened within RECONNECT_S_MAX, with jitter, and sooner at first: an election takes a tenth of a second. In it everything
is reported again.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import trio

from swarmtui.agent.reports import Reports
from swarmtui.agent.session import AgentSession, SessionConnector, SessionLost
from swarmtui.objects.dispatch import (
    Assignment,
    Beat,
    Register,
    Registered,
    ReportReceived,
    SessionEnded,
    StatusReport,
)
from swarmtui.objects.events import Narrate
from swarmtui.objects.identifiers import new_id
from swarmtui.objects.manifest import NodeEntry
from swarmtui.objects.records import NodeDescription

RECONNECT_S_MIN = 0.02
RECONNECT_S_MAX = 0.25
REGISTER_LIMIT_S = 2.0  # from Register to Registered; later, another manager is tried
COALESCE_S = 0.004  # how long a change of state waits for others, to be told in one report
TRANSIENT_S = 0.03  # how long a state on the way to running waits for the next
GAP_S = 0.5  # woken this much later than asked: the machine slept, or this node was stopped
HEARTBEAT_S_MIN = 0.05
BEATS_MISSED = 1.5


class Conversation:
    def __init__(
        self,
        node: NodeEntry,
        description: NodeDescription,
        connect: SessionConnector,
        reports: Reports,
        obey: Callable[[Assignment], Awaitable[None]],
        narrate: Narrate,
    ) -> None:
        self._node, self._description = node, description
        self._connect, self._reports = connect, reports
        self._obey, self._narrate = obey, narrate
        self._poked = trio.Event()
        self._settled = trio.Event()
        self._leaving = ""
        self._left = trio.Event()
        self._heard_at = 0.0
        self._answers_beats = False
        self.open = False

    def poke(self) -> None:
        """There is something to report."""
        self._poked.set()

    def gap(self) -> None:
        """The leader's silence counts from now."""
        self._heard_at = trio.current_time()

    async def leave(self, reason: str) -> None:
        """Returns when the leader has acknowledged everything and was told that no more will come. A `reason` that begins
        with "stopping" makes it known that the node was stopped and has not died."""
        while not self._reports.settled:
            self._settled = trio.Event()
            await self._settled.wait()
        self._leaving = reason
        self._poked.set()
        await self._left.wait()

    async def run(self) -> None:
        """One session after the other, until `leave` or cancelled."""
        silent = False  # say once that there is no session, not four times a second
        pause_s = RECONNECT_S_MIN
        while not self._leaving:
            was_open, reason = await self._hold_session()
            if (was_open or not silent) and not self._leaving:
                text = f"{self._node.name} has no session with a leader: {reason}; its tasks run on"
                self._narrate("node", text, object=self._node.id)
            silent = True
            pause_s = RECONNECT_S_MIN if was_open else min(pause_s * 2, RECONNECT_S_MAX)
            await trio.sleep(pause_s * random.uniform(0.5, 1.0))
        self._left.set()

    async def _hold_session(self) -> tuple[bool, str]:
        """One session from beginning to end: whether it was open at all, and why it ended."""
        try:
            async with await self._connect.open() as session:
                name = new_id()
                registered = await self._register(session, name)
                self._reports.start_session()
                self._poked.set()
                self._answers_beats = False
                self.gap()
                self.open = True
                text = f"{self._node.name} registered with the leader of term {registered.term}"
                self._narrate("node", text, object=self._node.id)
                try:
                    return True, await self._speak(session, name, registered)
                finally:
                    self.open = False
        except SessionLost as error:
            return False, str(error)

    async def _register(self, session: AgentSession, name: str) -> Registered:
        with trio.move_on_after(REGISTER_LIMIT_S):
            await session.send(Register(self._node.id, name, self._description, self._node.address))
            async for message in session:
                if message.session != name:
                    continue
                if isinstance(message, Registered):
                    return message
                if isinstance(message, SessionEnded):
                    raise SessionLost(message.reason)
            raise SessionLost("the session ended before it was open")
        raise SessionLost(f"no answer to the registration within {REGISTER_LIMIT_S:g} s")

    async def _speak(self, session: AgentSession, name: str, registered: Registered) -> str:
        """Three tasks, any of which ends the session by giving the reason."""
        reasons: list[str] = []

        async def until_lost(speak: Callable[[AgentSession, str, Registered], Awaitable[str]]) -> None:
            try:
                reasons.append(await speak(session, name, registered))
            except SessionLost as error:
                reasons.append(str(error))
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(until_lost, self._beat)
            nursery.start_soon(until_lost, self._tell)
            nursery.start_soon(until_lost, self._listen)
        return reasons[0]

    async def _listen(self, session: AgentSession, name: str, _: Registered) -> str:
        async for message in session:
            if message.session != name:  # a late word of an earlier session
                continue
            self._heard_at = trio.current_time()
            match message:
                case Assignment():
                    await self._obey(message)
                case ReportReceived():
                    self._reports.acknowledge(message.serial)
                    self.poke()  # what had to wait for it can be told now
                    if self._reports.settled:
                        self._settled.set()
                case Beat():
                    self._answers_beats = True
                case SessionEnded():
                    return message.reason
                case _:
                    continue
        return "the connection ended"

    async def _beat(self, session: AgentSession, name: str, registered: Registered) -> str:
        pause_s = max(registered.heartbeat_s, HEARTBEAT_S_MIN)
        beat = Beat(name)
        while True:
            asked = trio.current_time() + pause_s
            with trio.move_on_after(registered.node_timeout_s) as limit:
                await session.send(beat)
            if limit.cancelled_caught:
                return f"a beat could not be sent for {registered.node_timeout_s:g} s"
            await trio.sleep_until(asked)
            now = trio.current_time()
            if now > asked + GAP_S:
                self.gap()
            silence_s = now - self._heard_at
            if self._answers_beats and silence_s > _patience_s(registered):
                return f"the leader has been silent for {silence_s:.1f} s"

    async def _tell(self, session: AgentSession, name: str, _: Registered) -> str:
        while True:
            if self._leaving and self._reports.settled:
                await session.send(SessionEnded(name, self._leaving))
                return self._leaving
            report = self._reports.next(trio.current_time())
            if report is not None:
                await session.send(StatusReport(name, *report))
                continue
            with trio.move_on_at(self._reports.expires_at or float("inf")):
                await self._wait_for_news()
            self._reports.expire(trio.current_time())

    async def _wait_for_news(self) -> None:
        """Until there is something to report, and then a little for what follows at once."""
        await self._poked.wait()
        if not self._reports.waiting:
            self._poked = trio.Event()
            return
        with trio.move_on_after(TRANSIENT_S):
            while not self._reports.urgent and not self._leaving:
                self._poked = trio.Event()
                await self._poked.wait()
        self._poked = trio.Event()
        await trio.sleep(COALESCE_S)


def _patience_s(registered: Registered) -> float:
    """How long the leader may be silent: half of what it is patient with us, but no less than an answer takes to be late."""
    return min(registered.node_timeout_s, max(registered.node_timeout_s / 2, BEATS_MISSED * registered.heartbeat_s))
