"""What a connection has received: bytes in, and out come the messages that its other side may send. The rest ends it.

A frame that arrives while the link is cut is swallowed. Never waits and never sends.
"""

from __future__ import annotations

from collections.abc import Callable

from swarmtui.wire.admission import Admission, WrongChannel
from swarmtui.wire.calls import PROTOCOL_VERSION
from swarmtui.wire.channels import Channel
from swarmtui.wire.codec import MalformedMessage, Message, decode_message
from swarmtui.wire.frames import FRAME_BYTES_MAX, BadFrame, FrameReader
from swarmtui.wire.messages import Goodbye, Hello

REASON_LENGTH_MAX = 300  # characters

Received = list[tuple[Channel, Message]]
"""Messages that came together, in their order."""


class Incoming:
    """`greeted`: the other side has said hello. Nothing more is read once there is a `farewell` (why it said goodbye), a
    `fault` (the rule and the reason), or whoever reads the stream has found that it `hung_up`."""

    def __init__(self, admission: Admission, forged: Callable[[str], None], lose: Callable[[int], None]) -> None:
        self.greeted = False
        self.farewell: str | None = None
        self.fault: tuple[str, str] | None = None
        self.hung_up = False
        self._admission = admission
        self._forged = forged
        self._lose = lose
        self._reader = FrameReader(FRAME_BYTES_MAX)

    @property
    def is_over(self) -> bool:
        return self.fault is not None or self.farewell is not None or self.hung_up

    def read(self, data: bytes | bytearray, *, cut: bool) -> Received:
        """Every message that is whole now, those before a fault or a farewell included."""
        messages: Received = []
        self._reader.feed(data)
        try:
            while self.farewell is None and (frame := self._reader.next_frame()) is not None:
                if cut:
                    self._lose(frame[0])
                else:
                    self._admit(frame, messages)
        except BadFrame as error:
            self.fault = "bad-frame", str(error)
        except MalformedMessage as error:
            self.fault = "bad-message", str(error)
        except WrongChannel as error:
            self.fault = "channel", str(error)
        return messages

    def _admit(self, frame: tuple[int, bytes], messages: Received) -> None:
        """Raises BadFrame, MalformedMessage, WrongChannel."""
        admission = self._admission
        channel = admission.channel(frame[0])
        message = decode_message(frame[1])
        admission.check_kind(channel, message)
        if channel is Channel.CONTROL:
            self._control(message)
        elif forged := admission.forgery(message):
            self._forged(forged)  # dropped: it changes nothing
        else:
            messages.append((channel, message))

    def _control(self, message: Message) -> None:
        """Raises MalformedMessage for somebody whom we would not understand."""
        if isinstance(message, Goodbye):
            self.farewell = message.reason[:REASON_LENGTH_MAX]
            return
        assert isinstance(message, Hello)  # the other message of its channel
        self.greeted = True
        if message.protocol != PROTOCOL_VERSION:
            raise MalformedMessage(f"protocol {message.protocol}, this version speaks {PROTOCOL_VERSION}")
