"""What can happen to the core: the events that are fed to it.

Each is fed with the time `now` (seconds of a monotonic clock that the caller owns). The core never asks for the time.
"""

from __future__ import annotations

import enum

import attrs

from swarmtui.raft.changes import Change
from swarmtui.raft.entries import EntryKind
from swarmtui.raft.messages import AnyMessage, SnapshotMark


@attrs.define
class Tick:
    """Time has passed. Due at `RaftCore.deadline`, harmless at any other time."""


@attrs.define
class Gap:
    """This machine slept for more than an election timeout: draw a new election timer and give every silence a full new
    period before judging it."""


@attrs.define
class Received:
    """A message whose sender was authenticated as `message.source`."""

    message: AnyMessage


@attrs.define
class Proposed:
    """Append these payloads as one entry each, in exactly this term, or refuse. Answered by Accepted or Refused."""

    ticket: int
    term: int
    payloads: tuple[bytes, ...]
    kind: EntryKind = EntryKind.TRANSACTIONS


@attrs.define
class Written:
    """The Write effect of this sequence, and all before it, are durable."""

    sequence: int


@attrs.define
class Applied:
    """The state machine has applied everything up to here."""

    index: int


@attrs.define
class LeaderLost:
    """The last connection to this leader of this term has ended and a new dial to its address was refused. A hint: it
    shortens the wait for an election and can never do harm."""

    leader: str
    term: int


@attrs.define
class Unreachable:
    """Messages to this peer were lost by the transport (a full queue, a broken connection)."""

    peer: str


@attrs.define
class Reachable:
    """A new connection to this peer stands: what was lost before may be sent again at once."""

    peer: str


@attrs.define
class ReadAsked:
    """A linearizable read: answered by ReadReady once it may be served from the local state, or by ReadRefused."""

    ticket: int


@attrs.define
class TransferAsked:
    """Hand leadership to `target`, or to the most advanced voter if empty. Answered by Accepted or Refused."""

    ticket: int
    target: str = ""


@attrs.define
class MembersAsked:
    """Change the members so, all changes in one step, in exactly this term. Answered by Accepted, when the first entry of
    the change is appended (what becomes of it is told by MembersChanged), or by Refused, whose rule is one of

        not-leader, wrong-term, transfer   ask whoever leads, or will
        own-term, in-flight                ask again soon: nothing of this term is committed yet; another change is not
        quorum                             the voters in contact would be no quorum of the voters then
        leader-leaves                      the leader itself would leave: it hands over first, ask again at the next one
        members                            the change makes no sense: already so, no such member, removed for ever
    """

    ticket: int
    term: int
    changes: tuple[Change, ...]


@attrs.define
class CampaignAsked:
    """Campaign at once: the first manager of a new cluster, at genesis."""


@attrs.define
class SnapshotTaken:
    """A snapshot up to `mark` is durable; entries up to it may be dropped, but for what followers still need."""

    mark: SnapshotMark


@attrs.define
class ChunkRead:
    """Answer to ReadChunk. `data` empty and `missing` True: that snapshot is no longer here."""

    peer: str
    mark: SnapshotMark
    offset: int
    data: bytes
    missing: bool = False


class ChunkOutcome(enum.Enum):
    STORED = "stored"
    COMPLETE = "complete"  # whole, its checksum agrees, durable
    DAMAGED = "damaged"  # the checksum of the whole does not agree: begin again


@attrs.define
class ChunkWritten:
    """Answer to WriteChunk."""

    mark: SnapshotMark
    next_offset: int
    outcome: ChunkOutcome


@attrs.define
class SnapshotInstalled:
    """Answer to InstallSnapshot: the state machine now is the snapshot's and the log on disk begins behind it."""

    mark: SnapshotMark


Input = (
    Tick
    | Gap
    | Received
    | Proposed
    | Written
    | Applied
    | LeaderLost
    | Unreachable
    | Reachable
    | ReadAsked
    | TransferAsked
    | MembersAsked
    | CampaignAsked
    | SnapshotTaken
    | ChunkRead
    | ChunkWritten
    | SnapshotInstalled
)
