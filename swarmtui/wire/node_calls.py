"""What may be asked of a node, by clients, other nodes and the host, and what it answers.

A call is one attrs object with an answer type of its own. Calls marked `Stream` are answered by many items until either
side ends them. Nothing here is sent or answered: the classes are data.
"""

from __future__ import annotations

import enum

import attrs

from swarmtui.objects.codec import encode
from swarmtui.objects.operations import Result, Transaction
from swarmtui.objects.records import AnyRecord
from swarmtui.objects.transactions import Bundle

PROPOSAL_TIMEOUT_MAX_S = 60.0
LOG_RANGE_MAX = 500  # entries a LogRange answer holds
OUTPUT_TAIL_MAX = 10_000  # lines
DELAY_MS_MAX = 60_000.0  # of a link fault, and of its jitter


class Fate(enum.StrEnum):
    """How a request ended. UNKNOWN: it may or may not happen later; nobody sends it again but its client, as the same
    request of a session."""

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@attrs.frozen
class GetStatus:
    """What this node says of itself. Answered by NodeReport, always, from memory."""


@attrs.frozen
class PeerReport:
    """One other member of the consensus, as this node sees it; most of it is known to a leader only."""

    node_id: str
    name: str
    state: str  # probe | replicate | snapshot; "" unless this node leads
    match: int
    heard_s: float | None
    connected: bool
    lag: int = 0  # entries that it does not have durably, as the leader knows
    catch_up: str = ""  # how far a learner is that shall vote: `round 2 to 9, last 730 ms`, `ready`, `pauses 3.2 s`


@attrs.frozen
class NodeReport:
    """One node's own view. `raft_role` is "" on a worker. `heard`: the voters (ids) it can vouch for, itself included;
    `holds_quorum`: it leads and heard a quorum within an election timeout."""

    node_id: str
    name: str
    address: str
    pid: int
    role: str  # manager | worker
    raft_role: str
    term: int
    leader_id: str
    vote: str
    first: int
    last: int
    commit: int
    applied: int
    snapshot: int
    voters: tuple[tuple[str, str], ...]  # (id, name)
    heard: tuple[str, ...]
    holds_quorum: bool
    timer_left_s: float | None
    timer_total_s: float | None
    leader_since: float | None  # seconds since the epoch
    peers: tuple[PeerReport, ...]
    started_at: float
    election_timeout_s: float
    disk: str = ""  # why the disk refuses writes, if it does
    store_index: int = 0  # of a worker too: the index of what it was assigned
    learners: tuple[tuple[str, str], ...] = ()  # (id, name): they receive the log and do not vote


@attrs.define
class Propose:
    """Let these transactions be judged, each alone. A follower forwards once to the leader. `lost` is the id of a leader
    whose connection has just ended under the caller: nothing is forwarded there by one who has not noticed yet (it waits a
    moment for the next leader), for what is sent to a dying process is neither done nor refused. The log and a forward use
    the very bytes of the bundle, and nobody looks into them on the way."""

    bundle: Bundle
    timeout_s: float = 10.0
    forwarded: bool = False
    lost: str = ""

    @classmethod
    def of(cls, *transactions: Transaction, timeout_s: float = 10.0) -> Propose:
        """Raises MalformedObject for one that bytes cannot hold."""
        return cls(Bundle.of([encode(transaction) for transaction in transactions]), timeout_s)

    @property
    def count(self) -> int:
        return self.bundle.count


@attrs.define
class Outcome:
    """`result` with DONE and where the store refused; else `reason` is a sentence, `rule` its short name
    (`rules`, a verdict of the store, or what nobody decides by: overload, disk, invalid …). `reachable` and `needed`
    are the quorum's arithmetic where it matters."""

    fate: Fate
    result: Result | None = None
    rule: str = ""
    reason: str = ""
    reachable: int = 0
    needed: int = 0
    voters: int = 0


@attrs.define
class Proposed:
    """Answer to Propose: what became of each transaction, in their order."""

    outcomes: tuple[Outcome, ...]


class Consistency(enum.StrEnum):
    """How sure a read must be that nothing newer was acknowledged before it was asked for."""

    LINEARIZABLE = "linearizable"  # ReadIndex, or refused
    VIEW = "view"  # ReadIndex for one election timeout, else local and marked stale
    STALE = "stale"  # local at once


@attrs.frozen
class ListRecords:
    """The objects of some tables (of `service_id` / `node_id` only, where given; `prefix` is of the id, for kv)."""

    tables: tuple[str, ...]
    consistency: Consistency = Consistency.VIEW
    service_id: str = ""
    node_id: str = ""
    prefix: str = ""
    timeout_s: float = 5.0


@attrs.frozen
class Records:
    """`refused` is a sentence if the consistency could not be had; `node` is the id of the manager that answers."""

    index: int
    term: int
    stale: bool
    records: tuple[AnyRecord, ...]
    refused: str = ""
    node: str = ""


