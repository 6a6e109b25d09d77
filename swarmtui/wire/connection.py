"""One connection: two certified ends, prioritised channels, everything bounded.

The whole picture: a message is encoded and its frame put into its channel's queue. `flush` takes all that waits, highest
channel first, and sends it in one piece (a send through TLS costs more than the encoding of ten messages, so under load
frames share one). Whoever has several messages `post`s them and flushes; `send_soon` leaves the flushing to the writer, a
task that also finishes what the socket did not take at once. Whoever `hear`s is called with every whole message of
what has arrived, in the step in which it arrives. A link fault acts on frames as they are queued and written, and on all that is received.

A connection ends once, for one reason (`ended`): a side said goodbye, the stream broke, or the other side sent what it
must not. From then on `send_soon` answers False and `hear` returns. While the link is cut the end is not noticed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType

import trio

from swarmtui.wire.admission import Admission, Refusal
from swarmtui.wire.certificates import Identity
from swarmtui.wire.channels import Channel
from swarmtui.wire.codec import MalformedMessage, Message, encode_message
from swarmtui.wire.faults import LinkFaults
from swarmtui.wire.frames import FRAME_BYTES_MAX, encode_frame
from swarmtui.wire.incoming import REASON_LENGTH_MAX, Incoming, Received
from swarmtui.wire.messages import Goodbye, Hello
from swarmtui.wire.outgoing import Outgoing
from swarmtui.wire.queues import Queue, Statistics
from swarmtui.wire.tls import Stream

GOODBYE_TIMEOUT_S = 0.5  # to write what waits and the farewell
LINGER_TIMEOUT_S = 0.25  # after a refusal: closing with unread input would reset, and the reason would never arrive
TORN = "frames were lost while the link was cut"
HUNG_UP = "the other side hung up"


class ConnectionEnded(Exception):
    """Nothing can be sent any more; the text says why."""


class MessageTooLong(MalformedMessage):
    """A message whose frame nobody would read."""


class Connection:
    """Use as `async with connection: await connection.hear(take)`. One task hears; any may send."""

    def __init__(
        self,
        stream: Stream,
        local: Identity,
        identity: Identity,
        *,
        address: str = "",
        faults: LinkFaults | None = None,
        on_refused: Callable[[Refusal], None] | None = None,
    ) -> None:
        self.local = local
        self.identity = identity
        self.address = address
        self.ended: str | None = None
        """Why the connection ended; None while it stands."""
        self.heard_at = trio.current_time()
        """When the other side was last heard (trio's clock); not while the link is cut."""
        self._stream = stream
        self._faults = faults if identity.is_on_node and local.is_node else None
        self._on_refused = on_refused
        self._outgoing = Outgoing(self._faults, identity)
        self._queues = self._outgoing.queues
        self._incoming = Incoming(Admission(local, identity), self._forged, self._outgoing.lose)
        self._early: Received = []  # what came in one piece with the hello
        self._statistics = self._outgoing.counters
        self._work = trio.lowlevel.ParkingLot()
        self._closing = False
        self._stuck = False  # the stream has not taken all of the last write: the writer waits for it
        self._failure: Exception | None = None  # what the stream said at the last write
        self._hangs_up = False  # this side ends it because frames were lost
        self._written = trio.Event()  # the writer is done for good
        self._over = trio.Event()
        self._nursery_manager: AbstractAsyncContextManager[trio.Nursery] | None = None
        self._nursery: trio.Nursery | None = None

    def __repr__(self) -> str:
        return f"<connection to {self.identity}{'' if self.ended is None else ', ended: ' + self.ended}>"

    # --------------------------------------------------------------------------------------------------- its lifetime

    async def __aenter__(self) -> Connection:
        self._nursery_manager = trio.open_nursery()
        self._nursery = await self._nursery_manager.__aenter__()
        self._nursery.start_soon(self._write)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Says goodbye, closes, and waits for the writer. An exception of the body passes through as it is."""
        manager, nursery = self._nursery_manager, self._nursery
        assert manager is not None
        assert nursery is not None
        passing = isinstance(error, Exception)
        try:
            await self.aclose()
        finally:
            nursery.cancel_scope.cancel()
            handled = await (manager.__aexit__(None, None, None) if passing else manager.__aexit__(kind, error, trace))
        return bool(handled) and not passing

    async def aclose(self, reason: str = "closed") -> None:
        """End the connection: what waits is written, if the other side takes it soon, and the reason with it."""
        if not self._closing and self.ended is None:
            self._say_goodbye(reason)
            if self._nursery is not None:
                with trio.CancelScope(shield=True, deadline=trio.current_time() + GOODBYE_TIMEOUT_S):
                    await self._written.wait()
        self._end(reason)
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(self._stream)  # type: ignore[arg-type]

    def _end(self, reason: str) -> None:
        if self.ended is None:
            self.ended = reason
            self._over.set()
            self._work.unpark_all()
            for queue in self._queues:
                queue.room.unpark_all()

    async def _broke(self, reason: str) -> None:
        """The stream is broken. If the link is cut, that is not noticed before the cut is over."""
        if self._faults is not None and self.ended is None and not self._closing:
            with trio.CancelScope() as waiting:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._cancel_when_over, waiting)
                    await self._faults.wait_hears(self.identity.node_id)
                    nursery.cancel_scope.cancel()
        self._end(reason)

    async def _cancel_when_over(self, scope: trio.CancelScope) -> None:
        await self._over.wait()
        scope.cancel()

    async def greet(self) -> None:
        """Before anything else, and before `async with`: say hello and wait for the other side's, which it says only if
        it admits us. Raises ConnectionEnded with the reason."""
        try:
            await self._say(Hello())
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionEnded(_why(error)) from None
        while not self._incoming.greeted:
            self._early += await self._fill()
            if self.ended is not None:
                raise ConnectionEnded(self.ended)

    async def turn_away(self, reason: str) -> None:
        """Instead of `greet`: say why not, and end."""
        try:
            await self._say(Goodbye(reason[:REASON_LENGTH_MAX]))
            await self._linger()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._end(HUNG_UP)
        self._end(reason)

    async def _say(self, message: Message) -> None:
        """While there is no writer yet."""
        if not self._stream.write(self._frame(Channel.CONTROL, message)):
            await self._stream.drain()

    # ------------------------------------------------------------------------------------------------------- sending

    def send_soon(self, channel: Channel, message: Message) -> bool:
        """Queue a message and return at once; the writer sends it. False, and the message is gone, when the channel's
        queue is full or the connection has ended. Raises MalformedMessage for a message that cannot be written."""
        queued = self.post(channel, message)
        self._work.unpark_all()
        return queued

    def post(self, channel: Channel, message: Message) -> bool:
        """`send_soon` for whoever calls `flush` after the last of several messages."""
        if self.ended is not None or self._closing:
            return False
        queue, frame = self._queues[channel], self._frame(channel, message)
        if not queue.has_room(len(frame)):
            self._statistics.frames_refused += 1
            return False
        self._put(queue, frame)
        return True

    async def send(self, channel: Channel, message: Message) -> None:
        """Queue a message as soon as its channel has room. Raises ConnectionEnded."""
        await trio.lowlevel.checkpoint_if_cancelled()
        frame = self._frame(channel, message)
        queue = self._queues[channel]
        while self.ended is None and not self._closing and not queue.has_room(len(frame)):
            await queue.room.park()
        if self.ended is not None or self._closing:
            raise ConnectionEnded(self.ended or "closing")
        self._put(queue, frame)
        self._work.unpark_all()

    def _say_goodbye(self, reason: str) -> None:
        """Behind all that waits, however much that is."""
        self._put(self._queues[-1], self._frame(Channel.CONTROL, Goodbye(reason[:REASON_LENGTH_MAX])))
        self._closing = True
        self._work.unpark_all()

    def _frame(self, channel: Channel, message: Message) -> bytes:
        body = encode_message(message)
        if len(body) > FRAME_BYTES_MAX:
            raise MessageTooLong(f"{type(message).__name__} of {len(body)} bytes, at most {FRAME_BYTES_MAX} are sent")
        return encode_frame(channel, body)

    def _put(self, queue: Queue, frame: bytes) -> None:
        if self._outgoing.put(queue, frame):
            self._work.unpark_all()  # the writer waits until it may go

    def _end_torn(self) -> None:
        if not self._closing and self.ended is None:
            self._hangs_up = True
            self._say_goodbye(TORN)

    def flush(self) -> None:
        """Send what waits, as far as the stream takes it at once; the writer sends the rest."""
        if self._nursery is None:
            return  # nobody has entered yet: the writer will
        try:
            while not self._stuck and self._failure is None and (frames := self._take()):
                data = b"".join(frames)
                self._stuck = not self._stream.write(data)
                self._statistics.frames_sent += len(frames)
                self._statistics.sends += 1
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._failure = error
        if self._stuck or self._failure is not None:
            self._work.unpark_all()

    async def _write(self) -> None:
        """The writer: flushes for those who do not, waits for the stream, and ends the connection when it breaks."""
        try:
            while True:
                self.flush()
                if self._failure is not None:
                    raise self._failure
                if self._stuck:
                    await self._stream.drain()
                    self._stuck = False
                elif self._closing or self.ended is not None:
                    if self._hangs_up:  # the other end may be deaf yet: it hears no goodbye, but that nobody is there
                        self._end(TORN)
                        await trio.aclose_forcefully(self._stream)  # type: ignore[arg-type]
                    return
                elif (due := self._outgoing.next_due) is not None:
                    with trio.move_on_at(due):
                        await self._work.park()
                else:
                    await self._work.park()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            await self._broke(_why(error))
        finally:
            self._written.set()

    def _take(self) -> list[bytes]:
        if self._outgoing.torn and not self._outgoing.is_cut:
            self._end_torn()
        return self._outgoing.take()

    # ------------------------------------------------------------------------------------------------------ receiving

    async def hear(self, take: Callable[[Received], None]) -> None:
        """Hand all messages that arrive together to `take`, in the step in which they arrive, until the connection has
        ended. Raises what `take` raises."""
        if self._early:
            early, self._early = self._early, []
            take(early)

        def arrived(data: bytes) -> bool:
            if messages := self._read(data):
                take(messages)
            return self._goes_on

        try:
            if self._goes_on:
                await self._stream.hear(arrived)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            await self._broke(_why(error))
        await self._face()

    async def _fill(self) -> Received:
        """Take in what the stream has, wait for it if need be, and read every whole message of it. A bad one ends the
        connection, after those before it."""
        try:
            data = await self._stream.receive_some()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            await self._broke(_why(error))
            return []
        messages = self._read(data)
        if not self._goes_on:
            await self._face()
        return messages

    def _read(self, data: bytes | bytearray) -> Received:
        """Every whole message of what the stream gave; whether that was all, `_goes_on` says."""
        if not data:
            self._incoming.hung_up = True
            return []
        cut = self._faults is not None and not self._faults.hears(self.identity.node_id)
        if not cut:
            self.heard_at = trio.current_time()
            if self._outgoing.torn:
                self._end_torn()
        messages = self._incoming.read(data, cut=cut)
        if self._incoming.farewell is not None:
            self._end(self._incoming.farewell)
        return messages

    @property
    def _goes_on(self) -> bool:
        """There may be more to read."""
        return self.ended is None and not self._incoming.is_over

    async def _face(self) -> None:
        """What has come, or that nothing more comes, ends the connection."""
        if self._incoming.fault is not None:
            await self._refuse(*self._incoming.fault)
        elif self._incoming.hung_up:
            await self._broke(HUNG_UP)

    def _forged(self, sender: str) -> None:
        peer = self.identity
        self._tell(Refusal(peer, self.address, "forged-sender", f"{peer} ({peer.node_id}) speaks as {sender}"))

    async def _refuse(self, rule: str, reason: str) -> None:
        self._tell(Refusal(self.identity, self.address, rule, reason))
        if self.ended is not None:
            return
        if self._nursery is None:  # it came in one piece with the hello: there is no writer yet
            await self.turn_away(reason)
            return
        if not self._closing:
            self._say_goodbye(reason)
        with trio.move_on_after(GOODBYE_TIMEOUT_S):
            await self._written.wait()
        await self._linger()
        self._end(reason)

    async def _linger(self) -> None:
        with trio.move_on_after(LINGER_TIMEOUT_S):
            try:
                while await self._stream.receive_some():
                    continue
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return

    def _tell(self, refusal: Refusal) -> None:
        if self._on_refused is not None:
            self._on_refused(refusal)

    # --------------------------------------------------------------------------------------------------------- status

    def statistics(self) -> Statistics:
        """Counters up to now."""
        return self._outgoing.statistics()


def _why(error: BaseException) -> str:
    """The oldest cause in a sentence: trio wraps what the system said."""
    if isinstance(error, trio.ClosedResourceError):
        return "closed here"
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    text = str(cause)
    if "EOF" in text or not text:
        return HUNG_UP
    return f"the connection broke: {text}"
