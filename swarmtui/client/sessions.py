"""The client's side of a session: the numbers by which a write that is sent again is known (`store.sessions`)."""

from __future__ import annotations

import secrets

from swarmtui.objects.operations import SESSION_RESULTS_MAX

SESSION_BITS = 63
IN_FLIGHT_MAX = SESSION_RESULTS_MAX // 2  # serials from the lowest unanswered to the highest given out


class Session:
    """One session. `since` is the highest log index that was seen when its number was drawn."""

    def __init__(self, since: int) -> None:
        self.id = 1 + secrets.randbits(SESSION_BITS)
        self.since = since
        self.lowest = 1  # every serial below is answered
        self.over = False  # the store does not know it any more
        self._serial = 0
        self._answered: set[int] = set()  # above `lowest`

    @property
    def full(self) -> bool:
        """No serial can be given out: the next write begins a session of its own."""
        return self.over or self._serial - self.lowest >= IN_FLIGHT_MAX

    def next(self) -> int:
        """The serial of another request. It must be answered some time, or this session fills up."""
        self._serial += 1
        return self._serial

    def answered(self, serial: int) -> None:
        """The request will not be sent again: its outcome is known, or nobody waits for it any more."""
        answered = self._answered
        if serial != self.lowest:
            answered.add(serial)
            return
        self.lowest += 1
        while answered and self.lowest in answered:
            answered.discard(self.lowest)
            self.lowest += 1
