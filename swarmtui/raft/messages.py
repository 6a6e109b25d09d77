"""What the members say to one another.

Every message names the cluster, who speaks, to whom, and the speaker's term. A message for another cluster or another
addressee is dropped before its term is looked at. Terms of *pre-votes* are the term the candidate would have, and change
nobody's term.
"""

from __future__ import annotations

import attrs

from swarmtui.raft.configuration import Configuration
from swarmtui.raft.entries import Entry
from swarmtui.raft.reasons import Why


@attrs.define(kw_only=True)
class Message:
    cluster: str
    source: str
    target: str
    term: int


@attrs.define(kw_only=True)
class VoteRequest(Message):
    """`pre`: only asking, nothing is bound by an answer. `transfer`: the leader asked for this election, so the rule
    that protects a living leader does not apply."""

    last_index: int
    last_term: int
    pre: bool = False
    transfer: bool = False


@attrs.define(kw_only=True)
class VoteReply(Message):
    """`term` is the voter's own term on a refusal; on a grant the term that was asked for. `why`, when refused, is
    the rule with its operands, so that whoever asked can tell them as data too."""

    granted: bool
    pre: bool = False
    why: Why | None = None


@attrs.define(kw_only=True)
class Append(Message):
    """Entries after (previous_index, previous_term); without entries a heartbeat or a probe. `session` names the
    leader's progress of this peer (a peer removed and added again has a new one), `round` the newest read round that an
    answer to this confirms."""

    session: int
    previous_index: int
    previous_term: int
    commit: int
    round: int = 0
    entries: tuple[Entry, ...] = ()


@attrs.define(kw_only=True)
class AppendReply(Message):
    """Accepted: `match` is the last index known to agree *and* be durable here, `previous_index` the last known to agree at
    all. Rejected: `match` is 0, `previous_index` that of the Append, and `conflict_index` (of `conflict_term`) the last
    entry here at which the logs can still agree."""

    session: int
    accepted: bool
    match: int
    previous_index: int
    conflict_index: int = 0
    conflict_term: int = 0
    round: int = 0


@attrs.frozen
class SnapshotMark:
    """What a snapshot holds: the state after applying (index, term), the members then, and its size and checksum
    (SHA-256, hex) as stored."""

    index: int
    term: int
    configuration: Configuration
    size_bytes: int
    checksum: str


@attrs.define(kw_only=True)
class SnapshotChunk(Message):
    """A piece of the leader's snapshot at `offset`; `chunk_checksum` is the CRC-32 of `data`."""

    session: int
    mark: SnapshotMark
    offset: int
    data: bytes
    chunk_checksum: int
    round: int = 0


@attrs.define(kw_only=True)
class SnapshotReply(Message):
    """`next_offset` bytes are safely here; equal to the size: installed. A smaller value than sent: resume there."""

    session: int
    index: int
    next_offset: int
    installed: bool
    round: int = 0


@attrs.define(kw_only=True)
class TimeoutNow(Message):
    """Leadership transfer: campaign at once, without a pre-vote."""


@attrs.define(kw_only=True)
class ReadRequest(Message):
    """A follower asks the leader for a read index. `ticket` is the follower's."""

    ticket: int


@attrs.define(kw_only=True)
class ReadReply(Message):
    """`index` 0: refused, and `why`."""

    ticket: int
    index: int
    why: Why | None = None


@attrs.define(kw_only=True)
class RemovedNotice(Message):
    """You were removed, by the configuration of `index`, and that is committed. The answer to whatever a removed node says;
    its own term is not looked at."""

    index: int


AnyMessage = (
    VoteRequest
    | VoteReply
    | Append
    | AppendReply
    | SnapshotChunk
    | SnapshotReply
    | TimeoutNow
    | ReadRequest
    | ReadReply
    | RemovedNotice
)
