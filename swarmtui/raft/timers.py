"""The election timer, and the hurry that a refused dial to the leader gives to an election."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from swarmtui.raft.options import RaftOptions


@attrs.define
class ElectionTimer:
    """Runs from `started_at` for `total_s`; hearing from a leader starts it again."""

    started_at: float
    total_s: float

    @property
    def expires_at(self) -> float:
        return self.started_at + self.total_s

    @classmethod
    def drawn(cls, options: RaftOptions, draw: Callable[[], float], now: float) -> ElectionTimer:
        """Between one and two election timeouts, so that seldom two nodes begin together."""
        return cls(now, options.election_timeout_s * (1 + draw()))


@attrs.define
class Hurry:
    """Early pre-votes after a hint: the first after rank x 2 ms, then again after each pause of `hurry_retries_s`, because
    the others may not have lost the leader yet; after the last the election timer takes over."""

    cause: str
    rank_s: float  # what keeps two of us apart each time
    due_at: float
    attempts: int = 0

    @classmethod
    def begin(cls, cause: str, rank: int, options: RaftOptions, now: float) -> Hurry:
        rank_s = rank * options.hurry_rank_s
        return cls(cause, rank_s, now + rank_s)

    def hold(self, options: RaftOptions, now: float) -> None:
        """Somebody (perhaps ourselves) is about to be elected: competing with it would split the votes."""
        self.due_at = max(self.due_at, now + options.hurry_patience_s + self.rank_s)

    def next_attempt(self, options: RaftOptions, now: float) -> bool:
        """Plan the attempt after this one; False if this is the last."""
        if self.attempts >= len(options.hurry_retries_s):
            return False
        self.due_at = now + options.hurry_retries_s[self.attempts]
        self.attempts += 1
        return True
