"""The clock of silence: which nodes have not been heard for longer than they may. Pure; told of time, never asks it.

Silence is weak evidence, for the listener may have been deaf: asleep, stopped, or busy. Two rules guard against it:

- a node is judged only at a *second look* a moment after its time ran out, so that what waits unread is read first;
- a look that comes much later than it was asked for is a gap of our own, and so is a gap announced by the node
  (`gap`): every node then gets its whole period again.
"""

from __future__ import annotations

import attrs

SECOND_LOOK_S = 0.1
OVERSLEPT_S = 0.5
"""So much later than asked for means: it was we who slept."""


@attrs.define
class _Listening:
    since: float
    allowance_s: float
    suspected_at: float | None = None


class SilenceClock:
    def __init__(self) -> None:
        self._nodes: dict[str, _Listening] = {}
        self._look_at: float | None = None  # not later than any node's time; put right at each look

    def listen(self, node_id: str, now: float, allowance_s: float) -> None:
        """From now on this node may be silent for `allowance_s` at a time."""
        self._nodes[node_id] = _Listening(now, allowance_s)
        due = now + allowance_s
        self._look_at = due if self._look_at is None else min(self._look_at, due)

    def heard(self, node_id: str, now: float) -> None:
        listening = self._nodes.get(node_id)
        if listening is not None:
            listening.since = now
            listening.suspected_at = None

    def forget(self, node_id: str) -> None:
        self._nodes.pop(node_id, None)

    def gap(self, now: float) -> None:
        """We were away: every silence begins anew."""
        for listening in self._nodes.values():
            listening.since = now
            listening.suspected_at = None
        self._plan()

    @property
    def deadline(self) -> float | None:
        return self._look_at

    def expired(self, now: float) -> list[tuple[str, float]]:
        """The nodes that have been silent for too long, and for how many seconds. They are forgotten here."""
        if self._look_at is None or now < self._look_at:
            return []
        if now > self._look_at + OVERSLEPT_S:
            self.gap(now)
            return []
        found: list[tuple[str, float]] = []
        for node_id, listening in list(self._nodes.items()):
            if listening.suspected_at is not None and now >= listening.suspected_at + SECOND_LOOK_S:
                found.append((node_id, now - listening.since))
                del self._nodes[node_id]
            elif listening.suspected_at is None and now >= listening.since + listening.allowance_s:
                listening.suspected_at = now
        self._plan()
        return found

    def _plan(self) -> None:
        self._look_at = min(
            (
                listening.since + listening.allowance_s
                if listening.suspected_at is None
                else listening.suspected_at + SECOND_LOOK_S
                for listening in self._nodes.values()
            ),
            default=None,
        )
