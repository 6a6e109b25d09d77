"""What is known of one manager's directory: plain data, apart from `recovery`, which finds it out.

The commands decide by it and are imported at every start of the command line, so nothing that takes long is imported here.
"""

from __future__ import annotations

import enum

import attrs


class Condition(enum.StrEnum):
    """What can be said of a manager's directory without running it."""

    INTACT = "intact"
    RUNNING = "running"  # a process holds it: ask that
    DAMAGED = "damaged"
    LOST = "lost"  # the directory or its log is gone
    OUT = "out"  # it is no member any more


@attrs.frozen(kw_only=True)
class Survey:
    """One manager. `voters` and `outgoing` are ids as its own log has them; figures are 0 where nothing could be read."""

    name: str
    id: str
    condition: Condition
    text: str = ""
    last_index: int = 0
    last_term: int = 0
    commit: int = 0
    term: int = 0
    voters: tuple[str, ...] = ()
    outgoing: tuple[str, ...] = ()

    @property
    def rank(self) -> tuple[int, int]:
        """Which of two logs is more advanced."""
        return (self.last_term, self.last_index)
