"""Calls over a connection: one answer each, or a stream of them. This is the asking end; `responder` is the other.

`Caller` and `Responder` never read the connection themselves: whoever iterates over it hands them their messages (`take`),
so that on a connection between managers both live beside Raft. `Caller.run` and `responder.answer_calls` are that loop for
connections that carry nothing else.

A stream's items are paid for: the caller gives the responder room for so many and gives more as it consumes, so a slow
reader holds up its own stream and nobody else's, and nothing piles up at either end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import TracebackType

import attrs
import trio

from swarmtui.wire.answers import RECORDS_MAX, join_records
from swarmtui.wire.calls import Answer, Call
from swarmtui.wire.channels import Channel
from swarmtui.wire.codec import MalformedMessage, Message
from swarmtui.wire.connection import Connection, ConnectionEnded
from swarmtui.wire.incoming import Received
from swarmtui.wire.messages import Cancel, Ended, Failed, More, Reply, Request
from swarmtui.wire.node_calls import Records
from swarmtui.wire.rules import INTERNAL, TOO_LARGE

CALL_TIMEOUT_S = 5.0
FAILED_RULES = frozenset({INTERNAL, TOO_LARGE})
"""Refusals of a call that failed while it was carried out, or was carried out and has an answer that no frame holds: how far
it had come is not known."""
STREAM_ITEMS_MAX = 64  # on their way or waiting, a stream


class CallFailed(Exception):
    """No answer. What that means for what was asked, the subclass says."""


class NotSent(CallFailed):
    """The call never left: certainly nothing happened."""


class Broken(CallFailed):
    """The connection ended, or the time was over, after the call was sent: it may have happened or may happen yet."""


class CallRefused(CallFailed):
    """The other side did not do it, or, where `rule` is one of FAILED_RULES, failed over it. `rule` is a short fixed name."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule
        self.reason = reason