@attrs.frozen
class GetKey:
    """One key. Answered by Records, with one record or none."""

    key: str
    consistency: Consistency = Consistency.LINEARIZABLE
    timeout_s: float = 5.0


@attrs.frozen
class LogRange:
    """Entries first..last of this node's own log, at most LOG_RANGE_MAX; what is compacted is missing."""

    first: int
    last: int


@attrs.frozen
class LogLine:
    """`index`, `term`, `kind`, `text` (the decoded entry in one line), `bytes`, `committed` (on this node)."""

    index: int
    term: int
    kind: str
    text: str
    bytes: int
    committed: bool


@attrs.frozen
class LogLines:
    """Answer to LogRange. `last` and `commit` are the ends of the whole log here, whatever was asked for."""

    lines: tuple[LogLine, ...]
    first: int  # the first index that this node still holds
    last: int
    commit: int


@attrs.frozen
class Observe:
    """Stream of Mark and Event: marks coalesced, at most 20 a second; events one by one from `after_seq` on (0: from
    now; -1: all that the ring still holds). On overflow an event of kind `gap` names what was lost. Unless it shall `follow`
    the stream ends with the last event that is held."""

    after_seq: int = 0
    marks: bool = True
    follow: bool = True


@attrs.frozen
class Mark:
    """Where a node stands, pushed on change. `truncated_from`: entries from here on were overwritten since the last mark."""

    node_id: str
    time: float
    raft_role: str
    term: int
    leader_id: str
    last: int
    commit: int
    applied: int
    first: int
    heard: tuple[str, ...]
    holds_quorum: bool
    timer_left_s: float | None
    timer_total_s: float | None
    truncated_from: int = 0


@attrs.frozen
class WatchRecords:
    """Stream of RecordsChanged: first everything in these tables (`reset`), then changes as they are applied here; of
    ids that begin with `prefix` only. Answered with local state; a slow reader gets a new `reset` instead of a queue."""

    tables: tuple[str, ...]
    prefix: str = ""


@attrs.frozen
class RecordsChanged:
    """One step of WatchRecords: as of `index`. `reset`: everything there is, to take the place of what was told before."""

    index: int
    reset: bool
    records: tuple[AnyRecord, ...]
    removed: tuple[tuple[str, str], ...] = ()  # (table, id)
    more: bool = False  # the rest of it follows: what a reset does not name yet is not gone


@attrs.frozen
class TaskOutput:
    """Stream of OutputLines of one task that runs or ran on this node."""

    task_id: str
    follow: bool = False
    tail: int = 1000  # lines


@attrs.frozen
class OutputLine:
    """One line that a task wrote. `time` in seconds since the epoch, as its launcher read it."""

    time: float
    stream: str  # stdout | stderr
    text: str


@attrs.frozen
class OutputLines:
    """One step of TaskOutput."""

    task_id: str
    lines: tuple[OutputLine, ...]
    missing: str = ""  # a sentence, if there is nothing (left) to show
    caught_up: bool = False  # with this, all of the tail has been told; what follows was written later


@attrs.frozen
class SignalTask:
    """Do this to a task that runs on this node: kill (SIGKILL of all its processes), stop (its stop signal, grace, kill),
    pause, resume (SIGSTOP, SIGCONT of all its processes)."""

    task_id: str
    action: str


@attrs.frozen
class Done:
    """Answer to calls that either happen or not. `refused` is a sentence, empty when done."""

    text: str = ""
    refused: str = ""


@attrs.frozen
class TransferLeadership:
    """Hand leadership to the manager of this id; "" to the most advanced."""

    target: str = ""


@attrs.frozen
class TakeSnapshot:
    """Take a snapshot of this node's state now."""


@attrs.frozen
class StreamState:
    """Stream of StatePiece: everything in the store at one linearizable index, for a backup. It holds every secret.
    `stale`: as it is here now, with no quorum asked."""

    timeout_s: float = 5.0
    stale: bool = False


@attrs.frozen
class StatePiece:
    """A part of a snapshot of the store at (index, term); `last` has no data and says that it was whole."""

    index: int
    term: int
    data: bytes = b""
    last: bool = False


@attrs.frozen
class LinkFault:
    """What this node shall do to frames to and from `peer_id` (on all channels). `cut_out`, `cut_in`: silence in that
    direction; a dial through a cut hangs. `until`: seconds since the epoch, enforced by the node itself; None: no limit."""

    peer_id: str
    cut_out: bool = False
    cut_in: bool = False
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0  # 0..1, of outgoing frames
    until: float | None = None


@attrs.frozen
class MayLeave:
    """Would the cluster let this manager go now? Asked of the leader, changes nothing. `refused` holds the arithmetic."""

    node_id: str


@attrs.frozen
class ReadRole:
    """The host's word that this node's certificate, role or address on its disk are new: act on them."""


@attrs.frozen
class SetLinkFaults:
    """All link faults of this node from now on; replaces what was set before."""

    faults: tuple[LinkFault, ...]


@attrs.frozen
class StopNode:
    """Leave in order: hand over leadership, stop the tasks, end with status 0."""
