"""What the core says of itself: read at any time, changes nothing."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from swarmtui.raft.configuration import Configuration
from swarmtui.raft.effects import Role


@attrs.frozen
class CatchUpStatus:
    """A learner on its way to a vote: the round under way, until it has `target`; `last_s` is how long the one before took.
    `ready`: promoted as soon as that may be. `pauses_s`: it did not keep up, and tries again then."""

    round: int
    target: int
    last_s: float | None
    ready: bool
    pauses_s: float | None


@attrs.frozen
class PeerStatus:
    """A leader's view of one peer. `state` is probe, replicate or snapshot."""

    state: str
    match: int
    next: int
    in_flight: int
    heard_s: float | None  # seconds since it last answered
    lag: int = 0  # entries that it does not have durably
    votes: bool = True
    catch_up: CatchUpStatus | None = None


@attrs.frozen
class Status:
    """`heard` are the voters this node can vouch for: for a leader those that answered within an election timeout, itself
    included; for others itself, and the leader while it is in contact. `timer_left_s` is the election timer's rest."""

    node: str
    role: Role
    term: int
    vote: str
    leader: str
    first: int
    last: int
    durable: int
    commit: int
    applied: int
    snapshot: int
    configuration: Configuration
    heard: tuple[str, ...]
    holds_quorum: bool  # leads, and heard a quorum within an election timeout
    timer_left_s: float | None
    timer_total_s: float | None
    leader_since: float | None  # monotonic
    peers: Mapping[str, PeerStatus]
    expelled: str = ""  # why this node is no member any more
