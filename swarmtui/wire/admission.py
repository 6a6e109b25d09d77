"""What one end of a connection may say to the other, by its certificate. The message's own words are believed last."""

from __future__ import annotations

from typing import get_args

import attrs

from swarmtui.objects.dispatch import AgentMessage, Register, Relay
from swarmtui.objects.membership import node_of
from swarmtui.raft.messages import AnyMessage
from swarmtui.raft.messages import Message as RaftMessage
from swarmtui.wire.calls import Peerage
from swarmtui.wire.certificates import Identity
from swarmtui.wire.channels import Channel, may_speak
from swarmtui.wire.codec import MalformedMessage, Message
from swarmtui.wire.frames import BadFrame
from swarmtui.wire.messages import Envelope, Goodbye, Hello

_CHANNELS: tuple[Channel, ...] = tuple(Channel)
_ENVELOPES: frozenset[type] = frozenset(get_args(Envelope))
_CARRIES: tuple[frozenset[type], ...] = (
    frozenset({Hello, Goodbye}),
    frozenset(get_args(AnyMessage)),
    _ENVELOPES,
    frozenset(get_args(AgentMessage)),
    _ENVELOPES,
    _ENVELOPES,
)
"""Which messages each channel is for, by its number."""


class WrongChannel(Exception):
    """A channel that is not for holders of this certificate."""


@attrs.frozen
class Refusal:
    """Input that was refused: whose, where from, and why. `peer` is None for somebody without a valid certificate."""

    peer: Identity | None
    address: str
    rule: (
        str  # not-tls, no-certificate, wrong-cluster, bad-frame, bad-message, channel, forged-sender, call, too-many …
    )
    reason: str

    def __str__(self) -> str:
        return f"{self.peer or 'a stranger'} at {self.address} refused ({self.rule}): {self.reason}"


class Admission:
    """The rules for frames from one certified peer."""

    def __init__(self, local: Identity, peer: Identity) -> None:
        self._peer = peer
        self._readable = may_speak(peer.role, local.role)

    def channel(self, number: int) -> Channel:
        """Raises BadFrame, WrongChannel."""
        if number >= len(_CHANNELS):
            raise BadFrame(f"channel {number} does not exist")
        channel = _CHANNELS[number]
        if channel not in self._readable:
            raise WrongChannel(f"a {self._peer.role} may not speak on the {channel.name.lower()} channel")
        return channel

    @staticmethod
    def check_kind(channel: Channel, message: Message) -> None:
        """Raises MalformedMessage for a message on a channel that is not for it."""
        if type(message) not in _CARRIES[channel]:
            raise MalformedMessage(f"{type(message).__name__} on the {channel.name.lower()} channel")

    def forgery(self, message: Message) -> str:
        """As whom the peer speaks although it is somebody else; "" if it may say this."""
        if type(message) in _ENVELOPES:
            return ""
        peer = self._peer
        if isinstance(message, RaftMessage):
            return "" if node_of(message.source) == peer.node_id else message.source
        if isinstance(message, Register):
            return "" if message.node_id == peer.node_id else message.node_id
        if isinstance(message, Relay) and peer.role is not Peerage.MANAGER:
            return f"a relay for {message.node_id}"
        return ""
