"""What waits in a connection to be written: one bounded queue a channel, and the counters of it all."""

from __future__ import annotations

from collections import deque

import attrs
import trio

from swarmtui.wire.channels import QUEUES, Channel


@attrs.define
class Statistics:
    """Counters of one connection, from its beginning. `frames_refused`: full queues; `frames_lost`: link faults."""

    frames_sent: int = 0
    sends: int = 0
    frames_waiting: int = 0
    bytes_waiting: int = 0
    frames_refused: int = 0
    frames_lost: int = 0


@attrs.define(eq=False)
class Queue:
    """The frames of one channel that wait to be written; those that a link fault delays count from the beginning."""

    channel: Channel
    frames_max: int
    bytes_max: int
    frames: deque[bytes] = attrs.field(factory=deque)
    frames_waiting: int = 0  # delayed ones included
    bytes_waiting: int = 0
    room: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def has_room(self, size: int) -> bool:
        """One frame always fits: a long one must not wait for ever."""
        return not self.frames_waiting or (
            self.frames_waiting < self.frames_max and self.bytes_waiting + size <= self.bytes_max
        )

    def taken(self, size: int) -> None:
        self.frames_waiting -= 1
        self.bytes_waiting -= size
        if self.room:
            self.room.unpark_all()


def make_queues() -> list[Queue]:
    """One a channel, by its number."""
    return [Queue(channel, QUEUES[channel].frames_max, QUEUES[channel].bytes_max) for channel in Channel]
