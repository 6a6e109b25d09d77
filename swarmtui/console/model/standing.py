"""What a node is at this moment, as one word that the eye can take in: glyph, word and ink."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs


class Standing(enum.Enum):
    """The one thing to say of a node. Below ASKING are the living, from SILENT on those that do not answer."""

    LEADER = enum.auto()
    DOUBTED = enum.auto()  # says that it leads, but hears no quorum or a later term leads elsewhere
    FOLLOWER = enum.auto()
    PRE_CANDIDATE = enum.auto()
    CANDIDATE = enum.auto()
    LEARNER = enum.auto()
    WORKER = enum.auto()
    ASKING = enum.auto()  # never heard of yet
    SILENT = enum.auto()  # does not answer; nobody knows why
    PAUSED = enum.auto()
    KILLED = enum.auto()
    STOPPED = enum.auto()
    EXITED = enum.auto()
    REFUSED = enum.auto()  # its directory is gone or damaged
    DOWN = enum.auto()  # nobody listens at its address

    @property
    def is_dead(self) -> bool:
        """True on evidence of death; silence and pause are none."""
        return self in _DEAD

    @property
    def answers(self) -> bool:
        return self in _ANSWERING


_DEAD = frozenset({Standing.KILLED, Standing.STOPPED, Standing.EXITED, Standing.REFUSED, Standing.DOWN})
_ANSWERING = frozenset(
    {
        Standing.LEADER,
        Standing.DOUBTED,
        Standing.FOLLOWER,
        Standing.PRE_CANDIDATE,
        Standing.CANDIDATE,
        Standing.LEARNER,
        Standing.WORKER,
    }
)

STANDING_OF_RAFT_ROLE: Mapping[str, Standing] = {
    "leader": Standing.LEADER,
    "follower": Standing.FOLLOWER,
    "pre-candidate": Standing.PRE_CANDIDATE,
    "candidate": Standing.CANDIDATE,
    "learner": Standing.LEARNER,
    "": Standing.WORKER,
}


@attrs.frozen
class Look:
    """How a state is shown: a glyph of one cell, a word and the name of an ink (see panes/ink.py)."""

    glyph: str
    word: str
    ink: str


LOOKS: Mapping[Standing, Look] = {
    Standing.LEADER: Look("◆", "LEADER", "leader"),
    Standing.DOUBTED: Look("◆", "LEADER?", "candidate"),
    Standing.FOLLOWER: Look("○", "follower", "follower"),
    Standing.PRE_CANDIDATE: Look("△", "pre-vote", "candidate"),
    Standing.CANDIDATE: Look("▲", "candidate", "candidate"),
    Standing.LEARNER: Look("◇", "learner", "follower"),
    Standing.WORKER: Look("□", "worker", "follower"),
    Standing.ASKING: Look("?", "asking", "quiet"),
    Standing.SILENT: Look("?", "silent", "unsure"),
    Standing.PAUSED: Look("‖", "PAUSED", "paused"),
    Standing.KILLED: Look("✗", "KILLED", "down"),
    Standing.STOPPED: Look("■", "STOPPED", "down"),
    Standing.EXITED: Look("✗", "EXITED", "down"),
    Standing.REFUSED: Look("✗", "REFUSED", "down"),
    Standing.DOWN: Look("✗", "DOWN", "down"),
}
