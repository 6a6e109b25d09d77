"""The lanes of a connection: what goes first, how much of each may wait, and who may speak on which.

A frame of a higher channel is written before any waiting frame of a lower one, so that a flood of task output never holds
back a heartbeat.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs

from swarmtui.wire.calls import Peerage

KIB, MIB = 1024, 1024 * 1024


class Channel(enum.IntEnum):
    """In the order of their priority. CONTROL is the wire's own: greeting and farewell."""

    CONTROL = 0
    RAFT = 1  # consensus
    FORWARD = 2  # calls that one manager makes of another
    AGENT = 3  # sessions between agents and the dispatcher
    CLIENT = 4  # calls from outside
    OUTPUT = 5  # output of tasks


@attrs.frozen
class QueueLimits:
    """How much of one channel may wait in one connection to be written."""

    frames_max: int
    bytes_max: int


QUEUES: Mapping[Channel, QueueLimits] = {
    Channel.CONTROL: QueueLimits(16, 64 * KIB),
    Channel.RAFT: QueueLimits(4096, 32 * MIB),
    Channel.FORWARD: QueueLimits(4096, 32 * MIB),
    Channel.AGENT: QueueLimits(4096, 16 * MIB),
    Channel.CLIENT: QueueLimits(4096, 32 * MIB),
    Channel.OUTPUT: QueueLimits(256, 4 * MIB),
}

_AS_MANAGER = frozenset({Channel.CONTROL, Channel.RAFT, Channel.FORWARD, Channel.AGENT, Channel.CLIENT})
_AS_WORKER = frozenset({Channel.CONTROL, Channel.AGENT, Channel.CLIENT})
_AS_CLIENT = frozenset({Channel.CONTROL, Channel.CLIENT})

_OPENS: Mapping[Peerage, frozenset[Channel]] = {
    Peerage.MANAGER: _AS_MANAGER,
    Peerage.WORKER: _AS_WORKER,
    Peerage.ADMIN: _AS_CLIENT,
    Peerage.OBSERVER: _AS_CLIENT,
    Peerage.HOST: _AS_CLIENT,
    Peerage.TASK: _AS_CLIENT,
}
"""Where each role may begin to speak. Everybody may on CLIENT: there the table of calls decides, and its refusal says why."""


_CLIENTS = frozenset({Peerage.ADMIN, Peerage.OBSERVER, Peerage.HOST, Peerage.TASK})


def may_speak(speaker: Peerage, listener: Peerage) -> frozenset[Channel]:
    """The channels on which frames from a holder of one role are read by a holder of the other."""
    if speaker in (Peerage.MANAGER, Peerage.WORKER) and listener in _CLIENTS:
        return _AS_CLIENT | {Channel.OUTPUT}  # answers
    if speaker is Peerage.HOST and listener in (Peerage.ADMIN, Peerage.OBSERVER):
        return _AS_CLIENT | {Channel.OUTPUT}
    if speaker is Peerage.MANAGER and listener is Peerage.WORKER:
        return _AS_WORKER
    return _OPENS[speaker]
