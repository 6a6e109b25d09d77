"""What the core wants done: the effects that are drained from it, in this order.

The order rules of raft are kept by construction: a message that promises something durable appears as a Send only after
the Written that it depends on was fed, and Apply never runs ahead of what is durable here. So the shell may carry out
every effect as soon as it sees it, and Sends before Writes.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import attrs

from swarmtui.raft.configuration import Configuration
from swarmtui.raft.entries import Entry
from swarmtui.raft.messages import AnyMessage, SnapshotMark
from swarmtui.raft.reasons import Why


class Role(enum.StrEnum):
    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"
    LEARNER = "learner"


@attrs.frozen
class HardState:
    """What must never be forgotten: one atomic record (hashicorp/raft#661)."""

    term: int = 0
    vote: str = ""
    commit: int = 0  # a hint to shorten recovery; needs no sync of its own


@attrs.define
class Send:
    message: AnyMessage


@attrs.define
class Write:
    """Make durable, as one atomic frame: drop everything after `truncate_after` (None: nothing), append `entries`, and
    replace the hard state (None: unchanged). Report `Written(sequence)`. Sequences rise by one."""

    sequence: int
    hard_state: HardState | None
    truncate_after: int | None
    entries: tuple[Entry, ...]


@attrs.define
class Apply:
    """Committed and durable here: apply in order, then report Applied."""

    entries: tuple[Entry, ...]


@attrs.define
class Accepted:
    """The proposal of this ticket was appended at `first_index` and following, in `term`. Not committed: its results are
    known when those indexes are applied, and are its own only if the entry applied there has this term."""

    ticket: int
    term: int
    first_index: int


@attrs.define
class Refused:
    """Certainly not appended."""

    ticket: int
    why: Why

    @property
    def rule(self) -> str:
        """A short fixed name."""
        return self.why.rule

    @property
    def reason(self) -> str:
        """One line, with the operands."""
        return str(self.why)


@attrs.define
class ReadReady:
    """The read of this ticket may be served once (and is only emitted when) `index` is applied here."""

    ticket: int
    index: int


@attrs.define
class ReadRefused:
    ticket: int
    why: Why

    @property
    def reason(self) -> str:
        return str(self.why)


@attrs.define
class RoleChanged:
    """`leader` is "" while unknown. `first_index`: for a leader the index of its first own entry; its leadership may act
    once that is applied. `why` says what made it so."""

    role: Role
    term: int
    leader: str
    why: Why
    first_index: int = 0

    @property
    def cause(self) -> str:
        """One line, with figures."""
        return str(self.why)


@attrs.define
class MembersChanged:
    """The configuration of `index` came into force (with its entry, or because a newer one was taken back), or became
    committed. Not told at start: it is in the status then."""

    index: int
    configuration: Configuration
    committed: bool


@attrs.define
class Expelled:
    """This node was removed for ever, and that is committed: its part in the consensus is over. Told once in a life, also
    if it was so at start."""

    why: Why

    @property
    def reason(self) -> str:
        return str(self.why)


@attrs.define
class ReadChunk:
    """Read up to `bytes_max` of our newest snapshot for this peer; answer with ChunkRead."""

    peer: str
    mark: SnapshotMark
    offset: int
    bytes_max: int


@attrs.define
class WriteChunk:
    """Store a piece of a snapshot that the leader sends; answer with ChunkWritten."""

    mark: SnapshotMark
    offset: int
    data: bytes


@attrs.define
class InstallSnapshot:
    """Replace the state machine by the received snapshot and the log on disk by what is `kept` of it (entries behind the
    snapshot that agree with it, else nothing); answer with SnapshotInstalled."""

    mark: SnapshotMark
    kept: tuple[Entry, ...]


@attrs.define
class Compact:
    """Entries up to `index` are no longer needed on disk, nor is any snapshot but the newest. `forgotten` begins with those
    that are not in the log's memory any more either, and is for whoever carries this out to empty."""

    index: int
    forgotten: list[Entry] = attrs.field(factory=list, repr=False, eq=False)


@attrs.define
class Narrate:
    """Something worth telling an observer. `topic` is `election` or `raft`; `what` a short fixed name; `operands` its
    figures; `why` the rule by which it came to that, if it is a refusal. `str()` is the one line; it is built only where
    somebody listens."""

    topic: str
    what: str
    term: int
    index: int
    operands: Mapping[str, Any]
    why: Why | None = None

    def __str__(self) -> str:
        figures = " ".join(f"{key}={value}" for key, value in self.operands.items())
        line = f"{self.what} {figures}".rstrip()
        return line if self.why is None else f"{line}: {self.why}"


Effect = (
    Send
    | Write
    | Apply
    | Accepted
    | Refused
    | ReadReady
    | ReadRefused
    | RoleChanged
    | MembersChanged
    | Expelled
    | ReadChunk
    | WriteChunk
    | InstallSnapshot
    | Compact
    | Narrate
)