class CallRejected(Exception):
    """Raised by whoever answers calls, to refuse one by name: arrives as CallRefused."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule
        self.reason = reason


# ---------------------------------------------------------------------------------------------------------- the caller


class Caller:
    """The asking end. Calls may be made by any number of tasks at once."""

    def __init__(self, connection: Connection, channel: Channel = Channel.CLIENT) -> None:
        self.connection = connection
        self._channel = channel
        self._last_id = 0
        self._waiting: dict[int, _Waiting | _Told | AnswerStream] = {}

    async def call(self, call: Call, timeout_s: float = CALL_TIMEOUT_S) -> Answer:
        """The answer. With no time left it is not sent. Raises NotSent, Broken, CallRefused."""
        waiting = _Waiting()
        timeout_s = max(0.0, timeout_s)
        with trio.move_on_after(timeout_s):
            id = await self._ask(call, waiting)
            try:
                await waiting.done.wait()
            finally:
                if self._waiting.pop(id, None) is not None and not waiting.done.is_set():
                    self.connection.send_soon(self._channel, Cancel(id))
        if waiting.answer is not None:
            return waiting.answer
        if waiting.failure is not None:
            raise waiting.failure
        raise (Broken if waiting.sent else NotSent)(f"no answer in {timeout_s:g} s")

    def ask(self, call: Call, done: Callable[[Answer | CallFailed], None]) -> bool:
        """`call` without a task that waits: it leaves at once, and `done` is told the answer, or why there is none, when
        that arrives; there is no timeout. False, and `done` is never called, if it cannot leave at once."""
        self._last_id += 1
        try:
            if not self.connection.post(self._channel, Request(self._last_id, call)):
                return False
        except MalformedMessage as error:
            done(CallRefused("invalid", str(error)))
            return True
        self._waiting[self._last_id] = _Told(done)
        self.connection.flush()
        return True

    def stream(self, call: Call) -> AnswerStream:
        """The answers, as they come: `async with caller.stream(call) as answers: async for answer in answers`."""
        return AnswerStream(self, call)

    def take(self, message: Message) -> bool:
        """Hand over a message of the connection. True if it was an answer to something asked here."""
        if isinstance(message, Reply):
            waiting = self._waiting.get(message.id)
            if type(waiting) is _Told:
                del self._waiting[message.id]
            if waiting is not None:
                waiting.take(message)
        elif isinstance(message, Failed):
            if (waiting := self._waiting.pop(message.id, None)) is not None:
                waiting.fail(CallRefused(message.rule, message.reason))
        elif isinstance(message, Ended):
            if (waiting := self._waiting.pop(message.id, None)) is not None:
                waiting.fail(None)
        else:
            return False
        return True

    def lose(self, reason: str) -> None:
        """The connection has ended: nothing more will be answered."""
        waiting, self._waiting = list(self._waiting.values()), {}
        for one in waiting:
            one.fail(Broken(reason))

    async def run(self) -> None:
        """Read the connection until it ends, where it carries answers only."""
        try:
            await self.connection.hear(self._take_all)
        finally:
            self.lose(self.connection.ended or "closed here")

    def _take_all(self, messages: Received) -> None:
        for _, message in messages:
            self.take(message)

    async def _ask(self, call: Call, waiting: _Waiting | AnswerStream) -> int:
        self._last_id += 1
        id = self._last_id
        try:
            await self.connection.send(self._channel, Request(id, call))
        except ConnectionEnded as error:
            raise NotSent(str(error)) from None
        except MalformedMessage as error:
            raise CallRefused("invalid", str(error)) from None
        self._waiting[id] = waiting
        waiting.sent = True
        return id

    def _give_room(self, id: int, count: int) -> None:
        self.connection.send_soon(self._channel, More(id, count))

    def _cancel(self, id: int) -> None:
        if self._waiting.pop(id, None) is not None:
            self.connection.send_soon(self._channel, Cancel(id))


@attrs.define(eq=False)
class _Told:
    """One call under way whose answer somebody is told."""

    done: Callable[[Answer | CallFailed], None]

    def take(self, reply: Reply) -> None:
        self.done(Broken("an answer in parts, where none is expected") if reply.more else reply.answer)

    def fail(self, failure: CallFailed | None) -> None:
        self.done(failure or CallRefused("protocol", "a stream's end was answered to a call"))


@attrs.define(eq=False)
class _Waiting:
    """One call that is under way."""

    done: trio.Event = attrs.field(factory=trio.Event)
    sent: bool = False
    answer: Answer | None = None
    failure: CallFailed | None = None
    parts: list[Records] = attrs.field(factory=list)
    count: int = 0  # of records in the parts

    def take(self, reply: Reply) -> None:
        if not reply.more and not self.parts:
            self.answer = reply.answer
            self.done.set()
        elif not isinstance(reply.answer, Records) or self.count > RECORDS_MAX:
            self.fail(Broken("an answer in parts that is too long, or of things that have none"))
        else:
            self.parts.append(reply.answer)
            self.count += len(reply.answer.records)
            if not reply.more:
                self.answer = join_records(self.parts)
                self.done.set()

    def fail(self, failure: CallFailed | None) -> None:
        self.failure = failure or CallRefused("protocol", "a stream's end was answered to a call")
        self.done.set()


class AnswerStream:
    """The answers to a stream call. Iteration ends with the stream; raises NotSent, Broken, CallRefused."""

    def __init__(self, caller: Caller, call: Call) -> None:
        self.sent = False
        self._caller = caller
        self._call = call
        self._id = 0
        self._items: deque[Answer] = deque()
        self._consumed = 0
        self._over = False
        self._failure: CallFailed | None = None
        self._arrived = trio.lowlevel.ParkingLot()

    async def __aenter__(self) -> AnswerStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """No more answers are wanted."""
        self._over = True
        self._items.clear()
        if self._id:
            self._caller._cancel(self._id)
        self._arrived.unpark_all()

    def __aiter__(self) -> AnswerStream:
        return self

    async def __anext__(self) -> Answer:
        if not self._id and not self._over:
            self._id = await self._caller._ask(self._call, self)
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._items:
            if self._failure is not None:
                raise self._failure
            if self._over:
                raise StopAsyncIteration
            await self._arrived.park()
        self._consumed += 1
        if self._consumed >= STREAM_ITEMS_MAX // 2 and not self._over:
            self._caller._give_room(self._id, self._consumed)
            self._consumed = 0
        return self._items.popleft()

    def take(self, reply: Reply) -> None:
        if not self._over:
            self._items.append(reply.answer)
            self._arrived.unpark_all()
        if len(self._items) > STREAM_ITEMS_MAX:
            self.close()
            self._failure = Broken("the other side sent more than there was room for")

    def fail(self, failure: CallFailed | None) -> None:
        self._over = True
        self._failure = failure
        self._arrived.unpark_all()
