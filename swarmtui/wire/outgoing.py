"""What a connection has still to send: the queues of its channels, and what a fault of the link does to their frames.

A frame is delayed or lost as it is queued, and swallowed as it is taken while the link is cut. Never waits and never sends.
"""

from __future__ import annotations

from collections import deque

import attrs
import trio

from swarmtui.wire.certificates import Identity
from swarmtui.wire.channels import Channel
from swarmtui.wire.faults import LinkFaults
from swarmtui.wire.queues import Queue, Statistics, make_queues

SEND_BYTES_MAX = 128 * 1024  # coalesced into one send; what is urgent waits behind at most this much
RETRANSMIT_S = 0.2  # what a lossy link costs a channel that must not lose anything, as TCP would


class Outgoing:
    """`torn`: a frame was lost of a channel that must not lose any, so the connection has to end. `counters` are those of
    the whole connection."""

    def __init__(self, faults: LinkFaults | None, other: Identity) -> None:
        self.queues = make_queues()
        self.counters = Statistics()
        self.torn = False
        self._faults = faults
        self._other = other
        self._ready = 0  # frames in the queues
        self._delayed: deque[tuple[float, Queue, bytes]] = deque()

    @property
    def is_cut(self) -> bool:
        """Nothing that is sent now would arrive."""
        return self._faults is not None and (fault := self._faults.of(self._other)) is not None and fault.cut_out

    @property
    def next_due(self) -> float | None:
        """When the first delayed frame may go (trio's clock)."""
        return self._delayed[0][0] if self._delayed else None

    def put(self, queue: Queue, frame: bytes) -> bool:
        """False if it may go at once; else it waits for its time, or for that of an earlier one (`next_due`), or is lost."""
        due = 0.0
        if self._faults is not None and (fault := self._faults.of(self._other)) is not None:
            delay_s = self._faults.delay_s(fault)
            if delay_s is None and not fault.cut_out and queue.channel is not Channel.RAFT:
                delay_s = RETRANSMIT_S
            if delay_s is None:
                self.lose(queue.channel)
                return True
            due = trio.current_time() + delay_s if delay_s else 0.0
        queue.frames_waiting += 1
        queue.bytes_waiting += len(frame)
        if due or self._delayed:  # never before what was sent earlier
            due = max(due, self._delayed[-1][0] if self._delayed else due)
            self._delayed.append((due, queue, frame))
            return True
        self._ready += 1
        queue.frames.append(frame)
        return False

    def lose(self, channel: int) -> None:
        """A fault swallowed a frame. Raft is made for that; every other channel promises all or the connection's end,
        which comes as soon as the link carries anything again."""
        self.counters.frames_lost += 1
        if channel not in (Channel.RAFT, Channel.CONTROL):
            self.torn = True

    def take(self) -> list[bytes]:
        """All that may be sent now, highest channel first, up to SEND_BYTES_MAX (or one frame that is longer)."""
        if self._delayed:
            now = trio.current_time()
            while self._delayed and self._delayed[0][0] <= now:
                _, queue, frame = self._delayed.popleft()
                self._ready += 1
                queue.frames.append(frame)
        frames: list[bytes] = []
        if not self._ready:
            return frames
        size = 0
        cut = self.is_cut
        for queue in self.queues:
            while queue.frames and (not frames or size + len(queue.frames[0]) <= SEND_BYTES_MAX):
                frame = queue.frames.popleft()
                self._ready -= 1
                queue.taken(len(frame))
                if cut:
                    self.lose(queue.channel)
                    continue
                frames.append(frame)
                size += len(frame)
            if queue.frames:
                break
        return frames

    def statistics(self) -> Statistics:
        """Counters up to now."""
        return attrs.evolve(
            self.counters,
            frames_waiting=sum(queue.frames_waiting for queue in self.queues),
            bytes_waiting=sum(queue.bytes_waiting for queue in self.queues),
        )
