"""A leader's view of one peer: how far its log agrees, and how fast it may be fed.

    probe      where do the logs agree? one Append at a time, and no more until it is answered or a heartbeat is due
    replicate  they agree: Appends follow one another without waiting, up to a window of messages and bytes
    snapshot   the peer needs entries that are no longer in the log: the newest snapshot is sent piece by piece

`match` never falls. `session` names this very progress: an answer to an earlier one (the peer was removed and added
again) says nothing (drmingdrmer/raft-rejoin-bug).
"""

from __future__ import annotations

import enum
from collections import deque
from math import inf

import attrs

from swarmtui.raft.messages import SnapshotMark
from swarmtui.raft.options import RaftOptions


class ProgressState(enum.StrEnum):
    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


@attrs.define
class Outgoing:
    """A snapshot on its way: `offset` bytes are safely there; `asked_at` is when the next piece was asked of our disk."""

    mark: SnapshotMark
    asked_at: float
    offset: int = 0


@attrs.define
class Progress:
    """`heard_at`: when it last answered. `connected` is False from Unreachable to the next sign of life."""

    session: int
    next: int
    match: int = 0
    state: ProgressState = ProgressState.PROBE
    paused: bool = False
    connected: bool = True
    heard_at: float | None = None
    round: int = 0  # the newest read round that it confirmed
    commit_sent: int = 0
    went_back_at: float = -inf  # when a refusal last made us begin again
    outgoing: Outgoing | None = None
    in_flight: deque[tuple[int, int]] = attrs.field(factory=deque)  # (last index, bytes) of unanswered Appends
    in_flight_bytes: int = 0

    def probe(self, next_index: int) -> None:
        """Search from here. What was in flight is forgotten: it may be lost."""
        self.state = ProgressState.PROBE
        self.next = max(next_index, self.match + 1)
        self.paused = False
        self._forget()

    def may_go_back(self, now: float, interval_s: float) -> bool:
        """Whether a refusal of what is sent in advance may begin a new search: once in this interval."""
        if now < self.went_back_at + interval_s:
            return False
        self.went_back_at = now
        return True

    def replicate(self, next_index: int) -> None:
        self.state = ProgressState.REPLICATE
        self.next = max(next_index, self.match + 1)
        self.paused = False
        self._forget()

    def begin_snapshot(self, mark: SnapshotMark, now: float) -> None:
        self.state = ProgressState.SNAPSHOT
        self.paused = False
        self._forget()
        self.outgoing = Outgoing(mark, now)

    def _forget(self) -> None:
        self.outgoing = None
        self.in_flight.clear()
        self.in_flight_bytes = 0

    def is_open(self, options: RaftOptions) -> bool:
        """Whether one more Append with entries may follow now."""
        if self.state is ProgressState.REPLICATE:
            return (
                len(self.in_flight) < options.inflight_messages_max
                and self.in_flight_bytes < options.inflight_bytes_max
            )
        return self.state is ProgressState.PROBE and not self.paused

    def sent(self, last: int, size_bytes: int) -> None:
        """An Append with entries up to `last` has left."""
        if self.state is ProgressState.REPLICATE:
            self.next = last + 1
            self.in_flight.append((last, size_bytes))
            self.in_flight_bytes += size_bytes
        else:
            self.paused = True

    def acknowledge(self, match: int) -> bool:
        """The peer holds everything up to `match` durably; True if that is news."""
        while self.in_flight and self.in_flight[0][0] <= match:
            self.in_flight_bytes -= self.in_flight.popleft()[1]
        if match <= self.match:
            return False
        self.match = match
        self.next = max(self.next, match + 1)
        return True
