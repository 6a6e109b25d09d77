"""The answering end of calls. The table `ALLOWED` is looked at before a call is looked at any further.

Most calls are answered by a task of their own. A call whose answer comes about by itself, as that of a write does when its
entry is applied, is answered by a `Pending`: no task waits for it, and its answer leaves with the others of its moment.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from functools import partial
from types import CoroutineType
from typing import Any, cast

import attrs
import trio

from swarmtui.wire.admission import Refusal
from swarmtui.wire.answers import PARTED, RECORDS_PER_PART, halves
from swarmtui.wire.calls import ALLOWED, Answer, Call, Peerage
from swarmtui.wire.certificates import Identity
from swarmtui.wire.channels import Channel
from swarmtui.wire.codec import MalformedMessage, Message
from swarmtui.wire.connection import Connection, ConnectionEnded, MessageTooLong
from swarmtui.wire.incoming import Received
from swarmtui.wire.messages import Cancel, Ended, Failed, More, Reply, Request
from swarmtui.wire.node_calls import StreamState, TaskOutput
from swarmtui.wire.rights import objection
from swarmtui.wire.rpc import STREAM_ITEMS_MAX, CallRejected
from swarmtui.wire.rules import INTERNAL, TOO_LARGE

REQUESTS_MAX = 2048  # under way, a connection

log = logging.getLogger("swarmtui.wire")


Answering = Coroutine[Any, Any, Answer]


class Pending:
    """An answer that somebody will `give`, exactly once, or leave to a task after all (`leave_to`)."""

    def __init__(self) -> None:
        self._given: Answer | Answering | None = None
        self._take: Callable[[Answer | Answering], None] | None = None

    @property
    def is_given(self) -> bool:
        """Before anybody took it."""
        return self._given is not None

    def give(self, answer: Answer) -> None:
        self._hand_over(answer)

    def leave_to(self, answering: Answering) -> None:
        self._hand_over(answering)

    def _hand_over(self, given: Answer | Answering) -> None:
        if self._take is not None:
            self._take(given)
        else:
            self._given = given

    def then(self, take: Callable[[Answer | Answering], None]) -> None:
        """Whoever made the call takes what is given, now or later."""
        if self._given is not None:
            take(self._given)
        else:
            self._take = take


Answerer = Callable[[Call, Identity], "Pending | Answering | AsyncIterator[Answer]"]
"""Answers one call of a certified caller: an awaitable or a Pending, or for a stream an async iterator. May raise
CallRejected; anything else that it raises is a fault of this program, is logged, and costs this one call only."""


class Responder:
    """The answering end. Calls run as tasks of `nursery`. Answers that were pending are posted, and `posted` is told so
    that somebody flushes; without it, or if they were there at once, they are flushed."""

    def __init__(
        self,
        connection: Connection,
        answer: Answerer,
        nursery: trio.Nursery,
        *,
        allowed: Mapping[Peerage, tuple[type, ...]] = ALLOWED,
        on_refused: Callable[[Refusal], None] | None = None,
        posted: Callable[[Connection], None] = Connection.flush,
    ) -> None:
        self._connection = connection
        self._answer = answer
        self._posted = posted
        self._nursery = nursery
        self._allowed = frozenset(allowed[connection.identity.role])
        self._on_refused = on_refused
        self._running: dict[int, _Running] = {}
        self._closed = False

    def take(self, message: Message, channel: Channel = Channel.CLIENT) -> bool:
        """Hand over a message of the connection. True if it was a call or belonged to one."""
        if isinstance(message, Request):
            self._begin(message, channel)
        elif isinstance(message, Cancel):
            if (running := self._running.get(message.id)) is not None:
                running.cancel()
        elif isinstance(message, More):
            if (running := self._running.get(message.id)) is not None:
                running.give(message.count)
        else:
            return False
        return True

    def _begin(self, request: Request, channel: Channel) -> None:
        peer, call = self._connection.identity, request.call
        if type(call) in self._allowed:
            reason = objection(peer.role, call)
        else:
            reason = f"a certificate of role {peer.role} may not make the call {type(call).__name__}"
        if reason:
            if self._on_refused is not None:
                self._on_refused(Refusal(peer, self._connection.address, "call", reason))
            self._fail(request.id, channel, "forbidden", reason)
        elif request.id in self._running:
            self._fail(request.id, channel, "protocol", f"call {request.id} is under way already")
        elif len(self._running) >= REQUESTS_MAX:
            self._fail(request.id, channel, "overload", f"{REQUESTS_MAX} calls of this connection are under way")
        else:
            self._start(request, channel)

    def _start(self, request: Request, channel: Channel) -> None:
        running = self._running[request.id] = _Running()
        try:
            answered = self._answer(request.call, self._connection.identity)
        except Exception as error:
            del self._running[request.id]
            self._explain(request, channel, error)
            return
        if isinstance(answered, Pending):
            answered.then(partial(self._given, request, channel, running))
            if answered.is_given:  # no step of somebody else's comes that would flush it
                self._connection.flush()
        else:
            self._nursery.start_soon(self._run, request, channel, running, answered)

    def _given(self, request: Request, channel: Channel, running: _Running, given: Answer | Answering) -> None:
        """What was pending has come."""
        if type(given) is CoroutineType:
            answering = cast(Answering, given)
        else:
            answer = cast(Answer, given)
            try:
                posted = self._connection.post(channel, Reply(request.id, answer))
            except MalformedMessage:
                posted = False
            if posted:
                del self._running[request.id]
                self._posted(self._connection)
                return
            answering = _ready(answer)  # a task waits for room, or says what is wrong with it
        if self._closed:
            answering.close()
        else:
            self._nursery.start_soon(self._run, request, channel, running, answering)

    async def _run(
        self,
        request: Request,
        channel: Channel,
        running: _Running,
        answered: Answering | AsyncIterator[Answer],
    ) -> None:
        try:
            with running.scope():
                if isinstance(answered, Coroutine):
                    await self._send(request.id, await answered, channel)
                else:
                    await self._stream(request, answered, channel, running)
        except Exception as error:
            self._explain(request, channel, error)
        finally:
            self._running.pop(request.id, None)

    def _explain(self, request: Request, channel: Channel, error: Exception) -> None:
        """Why a call has no answer."""
        name = type(request.call).__name__
        if isinstance(error, CallRejected):
            self._fail(request.id, channel, error.rule, error.reason)
        elif isinstance(error, MalformedMessage):
            self._fail(request.id, channel, TOO_LARGE, str(error))
        elif not isinstance(error, ConnectionEnded):  # else nobody is left to answer
            log.error("answering %s", name, exc_info=error)
            self._fail(request.id, channel, INTERNAL, f"{name} failed: {type(error).__name__}: {error}")

    async def _send(self, id: int, answer: Answer, channel: Channel, stream: _Running | None = None) -> None:
        """An answer, in parts if it is a long list of records: each part is encoded when there is room for it, so that a
        hundred thousand records neither stop the event loop nor lie in memory as one frame."""
        waiting = [answer]
        while waiting:
            part = waiting.pop()
            if isinstance(part, PARTED) and len(part.records) > RECORDS_PER_PART:
                waiting += reversed(halves(part))
                continue
            if stream is not None:
                await stream.wait_room()
            try:
                await self._connection.send(channel, Reply(id, part, more=stream is not None or bool(waiting)))
            except MessageTooLong:
                if not isinstance(part, PARTED) or len(part.records) < 2:
                    raise
                waiting += reversed(halves(part))

    async def _stream(
        self, request: Request, answers: AsyncIterator[Answer], channel: Channel, running: _Running
    ) -> None:
        is_output = isinstance(request.call, TaskOutput | StreamState) and channel is Channel.CLIENT
        lane = Channel.OUTPUT if is_output else channel
        try:
            async for answer in answers:
                await self._send(request.id, answer, lane, running)
            await self._connection.send(lane, Ended(request.id))
        finally:
            close = getattr(answers, "aclose", None)
            if close is not None:
                await close()

    def close(self) -> None:
        """The nursery is about to end."""
        self._closed = True

    def _fail(self, id: int, channel: Channel, rule: str, reason: str) -> None:
        self._connection.send_soon(channel, Failed(id, rule, reason))


@attrs.define(eq=False)
class _Running:
    """One call that is being answered; `room` is what a stream may still send. What only a task needs is made for it."""

    room: int = STREAM_ITEMS_MAX
    cancelled: bool = False
    _scope: trio.CancelScope | None = None
    _given: trio.lowlevel.ParkingLot | None = None  # where a stream waits for room

    def scope(self) -> trio.CancelScope:
        """For the task that answers."""
        self._scope = trio.CancelScope()
        if self.cancelled:
            self._scope.cancel()
        return self._scope

    def cancel(self) -> None:
        self.cancelled = True
        if self._scope is not None:
            self._scope.cancel()

    def give(self, count: int) -> None:
        self.room = min(self.room + max(0, count), STREAM_ITEMS_MAX)
        if self._given is not None:
            self._given.unpark_all()

    async def wait_room(self) -> None:
        while self.room <= 0:
            if self._given is None:
                self._given = trio.lowlevel.ParkingLot()
            await self._given.park()
        self.room -= 1


async def _ready(answer: Answer) -> Answer:
    return answer


async def answer_calls(
    connection: Connection,
    answer: Answerer,
    *,
    allowed: Mapping[Peerage, tuple[type, ...]] = ALLOWED,
    on_refused: Callable[[Refusal], None] | None = None,
    posted: Callable[[Connection], None] = Connection.flush,
) -> None:
    """Answer every call of a connection that carries nothing else, until it ends."""
    async with trio.open_nursery() as nursery:
        responder = Responder(connection, answer, nursery, allowed=allowed, on_refused=on_refused, posted=posted)

        def take(messages: Received) -> None:
            for channel, message in messages:
                responder.take(message, channel)

        try:
            await connection.hear(take)
        finally:
            responder.close()
        nursery.cancel_scope.cancel()
