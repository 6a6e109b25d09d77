"""The election timer."""

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
